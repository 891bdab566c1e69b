"""The rules of voiding: which void counts, and what it changes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.plans import Plan, PlanTable, Void


@dataclass(frozen=True, slots=True)
class Change:
    """What a void changes, for records that are not answered yet.

    Attributes:
        plan: The voided one.
        since_ms: The append time of the first record that it served, in Unix milliseconds; None
            if it served all from the beginning.
        until_ms: The append time of the first record that it did not serve any more; None if it
            served all to come.
        serves: Whether it served any record at all, or could.
        instead: The plans that these records take now, in the order of their times; none if no
            plan is left.
    """

    plan: Plan
    since_ms: int | None
    until_ms: int | None
    serves: bool
    instead: tuple[Plan, ...]


_BEFORE_ALL, _AFTER_ALL = -(2**62), 2**62  # milliseconds


def objection(void: Void, plans: Mapping[int, int | None]) -> str | None:
    """Say why a void does not count, None if it does.

    Args:
        void: In question.
        plans: Of every plan of this model that was announced before it: the offset, and the offset
            of the void that voided it, None if none did.

    >>> void = Void(9, 0, "m", 4, "nobody can load it", "")
    >>> objection(void, {3: None, 4: None})
    >>> objection(void, {3: None, 4: 5})
    'the plan at offset 4 is already voided, by the one at offset 5'
    """
    target = void.voided_offset
    if target not in plans:
        return f"there is no plan of {void.model_name} at offset {target} before it"
    by = plans[target]
    if by is not None:
        return f"the plan at offset {target} is already voided, by the one at offset {by}"
    left = any(by is None for offset, by in plans.items() if offset != target)
    if not left and not void.even_if_last:
        return (
            f"the plan at offset {target} is the last, and without it all records wait for another "
            "(`--even-if-last` voids it all the same)"
        )
    return None


def change_of(table: PlanTable, void: Void) -> Change:
    """Say what a void changes.

    Args:
        table: Before it.
        void: One without an objection.

    Raises:
        ValueError: It names no plan of the table.
    """
    after = table.with_void(void)
    plan = next(one for one in table.plans if one.offset == void.voided_offset)
    covered = table.covers(plan)
    if covered is None:
        return Change(plan, None, None, serves=False, instead=())
    since, until = covered
    instead = after.plans and after.due(
        _BEFORE_ALL if since is None else since, _AFTER_ALL if until is None else until - 1
    )
    return Change(plan, since, until, serves=True, instead=tuple(instead))
