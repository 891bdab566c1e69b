"""How to write messages so that each gets the offset it had: a list of steps, and why they do it.

A writer can't choose offsets, but it can use them up unseen. A `read_committed` reader sees neither
the marker that ends a transaction, which takes one offset, nor the messages of one that was
aborted. So a gap of one offset after a message is the marker of a transaction around it; a larger
gap is a transaction that is aborted, with a message less than the gap is wide. Before the first
message, what is filled can be deleted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

_ABORTED_AT_ONCE = 100_000
_AT_ONCE = 1_000
_AT_ONCE_BYTES = 4_000_000


class Placed(Protocol):
    """What has an offset and a size."""

    @property
    def offset(self) -> int:
        """Where it must stand."""

    @property
    def size(self) -> int:
        """Its bytes."""


E = TypeVar("E", bound=Placed)


@dataclass(frozen=True, slots=True)
class Head:
    """Write `offsets` empty messages at the beginning and delete them."""

    offsets: int


@dataclass(frozen=True, slots=True)
class Plain(Generic[E]):
    """Write the messages."""

    entries: list[E]


@dataclass(frozen=True, slots=True)
class Committed(Generic[E]):
    """Write the messages in a transaction and commit it: one offset more than messages."""

    entries: list[E]


@dataclass(frozen=True, slots=True)
class Aborted:
    """Write empty messages in a transaction and abort it: `offsets` of them with its marker."""

    offsets: int


Step = Head | Plain[E] | Committed[E] | Aborted


def steps(entries: Iterable[E], start: int, end: int) -> Iterator[Step[E]]:
    """Yield the steps that write a partition anew, each small enough for memory.

    The log starts at `start` again, with one exception: if the first message stands one offset
    after it, nothing can hide that offset, and the log starts with the message.

    Args:
        entries: In the order of their offsets, which are within `start` and `end`.
        start: The first offset of the log.
        end: The offset that the next message will get.

    Raises:
        ValueError: An offset is below the one before it, or outside.

    >>> from app.backup.data_files import Entry
    >>> message = lambda offset: Entry(offset, 0, None, None, [])
    >>> for step in steps(map(message, [7, 8, 10]), start=7, end=13):
    ...     print(type(step).__name__, getattr(step, "offsets", None) or len(step.entries))
    Head 7
    Committed 2
    Plain 1
    Aborted 2
    """
    run: list[E] = []
    run_bytes, place = 0, start
    begun = False
    for entry in entries:
        gap = entry.offset - place
        if gap < 0 or entry.offset >= end:
            raise ValueError(f"offset {entry.offset} is out of order, or not within the log")
        if not begun:
            yield from _head(start, gap)
        elif gap:
            yield from _closed(run, gap)
            run, run_bytes = [], 0
        elif len(run) >= _AT_ONCE or run_bytes >= _AT_ONCE_BYTES:
            yield Plain(run)
            run, run_bytes = [], 0
        begun = True
        run.append(entry)
        run_bytes += entry.size
        place = entry.offset + 1
    yield from _closed(run, end - place) if begun else _head(start, end - start)


def _head(start: int, gap: int) -> Iterator[Step[E]]:
    if gap == 1:
        yield Head(start + 1)
        return
    if start:
        yield Head(start)
    yield from _aborted(gap)


def _closed(run: list[E], gap: int) -> Iterator[Step[E]]:
    if gap == 1:
        yield Committed(run)
        return
    yield Plain(run)
    yield from _aborted(gap)


def _aborted(gap: int) -> Iterator[Aborted]:
    while gap:
        # Not one less than the gap: a single offset would be left, which can't be hidden.
        offsets = gap if gap <= _ABORTED_AT_ONCE else min(_ABORTED_AT_ONCE, gap - 2)
        yield Aborted(offsets)
        gap -= offsets
