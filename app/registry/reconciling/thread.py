"""The reconciler in a thread of its own: woken from outside, begun anew if it dies, seen."""

import threading
from collections.abc import Callable
from typing import Protocol, Self

import structlog

from app.domain.retrying import pause_s
from app.registry.reconciling.waking import Bell

log = structlog.get_logger()


class Runs(Protocol):
    """A reconciler."""

    def run(
        self, every_s: float, stopped: Callable[[float], bool], woken: Callable[[], bool]
    ) -> None:
        """Run until `stopped` says so; raise only what nobody foresaw."""


class ReconcilerThread:
    """Runs a reconciler from the beginning of a `with` block to its end.

    Args:
        make: Makes one; given what says that it is to end. Called again when one has died.
        every_s: Seconds between two looks.
        on_death: Told of each death.
        ends_within_s: How long the end of the block waits for it.
    """

    def __init__(
        self,
        make: Callable[[Callable[[], bool]], Runs],
        every_s: float,
        on_death: Callable[[], None] = lambda: None,
        ends_within_s: float = 4.0,
    ) -> None:
        self._make = make
        self._every_s = every_s
        self._on_death = on_death
        self._ends_within_s = ends_within_s
        self._bell = Bell()
        # What it waits for may be MLflow's or Kafka's time-out: that must not keep the process.
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def look_again(self) -> None:
        """Have it look now. Any thread may; never blocks."""
        self._bell.wake()

    @property
    def runs(self) -> bool:
        """Whether the thread is alive."""
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bell.stop()
        self._thread.join(self._ends_within_s)
        if self._thread.is_alive():
            log.warning("reconciler.abandoned", after_s=self._ends_within_s)

    def _run(self) -> None:
        deaths = 0
        while not self._bell.stopped:
            try:
                made = self._make(lambda: self._bell.stopped)
                made.run(self._every_s, self._bell.wait, self._bell.woken)
            except Exception:  # whatever it is, the topic must go on to agree
                deaths += 1
                self._on_death()
                pause = pause_s(deaths, self._every_s)
                log.exception("reconciler.died", again_within_s=pause)
                self._bell.wait(pause)
