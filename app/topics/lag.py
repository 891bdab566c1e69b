"""How far a group is, and how far behind its input: asked from outside, by a client of its own."""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.topics import access
from app.topics.connection import answers_required


def committed(
    config: dict[str, Any],
    topic: str,
    group: str,
    partitions: Iterable[int],
    timeout_s: float = 10.0,
) -> dict[int, int]:
    """Return the offset of the next record to answer, for each partition that has been committed.

    Raises:
        BrokerUnavailable: The broker doesn't say it in time.
    """
    require_group(config, group)
    member = _asking(config, group)
    try:
        return committed_of(member, topic, partitions, timeout_s)
    except KafkaException as error:
        text = f"Kafka does not say how far {group} is: {error.args[0]}"
        raise access.no_answer(text, error, access.topic("DESCRIBE", topic)) from error
    finally:
        member.close()


def require_group(config: dict[str, Any], group: str) -> None:
    """Return if this client may ask how far a group is; else it would be told nothing at all.

    Raises:
        AccessDenied: It may not.
        BrokerUnavailable: The broker doesn't say it in time.
    """
    with answers_required():
        lacking = access.missing(config, [access.Permission("group", group, "DESCRIBE")])
    if lacking:
        raise access.denied(lacking)


def _asking(config: dict[str, Any], group: str) -> Any:
    return Consumer(
        {
            **config,
            "group.id": group,  # asked about; never joined
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",  # or the question waits for transactions
        }
    )


def committed_of(
    consumer: Any, topic: str, partitions: Iterable[int], timeout_s: float
) -> dict[int, int]:
    """Return what the consumer's group has committed, of the partitions where it has.

    Raises:
        KafkaException: The broker does not say.
    """
    places = [TopicPartition(topic, number) for number in partitions]
    found = {}
    for place in consumer.committed(places, timeout=timeout_s) if places else ():
        if place.error is not None:
            raise KafkaException(place.error)
        if place.offset >= 0:
            found[place.partition] = place.offset
    return found


class Lag:
    """Says for each partition how many offsets are not answered yet. Thread-safe.

    Transaction markers have offsets too: on an input that is written in transactions, the lag of
    a group that has answered everything can be a few more than 0.

    Args:
        config: Of a Kafka client.
        topic: The input.
        group: Whose committed offsets count.
        keep_s: How long an answer of the broker is used again.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        group: str,
        *,
        keep_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = AdminClient(config)
        # `AdminClient.list_consumer_group_offsets` of librdkafka 2.12.1 ends the process with a
        # segmentation fault when the coordinator of the group has just moved, or is made.
        self._member = _asking(config, group)
        self._topic = topic
        self._keep_s = keep_s
        self._clock = clock
        self._asked_at = float("-inf")
        self._known: dict[int, int] = {}
        self._lock = threading.Lock()

    def __call__(self, partitions: Iterable[int], timeout_s: float = 1.0) -> dict[int, int]:
        """Return the lag of these partitions; where the broker doesn't say it, as it last was.

        Blocks for at most about three times `timeout_s`.
        """
        wanted = sorted(partitions)
        with self._lock:
            stale = self._clock() - self._asked_at >= self._keep_s
            if wanted and (stale or not self._known.keys() >= set(wanted)):
                self._asked_at = self._clock()
                with suppress(KafkaException, TimeoutError):  # a broker away is told elsewhere
                    self._known = self._ask(wanted, timeout_s)
            return {number: self._known[number] for number in wanted if number in self._known}

    def close(self) -> None:
        """Leave the broker."""
        with self._lock:
            self._member.close()

    def _ask(self, partitions: list[int], timeout_s: float) -> dict[int, int]:
        known = committed_of(self._member, self._topic, partitions, timeout_s)
        new = [number for number in partitions if number not in known]
        start = known | self._offsets(new, OffsetSpec.earliest(), timeout_s)
        ends = self._offsets(partitions, OffsetSpec.latest(), timeout_s)
        return {number: max(0, ends[number] - start[number]) for number in partitions}

    def _offsets(self, partitions: list[int], spec: Any, timeout_s: float) -> dict[int, int]:
        if not partitions:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(self._topic, number): spec for number in partitions},
            request_timeout=timeout_s,
        )
        return {place.partition: future.result(timeout_s).offset for place, future in asked.items()}
