"""What runs the reconciler inside of the registry service."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from app.bootstrap.clock import now_ms
from app.bootstrap.reconciling import reconciler
from app.domain.times import instant
from app.registry.reconciling.state import Reported
from app.registry.reconciling.thread import ReconcilerThread
from app.settings import Settings


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


@contextmanager
def inside_of_service(settings: Settings, metrics: Metrics) -> Iterator[Inside]:
    """Have the reconciler run in a thread of its own, if the settings want it there."""
    if not settings.service.reconcile:
        yield Inside(lambda: None, _elsewhere)
        return
    began_ms = now_ms()
    reported = Reported(now_ms, metrics.reconciled)
    thread = ReconcilerThread(
        lambda stopped: reconciler(settings, stopped, reported),
        settings.reconciler.every_s,
        metrics.reconciler_died,
    )

    def looked_s() -> float:
        looked_ms = reported.state.looked_ms
        return (now_ms() - (began_ms if looked_ms is None else looked_ms)) / 1000

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
