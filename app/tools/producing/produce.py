"""Write samples of records to the input topic, as fast or as slow as wanted."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from app.domain.errors import BrokerUnavailable, TopicsError
from app.domain.records import Reason
from app.tools.producing.samples import Sample
from app.topics import access

_TICK_S = 0.05  # how often progress is told and the delivery reports are served
_SHORTEST_PAUSE_S = 0.001  # the client counts in milliseconds, and 0 would spin
_CHUNK = 2_000  # records between two looks at the clock, when there is no rate


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written, every record of it acknowledged by all replicas in sync.

    Attributes:
        reasons: How many dead letters of each reason must come of it.
        seconds: From the first record to the last acknowledgement.
    """

    records: int
    reasons: Mapping[Reason, int]
    seconds: float

    @property
    def good(self) -> int:
        """How many signals must come of it."""
        return self.records - sum(self.reasons.values())

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds if self.seconds else 0.0


def produce(
    config: Mapping[str, Any],
    topic: str,
    samples: Iterable[Sample],
    *,
    rate: float | None = None,
    on_progress: Callable[[int], None] = lambda _records: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Write the samples to `topic`, in order; return once every one of them is acknowledged.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Must exist: it is not made here.
        samples: Without end if they are to come until `stopped`.
        rate: Records a second, kept on average over the whole run, or None for all that the
            broker takes.
        on_progress: Called with the number of records written so far, twenty times a second.
        stopped: Asked as often; once it says yes, what was written is still waited for.

    Raises:
        BrokerUnavailable: No broker answers, or a record was not acknowledged within 30 s.
        TopicsError: There is no such topic.
        ValueError: The rate is not above 0.
    """
    if rate is not None and not rate > 0:
        raise ValueError(f"a rate of {rate} can't be kept")
    writer = _Writer(config, topic)
    reasons: Counter[Reason] = Counter()
    begun = time.monotonic()
    sent = 0
    told = 0.0
    rest = iter(samples)
    coming = next(rest, None)  # known ahead, so that the end is not waited for at the rate
    while coming is not None and not stopped():
        elapsed = time.monotonic() - begun
        due = _CHUNK if rate is None else min(records_due(elapsed, rate) - sent, _CHUNK)
        while due and coming is not None:
            writer.write(coming)
            if coming.reason is not None:
                reasons[coming.reason] += 1
            sent += 1
            due -= 1
            coming = next(rest, None)
        if elapsed >= told + _TICK_S:
            told = elapsed
            on_progress(sent)
        writer.serve(0 if rate is None or coming is None else _pause(elapsed, rate, sent))
    writer.finish()
    on_progress(sent)
    return Summary(
        records=sent,
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
        self._needed = access.topic("WRITE", topic)
        self._failure: KafkaError | None = None
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
            if topic not in known and access.not_seen(config, [topic], 10.0):
                raise access.denied([self._needed])
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
                raise self._can_not_write(error) from error
            else:
                return

    def serve(self, seconds: float) -> None:
        """Wait for so long, or a little less, and serve what the broker says meanwhile."""
        try:
            self._producer.poll(seconds)
        except KafkaException as error:  # what is fatal is raised here
            raise self._can_not_write(error) from error
        if self._failure is not None:
            raise access.no_answer(
                f"a record was not acknowledged, and may be written or not: {self._failure.str()}",
                self._failure,
                self._needed,
            )

    def finish(self) -> None:
        """Wait until every record is acknowledged."""
        try:
            self._producer.flush()  # ends: a record fails once its time-out has passed
        except KafkaException as error:
            raise self._can_not_write(error) from error
        self.serve(0)

    def _can_not_write(self, error: KafkaException) -> BrokerUnavailable:
        return access.no_answer(f"{self._topic} can't be written: {error}", error, self._needed)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failure = error
