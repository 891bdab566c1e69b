"""Rolling back: what is chosen, and what is refused."""

import pytest

from app.domain.errors import Refused
from app.domain.plans import Announcement, Plan, PlanTable, Void
from app.domain.rollback import Rollback, rollback_of

NOW_MS = 100_000


def plan(
    offset: int, version: str, appended_ms: int | None = None, effective_from: int | None = None
) -> Plan:
    announced = Announcement(
        "m", version, "uri", "digest", ("x",), 1_000, f"{offset}", None, effective_from
    )
    return Plan(offset, offset * 1_000 if appended_ms is None else appended_ms, announced)


def void(offset: int, voided: int) -> Void:
    return Void(offset, 0, "m", voided, "gone", f"{offset}")


def chosen(*entries: Plan | Void) -> Rollback:
    return rollback_of(PlanTable.of(entries), NOW_MS)


def test_it_goes_back_to_what_was_in_force_before() -> None:
    found = chosen(plan(0, "1"), plan(1, "2"), plan(2, "3"))
    assert (found.present.offset, found.target.offset, found.overtaken) == (2, 1, ())


def test_plans_of_the_same_version_are_passed() -> None:
    assert chosen(plan(0, "1"), plan(1, "2"), plan(2, "2"), plan(3, "2")).target.offset == 0


def test_the_newest_plan_of_the_other_version_is_taken() -> None:
    assert chosen(plan(0, "1"), plan(1, "2"), plan(2, "1"), plan(3, "2")).target.offset == 2


def test_twice_leads_back_again() -> None:
    assert chosen(plan(0, "1"), plan(1, "2"), plan(2, "1")).target.announcement.model_version == "2"


def test_a_voided_plan_is_no_goal_and_not_in_force() -> None:
    assert chosen(plan(0, "1"), plan(1, "2"), plan(2, "3"), void(3, 1)).target.offset == 0
    assert chosen(plan(0, "1"), plan(1, "2"), plan(2, "3"), void(3, 2)).present.offset == 1


def test_a_plan_that_was_overtaken_before_its_time_was_never_in_force() -> None:
    overtaken = plan(1, "2", effective_from=50_000)
    assert chosen(plan(0, "1"), overtaken, plan(2, "3")).target.offset == 0


def test_a_plan_that_is_still_to_come_is_overtaken_and_said() -> None:
    later = plan(2, "3", effective_from=NOW_MS + 5_000)
    found = chosen(plan(0, "1"), plan(1, "2"), later)
    assert (found.present.offset, found.target.offset, found.overtaken) == (1, 0, (later,))


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([], "no version is in force"),
        ([plan(0, "1"), void(1, 0)], "no version is in force"),
        ([plan(0, "1")], "no other version was in force before version 1"),
        ([plan(0, "1"), plan(1, "1")], "no other version"),
        ([plan(0, "1"), plan(1, "2"), void(2, 0)], "no other version"),
        ([plan(0, "1", effective_from=NOW_MS + 5_000)], "no other version"),
        ([plan(0, "1"), plan(1, "2"), plan(2, "3", NOW_MS - 500)], "void 2"),
        ([plan(0, "1"), plan(1, "2"), plan(2, "3", NOW_MS + 9_000)], "announced just now"),
    ],
)
def test_it_is_refused_with_the_reason(entries: list[Plan | Void], why: str) -> None:
    with pytest.raises(Refused, match=why):
        chosen(*entries)
