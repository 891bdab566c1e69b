"""The wire format of `treasury.data.redriven`: a mark for each dead letter that was sent again.

A mark stands in one transaction with the record that was sent: both are there, or neither is. Its
key is the place of the letter as `topic/partition/offset`; the topic is compacted, so that it is
kept for ever. The letter's append time is in it as well: a topic that is made anew has other
letters at the same places.
"""

from collections.abc import Iterable
from typing import Self

import msgspec

from app.topics.dead_letters import TRIES
from app.topics.messages import Message

FROM = "ds_redriven_from"
"""Of a record: the partition and offset of the letter that it was."""


class Mark(msgspec.Struct, frozen=True):
    """What is said of a letter that was sent again.

    Attributes:
        appended_ms: The append time of the letter, in Unix milliseconds.
        tries: How often its record has been redriven, this time included.
    """

    appended_ms: int
    tries: int


_decode = msgspec.json.Decoder(Mark).decode


def transactional_id(letters_topic: str) -> str:
    """Return the one id of all who redrive the letters of a topic: the newest fences the others."""
    return f"ds-models-redrive-{letters_topic}"


def encode(letter: Message, tries: int) -> tuple[bytes, bytes]:
    """Return key and value of the mark for a letter."""
    key = f"{letter.topic}/{letter.partition}/{letter.offset}".encode()
    return key, msgspec.json.encode(Mark(letter.appended_ms, tries))


def headers(letter: Message, tries: int) -> list[tuple[str, bytes]]:
    """Return the headers of the record that a letter becomes."""
    return [
        (TRIES, str(tries).encode()),
        (FROM, f"{letter.partition}:{letter.offset}".encode()),
    ]


class Marks:
    """Which letters of one topic were sent again."""

    def __init__(self) -> None:
        self._appended_ms: dict[int, dict[int, int]] = {}  # by partition and offset

    @classmethod
    def of(cls, messages: Iterable[Message], letters_topic: str) -> Self:
        """Read the whole topic of marks; the newest of each key counts, a null takes it back.

        What is no mark, or of letters of another topic, is passed over.
        """
        marks = cls()
        for message in messages:
            try:
                topic, partition, offset = (message.key or b"").decode().rsplit("/", 2)
                place = int(partition), int(offset)
                mark = None if message.value is None else _decode(message.value)
            except ValueError:  # msgspec's errors are
                continue
            if topic == letters_topic:
                marks._set(place, mark)
        return marks

    def _set(self, place: tuple[int, int], mark: Mark | None) -> None:
        partition, offset = place
        known = self._appended_ms.setdefault(partition, {})
        if mark is None:
            known.pop(offset, None)
        else:
            known[offset] = mark.appended_ms

    def __contains__(self, letter: Message) -> bool:
        known = self._appended_ms.get(letter.partition, {})
        return known.get(letter.offset) == letter.appended_ms
