"""One contestant in one round: started, waited for, its answers read and checked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition

from app.topics import reading, signals
from tests.benchmarks.course import PARTITIONS, Lane
from tests.harness.instances import Instance
from tests.harness.world import until

Contestant = Literal["loop", "stream"]
CONTESTANTS: tuple[Contestant, ...] = ("loop", "stream")

_SLOWEST = 1_000  # records a second, else the contestant hangs
_START_S = 120


@dataclass(frozen=True, slots=True)
class Answers:
    """What a contestant answered, each record once.

    Attributes:
        prices: Of each partition, by the offset of the record.
        appended_ms: When each answer was appended, in Unix milliseconds; likewise.
    """

    prices: dict[int, npt.NDArray[np.float64]]
    appended_ms: dict[int, npt.NDArray[np.int64]]

    @property
    def rate(self) -> float:
        """Answers a second, from the append of the first to the append of the last.

        Raises:
            AssertionError: They came too close together to be timed.
        """
        times = np.concatenate(list(self.appended_ms.values()))
        milliseconds = int(times.max() - times.min())
        assert milliseconds > 0, f"{len(times)} records are too few"
        return len(times) * 1000 / milliseconds


def run(
    contestant: Contestant, lane: Lane, records: int, log: Path, on_progress: Callable[[int], None]
) -> Answers:
    """Let a contestant answer the whole input.

    Raises:
        AssertionError: It ended, hung, or did not answer each record once with a signal.
    """
    with start(contestant, lane, log) as instance:
        wait_until_committed(lane, records, instance, on_progress)
        assert instance.stop() == 0, instance.tail()
    return check(lane, records)


def start(contestant: Contestant, lane: Lane, log: Path) -> Instance:
    """Start a contestant in a process of its own."""
    if contestant == "stream":
        return Instance(lane.environment, log, module="app", arguments=("run",))
    found, announced = lane.settings, lane.entry.plan.announcement
    options = {
        "bootstrap_servers": found.kafka.bootstrap_servers,
        "group": found.kafka.consumer_group,
        "source": found.topics.records,
        "target": found.topics.signals,
        "model_folder": str(lane.entry.folder),
        "model_name": announced.model_name,
        "model_version": announced.model_version,
        "announcement_offset": lane.entry.plan.offset,
        "exactly_once": lane.guarantee == "exactly-once",
    }
    return Instance(
        lane.environment,
        log,
        module="tests.benchmarks.hand_written_loop",
        arguments=(orjson.dumps(options).decode(),),
    )


def wait_until_committed(
    lane: Lane,
    records: int,
    instance: Instance,
    on_progress: Callable[[int], None] = lambda _records: None,
) -> dict[int, int]:
    """Block until the group has committed so many records; return its offset in each partition.

    Raises:
        AssertionError: The contestant ended, or hangs.
    """
    consumer = Consumer(
        {
            **lane.client,
            "group.id": lane.settings.kafka.consumer_group,  # asked about; never joined
            "isolation.level": "read_uncommitted",  # or the question waits for transactions
        }
    )
    places = [TopicPartition(lane.settings.topics.records, p) for p in range(PARTITIONS)]

    def all_committed() -> dict[int, int] | None:
        assert instance.running, f"it ended with {instance.exit_code}:\n{instance.tail()}"
        try:
            found = consumer.committed(places, timeout=30)
        except KafkaException:
            return None  # no coordinator of the group yet; if there never is one, time will tell
        offsets = {place.partition: max(0, place.offset) for place in found}  # negative: none yet
        committed = sum(offsets.values())
        on_progress(committed)
        return offsets if committed >= records else None

    try:
        return until(all_committed, _START_S + records / _SLOWEST, "the last commit")
    finally:
        consumer.close()


def check(lane: Lane, records: int) -> Answers:
    """Read all answers as a `read_committed` reader does.

    Raises:
        AssertionError: A record has no signal, or two, or a dead letter.
    """
    topics = lane.settings.topics
    letter = next(reading.read(lane.client, topics.dead_letters, limit=1), None)
    assert letter is None, f"a dead letter: {letter}"
    found: dict[int, dict[int, tuple[float, int]]] = {p: {} for p in range(PARTITIONS)}
    answers = 0
    for message in reading.read(lane.client, topics.signals):
        assert message.value is not None
        signal = signals.decode(message.value)
        answer = signal.predicted_price, message.appended_ms
        found[signal.source_partition][signal.source_offset] = answer
        answers += 1
    answered = sum(map(len, found.values()))
    assert (answers, answered) == (records, records), (
        f"{records} records, {answers} signals, for {answered} different records"
    )
    return Answers(
        {p: np.array([of[at][0] for at in sorted(of)]) for p, of in found.items()},
        {p: np.array([of[at][1] for at in sorted(of)]) for p, of in found.items()},
    )


def assert_same_prices(one: Answers, other: Answers) -> None:
    """Raise AssertionError unless both gave each record the same price, within 1e-9 of it."""
    for partition, prices in one.prices.items():
        np.testing.assert_allclose(prices, other.prices[partition], rtol=1e-9, atol=0)
