"""The join, against a model so naive that one can see that it is right."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plans import Announcement, Plan, PlanTable, Void
from app.domain.voids import change_of, objection

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


def void(offset: int, voided: int, *, even_if_last: bool = False) -> Void:
    return Void(offset, 0, "m", voided, "because", str(offset), even_if_last)


@st.composite
def histories(draw: st.DrawFn) -> list[Plan | Void]:
    """Plans, and voids of plans that stand, in any order that a topic could have."""
    entries: list[Plan | Void] = []
    standing: list[int] = []
    for offset in range(draw(st.integers(0, 12))):
        target = draw(st.sampled_from([None, *standing]))
        if target is not None:
            standing.remove(target)
            entries.append(void(offset, target))
        else:
            standing.append(offset)
            entries.append(plan(offset, draw(TIMES), draw(st.integers(0, 10)), draw(TIMES)))
    return entries


def standing_plans(entries: Sequence[Plan | Void]) -> list[Plan]:
    """What is left, naively: every plan that no void names."""
    voided = {entry.voided_offset for entry in entries if isinstance(entry, Void)}
    return [e for e in entries if isinstance(e, Plan) and e.offset not in voided]


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


# --- voids ---


@given(histories(), st.lists(TIMES))
def test_a_voided_plan_is_as_if_it_had_never_been_announced(
    entries: list[Plan | Void], times: list[int]
) -> None:
    table, left = PlanTable.of(entries), standing_plans(entries)
    assert list(table.plans) == left
    assert [table.at(time) for time in times] == [
        naive(left, time) if left else None for time in times
    ]
    served = {int(row): by for by, rows in table.segments(times) for row in rows}
    assert served == ({row: naive(left, time) for row, time in enumerate(times)} if left else {})


@given(histories())
def test_a_table_with_voids_grows_as_one_of_what_is_left(entries: list[Plan | Void]) -> None:
    table = PlanTable.of(entries)
    assert table.voids == tuple(entry for entry in entries if isinstance(entry, Void))
    more = plan(100, 20)
    rebuilt = PlanTable.of([*standing_plans(entries), more])
    for time in range(45):
        assert table.with_plan(more).at(time) is rebuilt.at(time)


@given(histories())
def test_a_plan_covers_exactly_the_times_at_which_it_is_in_force(
    entries: list[Plan | Void],
) -> None:
    table = PlanTable.of(entries)
    for one in table.plans:
        covered = table.covers(one)
        since, until = covered if covered is not None else (0, 0)
        for time in range(60):
            inside = (since is None or since <= time) and (until is None or time < until)
            assert inside == (table.at(time) is one)


@given(histories(), st.data())
def test_a_void_changes_the_times_that_its_plan_covered_and_names_what_takes_them(
    entries: list[Plan | Void], data: st.DataObject
) -> None:
    before = PlanTable.of(entries)
    if not before.plans:
        return
    new = void(200, data.draw(st.sampled_from(before.plans)).offset)
    change, after = change_of(before, new), before.with_void(new)
    changed = {time for time in range(-5, 60) if before.at(time) is not after.at(time)}
    covered = {time for time in range(-5, 60) if before.at(time) is change.plan}
    assert changed == covered
    assert change.serves == bool(covered)
    now_by = {one.offset for one in change.instead}
    assert now_by == ({one.offset for t in covered if (one := after.at(t)) is not None})


@pytest.mark.parametrize("target", [1, 2, 9])
def test_a_table_refuses_a_void_of_what_is_no_plan_or_voided(target: int) -> None:
    table = PlanTable.of([plan(0, 0), plan(1, 0), void(2, 1)])
    with pytest.raises(ValueError, match=f"no plan at offset {target}"):
        table.with_void(void(10, target))


def test_a_void_of_a_plan_that_served_nothing_changes_nothing() -> None:
    table = PlanTable.of([plan(0, 0), plan(1, 10, effective_from=900), plan(2, 20)])
    change = change_of(table, void(3, 1))
    assert (change.serves, change.instead) == (False, ())


def test_without_the_only_plan_no_record_has_one() -> None:
    table = PlanTable.of([plan(0, 0), void(1, 0)])
    assert table.at(5) is None
    assert table.segments([1, 2]) == []
    assert table.due(0, 50) == []
    assert change_of(PlanTable.of([plan(0, 0)]), void(1, 0)).instead == ()


@pytest.mark.parametrize(
    ("target", "why"),
    [(7, "no plan of m at offset 7"), (2, "already voided, by the one at offset 4"), (3, "last")],
)
def test_a_void_that_does_not_count_says_why(target: int, why: str) -> None:
    assert why in (objection(void(9, target), {2: 4, 3: None}) or "")


def test_the_last_plan_can_be_voided_if_that_is_said() -> None:
    assert objection(void(9, 3, even_if_last=True), {2: 4, 3: None}) is None
    assert objection(void(9, 3), {2: None, 3: None}) is None


def test_a_thousand_voids_are_a_table_and_not_a_problem() -> None:
    plans = [plan(offset, offset) for offset in range(1_000)]
    table = PlanTable.of([*plans, *(void(1_000 + o, o) for o in range(999))])
    assert table.plans == (plans[-1],)
