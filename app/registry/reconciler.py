"""The reconciler: makes the announcement topic agree with the alias in MLflow.

It keeps nothing but what it last saw, so it may be killed at any moment, and run twice at once: a
plan names the one that it replaces, and of two the second counts for nobody.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.domain.errors import DsModelsError, Refused
from app.domain.plans import Entry, Plan, PlanTable, Staged
from app.domain.reconciling import Action, Announce, OnTimeout, Rest, Stage, Unstage, next_action

log = structlog.get_logger()
_SOON_S = 0.5


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


class Reconciler:
    """Looks, and does one thing at a time.

    Args:
        world: What it looks at and changes.
        patience: With instances that don't load.
        moved: Whether the alias was moved just now, so that what was given up is tried again.
        clock_ms: Unix milliseconds.
    """

    def __init__(
        self,
        world: World,
        patience: Patience,
        *,
        moved: bool = False,
        clock_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self._world = world
        self._patience = patience
        self._clock_ms = clock_ms
        self._seen: str | None = None
        self._moved = moved
        self._said: str | None = None

    @property
    def wanted(self) -> str | None:
        """The version that the alias named at the last look, None if it named none."""
        return self._seen

    def step(self) -> Action:
        """Look, and do the one thing that is next.

        Raises:
            DsModelsError: It can't be looked at or done now; the next step tries again.
        """
        wanted = self._world.wanted()
        if wanted is None:
            return self._rest(Rest("the alias names no version"))
        if self._seen not in (None, wanted):
            self._moved = True
        self._seen = wanted
        entries = self._world.entries()
        staged = PlanTable.of(entries).staged
        action = next_action(
            wanted,
            entries,
            None if staged is None else self._world.lacking(staged),
            round(self._clock_ms()),
            patience_ms=self._patience.ms_with(staged),
            on_timeout=self._patience.on_timeout,
            moved=self._moved,
        )
        self._do(action, wanted)
        return action

    def settle(self, stopped: Callable[[float], bool]) -> Rest:
        """Step until there is nothing more to do; return why.

        Args:
            stopped: Waits so many seconds; True if it is to end.

        Raises:
            DsModelsError: It can't be looked at or done.
        """
        while True:
            try:
                action = self.step()
            except Refused as error:  # another was faster: look again
                log.info("reconciler.outrun", why=str(error))
                action = Rest("another was faster", waits=True)
            if isinstance(action, Rest) and not action.waits:
                return action
            if stopped(_SOON_S):
                return Rest("it was told to stop")

    def run(self, every_s: float, stopped: Callable[[float], bool]) -> None:
        """Settle again and again; what fails is tried again.

        Args:
            every_s: Seconds between two looks while there is nothing to do.
            stopped: Waits so many seconds; True if it is to end.
        """
        while True:
            try:
                self.settle(stopped)
            except DsModelsError as error:
                log.warning("reconciler.failed", error=type(error).__name__, why=str(error))
            if stopped(every_s):
                return

    def _do(self, action: Action, wanted: str) -> None:
        if isinstance(action, Stage):
            staged = self._world.stage(wanted)
            self._moved = False
            log.info("reconciler.staged", version=wanted, offset=staged.offset)
        elif isinstance(action, Announce):
            plan = self._world.announce(action.staged)
            log.info("reconciler.announced", version=wanted, offset=plan.offset)
        elif isinstance(action, Unstage):
            self._world.unstage(action.staged, action.why)
            log.warning("reconciler.unstaged", offset=action.staged.offset, why=action.why)
        else:
            self._rest(action)
            return
        self._said = None

    def _rest(self, action: Rest) -> Rest:
        if action.why != self._said:
            self._said = action.why
            log.info("reconciler.rests", agrees=action.agrees, why=action.why)
        return action
