"""Read a topic from its beginning, to the end that it has or for as long as wanted."""

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import BrokerUnavailable, TopicsError
from app.topics.messages import Message, message_of

_POLL_S = 0.2  # how often `stopped` is asked while nothing comes


def read(
    config: Mapping[str, Any],
    topic: str,
    *,
    limit: int | None = None,
    follow: bool = False,
    timeout_s: float = 30.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """Yield the messages of a topic that a `read_committed` reader sees, from the earliest.

    In order within a partition; partitions are mixed. Takes part in no group and commits nothing.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Is not made by looking at it.
        limit: The most messages, None for all.
        follow: Go on with what is still to come, until `limit` or `stopped`; else end with what
            was there at the start.
        timeout_s: The longest that nothing may come before the end.
        stopped: Asked between messages, and five times a second while nothing comes.

    Raises:
        BrokerUnavailable: No broker answers, or nothing came for `timeout_s` seconds.
        TopicsError: There is no such topic.
    """
    consumer = Consumer(
        {
            "log_level": 0,  # what matters is raised
            **config,
            "group.id": "ds-models-reader",  # required by the client; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,  # the broker says only after it that there is no more
            "error_cb": lambda _error: None,
        }
    )
    try:
        ends = _ends(consumer, topic, timeout_s)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        messages = _until_read(consumer, ends, follow=follow, timeout_s=timeout_s, stopped=stopped)
        yield from islice(messages, limit)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} can't be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _ends(consumer: Any, topic: str, timeout_s: float) -> dict[int, int]:
    """Return the end offset of each partition, as it is now."""
    try:
        known = consumer.list_topics(timeout=min(timeout_s, 10.0)).topics
    except KafkaException as error:
        raise BrokerUnavailable(f"no Kafka broker answers ({error.args[0].str()})") from error
    if topic not in known:
        raise TopicsError(f"there is no topic {topic}; `python -m app topics create` makes ours")
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)[1]
        for number in known[topic].partitions
    }


def _until_read(
    consumer: Any,
    ends: Mapping[int, int],
    *,
    follow: bool,
    timeout_s: float,
    stopped: Callable[[], bool],
) -> Iterator[Message]:
    """Yield messages until every partition is read.

    The last offsets before an end may be transaction markers, or of a transaction that was
    aborted, and such never come: only the client's word that there is no more ends a partition
    that nobody writes to. One that is written to ends where its end was at the start.
    """
    unread = set(ends)
    last_heard = time.monotonic()
    while (unread or follow) and not stopped():
        message = consumer.poll(_POLL_S)
        if message is None:
            if not follow and time.monotonic() - last_heard > timeout_s:
                raise BrokerUnavailable(f"nothing came for {timeout_s:.0f} s")
            continue
        last_heard = time.monotonic()
        partition, offset, error = message.partition(), message.offset(), message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                raise KafkaException(error)
            unread.discard(partition)
            continue
        if offset + 1 >= ends[partition]:
            unread.discard(partition)
        if follow or offset < ends[partition]:
            yield message_of(message)
