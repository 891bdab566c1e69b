"""Read a topic from anywhere, to the end that it has or for as long as wanted."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import BrokerUnavailable, TopicsError
from app.topics import access, starts
from app.topics.messages import Message, message_of
from app.topics.starts import EARLIEST, Bounds, Start
from app.topics.watermarks import watermarks

_POLL_S = 0.2  # how often `stopped` is asked while nothing comes
_AT_ONCE = 1_000  # messages that are taken from the client in one call

Progress = Callable[[int, int], None]
"""Told how many offsets are read, of how many."""


def read(
    config: Mapping[str, Any],
    topic: str,
    *,
    start: Start = EARLIEST,
    limit: int | None = None,
    follow: bool = False,
    timeout_s: float = 30.0,
    stopped: Callable[[], bool] = lambda: False,
    on_progress: Progress = lambda _read, _of: None,
) -> Iterator[Message]:
    """Yield the messages of a topic that a `read_committed` reader sees.

    In order within a partition; partitions are mixed. Takes part in no group and commits nothing.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Is not made by looking at it.
        start: Where to begin.
        limit: The most messages, None for all.
        follow: Go on with what is still to come, until `limit` or `stopped`; else end with what
            was there at the start.
        timeout_s: The longest that nothing may come before the end.
        stopped: Asked between messages, and five times a second while nothing comes.
        on_progress: Told a few times a second at least.

    Raises:
        BrokerUnavailable: No broker answers, or nothing came for `timeout_s` seconds.
        TopicsError: There is no such topic.
    """
    with TopicReader(config, topic, timeout_s=timeout_s) as reader:
        messages = reader.messages(
            reader.offsets(start), follow=follow, stopped=stopped, on_progress=on_progress
        )
        yield from islice(messages, limit)


class TopicReader:
    """Reads partitions of a topic as a `read_committed` reader sees them, as often as wanted.

    Takes part in no group and commits nothing. To be used in a `with`.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Is not made by looking at it.
        partitions: Which of them; None for all.
        timeout_s: The longest that nothing may come before the end.

    Raises:
        BrokerUnavailable: No broker answers; the methods raise it too.
        TopicsError: There is no such topic or partition.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        *,
        partitions: Collection[int] | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self._topic = topic
        self._timeout_s = timeout_s
        self._consumer = Consumer(
            {
                "log_level": 0,  # what matters is raised
                **config,
                "group.id": f"{access.READER_GROUPS}reader",  # required; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",  # of what was deleted meanwhile
                "fetch.wait.max.ms": 50,  # the broker says only after it that there is no more
                "fetch.queue.backoff.ms": 5,  # a second, by default, whenever the queue is full
                "error_cb": lambda _error: None,
            }
        )
        try:
            self._bounds = _bounds(self._consumer, topic, partitions, timeout_s)
        except BaseException:
            self._consumer.close()
            raise

    @property
    def bounds(self) -> Bounds:
        """The first offset and the end of each partition, as they were at the start."""
        return self._bounds

    def offsets(self, start: Start) -> dict[int, int]:
        """Return the offset to begin at, by partition."""
        try:
            return starts.offsets(self._consumer, self._topic, start, self._bounds, self._timeout_s)
        except KafkaException as error:
            raise self._failed(error) from error

    def messages(
        self,
        first: Mapping[int, int],
        *,
        follow: bool = False,
        stopped: Callable[[], bool] = lambda: False,
        enough: Callable[[int], bool] = lambda _partition: False,
        on_progress: Progress = lambda _read, _of: None,
    ) -> Iterator[Message]:
        """Yield messages, in order within a partition; partitions are mixed.

        Args:
            first: The offset to begin at, of each partition to read.
            follow: Go on with what is still to come, until `stopped`; else end with what was there
                when the reader was made.
            stopped: Asked between messages, and five times a second while nothing comes.
            enough: Asked after each message whether its partition is not needed any more.
            on_progress: Told a few times a second at least.
        """
        try:
            self._consumer.assign(
                [TopicPartition(self._topic, number, at) for number, at in first.items()]
            )
            yield from _until_read(
                self._consumer,
                first,
                {number: self._bounds[number][1] for number in first},
                follow=follow,
                timeout_s=self._timeout_s,
                stopped=stopped,
                enough=enough,
                on_progress=on_progress,
            )
        except KafkaException as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def _failed(self, error: KafkaException) -> BrokerUnavailable:
        text = f"{self._topic} can't be read: {error.args[0].str()}"
        return access.no_answer(text, error, *_needed(self._topic))


def _needed(topic: str) -> tuple[access.Permission, ...]:
    return access.topic("READ", topic), access.READ_AS_NOBODY


def _bounds(
    consumer: Any, topic: str, partitions: Collection[int] | None, timeout_s: float
) -> dict[int, tuple[int, int]]:
    """Return the bounds of each partition, as they are now."""
    try:
        known = consumer.list_topics(timeout=min(timeout_s, 10.0)).topics
        if topic not in known:
            _require_seen(consumer, topic, timeout_s)
            raise TopicsError(
                f"there is no topic {topic}; `python -m app topics create` makes ours"
            )
        there = sorted(known[topic].partitions)
        for number in partitions or ():
            if number not in there:
                raise TopicsError(f"{topic} has no partition {number}, but 0 to {there[-1]}")
        return {
            number: watermarks(consumer, topic, number, timeout_s)
            for number in there
            if partitions is None or number in partitions
        }
    except KafkaException as error:
        text = f"no Kafka broker answers ({error.args[0].str()})"
        raise access.no_answer(text, error, *_needed(topic)) from error


def _require_seen(consumer: Any, topic: str, timeout_s: float) -> None:
    """Return if a topic that no list has is not there; a list leaves out what may not be seen."""
    error = consumer.list_topics(topic, timeout=timeout_s).topics[topic].error
    if error is not None and access.refused(error):
        raise access.denied(_needed(topic)[:1])


def _until_read(
    consumer: Any,
    first: Mapping[int, int],
    ends: Mapping[int, int],
    *,
    follow: bool = False,
    timeout_s: float,
    stopped: Callable[[], bool] = lambda: False,
    enough: Callable[[int], bool] = lambda _partition: False,
    on_progress: Progress = lambda _read, _of: None,
) -> Iterator[Message]:
    """Yield messages until every partition is read.

    The last offsets before an end may be transaction markers, or of a transaction that was
    aborted, and such never come: only the client's word that there is no more ends a partition
    that nobody writes to. One that is written to ends where its end was at the start.
    """
    unread = {number for number, at in first.items() if at < ends[number]}
    wanted = set(first) if follow else unread
    reached = dict(first)
    whole = sum(ends[number] - at for number, at in first.items())
    patience_s = float("inf") if follow else timeout_s
    for batch in _arriving(consumer, patience_s, lambda: not wanted or stopped()):
        on_progress(sum(reached.values()) - sum(first.values()), whole)
        for message in batch:
            at_end, partition = _is_end(message), message.partition()
            if partition not in wanted:
                continue
            end = ends[partition]
            offset = end if at_end else message.offset()
            reached[partition] = min(offset + 1, end)
            if offset + 1 >= end:
                unread.discard(partition)
            if at_end or not (follow or offset < end):
                continue
            yield message_of(message)
            if stopped():
                return
            if enough(partition):
                wanted.discard(partition)
                consumer.pause([TopicPartition(message.topic(), partition)])
    on_progress(whole, whole)


def _arriving(consumer: Any, patience_s: float, stopped: Callable[[], bool]) -> Iterator[list[Any]]:
    """Yield what comes, as much as there is at once, until `stopped`."""
    last_heard = time.monotonic()
    while not stopped():
        first = consumer.poll(_POLL_S)
        if first is not None:
            yield [first, *consumer.consume(_AT_ONCE, 0)]
            last_heard = time.monotonic()
        elif time.monotonic() - last_heard > patience_s:
            raise BrokerUnavailable(f"nothing came for {patience_s:.0f} s")


def _is_end(message: Any) -> bool:
    """Say whether it is the client's word that a partition has no more.

    Raises:
        KafkaException: It is the client's word that something failed.
    """
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        raise KafkaException(error)
    return error is not None
