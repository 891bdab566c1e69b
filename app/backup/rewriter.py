"""Doing the steps of `app.backup.steps` on a cluster, for many partitions side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Producer

from app.backup.cluster import Cluster, Place
from app.backup.data_files import Entry
from app.backup.steps import Aborted, Committed, Head, Plain, Step
from app.domain.errors import BackupError

_FILLED_AT_ONCE = 100_000
_TIMEOUT_S = 60.0

_Steps = Mapping[Place, Step[Entry]]


class Rewriter:
    """Writes partitions that nobody else writes. Every method may raise KafkaException.

    A transaction ends before its markers are written, and what is written next must stand behind
    them. The next transaction of the same producer does: the broker has it wait. Before anything
    else is written, the end of the log is asked for until it is where it must be.

    Args:
        client: Configuration of a Kafka client.
        cluster: The same one.
        name: Of this work. Who begins it anew ends the transactions that the one before has left
            open; else their markers would come into topics that were made anew.
    """

    def __init__(self, client: Mapping[str, Any], cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._failure: str | None = None
        shared = {
            "log_level": 0,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            "batch.num.messages": 100_000,
            "message.max.bytes": 104_857_600,
            "delivery.timeout.ms": 50_000,
            **client,
            "acks": "all",
            "enable.idempotence": True,
            "delivery.report.only.error": True,
            "on_delivery": self._delivered,
            "error_cb": lambda _error: None,
        }
        self._plain = Producer({**shared, "linger.ms": 5})
        self._transactional = Producer({**shared, "transactional.id": name})
        self._transactional.init_transactions(_TIMEOUT_S)
        self._marked: set[Place] = set()  # whose last markers may not be written yet
        self._ends: dict[Place, int] = {}
        self._progress: Callable[[Place, int], None] = lambda _place, _offsets: None

    def write(
        self, plans: Mapping[Place, Iterator[Step[Entry]]], progress: Callable[[Place, int], None]
    ) -> None:
        """Do the steps of each partition in their order; return once all of it is there.

        Args:
            plans: The steps of each partition, which must be empty.
            progress: Told how many more offsets of a partition are taken.

        Raises:
            BackupError: Somebody else writes there.
        """
        self._ends = dict.fromkeys(plans, 0)
        self._progress = progress
        going = dict(plans)
        while going:
            now = {place: step for place, plan in going.items() if (step := next(plan, None))}
            going = {place: going[place] for place in now}
            self._do(now)
        self.require_ends()

    def require_ends(self) -> None:
        """Return if the partitions that were written end where they did.

        Raises:
            BackupError: Somebody else writes there.
        """
        self._require_ends(list(self._ends))

    def _do(self, steps: _Steps) -> None:
        heads = {place: step for place, step in steps.items() if isinstance(step, Head)}
        plain = {place: step for place, step in steps.items() if isinstance(step, Plain)}
        committed = {place: step for place, step in steps.items() if isinstance(step, Committed)}
        aborted = {place: step for place, step in steps.items() if isinstance(step, Aborted)}
        for place, head in heads.items():
            self._fill(self._plain, place, head.offsets)
        if marked := self._marked & plain.keys():
            self._require_ends(sorted(marked))
            self._marked -= marked
        for place, step in plain.items():
            self._send(self._plain, place, step.entries)
        self._flush(self._plain)
        self._cluster.delete_before({place: head.offsets for place, head in heads.items()})
        producer = self._transactional
        if committed:
            producer.begin_transaction()
            for place, transaction in committed.items():
                self._send(producer, place, transaction.entries)
                self._took(place, 1)
            self._flush(producer)
            producer.commit_transaction(_TIMEOUT_S)
        if aborted:
            producer.begin_transaction()
            for place, gap in aborted.items():
                self._fill(producer, place, gap.offsets - 1)
                self._took(place, 1)
            self._flush(producer)  # what is not sent yet would never be
            producer.abort_transaction(_TIMEOUT_S)
        self._marked |= committed.keys() | aborted.keys()

    def _send(self, producer: Any, place: Place, entries: Sequence[Entry]) -> None:
        topic, partition = place
        for entry in entries:
            while True:
                try:
                    producer.produce(
                        topic,
                        entry.value,
                        entry.key,
                        partition,
                        timestamp=entry.appended_ms,
                        headers=entry.headers or None,
                    )
                    break
                except BufferError:
                    producer.poll(0.05)
        self._took(place, len(entries))

    def _fill(self, producer: Any, place: Place, count: int) -> None:
        topic, partition = place
        empty = [{"value": None} for _ in range(min(count, _FILLED_AT_ONCE))]
        while count and self._failure is None:
            queued = producer.produce_batch(topic, empty[:count], partition)
            count -= queued
            self._took(place, queued)
            if queued < len(empty):
                producer.poll(0.01)

    def _took(self, place: Place, offsets: int) -> None:
        self._ends[place] += offsets
        self._progress(place, offsets)

    def _flush(self, producer: Any) -> None:
        while producer.flush(_TIMEOUT_S):  # ends: a message fails once its time-out has passed
            pass
        if self._failure is not None:
            raise BackupError(f"a message was not taken: {self._failure}")

    def _require_ends(self, places: Sequence[Place]) -> None:
        expected = {place: self._ends[place] for place in places}
        self._cluster.wait(
            lambda: self._are_at(expected), "the markers of a transaction are missing"
        )

    def _are_at(self, expected: Mapping[Place, int]) -> bool:
        found = self._cluster.ends(list(expected))
        for (topic, partition), end in expected.items():
            if found[topic, partition] > end:
                raise BackupError(
                    f"{topic} ends at {found[topic, partition]} in partition {partition}, not at "
                    f"{end}: somebody else writes there. Stop the producers"
                )
        return found == expected

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failure = error.str()
