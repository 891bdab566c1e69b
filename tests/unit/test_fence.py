"""The fence: no record is joined before every plan that could concern it was read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.domain.errors import FeedError
from app.domain.plans import Announcement, Plan, PlanTable, Void
from app.stream.fence import Fence


def plan(offset: int, appended_ms: int = 0, guard_ms: int = 1000) -> Plan:
    version = str(offset)
    return Plan(
        offset, appended_ms, Announcement("m", version, "uri", "digest", ("x",), guard_ms, version)
    )


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Feed:
    """A feed that has read what the test says, and reads more only while someone waits for it."""

    clock: Clock
    table: PlanTable = field(default_factory=PlanTable)
    position: int = 0
    unread: list[Plan | Void] = field(default_factory=list)
    waits: list[tuple[int, float]] = field(default_factory=list)
    failure: FeedError | None = None

    def read(self, *entries: Plan | Void) -> None:
        for one in entries:
            self.table = (
                self.table.with_plan(one) if isinstance(one, Plan) else self.table.with_void(one)
            )
            self.position = one.offset + 1

    def wait_for(self, position: int, timeout_s: float) -> bool:
        self.check()
        self.waits.append((position, timeout_s))
        while self.unread and self.position < position:
            self.read(self.unread.pop(0))
        if self.position < position:
            self.clock.now += timeout_s
        return self.position >= position

    def check(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class Broker:
    """Says where the topic ends; None, after the whole time-out, if it is away."""

    clock: Clock
    end: int | None = 0
    takes_s: float = 0.0
    asked: int = 0
    meanwhile: Callable[[], None] = lambda: None

    def __call__(self, timeout_s: float) -> int | None:
        self.asked += 1
        end = self.end
        self.clock.now += timeout_s if end is None else self.takes_s
        self.meanwhile()
        return end


class Bench:
    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.feed = Feed(self.clock)
        self.broker = Broker(self.clock)
        self.fence = Fence(self.feed, self.broker, clock=self.clock, **options)

    def announce(self, *entries: Plan | Void) -> None:
        """Plans and voids that the broker has and the feed has not read yet."""
        self.feed.unread.extend(entries)
        self.broker.end = entries[-1].offset + 1

    def poll(self) -> PlanTable | None:
        """The table for the records of a poll that ends now."""
        self.clock.now += 0.01
        return self.fence.table(as_of=self.clock.now)

    def offsets(self) -> list[int]:
        table = self.poll()
        assert table is not None
        return [one.offset for one in table.plans]


@pytest.fixture
def bench() -> Bench:
    return Bench()


# --- asking ---


def test_every_plan_that_is_visible_when_records_were_polled_is_in_their_table(
    bench: Bench,
) -> None:
    bench.announce(plan(0), plan(1))
    assert bench.offsets() == [0, 1]
    bench.announce(plan(2))
    assert bench.offsets() == [0, 1, 2]


def test_a_void_that_is_visible_when_records_were_polled_is_in_their_table(bench: Bench) -> None:
    bench.announce(plan(0), plan(1))
    assert bench.offsets() == [0, 1]
    bench.announce(Void(2, 0, "m", 1, "gone", "e"))
    assert bench.offsets() == [0]


def test_a_poll_keeps_its_table_and_the_next_one_has_the_void(bench: Bench) -> None:
    bench.announce(plan(0), plan(1))
    bench.offsets()
    polled_at = bench.clock.now
    bench.announce(Void(2, 0, "m", 1, "gone", "e"))
    bench.feed.wait_for(3, 0.0)  # it reads on by itself
    table = bench.fence.table(polled_at)
    assert table is not None
    assert [one.offset for one in table.plans] == [0, 1]
    assert bench.offsets() == [0]


def test_a_void_is_no_late_plan_nor_hides_one(bench: Bench) -> None:
    bench.announce(plan(0), plan(1))
    bench.offsets()
    bench.fence.answered(5_000)
    with capture_logs() as logs:
        bench.announce(Void(2, 0, "m", 1, "gone", "e"))
        bench.offsets()
        assert logs == []
        bench.announce(plan(3))
        bench.offsets()
    assert [log["offset"] for log in logs] == [3]


def test_offsets_of_transaction_markers_count_as_read(bench: Bench) -> None:
    bench.feed.read(plan(0))
    bench.feed.position = bench.broker.end = 5
    assert bench.offsets() == [0]


def test_the_broker_is_asked_once_for_all_partitions_of_a_poll(bench: Bench) -> None:
    polled_at = bench.clock.now
    for _partition in range(4):
        assert bench.fence.table(polled_at) is not None
        bench.clock.now += 0.1  # decoding takes time
    assert bench.broker.asked == 1


def test_the_broker_is_asked_again_for_the_next_poll(bench: Bench) -> None:
    bench.poll()
    bench.poll()
    assert bench.broker.asked == 2


def test_a_poll_that_ended_while_the_broker_was_asked_is_asked_for_again(bench: Bench) -> None:
    """Its answer is about the moment of the question at the earliest."""
    bench.broker.takes_s = 0.5
    bench.poll()
    bench.fence.table(as_of=bench.clock.now - 0.1)
    assert bench.broker.asked == 2


def test_all_partitions_of_a_poll_get_the_same_table(bench: Bench) -> None:
    """Or a plan that is read between two of them would be in force for one alone."""
    polled_at = bench.clock.now
    first = bench.fence.table(polled_at)
    bench.feed.read(plan(0))
    assert bench.fence.table(polled_at) is first


# --- holding ---


def test_records_are_held_while_the_broker_does_not_answer(bench: Bench) -> None:
    bench.announce(plan(0))
    bench.broker.end = None
    assert bench.poll() is None
    bench.broker.end = 1
    assert bench.offsets() == [0]


def test_records_are_held_while_the_feed_is_behind(bench: Bench) -> None:
    bench.broker.end = 3
    assert bench.poll() is None
    bench.feed.read(plan(2))
    assert bench.offsets() == [2]


def test_a_hold_blocks_for_no_longer_than_the_time_out(bench: Bench) -> None:
    bench.broker.end, bench.broker.takes_s = 3, 0.4
    started = bench.clock.now
    assert bench.fence.table(started) is None
    ((waited_for, left_s),) = bench.feed.waits
    assert waited_for == 3
    assert left_s == pytest.approx(0.6)
    assert bench.clock.now == pytest.approx(started + 1.0)


@pytest.mark.parametrize("end", [None, 3], ids=["no_answer", "feed_behind"])
def test_a_poll_that_is_held_blocks_once_for_all_its_partitions(
    bench: Bench, end: int | None
) -> None:
    bench.broker.end = end
    started = bench.clock.now
    assert [bench.fence.table(started) for _partition in range(4)] == [None] * 4
    assert bench.broker.asked == 1
    assert bench.clock.now == pytest.approx(started + 1.0)


def test_a_poll_that_was_held_is_joined_once_the_fence_passes(bench: Bench) -> None:
    bench.broker.end = None
    polled_at = bench.clock.now
    assert bench.fence.table(polled_at) is None
    bench.announce(plan(0))
    assert bench.offsets() == [0]
    assert bench.fence.table(polled_at) is not None


# --- ending ---


@pytest.mark.parametrize("end", [None, 3], ids=["no_answer", "feed_behind"])
def test_a_table_that_is_stale_for_too_long_ends_the_app(end: int | None) -> None:
    bench = Bench(stale_after_s=60.0)
    bench.broker.end = end
    bench.clock.now += 58.9
    assert bench.poll() is None
    with pytest.raises(FeedError, match="could not be followed for 61 s"):
        bench.poll()


def test_a_fence_that_passes_now_and_then_is_not_stale() -> None:
    bench = Bench(stale_after_s=60.0)
    for end in [None, 0] * 20:
        bench.clock.now += 29.0
        bench.broker.end = end
        assert (bench.poll() is None) == (end is None)


def test_a_dead_feed_ends_the_app_with_or_without_records(bench: Bench) -> None:
    bench.feed.failure = FeedError("the feed ended")
    with pytest.raises(FeedError, match="the feed ended"):
        bench.poll()
    with pytest.raises(FeedError, match="the feed ended"):
        bench.fence.check()


def test_a_feed_that_dies_while_the_broker_is_away_ends_the_app_at_once(bench: Bench) -> None:
    bench.broker.end = None
    bench.feed.failure = FeedError("the feed ended")
    with pytest.raises(FeedError, match="the feed ended"):
        bench.poll()


def test_a_topic_that_ends_before_what_was_read_ends_the_app(bench: Bench) -> None:
    bench.feed.read(plan(0), plan(6))
    bench.broker.end = 2
    with pytest.raises(FeedError, match="ends at 2, but 7 were read"):
        bench.poll()


def test_a_plan_that_is_read_while_the_broker_answers_is_no_lost_one(bench: Bench) -> None:
    bench.feed.read(plan(0))
    bench.broker.end = 1
    bench.broker.meanwhile = lambda: bench.feed.read(plan(1))
    assert bench.offsets() == [0, 1]


# --- without records ---


def test_without_records_the_broker_is_asked_rarely(bench: Bench) -> None:
    for _turn in range(100):
        bench.clock.now += 0.1
        bench.fence.check(idle_s=5.0)
    assert bench.broker.asked == 2


def test_while_records_come_the_check_asks_nothing(bench: Bench) -> None:
    for _turn in range(10):
        bench.clock.now += 1.0
        bench.poll()
        bench.fence.check(idle_s=5.0)
    assert bench.broker.asked == 10


def test_without_records_a_stale_table_ends_the_app() -> None:
    bench = Bench(stale_after_s=60.0)
    bench.broker.end = None
    bench.clock.now += 50.0
    bench.fence.check()
    bench.clock.now += 10.0
    with pytest.raises(FeedError, match="could not be followed"):
        bench.fence.check()


def test_without_records_a_lost_topic_ends_the_app(bench: Bench) -> None:
    bench.feed.read(plan(4))
    bench.broker.end = 0
    bench.clock.now += 5.0
    with pytest.raises(FeedError, match="announcements were lost"):
        bench.fence.check()


# --- plans that become visible late ---


def late(logs: Any) -> list[int]:
    return [log["offset"] for log in logs if log["event"] == "plan.visible_late"]


@pytest.mark.parametrize(("answered_ms", "alarmed"), [(5999, []), (6000, [0]), (6001, [0])])
def test_a_plan_is_late_if_a_record_of_its_effective_time_or_after_was_answered(
    bench: Bench, answered_ms: int, alarmed: list[int]
) -> None:
    bench.poll()
    bench.fence.answered(answered_ms)
    bench.announce(plan(0, appended_ms=5000, guard_ms=1000))
    with capture_logs() as logs:
        bench.poll()
        bench.poll()
        bench.clock.now += 10
        bench.fence.check()
    assert late(logs) == alarmed


def test_a_late_plan_says_which_version_and_what_was_answered(bench: Bench) -> None:
    bench.fence.answered(7000)
    bench.announce(plan(3, appended_ms=5000))
    with capture_logs() as logs:
        bench.poll()
    assert logs[0]["log_level"] == "error"
    assert (logs[0]["version"], logs[0]["effective_ms"], logs[0]["answered_ms"]) == (
        "3",
        6000,
        7000,
    )


def test_a_late_plan_is_alarmed_also_without_records(bench: Bench) -> None:
    bench.fence.answered(7000)
    bench.announce(plan(0, appended_ms=5000))
    bench.clock.now += 10
    with capture_logs() as logs:
        bench.fence.check()
    assert late(logs) == [0]


def test_a_plan_is_not_late_for_records_that_it_answered_itself(bench: Bench) -> None:
    bench.announce(plan(0, appended_ms=5000))
    with capture_logs() as logs:
        bench.poll()
        bench.fence.answered(9000)
        bench.poll()
    assert late(logs) == []


def test_records_answered_out_of_order_of_their_times_count_by_the_latest(bench: Bench) -> None:
    bench.fence.answered(7000)
    bench.fence.answered(100)
    bench.announce(plan(0, appended_ms=5000))
    with capture_logs() as logs:
        bench.poll()
    assert late(logs) == [0]


def test_a_plan_that_is_read_between_two_partitions_of_a_poll_is_late_for_what_they_answer(
    bench: Bench,
) -> None:
    polled_at = bench.clock.now
    bench.fence.table(polled_at)
    bench.feed.read(plan(0, appended_ms=5000))
    bench.broker.end = 1
    bench.fence.table(polled_at)
    bench.fence.answered(6000)
    with capture_logs() as logs:
        bench.poll()
    assert late(logs) == [0]


@given(
    skew_ms=st.integers(-3000, 3000),
    guard_ms=st.integers(0, 2000),
    visible_after_ms=st.integers(0, 3000),
)
def test_a_plan_is_late_exactly_if_skew_and_replication_are_more_than_the_guard(
    skew_ms: int, guard_ms: int, visible_after_ms: int
) -> None:
    """The records' broker is ahead by the skew; a record is answered at every millisecond."""
    bench = Bench()
    appended = 10_000
    last_without = appended + visible_after_ms - 1
    bench.poll()
    bench.fence.answered(last_without + skew_ms)
    bench.announce(plan(0, appended, guard_ms))
    with capture_logs() as logs:
        bench.poll()
    assert late(logs) == ([0] if last_without + skew_ms >= appended + guard_ms else [])


@given(
    st.lists(
        st.tuples(st.just("plan"), st.integers(0, 50), st.integers(0, 20))
        | st.tuples(st.just("records"), st.integers(0, 50), st.just(0)),
        max_size=20,
    )
)
def test_late_plans_are_those_that_some_record_answered_before_should_have_got(
    events: list[tuple[str, int, int]],
) -> None:
    bench = Bench()
    expected, answered, offset = [], [-1], 0
    with capture_logs() as logs:
        for kind, time_ms, guard_ms in events:
            if kind == "records":
                bench.poll()
                bench.fence.answered(time_ms)
                answered.append(time_ms)
            else:
                new = plan(offset, time_ms, guard_ms)
                bench.announce(new)
                offset += 1
                if any(ms >= new.effective_ms for ms in answered):
                    expected.append(new.offset)
        bench.poll()
    assert late(logs) == expected
