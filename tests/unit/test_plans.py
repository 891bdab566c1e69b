"""The join, against a model so naive that one can see that it is right."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plans import Announcement, Plan, PlanTable

TIMES = st.integers(0, 40)


def plan(offset: int, appended: int, guard: int = 10, effective_from: int | None = None) -> Plan:
    version = str(offset)
    return Plan(
        offset,
        appended,
        Announcement("m", version, "uri", "digest", ("x",), guard, version, None, effective_from),
    )


@st.composite
def plan_lists(draw: st.DrawFn, min_size: int = 0) -> list[Plan]:
    offsets = sorted(draw(st.sets(st.integers(0, 50), min_size=min_size, max_size=8)))
    return [
        plan(offset, draw(TIMES), draw(st.integers(0, 10)), draw(st.none() | TIMES))
        for offset in offsets
    ]


def naive(plans: Sequence[Plan], time: int) -> Plan:
    effective = [p for p in plans if p.effective_ms <= time]
    return max(effective, key=lambda p: p.offset) if effective else plans[0]


@given(plan_lists(min_size=1), TIMES)
def test_the_plan_in_force_is_the_latest_effective_one_else_the_first(
    plans: list[Plan], time: int
) -> None:
    assert PlanTable.of(plans).at(time) is naive(plans, time)


@given(plan_lists(min_size=1), st.lists(TIMES, min_size=1))
def test_segments_give_each_record_its_plan_once(plans: list[Plan], times: list[int]) -> None:
    served = {
        int(row): in_force for in_force, rows in PlanTable.of(plans).segments(times) for row in rows
    }
    assert served == {row: naive(plans, time) for row, time in enumerate(times)}


@given(plan_lists(min_size=1), st.lists(TIMES, min_size=1))
def test_segments_list_rows_in_order_and_never_twice(plans: list[Plan], times: list[int]) -> None:
    segments = PlanTable.of(plans).segments(times)
    rows = np.concatenate([rows for _, rows in segments])
    assert sorted(rows.tolist()) == list(range(len(times)))
    assert all(np.all(np.diff(rows) > 0) for _, rows in segments)


@given(plan_lists())
def test_a_table_grown_plan_by_plan_is_the_table_of_all(plans: list[Plan]) -> None:
    grown = PlanTable()
    for one in plans:
        grown = grown.with_plan(one)
    assert grown == PlanTable.of(plans)


@given(plan_lists(min_size=1), plan_lists(min_size=1), TIMES)
def test_a_new_plan_never_changes_what_was_in_force_before_its_effective_time(
    plans: list[Plan], more: list[Plan], time: int
) -> None:
    new = plan(100, more[0].appended_ms, 10, more[0].announcement.effective_from_ms)
    before, after = PlanTable.of(plans), PlanTable.of([*plans, new])
    if time < new.effective_ms:
        assert after.at(time) is before.at(time)
    else:
        assert after.at(time) is new


def test_an_empty_table_has_no_plan() -> None:
    assert PlanTable().at(5) is None
    assert PlanTable().segments([1, 2]) == []


def test_a_record_of_the_very_millisecond_takes_the_new_plan() -> None:
    table = PlanTable.of([plan(0, 0), plan(1, 100, guard=1000)])
    assert [table.at(t).offset for t in (1099, 1100)] == [0, 1]  # type: ignore[union-attr]


def test_of_two_plans_effective_at_once_the_later_offset_wins() -> None:
    table = PlanTable.of([plan(0, 100), plan(1, 100), plan(2, 100)])
    assert table.at(110).offset == 2  # type: ignore[union-attr]


def test_a_broker_clock_that_went_back_does_not_reorder_plans() -> None:
    table = PlanTable.of([plan(0, 500), plan(1, 100)])
    assert table.at(110).offset == 1  # type: ignore[union-attr]
    assert table.at(1000).offset == 1  # type: ignore[union-attr]


def test_effective_from_can_delay_a_plan_but_not_backdate_it() -> None:
    assert plan(0, 100, 10, effective_from=500).effective_ms == 500
    assert plan(0, 100, 10, effective_from=50).effective_ms == 110


def test_a_delayed_plan_is_overtaken_by_a_later_one_that_is_effective_first() -> None:
    table = PlanTable.of([plan(0, 0), plan(1, 10, effective_from=900), plan(2, 20)])
    assert [table.at(t).offset for t in (5, 30, 1000)] == [0, 2, 2]  # type: ignore[union-attr]


def test_plans_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="order of their offsets"):
        PlanTable.of([plan(1, 0), plan(0, 0)])


@given(plan_lists(min_size=1), TIMES, TIMES)
def test_what_is_due_is_what_is_or_will_be_in_force(
    plans: list[Plan], now: int, ahead: int
) -> None:
    due = PlanTable.of(plans).due(now, now + ahead)
    assert {p.offset for p in due} == {
        naive(plans, time).offset for time in range(now, now + ahead + 1)
    }


def test_ten_thousand_plans_are_a_table_and_not_a_problem() -> None:
    table = PlanTable()
    for offset in range(10_000):
        table = table.with_plan(plan(offset, offset))
    assert table.at(5_000) is table.plans[4_990]
