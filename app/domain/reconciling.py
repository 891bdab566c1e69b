"""How the announcement topic is made to agree with the registry: the rule. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.domain.plans import Entry, Plan, Staged, Unstaged

OnTimeout = Literal["give_up", "announce"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Have all instances load the wanted version."""


@dataclass(frozen=True, slots=True)
class Announce:
    """Put in force what is staged."""

    staged: Staged


@dataclass(frozen=True, slots=True)
class Unstage:
    """Give up what is staged, or what is not wanted any more."""

    staged: Staged
    why: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Do nothing.

    Attributes:
        why: For a person.
        agrees: Whether the newest plan names the wanted version.
        waits: Whether instances are loading it.
    """

    why: str
    agrees: bool = False
    waits: bool = False


Action = Stage | Announce | Unstage | Rest


def next_action(
    wanted: str,
    entries: Sequence[Entry],
    lacking: str | None,
    *,
    waited_s: float,
    patience_s: float,
    on_timeout: OnTimeout,
    moved: bool,
) -> Action:
    """Say what is to be done next so that the newest plan names the wanted version.

    It looks at the newest plan, voided or not: who voided a plan does not want it back by himself.
    What somebody staged himself, to have it warm for later, is left alone as long as they agree.

    Args:
        wanted: The version that the registry's alias names.
        entries: All that counts on the topic, in the order of their offsets.
        lacking: Who has not loaded what is staged, and why; None if all live instances have, or
            nothing is staged.
        waited_s: How long somebody has waited for instances to load what is staged.
        patience_s: How long they may take.
        on_timeout: What is done then: give up, or put it in force all the same.
        moved: Whether the alias is known to have moved since it was given up.
    """
    newest = max((at for at, one in enumerate(entries) if isinstance(one, Plan)), default=-1)
    plan = entries[newest] if newest >= 0 else None
    staged, ended = _staged_since(entries[newest + 1 :])
    if isinstance(plan, Plan) and plan.announcement.model_version == wanted:
        if staged is not None and staged.announcement.alias is not None:
            return Unstage(staged, f"the alias names version {wanted}, which was announced before")
        return Rest(f"version {wanted} is announced at offset {plan.offset}", agrees=True)
    if staged is None or staged.announcement.model_version != wanted:
        if ended is not None and ended.announcement.model_version == wanted and not moved:
            return Rest(
                f"version {wanted}, staged at offset {ended.offset}, was given up; promote it "
                "again to try again"
            )
        return Stage()
    if lacking is None:
        return Announce(staged)
    if waited_s < patience_s:
        return Rest(f"it is not loaded by {lacking}", waits=True)
    if on_timeout == "announce":
        return Announce(staged)
    return Unstage(staged, f"after {waited_s:.0f} s it is not loaded by {lacking}")


def _staged_since(entries: Sequence[Entry]) -> tuple[Staged | None, Staged | None]:
    """Return what is staged, and what was until it was ended, of entries behind the newest plan."""
    staged: Staged | None = None
    ended: Staged | None = None
    for entry in entries:
        if isinstance(entry, Staged):
            staged, ended = entry, None
        elif isinstance(entry, Unstaged):
            staged, ended = None, staged
    return staged, ended
