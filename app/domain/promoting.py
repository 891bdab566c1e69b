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


def is_new(said: str | None, entries: Iterable[Entry]) -> bool:
    """Say whether a version was promoted since the topic told of it last.

    Args:
        said: Of its last promotion, None if there was none.
        entries: Of the topic.
    """
    told = {one.announcement.why for one in entries if isinstance(one, Plan | Staged)}
    return said is not None and said not in told


def why_of(said: str | None, otherwise: str, entries: Iterable[Entry]) -> str:
    """Return why a version is put in force, as its plan will say it.

    Args:
        said: Of its last promotion, None if there was none.
        otherwise: If there was none, or a plan tells of it: then somebody has moved the alias
            without us since.
        entries: Of the topic.
    """
    told = {one.announcement.why for one in entries if isinstance(one, Plan)}
    return otherwise if said is None or said in told else said
