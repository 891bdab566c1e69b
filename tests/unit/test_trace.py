"""Which plan a trace names and why, and what its screen says."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.domain.plans import Announcement, Plan, PlanTable, Void
from app.tools.inspecting.rows import Row
from app.tools.tracing.screen import screen
from app.tools.tracing.search import place_of
from app.tools.tracing.trace import Trace, by_plan, join_of

NOW_MS = 1_700_000_000_000


def plan(offset: int, effective_ms: int, version: str = "1") -> Plan:
    return Plan(offset, effective_ms, Announcement("m", version, "", "", (), 0, str(offset)))


def void(offset: int, voided: int, why: str = "it can't be loaded") -> Void:
    return Void(offset, 0, "m", voided, why, str(offset))


def record(appended_ms: int = NOW_MS, offset: int = 17, **fields: Any) -> Row:
    return Row("records", 2, offset, appended_ms, b"k", "record", fields)


def answer(kind: str, after_ms: int, **fields: Any) -> Row:
    source = {"source_topic": "records", "source_partition": 2, "source_offset": 17}
    return Row("answers", 2, 16, NOW_MS + after_ms, b"k", kind, {**fields, **source})


SIGNAL = answer("signal", 35, predicted_price=102.7, model_version="1", announcement_offset=0)


def trace(*answers: Row, committed: int | None = None, entries: Any = None) -> Trace:
    entries = [plan(0, NOW_MS - 5_000)] if entries is None else entries
    return Trace(record(), join_of(entries, NOW_MS), answers, "group", committed)


def rendered(found: Trace) -> str:
    written = io.StringIO()
    Console(file=written, width=160, color_system=None).print(screen(found))
    return written.getvalue()


@st.composite
def histories(draw: st.DrawFn) -> list[Plan | Void]:
    entries: list[Plan | Void] = []
    standing: list[int] = []
    steps = draw(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), max_size=12))
    for offset, (voids, number) in enumerate(steps):
        if voids and standing:
            entries.append(void(offset, standing.pop(number % len(standing))))
        else:
            entries.append(plan(offset, number))
            standing.append(offset)
    return entries


@given(histories(), st.integers(0, 20))
def test_the_plan_is_that_of_the_join_and_the_rule_says_why(
    entries: list[Plan | Void], time_ms: int
) -> None:
    found, table = join_of(entries, time_ms), PlanTable.of(entries)
    assert found.plan == table.at(time_ms)
    if found.plan is None:
        assert (found.rule, found.later) == ("no_plan", None)
        return
    effective = [one for one in table.plans if one.effective_ms <= time_ms]
    if effective:
        assert (found.rule, found.plan) == ("highest_offset", max(effective, key=_offset))
    else:
        assert (found.rule, found.plan) == ("first_plan", table.plans[0])
    later = (table.at(time) for time in range(time_ms, 30))
    assert found.later == next((one for one in later if one is not found.plan), None)


def _offset(one: Plan) -> int:
    return one.offset


def test_every_void_that_changes_the_plan_is_named_and_no_other() -> None:
    plans = [plan(0, 1), plan(1, 2), plan(2, 3), plan(3, 99)]
    found = join_of([*plans, void(4, 2), void(5, 1), void(6, 3)], 10)
    assert (found.plan, [one.offset for one in found.passed_over]) == (plans[0], [4, 5])


def test_without_any_plan_left_the_voids_are_named() -> None:
    found = join_of([plan(0, 1), void(1, 0)], 10)
    assert (found.plan, found.rule, len(found.passed_over)) == (None, "no_plan", 1)


@pytest.mark.parametrize(("committed", "state"), [(None, "waiting"), (17, "waiting"), (18, "gone")])
def test_what_has_no_answer_waits_until_the_group_is_past_it(
    committed: int | None, state: str
) -> None:
    assert trace(committed=committed).state == state
    assert trace(SIGNAL, committed=committed).state == "answered"


def test_a_signal_is_by_the_plan_in_force_or_by_another() -> None:
    assert by_plan(SIGNAL, plan(0, 0)) is True
    assert by_plan(SIGNAL, plan(1, 0)) is False
    assert by_plan(SIGNAL, None) is False
    assert by_plan(answer("dead letter", 0), plan(0, 0)) is None


def test_the_screen_tells_the_way_of_an_answered_record() -> None:
    drawn = rendered(trace(SIGNAL, entries=[plan(0, NOW_MS - 1), plan(1, NOW_MS + 350, "2")]))
    for part in (
        "2/17 of records",
        "m version 1, offset 0, effective from 2023-11-14T22:13:19.999Z",
        "it has the highest offset",
        "next: version 2, offset 1, effective 350 ms after the record",
        "signal 2/16 of answers",
        "appended 2023-11-14T22:13:20.035Z, 35 ms after the record",
        "predicted_price=102.7",
    ):
        assert part in drawn
    assert "not by the one" not in drawn


def test_the_screen_says_if_an_answer_is_by_another_plan() -> None:
    voided = [plan(0, NOW_MS - 9), plan(1, NOW_MS - 5), void(2, 0, "\x1b[31m[bold]bad")]
    drawn = rendered(trace(SIGNAL, entries=voided))
    assert "it is by the plan at offset 0, and not by the one that the rule says" in drawn
    voided = [plan(0, NOW_MS - 9), plan(1, NOW_MS - 5), void(2, 1, "\x1b[31m[bold]bad")]
    drawn = rendered(trace(entries=voided))
    assert "passed over: offset 1, voided by offset 2: \\x1b[31m[bold]bad" in drawn


@pytest.mark.parametrize(
    ("committed", "entries", "said"),
    [
        (None, None, "not answered yet: group has answered none of this partition"),
        (5, None, "not answered yet: group is at offset 5, 12 before it"),
        (40, None, "none is there, though group is past it, at offset 40"),
        (None, [], "no plan is announced: the record waits for one"),
        (None, [plan(0, NOW_MS + 20_000)], "older than the effective time of every plan"),
    ],
)
def test_the_screen_says_why_there_is_no_answer(
    committed: int | None, entries: Any, said: str
) -> None:
    assert said in rendered(trace(committed=committed, entries=entries))


@pytest.mark.parametrize("text", ["", "3", "3/", "/3/4", "-1/4", "3/4/5/6", "records/x/4", "３/4"])
def test_what_is_no_place_is_an_id(text: str) -> None:
    assert place_of(text, "records") is None
