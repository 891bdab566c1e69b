"""A message as any Kafka client delivers it, free of the client."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Message:
    """What a topic holds at one place, undecoded.

    Attributes:
        appended_ms: Its timestamp, in Unix milliseconds: on our topics the broker's append time.
    """

    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    topic: str = ""
    partition: int = 0


def message_of(kafka_message: Any) -> Message:
    """Take what we need of a message of confluent-kafka's consumer."""
    return Message(
        offset=kafka_message.offset(),
        appended_ms=kafka_message.timestamp()[1],
        key=kafka_message.key(),
        value=kafka_message.value(),
        headers=headers_of(kafka_message),
        topic=kafka_message.topic(),
        partition=kafka_message.partition(),
    )


def headers_of(kafka_message: Any) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers; none of them if the client can't read the name of one."""
    try:
        return tuple(kafka_message.headers() or ())
    except (SystemError, UnicodeDecodeError):  # a name that is not UTF-8
        return ()
