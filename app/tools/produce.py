"""Write records to the input topic, good ones and bad ones, as fast or as slow as wanted."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import orjson
from confluent_kafka import KafkaException, Producer

from app.domain.errors import BrokerUnavailable, TopicsError
from app.domain.records import FEATURES, Reason
from app.tools.bad_records import bad_kinds
from app.tools.series import simulate_many

GOOD = "good"
"""The kind of a record that must get a signal."""

_MONTHS = 480  # of a series, before its history begins anew
_SIDE_BY_SIDE = 32  # series that are simulated at once: one alone costs almost the same
_TICK_S = 0.05  # how often progress is told and the delivery reports are served
_SHORTEST_PAUSE_S = 0.001  # the client counts in milliseconds, and 0 would spin
_CHUNK = 2_000  # records between two looks at the clock, when there is no rate
_FOREVER = 2**63


class Sample(NamedTuple):
    """One message to send, and what must become of it.

    Attributes:
        key: The name of its series.
        kind: `GOOD`, or a name of `bad_kinds`.
        reason: Of the dead letter that it must become; None if it must get a signal.
    """

    key: bytes
    value: bytes | None
    kind: str
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written, every record of it acknowledged by all replicas in sync.

    Attributes:
        kinds: How many of each kind, `GOOD` among them.
        reasons: How many dead letters of each reason must come of it.
        seconds: From the first record to the last acknowledgement.
    """

    records: int
    kinds: Mapping[str, int]
    reasons: Mapping[Reason, int]
    seconds: float

    @property
    def good(self) -> int:
        """How many signals must come of it."""
        return self.kinds.get(GOOD, 0)

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds if self.seconds else 0.0


def records(
    seed: int, bad_share: float = 0.0, series: int = 8, max_bytes: int = 100_000
) -> Iterator[Sample]:
    """Yield records without end, the same for the same arguments. Pure.

    The series take turns, each in the order of its months; after forty years each begins a new
    history. The `id` is `<series>-<month>-<n>`, with the seed in the name of the series and the
    record's number as n.

    Args:
        seed: Of everything.
        bad_share: The share of bad records, drawn by chance among all `bad_kinds`.
        series: How many; each has a key of its own, so its records stay in order.
        max_bytes: What is longer must be rejected: `records.max_bytes` of the settings.

    Raises:
        ValueError: There is no series, or the share is not within 0 and 1.

    >>> sample = next(records(seed=7))
    >>> sample.key, sample.kind, sample.value[:44]
    (b'economy-7-0', 'good', b'{"id":"economy-7-0-1990-01-0","month":"1990-')
    """
    if series < 1 or not 0 <= bad_share <= 1:
        raise ValueError(f"{series} series or a bad share of {bad_share} can't be had")
    chance = random.Random(seed)  # noqa: S311 - made to be repeated
    bad_ones = bad_kinds(max_bytes)
    kinds, weights = list(bad_ones), [bad.weight for bad in bad_ones.values()]
    for number, (name, record) in enumerate(_good_records(seed, series)):
        record["id"] += str(number)
        if chance.random() >= bad_share:
            yield Sample(name, orjson.dumps(record), GOOD, None)
            continue
        kind = chance.choices(kinds, weights)[0]
        bad = bad_ones[kind]
        yield Sample(name, bad.make(record, chance), kind, bad.reason)


def produce(
    config: Mapping[str, Any],
    topic: str,
    count: int | None,
    *,
    rate: float | None = None,
    bad_share: float = 0.0,
    seed: int = 0,
    series: int = 8,
    max_bytes: int = 100_000,
    on_progress: Callable[[int], None] = lambda _records: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write `records` to `topic`; return once every one of them is acknowledged.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Must exist: it is not made here.
        count: How many, None for as many as come until `stopped`.
        rate: Records a second, kept on average over the whole run, or None for all that the
            broker takes.
        bad_share: As `records`.
        seed: As `records`.
        series: As `records`.
        max_bytes: As `records`.
        on_progress: Called with the number of records written so far, twenty times a second.
        stopped: Asked as often; once it says yes, what was written is still waited for.

    Raises:
        BrokerUnavailable: No broker answers, or a record was not acknowledged within 30 s.
        TopicsError: There is no such topic.
        ValueError: As `records`, or the rate is not above 0.
    """
    if rate is not None and not rate > 0:
        raise ValueError(f"a rate of {rate} can't be kept")
    samples = islice(records(seed, bad_share, series, max_bytes), count)
    writer = _Writer(config, topic)
    total = _FOREVER if count is None else count
    kinds: Counter[str] = Counter()
    reasons: Counter[Reason] = Counter()
    begun = time.monotonic()
    sent = 0
    told = 0.0
    while sent < total and not stopped():
        elapsed = time.monotonic() - begun
        due = _CHUNK if rate is None else records_due(elapsed, rate) - sent
        for sample in islice(samples, min(due, _CHUNK)):
            writer.write(sample)
            kinds[sample.kind] += 1
            if sample.reason is not None:
                reasons[sample.reason] += 1
            sent += 1
        if elapsed >= told + _TICK_S:
            told = elapsed
            on_progress(sent)
        writer.serve(0 if rate is None or sent == total else _pause(elapsed, rate, sent))
    writer.finish()
    on_progress(sent)
    return Summary(
        records=sent,
        kinds=dict(kinds),
        reasons=dict(reasons),
        seconds=time.monotonic() - begun,
    )


def records_due(elapsed_s: float, rate: float) -> int:
    """Return how many records must be out after `elapsed_s`: what came late is caught up with.

    >>> [records_due(seconds, rate=10) for seconds in (0.0, 0.05, 0.1, 60.0)]
    [1, 1, 2, 601]
    """
    return int(elapsed_s * rate) + 1


def _pause(elapsed_s: float, rate: float, sent: int) -> float:
    """Return the seconds to the next record, or to the next progress if that is sooner."""
    return min(max(sent / rate - elapsed_s, _SHORTEST_PAUSE_S), _TICK_S)


class _Writer:
    """A producer that raises for what fails. Idempotent: a record is written once, and in order.

    Every method may raise BrokerUnavailable: a record written so far was not acknowledged in time.
    """

    def __init__(self, config: Mapping[str, Any], topic: str) -> None:
        self._topic = topic
        self._failure: str | None = None
        self._producer = Producer(
            {
                "linger.ms": 5,
                "batch.num.messages": 20_000,
                "queue.buffering.max.messages": 200_000,
                "compression.type": "lz4",
                "delivery.timeout.ms": 30_000,
                "log_level": 0,  # what matters is raised
                **config,
                "acks": "all",
                "enable.idempotence": True,
                # The partition of a key as clients in other languages choose it.
                "partitioner": "murmur2_random",
                # A call into Python for each record costs as much as the record.
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
                "error_cb": lambda _error: None,
            }
        )
        try:  # all topics: asking for one by name would make it
            known = self._producer.list_topics(timeout=10.0).topics
        except KafkaException as error:
            raise BrokerUnavailable(
                f"no Kafka broker answers at {config['bootstrap.servers']}"
            ) from error
        if topic not in known:
            raise TopicsError(f"there is no topic {topic}; `python -m app topics create` makes it")

    def write(self, sample: Sample) -> None:
        """Hand the record over; blocks while the queue is full."""
        while True:
            try:
                self._producer.produce(self._topic, sample.value, sample.key)
            except BufferError:
                self.serve(0.1)
            except KafkaException as error:
                raise BrokerUnavailable(f"{self._topic} can't be written: {error}") from error
            else:
                return

    def serve(self, seconds: float) -> None:
        """Wait for so long, or a little less, and serve what the broker says meanwhile."""
        self._producer.poll(seconds)
        if self._failure is not None:
            raise BrokerUnavailable(
                f"a record was not acknowledged, and may be written or not: {self._failure}"
            )

    def finish(self) -> None:
        """Wait until every record is acknowledged."""
        self._producer.flush()  # ends: a record fails once its time-out has passed
        self.serve(0)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failure = error.str()


def _good_records(seed: int, series: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield key and record without end; the `id` still lacks its number."""
    names = [f"economy-{seed}-{number}" for number in range(series)]
    keys = [name.encode() for name in names]
    histories = max(1, _SIDE_BY_SIDE // series)
    block = 0
    while True:
        past = simulate_many(histories * series, _MONTHS, (seed, block))
        block += 1
        by_history = past.features().reshape(histories, series, _MONTHS, len(FEATURES))
        for history in by_history:
            for month, rows in zip(past.months, np.swapaxes(history, 0, 1).tolist(), strict=True):
                for key, name, row in zip(keys, names, rows, strict=True):
                    identity = {"id": f"{name}-{month}-", "month": month}
                    yield key, identity | dict(zip(FEATURES, row, strict=True))
