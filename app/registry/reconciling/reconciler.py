"""The reconciler: makes the announcement topic agree with the alias in MLflow.

It keeps nothing but what it last saw, so it may be killed at any moment, and run twice at once: a
plan names the one that it replaces, and of two the second counts for nobody.
"""

import time
from collections.abc import Callable, Sequence

import structlog

from app.domain.errors import DsModelsError, Refused
from app.domain.plans import Entry, PlanTable, Staged
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
        only: It does nothing unless the alias names this version; None for whatever it names.
        clock: Monotonic seconds.
        clock_ms: Unix milliseconds.
        reported: Told what it sees and does.
    """

    def __init__(
        self,
        world: World,
        patience: Patience,
        *,
        moved: bool = False,
        only: str | None = None,
        clock: Callable[[], float] = time.monotonic,
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
        self._only = only
        self._clock = clock
        self._waits_since: tuple[int, float] | None = None  # for what is staged at an offset
        self._said: str | None = None

    @property
    def wanted(self) -> str | None:
        """The version that the alias named at the last look, None if it named none."""
        return self._looked_up

    def step(self) -> Action:
        """Look, and do the one thing that is next.

        Raises:
            Refused: Another was faster, or the alias names another version than it may serve.
            DsModelsError: It can't be looked at or done now; the next step tries again.
        """
        wanted = self._looked_up = self._world.wanted()
        if self._only is not None and wanted != self._only:
            raise Refused(f"the alias was moved to {_called(wanted)} meanwhile")
        if self._seen not in (None, wanted):
            self._moved = True
        self._seen = wanted or self._seen
        entries = self._world.entries()
        staged = PlanTable.of(entries).staged
        action = self._unwanted(staged) if wanted is None else self._next(wanted, entries, staged)
        self._reported.begins(wanted, action)
        self._do(action, wanted)
        self._reported.did(action)
        return action

    def _next(self, wanted: str, entries: Sequence[Entry], staged: Staged | None) -> Action:
        waited_s = 0.0
        if staged is not None and staged.announcement.model_version == wanted:
            self._moved = False  # it is tried
            waited_s = self._waited_s(staged)
        lacking = None if staged is None else self._world.lacking(staged)

        def action(*, moved: bool) -> Action:
            return next_action(
                wanted,
                entries,
                lacking,
                waited_s=waited_s,
                patience_s=self._patience.load_timeout_s,
                on_timeout=self._patience.on_timeout,
                moved=moved,
            )

        found = action(moved=self._moved)
        is_given_up = isinstance(found, Rest) and not (found.agrees or found.waits)
        if is_given_up and self._world.is_asked_anew(wanted, entries):
            return action(moved=True)
        return found

    def _waited_s(self, staged: Staged) -> float:
        """Return for how long this one has waited for what is staged, by its own clock.

        Nobody else's clock counts, nor how long it was staged before somebody wanted it; a restart
        only makes it longer.
        """
        if self._waits_since is None or self._waits_since[0] != staged.offset:
            self._waits_since = staged.offset, self._clock()
        return self._clock() - self._waits_since[1]

    def _unwanted(self, staged: Staged | None) -> Action:
        if staged is not None and staged.announcement.alias is not None:
            return Unstage(staged, "the alias names no version any more")
        return Rest("the alias names no version")

    def settle(
        self, stopped: Callable[[float], bool], woken: Callable[[], bool] = lambda: False
    ) -> Rest:
        """Step until there is nothing more to do; return why.

        Args:
            stopped: Waits so many seconds; True if it is to end.
            woken: As of `run`.

        Raises:
            DsModelsError: It can't be looked at or done.
        """
        while True:
            if woken():  # before this look, which so hears of it
                self._moved = True
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
            self._looked_up = None
            try:
                self.settle(stopped, woken)
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

    def _do(self, action: Action, wanted: str | None) -> None:
        if isinstance(action, Stage) and wanted is not None:
            staged = self._world.stage(wanted)
            self._moved = False
            log.info("reconciler.staged", version=wanted, offset=staged.offset)
        elif isinstance(action, Announce):
            plan = self._world.announce(action.staged)
            log.info("reconciler.announced", version=wanted, offset=plan.offset)
        elif isinstance(action, Unstage):
            self._moved = False
            self._world.unstage(action.staged, action.why)
            log.warning("reconciler.unstaged", offset=action.staged.offset, why=action.why)
        elif isinstance(action, Rest):
            self._moved &= not action.agrees
            self._rest(action)
            return
        self._said = None

    def _rest(self, action: Rest) -> Rest:
        if action.why != self._said:
            self._said = action.why
            log.info("reconciler.rests", agrees=action.agrees, why=action.why)
        return action


def _called(version: str | None) -> str:
    return "no version" if version is None else f"version {version}"
