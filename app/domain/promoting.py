"""What is said of a promotion, and where. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.plans import Entry, Plan, Staged
from app.domain.times import second


@dataclass(frozen=True, slots=True)
class Promoted:
    """An alias that was moved.

    Attributes:
        model: The registered name.
        alias: Its alias.
        version: What the alias names now.
        before: What it named before, None if there was no such alias.
        said: Who moved it, when and why.
    """

    model: str
    alias: str
    version: str
    before: str | None
    said: str


def said_of(verb: str, who: str, now_ms: int, why: str | None) -> str:
    """Return who did something, when and why, for people.

    >>> said_of("promoted", "ann", 1_700_000_000_000, "it is better on May")
    'promoted by ann at 2023-11-14 22:13:20Z: it is better on May'
    """
    return f"{verb} by {who} at {second(now_ms)}" + (f": {why}" if why else "")


def why_of(said: str | None, alias: str, entries: Iterable[Entry]) -> str:
    """Return why the reconciler stages a version, as the plan will say it.

    Args:
        said: Of the last promotion of that version, None if there was none.
        alias: That names it.
        entries: Of the topic: a promotion that one of them tells of was before this move, which
            somebody made without us.
    """
    told = {one.announcement.why for one in entries if isinstance(one, Plan | Staged)}
    return f"the alias {alias} was moved to it" if said is None or said in told else said
