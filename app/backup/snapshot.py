"""Reading a topic between two offsets, whole: what a `read_committed` reader sees there."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.backup.data_files import Entry
from app.domain.errors import BackupError
from app.topics import access
from app.topics.watermarks import watermarks

_AT_ONCE = 10_000
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Span:
    """The first offset of a partition, and the one after its last."""

    start: int
    end: int


def spans(consumer: Any, topic: str, partitions: int, timeout_s: float = 10.0) -> dict[int, Span]:
    """Ask for the span of each partition, as it is now, open transactions included.

    Raises:
        KafkaException: The broker does not say.
    """
    return {
        number: Span(*watermarks(consumer, topic, number, timeout_s))
        for number in range(partitions)
    }


def read(
    config: Mapping[str, Any], topic: str, wanted: Mapping[int, Span], timeout_s: float = 120.0
) -> Iterator[tuple[int, Entry, bool]]:
    """Yield partition, message and whether its headers could be read.

    In order within a partition; partitions are mixed. A transaction that is open below the end is
    waited for: what it holds belongs to the span if it is committed.

    Args:
        config: Of a Kafka client.
        topic: Read by a client of its own, which takes part in no group.
        wanted: The span of each partition.
        timeout_s: The longest that nothing may come.

    Raises:
        BackupError: Something was deleted before it could be read, or a transaction stays open.
        BrokerUnavailable: The broker refuses.
    """
    unread = {number: span for number, span in wanted.items() if span.start < span.end}
    consumer = Consumer(
        {
            "log_level": 0,  # what matters is raised
            **config,
            "group.id": f"{access.READER_GROUPS}reader",  # required; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",  # never jump over what is gone
            "fetch.wait.max.ms": 50,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 200_000,
            "error_cb": lambda _error: None,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, n, span.start) for n, span in unread.items()])
        last_heard = time.monotonic()
        while unread:
            messages = consumer.consume(_AT_ONCE, _POLL_S)
            if messages:
                last_heard = time.monotonic()
            elif time.monotonic() - last_heard > timeout_s:
                raise BackupError(
                    f"{topic} can't be read to its end, in the partitions "
                    f"{', '.join(map(str, sorted(unread)))}: a transaction stays open there, or "
                    f"the broker is away. Nothing came for {timeout_s:.0f} s"
                )
            for message in messages:
                number, offset, error = message.partition(), message.offset(), message.error()
                if error is not None:
                    _check(topic, error)
                    # The end that a reader sees: before it, no transaction is open.
                    complete = offset >= wanted[number].end
                else:
                    complete = offset + 1 >= wanted[number].end
                    if offset < wanted[number].end:
                        yield number, *entry_of(message)
                if complete and unread.pop(number, None):
                    consumer.incremental_unassign([TopicPartition(topic, number)])
    except KafkaException as error:
        text = f"{topic} can't be read: {error.args[0].str()}"
        needed = access.topic("READ", topic), access.READ_AS_NOBODY
        raise access.no_answer(text, error, *needed) from error
    finally:
        consumer.close()


def _check(topic: str, error: KafkaError) -> None:
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
        return
    if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - its public name
        raise BackupError(
            f"Kafka deleted messages of {topic} while they were read (retention); try again"
        )
    raise KafkaException(error)


def entry_of(message: Any) -> tuple[Entry, bool]:
    """Return what is kept of a client's message, and whether its headers could be read."""
    headers, readable = (), True
    try:
        headers = message.headers() or ()
    except (SystemError, UnicodeDecodeError):  # a name that is not UTF-8
        readable = False
    entry = Entry(
        message.offset(), message.timestamp()[1], message.key(), message.value(), list(headers)
    )
    return entry, readable
