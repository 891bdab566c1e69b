"""What changes which version is served; the service is given it."""

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.plans import Plan, Staged
from app.domain.promoting import Promoted
from app.domain.rollback import Rollback


@dataclass(frozen=True, slots=True)
class Serving:
    """All of it is about one model, and each raises what the command of its name does.

    Attributes:
        model: The registered name.
        alias: Names the version to serve.
        stage: A version, and why.
        unstage: Why; returns the offset of what was staged, None if nothing was.
        promote: A version, who and why.
        roll_back: Who and why, and the version that must be in force, None for any; the plan is
            None unless it had to be announced at once.
    """

    model: str
    alias: str
    stage: Callable[[str, str | None], Staged]
    unstage: Callable[[str], int | None]
    promote: Callable[[str, str, str | None], Promoted]
    roll_back: Callable[[str, str | None, str | None], tuple[Rollback, Promoted, Plan | None]]
