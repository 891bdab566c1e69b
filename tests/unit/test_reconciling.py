"""What the reconciler does next, and that it ends in agreement whatever comes in between."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import BrokerUnavailable, ModelRefused, Refused
from app.domain.plans import NO_PLAN, Announcement, Entry, Plan, Staged, Unstaged, Void
from app.domain.reconciling import Action, Announce, OnTimeout, Rest, Stage, Unstage, next_action
from app.registry.reconciling.reconciler import Reconciler
from app.registry.reconciling.state import Reported, State
from app.registry.reconciling.world import Patience

NOW_MS = 1_000_000
PATIENCE_S = 60.0


def announcement(version: str, replaces: int | None = None) -> Announcement:
    return Announcement("m", version, "uri", "digest", ("x",), 0, version, replaces=replaces)


def plan(offset: int, version: str) -> Plan:
    return Plan(offset, NOW_MS, announcement(version))


def staged(offset: int, version: str) -> Staged:
    return Staged(offset, NOW_MS, announcement(version))


def unstaged(offset: int, of: int) -> Unstaged:
    return Unstaged(offset, NOW_MS, "m", of, "why", f"{offset}")


def act(
    *entries: Entry,
    lacking: str | None = None,
    waited_s: float = 0.0,
    on_timeout: OnTimeout = "give_up",
    moved: bool = False,
) -> Action:
    return next_action(
        "2",
        entries,
        lacking,
        waited_s=waited_s,
        patience_s=PATIENCE_S,
        on_timeout=on_timeout,
        moved=moved,
    )


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [plan(0, "1")],
        [plan(0, "2"), plan(1, "1")],
        [plan(0, "1"), staged(1, "3")],
        [plan(0, "1"), staged(1, "3"), unstaged(2, 1)],
        [staged(0, "2"), unstaged(1, 0), plan(2, "1")],
    ],
)
def test_a_wanted_version_that_is_not_the_newest_is_staged(entries: list[Entry]) -> None:
    assert act(*entries) == Stage()


def test_it_is_announced_once_all_have_it() -> None:
    ready = staged(1, "2")
    assert act(plan(0, "1"), ready) == Announce(ready)
    waits = act(plan(0, "1"), ready, lacking="a (loading)")
    assert waits == Rest("it is not loaded by a (loading)", waits=True)


def test_after_the_time_it_is_given_up_or_announced_all_the_same() -> None:
    late = staged(1, "2")
    given_up = act(plan(0, "1"), late, lacking="a (no)", waited_s=PATIENCE_S)
    assert given_up == Unstage(late, "after 60 s it is not loaded by a (no)")
    forced = act(plan(0, "1"), late, lacking="a (no)", waited_s=PATIENCE_S, on_timeout="announce")
    assert forced == Announce(late)


def test_what_was_given_up_is_left_alone_until_the_alias_has_moved() -> None:
    entries: list[Entry] = [plan(0, "1"), staged(1, "2"), unstaged(2, 1)]
    rests = act(*entries)
    assert isinstance(rests, Rest)
    assert not rests.agrees
    assert not rests.waits
    assert "was given up" in rests.why
    assert act(*entries, moved=True) == Stage()


def test_the_newest_plan_agrees_voided_or_not_and_what_else_is_staged_is_ended() -> None:
    agrees = act(plan(0, "1"), plan(1, "2"))
    assert agrees == Rest("version 2 is announced at offset 1", agrees=True)
    voided = Void(2, NOW_MS, "m", 1, "gone", "v")
    assert act(plan(0, "1"), plan(1, "2"), voided) == agrees
    asked = replace(announcement("3"), alias="champion")
    assert isinstance(act(plan(1, "2"), Staged(2, NOW_MS, asked)), Unstage)


def test_what_somebody_staged_himself_is_left_alone_while_they_agree() -> None:
    entries = plan(1, "2"), staged(2, "3")
    assert act(*entries) == Rest("version 2 is announced at offset 1", agrees=True)
    assert act(plan(1, "1"), staged(2, "3")) == Stage()


class World:
    """A topic, an alias, and instances that load what they are told; shared by reconcilers."""

    def __init__(self) -> None:
        self.alias: str | None = "1"
        self.log: list[Entry] = []
        self.cannot_load: set[str] = set()
        self.fails = 0
        self.promoted_anew = False

    @property
    def newest(self) -> int:
        return max((one.offset for one in self.log if isinstance(one, Plan)), default=NO_PLAN)

    def wanted(self) -> str | None:
        if self.fails:
            self.fails -= 1
            raise BrokerUnavailable("away")
        return self.alias

    def is_asked_anew(self, version: str, entries: Sequence[Entry]) -> bool:
        return self.promoted_anew

    def entries(self) -> Sequence[Entry]:
        return list(self.log)

    def lacking(self, staged: Staged) -> str | None:
        version = staged.announcement.model_version
        return "a (no)" if version in self.cannot_load else None

    def stage(self, version: str) -> Staged:
        asked = replace(announcement(version, self.newest), alias="champion")
        made = Staged(len(self.log), NOW_MS, asked)
        self.log.append(made)
        return made

    def announce(self, staged: Staged) -> Plan:
        made = Plan(len(self.log), NOW_MS, staged.announcement)
        if made.announcement.is_outrun(self.newest):
            raise Refused("another was faster")
        self.log.append(made)
        return made

    def unstage(self, staged: Staged, why: str) -> None:
        self.log.append(replace(unstaged(len(self.log), staged.offset), why=why))


def reconciler(world: World, patience_s: float = 60) -> Reconciler:
    return Reconciler(world, Patience(patience_s, "give_up"), clock_ms=lambda: NOW_MS)


def versions(world: World) -> list[str]:
    return [one.announcement.model_version for one in world.log if isinstance(one, Plan)]


def test_it_settles_and_then_leaves_the_topic_alone() -> None:
    world = World()
    one = reconciler(world)
    assert one.settle(lambda _s: False).agrees
    world.alias = "2"
    assert one.settle(lambda _s: False).agrees
    before = list(world.log)
    assert one.settle(lambda _s: False).agrees
    assert world.log == before
    assert versions(world) == ["1", "2"]


def test_without_an_alias_it_does_nothing() -> None:
    world = World()
    world.alias = None
    assert not reconciler(world).settle(lambda _s: False).agrees
    assert world.log == []


def test_a_version_that_is_given_up_is_tried_again_when_the_alias_has_been_elsewhere() -> None:
    world = World()
    one = reconciler(world, patience_s=0)
    one.settle(lambda _s: False)
    world.alias, world.cannot_load = "2", {"2"}
    assert "was given up" in one.settle(lambda _s: False).why
    assert "was given up" in reconciler(world, patience_s=0).settle(lambda _s: False).why
    world.alias = "1"
    assert one.settle(lambda _s: False).agrees
    world.alias, world.cannot_load = "2", set()
    assert one.settle(lambda _s: False).agrees
    assert versions(world) == ["1", "2"]


def test_a_version_that_was_given_up_is_tried_again_when_it_is_promoted_again() -> None:
    world = World()
    world.log += [plan(0, "1"), staged(1, "2"), unstaged(2, 1)]
    world.alias = "2"
    assert "was given up" in reconciler(world).settle(lambda _s: False).why
    world.promoted_anew = True
    assert reconciler(world).settle(lambda _s: False).agrees
    assert versions(world) == ["1", "2"]


def test_what_nobody_can_load_is_tried_once_however_many_reconcile_and_are_woken() -> None:
    world, clock = World(), Clock(ends_after_s=1e9)
    patience = Patience(60, "give_up")
    all_of_them = [Reconciler(world, patience, clock=lambda: clock.now_s) for _ in range(3)]
    for one in all_of_them:
        one.settle(clock.wait)
    world.alias, world.cannot_load = "2", {"2"}
    for one in all_of_them * 2:  # all see it staged
        one.step()
    woken = iter([False, True])  # by the webhook, while instances load
    all_of_them[0].settle(clock.wait, lambda: next(woken, False))
    for one in all_of_them * 2:
        assert "was given up" in one.settle(clock.wait).why
    staged_ones = [one for one in world.log if isinstance(one, Staged)]
    assert [one.announcement.model_version for one in staged_ones] == ["1", "2"]


def test_how_long_it_was_staged_before_somebody_wanted_it_does_not_count() -> None:
    world, clock = World(), Clock(ends_after_s=1e9)
    clock.now_s = 1_000.0
    world.log += [plan(0, "1"), staged(1, "2")]
    world.alias, world.cannot_load = "2", {"2"}
    one = Reconciler(world, Patience(60, "give_up"), clock=lambda: clock.now_s)
    waits = Rest("it is not loaded by a (no)", waits=True)
    assert one.step() == waits
    clock.now_s += 59
    assert one.step() == waits
    clock.now_s += 1
    assert isinstance(one.step(), Unstage)


def test_what_was_staged_for_an_alias_that_is_gone_is_unstaged() -> None:
    world = World()
    one = reconciler(world)
    one.step()
    world.alias = None
    assert isinstance(one.step(), Unstage)
    assert one.wanted is None
    assert one.step() == Rest("the alias names no version")


def test_it_goes_on_after_a_failure_and_ends_when_it_is_told() -> None:
    world = World()
    world.fails = 3
    pauses = itertools.count()
    reconciler(world).run(0, lambda _s: next(pauses) > 10)
    assert versions(world) == ["1"]


class Clock:
    """Counts the seconds that are waited for; at each wait, something may happen in the world."""

    def __init__(self, ends_after_s: float) -> None:
        self.now_s = 0.0
        self.at: dict[float, Callable[[], None]] = {}
        self._ends_after_s = ends_after_s

    def wait(self, seconds: float) -> bool:
        for when in sorted(self.at):
            if self.now_s <= when < self.now_s + seconds:
                self.now_s = when
                self.at.pop(when)()
                return False
        self.now_s += seconds
        return self.now_s >= self._ends_after_s


class Unverifiable(World):
    """A world with a version that can't be verified; says when that was tried."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.tried_at: list[float] = []
        self.bad = {"2"}
        self._clock = clock

    def stage(self, version: str) -> Staged:
        if version in self.bad:
            self.tried_at.append(self._clock.now_s)
            raise ModelRefused("it can't be loaded")
        return super().stage(version)


def test_a_version_that_cannot_be_verified_is_tried_more_and_more_rarely() -> None:
    clock = Clock(ends_after_s=400)
    world = Unverifiable(clock)
    world.alias = "2"
    reconciler(world).run(5.0, clock.wait)
    pauses = [b - a for a, b in itertools.pairwise(world.tried_at)]
    assert pauses[:6] == [1, 2, 4, 8, 16, 32]
    assert set(pauses[6:]) == {60}


def test_after_failures_a_moved_alias_is_followed_at_the_next_look() -> None:
    clock = Clock(ends_after_s=200)
    world = Unverifiable(clock)
    world.alias = "2"
    seen: list[float] = []

    def move() -> None:
        world.alias = "1"
        seen.append(clock.now_s)

    clock.at[150.0] = move
    reconciler(world).run(5.0, clock.wait)
    assert versions(world) == ["1"]
    assert max(world.tried_at) < 150


def test_after_failures_whoever_wakes_it_has_it_try_at_once_and_then_soon_again() -> None:
    clock, rung = Clock(ends_after_s=158), [False]
    world = Unverifiable(clock)
    world.alias = "2"

    def woken() -> bool:
        was, rung[0] = rung[0], False
        return was

    clock.at[150.0] = lambda: rung.__setitem__(0, True)
    reconciler(world).run(3600.0, clock.wait, woken)
    assert [at for at in world.tried_at if at >= 150] == [150, 151, 153, 157]


def test_when_mlflow_answers_again_it_is_asked_within_its_usual_time() -> None:
    clock = Clock(ends_after_s=300)
    world = World()
    world.fails = 10_000
    clock.at[200.0] = lambda: setattr(world, "fails", 0)
    done: list[float] = []
    reported = Reported(lambda: NOW_MS, lambda _step: done.append(clock.now_s))
    one = Reconciler(world, Patience(60, "give_up"), clock_ms=lambda: NOW_MS, reported=reported)
    one.run(5.0, clock.wait)
    assert versions(world) == ["1"]
    assert min(at for at in done if at >= 200) <= 205


def test_one_that_is_woken_tries_again_what_another_unstaged_while_the_alias_was_elsewhere() -> (
    None
):
    world = World()
    world.log += [plan(0, "1"), staged(1, "2"), unstaged(2, 1)]
    world.alias = "2"
    other = reconciler(world)
    assert "was given up" in other.settle(lambda _s: False).why
    calls = iter([True])
    other.run(5.0, Clock(ends_after_s=1.0).wait, lambda: next(calls, False))
    assert versions(world)[-1] == "2"


def test_its_state_tells_what_it_wants_does_and_what_failed() -> None:
    world, steps = World(), list[str]()
    reported = Reported(lambda: NOW_MS, steps.append)
    one = Reconciler(world, Patience(60, "give_up"), clock_ms=lambda: NOW_MS, reported=reported)
    assert reported.state == State()
    world.fails = 2
    one.run(5.0, Clock(ends_after_s=0.5).wait)
    found = reported.state
    assert (found.failure, found.agrees) == ("BrokerUnavailable: away", None)
    one.settle(lambda _s: False)
    found = reported.state
    assert (found.wanted, found.agrees, found.looked_ms) == ("1", True, NOW_MS)
    assert found.why == "version 1 is announced at offset 1"
    assert found.failed_ms == NOW_MS
    assert steps == ["failed", "staged", "announced"]
    world.alias = None
    one.settle(lambda _s: False)
    found = reported.state
    assert (found.wanted, found.agrees) == (None, False)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["first", "second", "restart"]),
            st.integers(1, 3).map(str),  # the alias moves
            st.integers(1, 3).map(lambda n: f"announce {n}"),  # somebody does, without asking
        ),
        max_size=40,
    )
)
def test_two_at_once_end_in_agreement_and_no_plan_replaces_one_unseen(steps: list[str]) -> None:
    world = World()
    both = {"first": reconciler(world), "second": reconciler(world)}
    for step in steps:
        if step in both:
            try:
                both[step].step()
            except Refused:
                continue
        elif step == "restart":
            both["first"] = reconciler(world)
        elif step.startswith("announce"):
            made = announcement(step.split()[1], world.newest)
            world.log.append(Plan(len(world.log), NOW_MS, made))
        else:
            world.alias = step
    for one in both.values():
        # What was unstaged while the alias was elsewhere looks given up to whoever was restarted.
        ended = one.settle(lambda _s: False)
        assert ended.agrees or "was given up" in ended.why
    plans = [one for one in world.log if isinstance(one, Plan)]
    replaced = [one.announcement.replaces for one in plans]
    assert replaced == [NO_PLAN, *(one.offset for one in plans[:-1])][: len(plans)]
