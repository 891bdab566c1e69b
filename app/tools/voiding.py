"""Void a plan: see that it can be voided, append the void, and see that it counts."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.domain.errors import Refused
from app.domain.plans import Entry, Plan, PlanTable, Void
from app.domain.times import instant
from app.domain.voids import Change, change_of, objection
from app.topics.announcements import Ignored


@dataclass(frozen=True, slots=True)
class Voided:
    """A void, and what it changes. Its offset is -1 if it was not appended."""

    void: Void
    change: Change

    @property
    def appended(self) -> bool:
        """Whether it is on the topic."""
        return self.void.offset >= 0


def void_plan(
    read: Callable[[], list[Entry | Ignored]],
    append: Callable[[Void], tuple[int, int]] | None,
    *,
    model_name: str,
    offset: int,
    why: str,
    even_if_last: bool = False,
) -> Voided:
    """Void the plan at `offset`.

    Args:
        read: Reads the whole announcement topic.
        append: Appends the void; returns its offset and append time. None to see what it would do.
        model_name: Ours.
        offset: Of the plan.
        why: For people.
        even_if_last: Whether records may be left without any plan.

    Raises:
        Refused: There is no such plan, it is voided already, or it is the last; or another void
            came in between, so that this one changes nothing.
    """
    void = Void(-1, 0, model_name, offset, why, str(uuid.uuid4()), even_if_last)
    entries = [entry for entry in read() if not isinstance(entry, Ignored)]
    _refuse(objection(void, _standing(entries)), offset)
    change = change_of(PlanTable.of(entries), void)
    if append is None:
        return Voided(void, change)
    at, appended_ms = append(void)
    for entry in read():
        if entry.offset == at and isinstance(entry, Ignored):
            _refuse(entry.why, offset)
    return Voided(replace(void, offset=at, appended_ms=appended_ms), change)


def as_dict(voided: Voided) -> dict[str, Any]:
    """Return it for programs; docs/schemas/void.json has the fields."""
    void, change = voided.void, voided.change
    return {
        "model": void.model_name,
        "voided_offset": void.voided_offset,
        "version": change.plan.announcement.model_version,
        "offset": void.offset if voided.appended else None,
        "why": void.why,
        "serves": change.serves,
        "since": None if change.since_ms is None else instant(change.since_ms),
        "until": None if change.until_ms is None else instant(change.until_ms),
        "instead": [
            {"version": plan.announcement.model_version, "offset": plan.offset}
            for plan in change.instead
        ],
    }


def in_words(voided: Voided) -> str:
    """Say it to a person."""
    change, offset = voided.change, voided.void.voided_offset
    does = f"Voided at offset {voided.void.offset}:" if voided.appended else "It would void"
    named = f"{does} version {change.plan.announcement.model_version} of offset {offset}."
    if not change.serves:
        return f"{named} It serves no record, so nothing changes."
    times = _times(change)
    if not change.instead:
        return f"{named} {times} wait until a version is announced."
    plans = ", then ".join(
        f"version {plan.announcement.model_version} of offset {plan.offset}"
        for plan in change.instead
    )
    return f"{named} {times} take {plans}, unless they are answered already."


def _times(change: Change) -> str:
    since = "" if change.since_ms is None else f" from {instant(change.since_ms)}"
    until = "" if change.until_ms is None else f" until {instant(change.until_ms)}"
    return f"Records appended{since}{until}" if since or until else "All records"


def _standing(entries: list[Entry]) -> dict[int, int | None]:
    plans: dict[int, int | None] = {e.offset: None for e in entries if isinstance(e, Plan)}
    return plans | {e.voided_offset: e.offset for e in entries if isinstance(e, Void)}


def _refuse(why: str | None, offset: int) -> None:
    if why is not None:
        raise Refused(
            f"offset {offset} is not voided: {why}. `python -m app announcements` shows what can be"
        )
