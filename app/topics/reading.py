"""Read a topic from its beginning to the end that it has now."""

from collections.abc import Iterator
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import BrokerUnavailable, TopicsError


def read_to_end(config: dict[str, Any], topic: str, timeout_s: float = 30.0) -> Iterator[Any]:
    """Yield each message that a `read_committed` reader sees, in order within its partition.

    Ends when every partition has been read to its end: transaction markers have offsets too, so
    the client says when that is.

    Raises:
        TopicsError: There is no such topic.
        BrokerUnavailable: Nothing came for `timeout_s` seconds.
    """
    consumer = Consumer(
        {
            **config,
            "group.id": "ds-models-reader",  # required by the client; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    try:
        metadata = consumer.list_topics(topic, timeout=timeout_s).topics[topic]
        if metadata.error is not None:
            raise TopicsError(f"there is no topic {topic}; `python -m app topics create` makes it")
        pending = set(metadata.partitions)
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in pending])
        while pending:
            message = consumer.poll(timeout_s)
            if message is None:
                raise BrokerUnavailable(f"nothing came from {topic} for {timeout_s:.0f} s")
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                pending.discard(message.partition())
            else:
                raise KafkaException(error)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} can't be read: {error.args[0].str()}") from error
    finally:
        consumer.close()
