"""What a backup holds: topics by their role, in the order of copying. One more is a line here."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.backup.data_files import Entry
from app.topics import dead_letters

Place = tuple[str, int, int]
"""Topic, partition and offset."""


@dataclass(frozen=True, slots=True)
class Role:
    """A topic of ours.

    Attributes:
        name: Of its setting in `[topics]`.
        answers: Where the record stands that a message answers, None if it answers none; None for
            topics that hold no answers. An answer belongs to a backup only if its record is
            answered in it.
    """

    name: str
    answers: Callable[[Entry], Place | None] | None = None


class _Source(msgspec.Struct, gc=False):
    source_topic: str
    source_partition: int
    source_offset: int


_decode = msgspec.json.Decoder(_Source).decode


def _of_signal(entry: Entry) -> Place | None:
    try:
        source = _decode(entry.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):  # not ours
        return None
    return source.source_topic, source.source_partition, source.source_offset


def _of_letter(entry: Entry) -> Place | None:
    try:
        letter = dead_letters.decode(None, None, entry.headers)
    except ValueError:  # not ours
        return None
    return letter.source_topic, letter.source_partition, letter.source_offset


RECORDS = "records"
"""The one that the group reads."""

ROLES = (
    Role("redriven"),
    Role(RECORDS),
    Role("signals", _of_signal),
    Role("dead_letters", _of_letter),
    Role("announcements"),
)
"""Ends are asked for in this order too: a plan that a copied record needs is copied, and a dead
letter that is marked as redriven has its record."""
