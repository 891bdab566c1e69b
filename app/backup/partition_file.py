"""One partition on its way into its file, and what is counted meanwhile."""

from collections.abc import Callable
from pathlib import Path

from app.backup.data_files import DataWriter, Entry
from app.backup.manifest import PartitionCopy
from app.backup.snapshot import Span


class PartitionFile:
    """Takes the messages of a partition in their order.

    Args:
        path: Of its file, which must not exist.
        number: Of the partition.
        span: What is covered of it.
        is_left_out: Says which messages are passed over.
        waits_from: The offset from which on messages wait for the group; None if it reads none.
        committed: What the group has committed, for the manifest.
    """

    def __init__(
        self,
        path: Path,
        number: int,
        span: Span,
        *,
        is_left_out: Callable[[Entry], bool],
        waits_from: int | None = None,
        committed: int | None = None,
    ) -> None:
        self.covered = 0
        self._writer = DataWriter(path)
        self._number, self._span = number, span
        self._is_left_out, self._waits_from = is_left_out, waits_from
        self._committed = committed
        self._messages = self._left_out = self._gaps = self._unanswered = 0
        self._first_ms: int | None = None
        self._last_ms: int | None = None
        self._oldest_unanswered_ms: int | None = None
        self._next: int | None = None

    def take(self, entry: Entry) -> None:
        """Keep the message, or leave it out."""
        self.covered = entry.offset + 1 - self._span.start
        if self._is_left_out(entry):
            self._left_out += 1
            return
        self._writer.add(entry)
        self._messages += 1
        self._gaps += self._next is not None and entry.offset != self._next
        self._next = entry.offset + 1
        self._last_ms = entry.appended_ms
        if self._first_ms is None:
            self._first_ms = entry.appended_ms
        if self._waits_from is not None and entry.offset >= self._waits_from:
            self._unanswered += 1
            oldest = self._oldest_unanswered_ms
            self._oldest_unanswered_ms = min(entry.appended_ms, oldest or entry.appended_ms)

    def close(self) -> PartitionCopy:
        """Finish the file; return once it is on the disk."""
        return PartitionCopy(
            partition=self._number,
            start=self._span.start,
            end=self._span.end,
            messages=self._messages,
            left_out=self._left_out,
            gaps=self._gaps + (self._next is not None and self._next != self._span.end),
            first_ms=self._first_ms,
            last_ms=self._last_ms,
            file=self._writer.close(),
            committed=self._committed,
            unanswered=self._unanswered,
            oldest_unanswered_ms=self._oldest_unanswered_ms,
        )

    def abandon(self) -> None:
        """Close what is open."""
        self._writer.abandon()
