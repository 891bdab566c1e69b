"""What the reconciler needs: the two places that are to agree, and patience with instances."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.domain.plans import Entry, Plan, Staged
from app.domain.reconciling import OnTimeout


class World(Protocol):
    """What the reconciler looks at and changes."""

    def wanted(self) -> str | None:
        """Return the version that the alias names, None if there is no such alias."""

    def entries(self) -> Sequence[Entry]:
        """Return all that counts on the announcement topic."""

    def lacking(self, staged: Staged) -> str | None:
        """Say which live instances have not loaded it, and why; None if all have."""

    def stage(self, version: str) -> Staged:
        """Verify a version and stage it."""

    def announce(self, staged: Staged) -> Plan:
        """Put in force what is staged."""

    def unstage(self, staged: Staged, why: str) -> None:
        """End what is staged."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long instances may take to load a staged version, and what is done then.

    Attributes:
        since_ms: Unix milliseconds before which no time counts, whenever it was staged.
    """

    load_timeout_s: float
    on_timeout: OnTimeout
    since_ms: int = 0

    def ms_with(self, staged: Staged | None) -> int:
        """Return how many milliseconds after it was staged the time is over."""
        before = 0 if staged is None else max(0, self.since_ms - staged.appended_ms)
        return before + round(self.load_timeout_s * 1000)
