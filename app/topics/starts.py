"""Where reading a topic begins, as a person says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import KafkaException, TopicPartition

from app.domain import times
from app.topics.messages import Message

Bounds = Mapping[int, tuple[int, int]]
"""The first offset of each partition, and the one after its last."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin, in every partition.

    Attributes:
        kind: `earliest`; `latest`, the end; `offset`; `time`, the first message that is not
            before it; `back`, so many offsets before the end.
        value: The offset, Unix milliseconds, or the number of offsets.
    """

    kind: Literal["earliest", "latest", "offset", "time", "back"]
    value: int = 0

    def covers(self, message: Message) -> bool:
        """Say whether a message is not before it: one to come may be, one of a wild clock too."""
        if self.kind == "offset":
            return message.offset >= self.value
        return self.kind != "time" or message.appended_ms >= self.value


EARLIEST = Start("earliest")
LATEST = Start("latest")


def parse(text: str) -> Start:
    """Read a start as it is typed: `earliest`, `latest`, an offset, or a time of ISO 8601.

    A time without a zone is UTC, a day begins at midnight.

    Raises:
        ValueError: It is none of them.

    >>> parse("17"), parse("1970-01-02T00:00:01")
    (Start(kind='offset', value=17), Start(kind='time', value=86401000))
    """
    if text in ("earliest", "latest"):
        return EARLIEST if text == "earliest" else LATEST
    if text.isascii() and text.isdigit():
        return Start("offset", int(text))
    try:
        return Start("time", times.parse(text))
    except ValueError:
        raise ValueError(
            f"{text!r} is not an offset, a time as 2026-11-25T12:30:00Z, `earliest` or `latest`"
        ) from None


def offsets(
    consumer: Any, topic: str, start: Start, bounds: Bounds, timeout_s: float
) -> dict[int, int]:
    """Return the offset to begin at, by partition, each within its bounds.

    Asks the broker if it is a time: it looks it up in an index.

    Raises:
        KafkaException: It does not say it, of a partition or at all.
    """
    found: dict[int, int] = {}
    if start.kind == "time":
        asked = [TopicPartition(topic, number, max(0, start.value)) for number in bounds]
        for place in consumer.offsets_for_times(asked, timeout=timeout_s):
            if place.error is not None:
                raise KafkaException(place.error)
            # Not an offset: nothing is that new.
            found[place.partition] = (
                place.offset if place.offset >= 0 else bounds[place.partition][1]
            )
    for number, (low, high) in bounds.items():
        wanted = {
            "earliest": low,
            "latest": high,
            "offset": start.value,
            "time": found.get(number, high),
            "back": high - start.value,
        }[start.kind]
        found[number] = max(low, min(wanted, high))
    return found
