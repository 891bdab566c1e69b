"""What makes the announcement topic agree with the alias in MLflow."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from app.bootstrap import announcing, history, parts, watching
from app.domain.plans import Entry, Plan, Staged
from app.domain.promoting import why_of
from app.domain.times import instant
from app.registry.mlflow_alias import MlflowAlias
from app.registry.reconciler import Reconciler
from app.registry.reconciler_state import Reported
from app.registry.reconciler_thread import ReconcilerThread
from app.registry.reconciler_world import Patience
from app.settings import Settings
from app.tools.watching.staging import Progress, reached, who_lacks


@dataclass(frozen=True)
class RealWorld:
    """MLflow and Kafka, as a reconciler sees them.

    Attributes:
        settings: Of the application.
        alias: That names the version to serve.
        verify: Whether a version is loaded once, in a process of its own, before it is staged.
        on_progress: Told how far each live instance is, at each look.
        stopped: Says that it is to end, also in the middle of verifying a version.
    """

    settings: Settings
    alias: MlflowAlias
    verify: bool = True
    on_progress: Callable[[Sequence[Progress]], None] = lambda _found: None
    stopped: Callable[[], bool] = lambda: False

    def wanted(self) -> str | None:
        """Return the version that the alias names."""
        return self.alias.version()

    def entries(self) -> Sequence[Entry]:
        """Return all that counts on the announcement topic."""
        return history.entries(self.settings)

    def lacking(self, staged: Staged) -> str | None:
        """Say which live instances have not loaded it, and why."""
        found = watching.staging_look(self.settings, staged.offset)()
        self.on_progress(found)
        return None if reached(found) else who_lacks(found)

    def stage(self, version: str) -> Staged:
        """Verify a version and stage it."""
        said = why_of(self.alias.said_of(version), self.alias.name, self.entries())
        return announcing.stage(
            self.settings,
            self.settings.model.name,
            version,
            why=said,
            check=self.verify,
            alias=self.alias.name,
            stopped=self.stopped,
        )

    def announce(self, staged: Staged) -> Plan:
        """Put in force what is staged."""
        return announcing.announce_staged(self.settings, staged)

    def unstage(self, staged: Staged, why: str) -> None:
        """End what is staged."""
        announcing.unstage(self.settings, why, staged.offset)


def alias(settings: Settings) -> MlflowAlias:
    """Return the alias that names the version to serve. Takes seconds: it imports MLflow."""
    parts.models(settings)  # sets how long MLflow's client waits
    return MlflowAlias(settings.mlflow.tracking_uri, settings.model.name, settings.model.alias)


class Metrics(Protocol):
    """What a service shows of its reconciler."""

    def reconciler(self, looked_s: Callable[[], float], agrees: Callable[[], float]) -> None:
        """Say who is asked how it is."""

    def reconciled(self, action: str) -> None:
        """It has done a step."""

    def reconciler_died(self) -> None:
        """It died and was begun anew."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The reconciler of a service.

    Attributes:
        look_again: Has it look now; never blocks.
        state: How it is, as `GET /api/v1/reconciler` has it.
    """

    look_again: Callable[[], None]
    state: Callable[[], Mapping[str, Any]]


def reconciler(
    settings: Settings,
    stopped: Callable[[], bool] = lambda: False,
    reported: Reported | None = None,
) -> Reconciler:
    """Return what makes the topic agree with the alias, step by step. Takes seconds.

    Args:
        settings: Of the application.
        stopped: Says that it is to end, also in the middle of verifying a version.
        reported: Told what it sees and does.
    """
    wanted = settings.reconciler
    return Reconciler(
        RealWorld(settings, alias(settings), stopped=stopped),
        Patience(wanted.load_timeout_s, wanted.on_timeout),
        reported=reported,
    )


@contextmanager
def inside_of_service(settings: Settings, metrics: Metrics) -> Iterator[Inside]:
    """Have the reconciler run in a thread of its own, if the settings want it there."""
    if not settings.service.reconcile:
        yield Inside(lambda: None, _elsewhere)
        return
    began_ms = _now_ms()
    reported = Reported(_now_ms, metrics.reconciled)
    thread = ReconcilerThread(
        lambda stopped: reconciler(settings, stopped, reported),
        settings.reconciler.every_s,
        metrics.reconciler_died,
    )

    def looked_s() -> float:
        looked_ms = reported.state.looked_ms
        return (_now_ms() - (began_ms if looked_ms is None else looked_ms)) / 1000

    def agrees() -> float:
        found = reported.state.agrees
        return math.nan if found is None else float(found)

    metrics.reconciler(looked_s, agrees)
    with thread:
        yield Inside(thread.look_again, lambda: _shown(thread, reported))


def _shown(thread: ReconcilerThread, reported: Reported) -> dict[str, Any]:
    state = reported.state
    return {
        "runs_here": thread.runs,
        "wanted": state.wanted,
        "agrees": state.agrees,
        "why": state.why,
        "looked": None if state.looked_ms is None else instant(state.looked_ms),
        "failure": state.failure,
        "failed": None if state.failed_ms is None else instant(state.failed_ms),
    }


def _elsewhere() -> dict[str, Any]:
    nothing = dict.fromkeys(("wanted", "agrees", "looked", "failure", "failed"))
    why = "service.reconcile is false: whether it runs elsewhere is not known here"
    return {"runs_here": False, "why": why, **nothing}


def _now_ms() -> int:
    return round(time.time() * 1000)
