"""The topics of one test on the real broker, and what can be done and seen there."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from app import settings
from app.bootstrap import parts
from app.domain.plans import Announcement, Plan, PlanTable
from app.registry import announcer
from app.topics import announcements, dead_letters, lag, reading, signals
from app.topics.dead_letters import DeadLetter
from app.topics.signals import Signal
from tests.harness import models

T = TypeVar("T")
Place = tuple[int, int]  # partition and offset of a record
MODEL = "test-model"
SOON_REPLACED = {
    "DS_MODELS_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "DS_MODELS_KAFKA__TRANSACTION_TIMEOUT_MS": "5000",
}
"""For a test that kills instances: others have its partitions, and readers its end, sooner."""


def until(condition: Callable[[], T | None], timeout_s: float = 120.0, what: str = "") -> T:
    """Poll until `condition` returns something true; return that."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or condition}")
        time.sleep(0.05)
    return result


def record(number: int, **changes: Any) -> bytes:
    """Return a good record; with `FolderModels` its price tells its number and its version."""
    fields = {
        "id": f"r-{number}",
        "month": "2024-05",
        "treasury_print_volume": 1.0,
        "interest_rate": 4.5,
        "inflation_rate": 2.0,
        "previous_month_price": number % 1000,
        **changes,
    }
    return json.dumps(fields).encode()


@dataclass
class Answers:
    """All answers a `read_committed` reader has seen, in the order of their topic."""

    signals: list[tuple[int, Signal]] = field(default_factory=list)  # with its partition
    letters: list[tuple[int, DeadLetter]] = field(default_factory=list)
    signal_times: list[int] = field(default_factory=list)
    keys: dict[Place, bytes | None] = field(default_factory=dict)

    def places(self) -> Counter[Place]:
        counted = Counter((s.source_partition, s.source_offset) for _, s in self.signals)
        counted.update((d.source_partition, d.source_offset) for _, d in self.letters)
        return counted

    def __len__(self) -> int:
        return len(self.signals) + len(self.letters)


class World:
    """Topics with names of their own, so that tests don't meet."""

    def __init__(self, bootstrap_servers: str, folder: Path, partitions: int = 4) -> None:
        self.folder = folder
        self.bootstrap_servers = bootstrap_servers
        unique = uuid.uuid4().hex[:8]
        self.environment = {
            "DS_MODELS_CONFIG": str(folder / "config"),
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "KAFKA_CONSUMER_GROUP": f"group-{unique}",
            "DS_MODELS_MODEL__NAME": MODEL,
            "DS_MODELS_MODEL__CACHE_DIR": str(folder / "cache"),
            "DS_MODELS_TOPICS__RECORDS": f"records-{unique}",
            "DS_MODELS_TOPICS__SIGNALS": f"signals-{unique}",
            "DS_MODELS_TOPICS__DEAD_LETTERS": f"letters-{unique}",
            "DS_MODELS_TOPICS__REDRIVEN": f"redriven-{unique}",
            "DS_MODELS_TOPICS__ANNOUNCEMENTS": f"registry-{unique}",
            "DS_MODELS_TOPICS__STATUS": f"status-{unique}",
            "DS_MODELS_TOPICS__PARTITIONS": str(partitions),
            "DS_MODELS_KAFKA__SESSION_TIMEOUT_MS": "6000",
            "DS_MODELS_KAFKA__TRANSACTION_TIMEOUT_MS": "10000",
            "DS_MODELS_LOG__FORMAT": "json",
        }
        (folder / "config").mkdir(exist_ok=True)
        self.partitions = partitions
        self.client = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self.create_topics()
        self.producer = Producer({**self.client, "linger.ms": 5, "acks": "all"})
        self._collectors: dict[tuple[str, str], _Collector] = {}

    @property
    def settings(self) -> settings.Settings:
        return settings.read(self.environment)

    def topics(self) -> list[str]:
        """Return the names of all of them."""
        return [spec.name for spec in parts.topic_specs(self.settings)]

    def create_topics(self) -> None:
        parts.topic_catalog(self.settings).create(parts.topic_specs(self.settings))

    def with_outputs(self, suffix: str) -> dict[str, str]:
        """Return an environment with a new group and new output topics on the same inputs."""
        changed = {
            name: f"{self.environment[name]}-{suffix}"
            for name in (
                "KAFKA_CONSUMER_GROUP",
                "DS_MODELS_TOPICS__SIGNALS",
                "DS_MODELS_TOPICS__DEAD_LETTERS",
            )
        }
        environment = {**self.environment, **changed}
        made = settings.read(environment)
        parts.topic_catalog(made).create(parts.topic_specs(made))
        return environment

    # --- what goes in ---

    def send(
        self,
        values: Iterable[bytes | None],
        *,
        partition: int | None = None,
        key: Callable[[int], bytes | None] = lambda number: b"series-%d" % (number % 16),
    ) -> None:
        """Append records, spread over the partitions by number; return once all are acked."""
        failures: list[Any] = []

        def report(error: Any, _message: Any) -> None:
            if error is not None:
                failures.append(error)

        for number, value in enumerate(values):
            place = number % self.partitions if partition is None else partition
            self.producer.produce(
                self.settings.topics.records, value, key(number), place, on_delivery=report
            )
            if number % 1000 == 0:
                self.producer.poll(0)
        assert self.producer.flush(30) == 0
        assert not failures, failures[0]

    def announce(self, announcement: Announcement) -> Plan:
        """Announce it as the product does.

        By the producer that is there: a new one waits half a second or more for its id.
        """
        if announcement.replaces is not None:
            topic = self.settings.topics.announcements
            return announcer.announce(self.client, topic, announcement)
        place = self.send_announcement(*announcements.encode(announcement))
        return Plan(*place, announcement)

    def announce_folder(self, version: str, **changes: Any) -> Plan:
        """Save a folder model of this version and announce it."""
        folder = models.save(self.folder / "artifacts", version)
        return self.announce(models.announcement(MODEL, version, folder, **changes))

    def send_announcement(
        self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> tuple[int, int]:
        """Append any message to the announcements; return its offset and append time."""
        topic, reports = self.settings.topics.announcements, list[tuple[Any, Any]]()
        self.producer.produce(
            topic, value, key, 0, headers=headers, on_delivery=lambda *said: reports.append(said)
        )
        assert self.producer.flush(30) == 0
        ((error, message),) = reports
        assert error is None, error
        return message.offset(), message.timestamp()[1]

    # --- what comes out ---

    def answers(self, environment: dict[str, str] | None = None) -> Answers:
        """Return all that is visible to a `read_committed` reader now."""
        topics = settings.read(environment or self.environment).topics
        names = (topics.signals, topics.dead_letters)
        if names not in self._collectors:
            self._collectors[names] = _Collector(self.client, *names)
        return self._collectors[names].collect()

    def wait_for_answers(
        self, count: int, timeout_s: float = 120.0, environment: dict[str, str] | None = None
    ) -> Answers:
        def enough() -> Answers | None:
            found = self.answers(environment)
            return found if len(found) >= count else None

        try:
            return until(enough, timeout_s)
        except AssertionError:
            found = self.answers(environment)
            raise AssertionError(f"{len(found)} of {count} answers within {timeout_s} s") from None

    def committed(self) -> dict[int, int]:
        """Return the offset of the next record to answer of each partition that has one."""
        group = self.settings.kafka.consumer_group
        return lag.committed(
            self.client, self.settings.topics.records, group, range(self.partitions)
        )

    def inputs(self) -> dict[Place, tuple[int, bytes | None, bytes | None]]:
        """Return append time, key and value of each record by its place."""
        return {
            (m.partition, m.offset): (m.appended_ms, m.key, m.value)
            for m in reading.read(self.client, self.settings.topics.records)
        }

    def plan_table(self, model: str = MODEL) -> PlanTable:
        messages = reading.read(self.client, self.settings.topics.announcements)
        entries = announcements.read_all(messages, model)
        return PlanTable.of(e for e in entries if not isinstance(e, announcements.Ignored))

    # --- what must be true ---

    def assert_each_answered_once(
        self, environment: dict[str, str] | None = None, model: str = MODEL
    ) -> Answers:
        """Each record has exactly one signal or dead letter, in order, by the right version."""
        inputs, found = self.inputs(), self.answers(environment)
        counted = found.places()
        missing = sorted(set(inputs) - set(counted))
        twice = sorted(place for place, count in counted.items() if count > 1)
        foreign = sorted(set(counted) - set(inputs))
        assert [missing, twice, foreign] == [[], [], []], (
            f"{len(missing)} missing {missing[:5]}, {len(twice)} twice {twice[:5]}, "
            f"{len(foreign)} foreign {foreign[:5]}"
        )
        self._assert_right(inputs, found, self.plan_table(model).plans)
        return found

    def _assert_right(
        self,
        inputs: dict[Place, tuple[int, bytes | None, bytes | None]],
        found: Answers,
        plans: Sequence[Plan],
    ) -> None:
        last: dict[int, int] = {}
        for partition, signal in found.signals:
            place = (signal.source_partition, signal.source_offset)
            time_ms, key, _ = inputs[place]
            assert found.keys[place] == key
            assert partition == signal.source_partition
            assert signal.source_offset > last.get(partition, -1), "out of order"
            last[partition] = signal.source_offset
            due = naive_plan(plans, time_ms)
            got = (signal.announcement_offset, signal.model_version)
            assert got == (due.offset, due.announcement.model_version), (place, time_ms, signal)
        for _, letter in found.letters:
            _, key, value = inputs[(letter.source_partition, letter.source_offset)]
            assert (letter.key, letter.value) == (key, value)


def naive_plan(plans: Sequence[Plan], time_ms: int) -> Plan:
    """The join in two lines, for comparison."""
    effective = [plan for plan in plans if plan.effective_ms <= time_ms]
    return max(effective, key=lambda plan: plan.offset) if effective else plans[0]


class _Collector:
    """Reads two topics on and on."""

    def __init__(self, client: dict[str, Any], signals_topic: str, letters_topic: str) -> None:
        self._signals_topic = signals_topic
        self._found = Answers()
        self._consumer = Consumer(
            {
                **client,
                "group.id": "collector",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        known = self._consumer.list_topics(timeout=10).topics
        self._ends = {
            (topic, partition): False
            for topic in (signals_topic, letters_topic)
            for partition in known[topic].partitions
        }
        self._consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in self._ends])

    def collect(self) -> Answers:
        """Read what has come; return after a short silence at the end of all partitions."""
        while True:
            messages = self._consumer.consume(10_000, timeout=0.1)
            for message in messages:
                place = (message.topic(), message.partition())
                if message.error() is None:
                    self._ends[place] = False
                    self._take(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    self._ends[place] = True
                else:
                    raise AssertionError(message.error())
            if not messages and all(self._ends.values()):
                return self._found

    def _take(self, message: Any) -> None:
        if message.topic() == self._signals_topic:
            signal = signals.decode(message.value())
            self._found.signals.append((message.partition(), signal))
            self._found.signal_times.append(message.timestamp()[1])
            place = (signal.source_partition, signal.source_offset)
            self._found.keys[place] = message.key()
        else:
            letter = dead_letters.decode(message.key(), message.value(), message.headers() or ())
            self._found.letters.append((message.partition(), letter))
