"""The reconciler: makes the announcement topic agree with the alias in MLflow.

It keeps nothing but what it last saw, so it may be killed at any moment, and run twice at once: a
plan names the one that it replaces, and of two the second counts for nobody.
"""

import time
from collections.abc import Callable

import structlog

from app.domain.errors import DsModelsError, Refused
from app.domain.plans import PlanTable
from app.domain.reconciling import Action, Announce, Rest, Stage, Unstage, next_action
from app.domain.retrying import pause_s
from app.registry.reconciling.state import Reported
from app.registry.reconciling.world import Patience, World

log = structlog.get_logger()
_SOON_S = 0.5


class Reconciler:
    """Looks, and does one thing at a time.

    Args:
        world: What it looks at and changes.
        patience: With instances that don't load.
        moved: Whether the alias was moved just now, so that what was given up is tried again.
        clock_ms: Unix milliseconds.
        reported: Told what it sees and does.
    """

    def __init__(
        self,
        world: World,
        patience: Patience,
        *,
        moved: bool = False,
        clock_ms: Callable[[], float] = lambda: time.time() * 1000,
        reported: Reported | None = None,
    ) -> None:
        self._world = world
        self._patience = patience
        self._clock_ms = clock_ms
        self._reported = reported or Reported(clock_ms)
        self._seen: str | None = None
        self._looked_up: str | None = None  # where the alias was at this try
        self._failures = 0
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
        wanted = self._looked_up = self._world.wanted()
        if wanted is None:
            nothing = Rest("the alias names no version")
            self._reported.begins(None, nothing)
            return self._rest(nothing)
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
        self._reported.begins(wanted, action)
        self._do(action, wanted)
        self._reported.did(action)
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

    def run(
        self,
        every_s: float,
        stopped: Callable[[float], bool],
        woken: Callable[[], bool] = lambda: False,
    ) -> None:
        """Settle again and again; what fails is tried again.

        After failures it waits longer and longer, for trying may cost a process of seconds; but
        no longer than until the alias moves, MLflow answers again, or it is woken.

        Args:
            every_s: Seconds between two looks while there is nothing to do.
            stopped: Waits so many seconds, or less if it is woken; True if it is to end.
            woken: Says whether it was woken since it was asked last: somebody moved the alias, be
                it to where it was last seen, and so what was given up is tried again.
        """
        self._failures = 0
        while True:
            if woken():  # before this look, which so hears of it
                self._moved = True
            self._looked_up = None
            try:
                self.settle(stopped)
            except DsModelsError as error:
                if stopped(0) or self._waits_after(error, every_s, stopped, woken):
                    return
            else:
                self._failures = 0
                if stopped(every_s):
                    return

    def _waits_after(
        self,
        error: DsModelsError,
        every_s: float,
        stopped: Callable[[float], bool],
        woken: Callable[[], bool],
    ) -> bool:
        """Wait until it is worth another try; return whether it is to end."""
        self._failures += 1
        left = pause_s(self._failures, every_s)
        kind = type(error).__name__
        log.warning("reconciler.failed", error=kind, why=str(error), again_within_s=left)
        self._reported.failed(error, left)
        while True:
            again = woken()
            self._moved |= again
            if again or self._has_moved():
                self._failures = 0
                return False
            if left <= 0:
                return False
            if stopped(min(left, every_s)):
                return True
            left -= every_s

    def _has_moved(self) -> bool:
        """Say whether the alias is not where the try that failed found it, if it found it."""
        try:
            return self._world.wanted() != self._looked_up
        except DsModelsError:
            return False

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
            self._moved &= not action.agrees
            self._rest(action)
            return
        self._said = None

    def _rest(self, action: Rest) -> Rest:
        if action.why != self._said:
            self._said = action.why
            log.info("reconciler.rests", agrees=action.agrees, why=action.why)
        return action
