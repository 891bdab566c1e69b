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

    def is_asked_anew(self, version: str, entries: Sequence[Entry]) -> bool:
        """Say whether a version was promoted since the topic told of it last."""

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
    """How long instances may take to load a staged version, and what is done then."""

    load_timeout_s: float
    on_timeout: OnTimeout
