"""What is known of a reconciler from outside: what it saw, what it does, and what failed last."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from app.domain.reconciling import Action, Announce, Rest, Stage


@dataclass(frozen=True, slots=True)
class State:
    """What it said last. Times are Unix milliseconds.

    Attributes:
        wanted: The version that the alias names, None if it names none.
        agrees: Whether the newest plan names that; None while nobody has looked.
        why: What it does, or waits for.
        looked_ms: When it last saw both.
        failure: What failed last, however long ago.
    """

    wanted: str | None = None
    agrees: bool | None = None
    why: str = "it has not looked yet"
    looked_ms: int | None = None
    failure: str | None = None
    failed_ms: int | None = None


class Reported:
    """Keeps the state of a reconciler; any thread may read it.

    Args:
        clock_ms: Unix milliseconds.
        on_step: Told `staged`, `announced`, `unstaged` or `failed`.
    """

    def __init__(
        self, clock_ms: Callable[[], float], on_step: Callable[[str], None] = lambda _step: None
    ) -> None:
        self._clock_ms = clock_ms
        self._on_step = on_step
        self._state = State()

    @property
    def state(self) -> State:
        """What was said last."""
        return self._state

    def begins(self, wanted: str | None, action: Action) -> None:
        """It has looked, and this is what it does now."""
        self._state = replace(
            self._state,
            wanted=wanted,
            agrees=isinstance(action, Rest) and action.agrees,
            why=_said(wanted, action),
            looked_ms=round(self._clock_ms()),
        )

    def did(self, action: Action) -> None:
        """It has done it."""
        if isinstance(action, Stage):
            self._on_step("staged")
        elif isinstance(action, Announce):
            self._on_step("announced")
        elif not isinstance(action, Rest):
            self._on_step("unstaged")

    def failed(self, error: Exception, pause_s: float) -> None:
        """It could not look, or not do it; it waits so long before it tries again."""
        said = f"{type(error).__name__}: {error}"
        self._state = replace(
            self._state,
            why=f"it tries again within {pause_s:.0f} s: the last try failed",
            failure=said,
            failed_ms=round(self._clock_ms()),
        )
        self._on_step("failed")


def _said(wanted: str | None, action: Action) -> str:
    if isinstance(action, Rest):
        return action.why
    if isinstance(action, Stage):
        return f"version {wanted} is verified and staged"
    return f"version {wanted} is announced" if isinstance(action, Announce) else action.why
