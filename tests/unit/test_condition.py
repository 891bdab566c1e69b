"""What an instance is like: ready or not, and the first thing that it waits for."""

from collections.abc import Mapping, Sequence

from app.domain.plans import Announcement, Plan, PlanTable, Void
from app.stream.batches import Hold
from app.stream.condition import condition
from app.telemetry.metrics import Served, State

NOW_MS = 10_000


def plan(version: str, offset: int, appended_ms: int) -> Plan:
    announced = Announcement("m", version, "uri", f"digest {version}", ("x",), 1000, version)
    return Plan(offset, appended_ms, announced)


FIRST, SECOND, THIRD = plan("1", 0, 1_000), plan("2", 4, 2_000), plan("3", 5, 9_500)


def state(
    plans: Sequence[Plan | Void],
    loaded: Sequence[Plan] = (),
    *,
    table_is_read: bool = True,
    hold: Hold | None = None,
    failures: Mapping[str, str] | None = None,
) -> State:
    return condition(
        PlanTable.of(plans),
        NOW_MS,
        table_is_read=table_is_read,
        loaded=[one.announcement for one in loaded],
        failures=failures or {},
        hold=hold,
        feed_staleness_s=0.5,
        lag={1: 7},
    )


def test_it_is_ready_once_the_version_in_force_is_loaded() -> None:
    found = state([FIRST, SECOND, THIRD], [SECOND])
    assert (found.ready, found.waits_for) == (True, None)
    assert found.in_force == Served("m", "2", 4)
    assert found.coming == (Served("m", "3", 5),)
    assert found.loaded == (Served("m", "2", 4),)
    assert (found.feed_staleness_s, found.lag) == (0.5, {1: 7})


def test_a_loaded_version_that_is_not_in_force_makes_it_not_ready() -> None:
    found = state([FIRST, SECOND], [FIRST])
    assert not found.ready
    assert found.waits_for == "version 2, which is in force, is not loaded"


def test_without_a_plan_it_says_so() -> None:
    found = state([])
    assert (found.ready, found.in_force, found.coming) == (False, None, ())
    assert found.waits_for == "no version of the model has been announced"


def test_without_a_plan_that_is_not_voided_it_says_so() -> None:
    found = state([FIRST, Void(1, 1_000, "m", 0, "gone", "e")], [FIRST])
    assert (found.ready, found.in_force) == (False, None)
    assert found.waits_for == "every plan of the model is voided, and none was announced since"


def test_before_the_announcements_are_read_nothing_else_matters() -> None:
    found = state([SECOND], [SECOND], table_is_read=False)
    assert found.waits_for == "the announcements are not read yet"


def test_records_that_wait_make_it_not_ready_and_say_why() -> None:
    found = state([SECOND], [SECOND], hold=Hold("model_not_loaded", "version 1 can't be loaded"))
    assert (found.ready, found.holds) == (False, "version 1 can't be loaded")
    assert found.waits_for == "version 1 can't be loaded"


def test_a_first_plan_that_is_still_to_come_answers_already_and_is_not_said_twice() -> None:
    found = state([THIRD], [THIRD])
    assert (found.ready, found.in_force, found.coming) == (True, Served("m", "3", 5), ())


def test_it_says_why_the_version_in_force_could_not_be_loaded() -> None:
    failures = {"digest 1": "another matter", "digest 2": "the policy refuses it"}
    found = state([FIRST, SECOND], failures=failures)
    assert found.waits_for == ("version 2, which is in force, is not loaded: the policy refuses it")
