"""Holds the stream when too much of its input can't be predicted, until an operator resumes it.

A producer that renamed a field would otherwise turn a whole topic into dead letters. Pure, but for
the question whether somebody resumed it.
"""

from collections import deque
from collections.abc import Callable

import structlog

from app.stream.batches import Hold

log = structlog.get_logger()


class CircuitBreaker:
    """Looks at the newest answers of this instance, batch by batch.

    It opens before a batch is answered that would make dead letters the given share of the newest
    records: of the batch alone, or of it and the batches before it up to `window` records. Fewer
    letters than `share` times `window` never open it. Once resumed it lets everything pass,
    and is armed again when after at least `window` records the share is below that.

    Args:
        share: Above 0, at most 1.
        window: In records; 0 turns it off.
        opened: Called when it opens, before `resumed` is asked for the first time.
        resumed: Whether an operator resumed the stream since then. Asked at every try.
    """

    def __init__(
        self,
        share: float,
        window: int,
        opened: Callable[[], object],
        resumed: Callable[[], bool],
    ) -> None:
        self._share = share
        self._window = window
        self._note_opening = opened
        self._resumed = resumed
        self._past: deque[tuple[int, int]] = deque()  # records and letters of each batch
        self._hold: Hold | None = None
        self._lets_pass = False

    def holds(self, records: int, letters: int) -> Hold | None:
        """Say why a batch must wait, None if it need not.

        Args:
            records: Of the batch.
            letters: How many of them are dead letters already, before the model is asked.
        """
        if self._window == 0 or self._lets_pass:
            return None
        found = self._too_much([*self._past, (records, letters)])
        if self._hold is None and found is not None:
            of, bad = found
            self._hold = Hold(
                "too_many_dead_letters",
                f"{bad} of the newest {of} records can't be predicted; see what is wrong with them "
                "(python -m app inspect), then python -m app resume",
            )
            self._note_opening()
        elif self._hold is not None and self._resumed():
            log.warning("circuit_breaker.resumed", held=self._hold.why)
            self._hold, self._lets_pass = None, True
            self._past.clear()
        return self._hold

    def answered(self, records: int, letters: int) -> None:
        """Count a batch that was committed."""
        if self._window == 0:
            return
        self._past.append((records, letters))
        total = sum(of for of, _ in self._past)
        while total - self._past[0][0] >= self._window:
            total -= self._past.popleft()[0]
        if self._lets_pass and total >= self._window and self._too_much(list(self._past)) is None:
            log.info("circuit_breaker.armed")
            self._lets_pass = False

    def _too_much(self, batches: list[tuple[int, int]]) -> tuple[int, int] | None:
        """Return records and letters of the first newest batches with too large a share, if any."""
        records = letters = 0
        for of, bad in reversed(batches):
            records, letters = records + of, letters + bad
            if letters >= self._share * max(records, self._window):
                return records, letters
            if records >= self._window:
                break
        return None
