"""Rolling back: which version was in force before the present one. Pure."""

from dataclasses import dataclass

from app.domain.errors import Refused
from app.domain.plans import Plan, PlanTable

_BEFORE_ALL = -(2**62)  # milliseconds


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback does.

    Attributes:
        present: The plan in force now.
        target: The newest plan of another version that was in force before it.
        overtaken: Plans that were still to come, and would not any more: a later one wins.
    """

    present: Plan
    target: Plan
    overtaken: tuple[Plan, ...]


def rollback_of(table: PlanTable, now_ms: int) -> Rollback:
    """Choose what to go back to.

    Args:
        table: All plans that are not voided.
        now_ms: Unix milliseconds.

    Raises:
        Refused: Nothing was in force before, or what is in force changes at this very moment.
    """
    present = table.at(now_ms)
    if present is None:
        raise Refused("no version is in force: announce one with `python -m app announce`")
    was = table.due(_BEFORE_ALL, now_ms)
    coming = [plan for plan in table.due(now_ms) if plan is not present]
    for plan in coming:
        if plan.effective_ms == plan.appended_ms + plan.announcement.guard_ms:
            raise Refused(
                f"version {plan.announcement.model_version} was announced just now, at offset "
                f"{plan.offset}, and is not in force yet: wait until it is, and roll back then, or "
                f"take it back with `python -m app void {plan.offset} --why …`"
            )
    version = present.announcement.model_version
    for target in reversed(was):
        if target.announcement.model_version != version:
            return Rollback(present, target, tuple(coming))
    raise Refused(
        f"no other version was in force before version {version}: announce one with "
        "`python -m app announce`"
    )
