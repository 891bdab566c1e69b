"""Whether a version is needed by what is in force, comes, is staged, or is wanted. Pure."""

from collections.abc import Iterable, Sequence

from app.domain.plans import Entry, Plan, PlanTable


def uses_of(
    version: str, entries: Sequence[Entry], now_ms: int, aliases: Iterable[str]
) -> list[str]:
    """Say why a version of the model must stay where it is: it is in force, or may be soon.

    Args:
        version: Of the model of the entries.
        entries: All that counts on the topic.
        now_ms: Unix milliseconds.
        aliases: Which point to it.
    """
    table = PlanTable.of(entries)
    said = []
    for number, plan in enumerate(table.due(now_ms)):
        if plan.announcement.model_version == version:
            said.append(f"it {'comes' if number else 'is'} in force by the plan at {plan.offset}")
    staged = table.staged
    if staged is not None and staged.announcement.model_version == version:
        said.append(f"it is staged at offset {staged.offset}")
    return said + [f"the alias {alias} names it" for alias in sorted(aliases)]


def plans_of(version: str, entries: Iterable[Entry]) -> list[int]:
    """Return the offsets of the plans that name a version, voided or not.

    Without it they can't be replayed.
    """
    plans = [one for one in entries if isinstance(one, Plan)]
    return [one.offset for one in plans if one.announcement.model_version == version]
