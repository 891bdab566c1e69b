"""The feed and the end of the announcement topic, on the real broker."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from app.domain.errors import FeedError
from app.domain.plans import Announcement, Plan, Void
from app.domain.records import FEATURES
from app.stream.feed import RegistryFeed
from app.stream.fence import Fence, RegistryEnd
from app.topics import announcements, reading
from tests.harness.world import MODEL, World, until

AWAY = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def announced(version: str, **changes: Any) -> Announcement:
    made = Announcement(
        model_name=MODEL,
        model_version=version,
        model_uri=f"models:/{MODEL}/{version}",
        digest="sha256:" + "0" * 64,
        features=FEATURES,
        guard_ms=0,
        event_id=str(uuid.uuid4()),
    )
    return replace(made, **changes)


def plan_of(version: str) -> dict[str, Any]:
    """The arguments of `produce` beside the topic."""
    key, value, headers = announcements.encode(announced(version))
    return {"key": key, "value": value, "headers": headers, "partition": 0}


class Registry:
    """The announcement topic of a test, and who follows it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.topic = world.settings.topics.announcements
        self.end = RegistryEnd(world.client, self.topic)
        self.admin = AdminClient(world.client)
        self._feeds: list[RegistryFeed] = []
        self.wait_until_led()

    def wait_until_led(self) -> None:
        """A topic that was just made has no leader for a moment."""
        asker = RegistryEnd(self.world.client, self.topic)  # one that knows no other topic
        until(lambda: asker(1.0) is not None, 30, "an end of the topic")
        asker.close()

    def feed(
        self,
        on_announced: Callable[[Announcement], None] = lambda _announcement: None,
        on_void: Callable[[Void], None] = lambda _void: None,
    ) -> RegistryFeed:
        read = announcements.reader(MODEL)
        feed = RegistryFeed(self.world.client, self.topic, read, on_announced, on_void)
        self._feeds.append(feed)
        feed.start()
        return feed

    def announce(self, *versions: str) -> list[Plan]:
        return [self.world.announce(announced(version)) for version in versions]

    def void(self, offset: int, event_id: str) -> None:
        """Append a void, whatever it is worth."""
        message = announcements.encode_void(Void(-1, 0, MODEL, offset, "gone", event_id))
        self.world.send_announcement(*message)

    @contextmanager
    def transaction(self) -> Iterator[Producer]:
        """A transaction that the test ends, or that is aborted with it."""
        producer = Producer({**self.world.client, "transactional.id": str(uuid.uuid4())})
        producer.init_transactions(30)
        producer.begin_transaction()
        yield producer

    def send(self, producer: Producer, version: str) -> None:
        producer.produce(self.topic, **plan_of(version))
        assert producer.flush(30) == 0

    def delete(self) -> None:
        for future in self.admin.delete_topics([self.topic]).values():
            future.result(30)

    def close(self) -> None:
        for feed in self._feeds:
            feed.close()
        self.end.close()

    def make_anew(self, *versions: str) -> None:
        """Make the topic again, with these plans as soon as it is there."""
        until(lambda: self.topic not in self.admin.list_topics(timeout=10).topics)
        self.world.create_topics()
        for version in versions:
            self.world.producer.produce(self.topic, **plan_of(version))
        assert self.world.producer.flush(30) == 0
        self.wait_until_led()


@pytest.fixture
def registry(world: World) -> Iterator[Registry]:
    made = Registry(world)
    yield made
    made.close()


def read_to(feed: RegistryFeed, position: int) -> list[str]:
    """The versions in the table once all before `position` has been read."""
    assert feed.wait_for(position, 30), f"it stands at {feed.position}"
    return [plan.announcement.model_version for plan in feed.table.plans]


def passed(registry: Registry, feed: RegistryFeed) -> list[str]:
    """The versions in the table that the fence gives for records of now."""
    fence = Fence(feed, registry.end, timeout_s=30.0)
    table = fence.table(as_of=time.monotonic())
    assert table is not None
    return [plan.announcement.model_version for plan in table.plans]


# --- reading ---


def test_it_reads_what_there_is_to_the_end_as_the_broker_appended_it(registry: Registry) -> None:
    plans = registry.announce("1", "2", "3")
    feed = registry.feed()
    assert read_to(feed, 3) == ["1", "2", "3"]
    assert list(feed.table.plans) == plans
    assert feed.position == 3


def test_it_follows_what_comes_later(registry: Registry) -> None:
    feed = registry.feed()
    for number, version in enumerate(["1", "2", "3"], start=1):
        registry.announce(version)
        assert len(read_to(feed, number)) == number


def test_each_plan_is_told_once_it_is_in_the_table(registry: Registry) -> None:
    told: list[tuple[str, int]] = []
    registry.announce("1", "2")
    feed = registry.feed(
        lambda announced: told.append((announced.model_version, len(feed.table.plans)))
    )
    read_to(feed, 2)
    assert told == [("1", 1), ("2", 2)]


def test_an_empty_topic_is_read_at_once(registry: Registry) -> None:
    feed = registry.feed()
    assert passed(registry, feed) == []
    assert feed.position == 0


def test_a_feed_that_starts_again_reads_all_from_the_beginning(registry: Registry) -> None:
    registry.announce("1", "2")
    first = registry.feed()
    read_to(first, 2)
    first.close()
    assert read_to(registry.feed(), 2) == ["1", "2"]


def test_two_feeds_read_all_each(registry: Registry) -> None:
    registry.announce("1", "2")
    feeds = [registry.feed(), registry.feed()]
    assert [read_to(feed, 2) for feed in feeds] == [["1", "2"]] * 2


def test_what_is_no_plan_of_ours_is_counted_by_kind_and_passed(registry: Registry) -> None:
    (first,) = registry.announce("1")
    key, value, headers = announcements.encode(announced("2"))
    _, other_value, other_headers = announcements.encode(announced("9", model_name="other"))
    send = registry.world.send_announcement
    send(key, None, [])
    send(key, b"no JSON", headers)
    send(None, None, headers)
    send(b"other", other_value, other_headers)
    registry.world.announce(first.announcement)
    send(key, value, headers)
    feed = registry.feed()
    assert read_to(feed, 7) == ["1", "2"]
    assert feed.ignored == {"null": 2, "malformed": 1, "foreign": 1, "duplicate": 1}


def test_a_void_takes_its_plan_out_of_the_table_and_is_told_once_it_has(
    registry: Registry,
) -> None:
    told: list[tuple[int, int]] = []
    registry.announce("1", "2")
    feed = registry.feed(
        on_void=lambda void: told.append((void.voided_offset, len(feed.table.plans)))
    )
    assert read_to(feed, 2) == ["1", "2"]
    with capture_logs() as logs:
        registry.void(1, "a")
        assert read_to(feed, 3) == ["1"]
        until(lambda: told)
    assert told == [(1, 1)]
    (log,) = logs
    assert (log["event"], log["log_level"]) == ("plan.voided", "warning")
    assert (log["voided_offset"], log["version"], log["why"]) == (1, "2", "gone")
    assert (log["since_ms"], log["until_ms"]) == (effective_ms(registry, 1), None)
    assert log["instead"] == ["1 (offset 0)"]


def effective_ms(registry: Registry, offset: int) -> int:
    messages = reading.read(registry.world.client, registry.topic)
    entry = announcements.read_all(messages, MODEL)[offset]
    assert isinstance(entry, Plan)
    return entry.effective_ms


def test_a_void_that_does_not_count_is_counted_as_ignored_and_changes_nothing(
    registry: Registry,
) -> None:
    registry.announce("1", "2")
    for number, offset in enumerate([7, 1, 1, 3, 0]):  # none, good, again, a void, the last
        registry.void(offset, f"{number}")
    feed = registry.feed()
    assert read_to(feed, 7) == ["1"]
    assert feed.ignored == {"invalid_void": 4}


def test_waiting_for_what_does_not_come_ends_in_time(registry: Registry) -> None:
    registry.announce("1")
    feed = registry.feed()
    read_to(feed, 1)
    started = time.monotonic()
    assert not feed.wait_for(2, 0.2)
    assert time.monotonic() - started < 5


def test_a_close_is_quick_and_can_be_done_twice(registry: Registry) -> None:
    feed = registry.feed()
    read_to(feed, 0)
    started = time.monotonic()
    feed.close()
    feed.close()
    assert time.monotonic() - started < 10


# --- transactions: their markers have offsets, and nothing comes with them ---


def test_a_plan_of_a_committed_transaction_is_read_and_its_marker_passed(
    registry: Registry,
) -> None:
    feed = registry.feed()
    with registry.transaction() as producer:
        registry.send(producer, "1")
        producer.commit_transaction(30)
    assert until(lambda: registry.end(1.0), 30) == 2
    assert passed(registry, feed) == ["1"]
    assert feed.position == 2


def test_a_plan_of_an_aborted_transaction_is_passed_unread(registry: Registry) -> None:
    registry.announce("1")
    feed = registry.feed()
    read_to(feed, 1)
    with registry.transaction() as producer:
        registry.send(producer, "2")
        producer.abort_transaction(30)
    until(lambda: registry.end(1.0) == 3, 30)
    assert passed(registry, feed) == ["1"]


def test_markers_alone_at_the_end_are_passed_by_a_feed_that_starts(registry: Registry) -> None:
    for version in ("1", "2"):
        with registry.transaction() as producer:
            registry.send(producer, version)
            producer.abort_transaction(30)
    until(lambda: registry.end(1.0) == 4, 30)
    assert passed(registry, registry.feed()) == []


def test_an_open_transaction_holds_nobody_and_is_read_once_it_is_committed(
    registry: Registry,
) -> None:
    registry.announce("1")
    feed = registry.feed()
    with registry.transaction() as producer:
        registry.send(producer, "2")
        assert registry.end(10.0) == 1
        assert passed(registry, feed) == ["1"]
        producer.commit_transaction(30)
    until(lambda: registry.end(1.0) == 3, 30)
    assert passed(registry, feed) == ["1", "2"]


def test_a_plan_behind_an_open_transaction_is_read_once_that_ends(registry: Registry) -> None:
    feed = registry.feed()
    with registry.transaction() as producer:
        registry.send(producer, "1")
        registry.announce("2")
        assert registry.end(10.0) == 0
        assert passed(registry, feed) == []
        producer.abort_transaction(30)
    until(lambda: registry.end(1.0) == 3, 30)
    assert passed(registry, feed) == ["2"]


# --- ends ---


def until_it_ends(ask: Callable[[], object], timeout_s: float = 120.0) -> FeedError:
    def ended() -> FeedError | None:
        try:
            ask()
        except FeedError as error:
            return error
        return None

    error = until(ended, timeout_s, "a FeedError")
    assert error is not None
    return error


def test_a_topic_that_is_deleted_holds_records_and_then_ends_the_app(registry: Registry) -> None:
    """Kafka's client tells its consumer nothing of it, so it is the fence that finds out."""
    registry.announce("1")
    feed = registry.feed()
    fence = Fence(feed, registry.end, timeout_s=0.5, stale_after_s=3.0)
    read_to(feed, 1)
    registry.delete()
    until(lambda: fence.table(as_of=time.monotonic()) is None, 2, "a hold")
    until_it_ends(lambda: fence.check(idle_s=0.0))


@pytest.mark.parametrize("versions", ["8", "89876"], ids=["with_fewer_plans", "with_more_plans"])
def test_a_topic_that_was_made_anew_ends_the_app_instead_of_giving_old_plans(
    registry: Registry, versions: str
) -> None:
    registry.announce("1", "2", "3")
    feed = registry.feed()
    read_to(feed, 3)
    fence = Fence(feed, registry.end, timeout_s=1.0)
    assert fence.table(as_of=time.monotonic()) is not None  # as before the first record
    registry.delete()
    registry.make_anew()
    registry.announce(*versions)
    until_it_ends(lambda: fence.table(as_of=time.monotonic()), 30)


def test_a_topic_that_was_made_anew_with_more_plans_at_once_ends_the_app(
    registry: Registry,
) -> None:
    """Or this instance goes on with three old plans, and another one starts with five new ones."""
    registry.announce("1", "2", "3")
    feed = registry.feed()
    read_to(feed, 3)
    fence = Fence(feed, registry.end, timeout_s=1.0)
    assert fence.table(as_of=time.monotonic()) is not None  # as before the first record
    registry.delete()
    registry.make_anew(*"89876")

    def followed() -> bool:
        return fence.table(as_of=time.monotonic()) is not None and feed.position >= 5

    with pytest.raises(FeedError):
        until(followed, 30)


def test_a_plan_that_cannot_be_taken_ends_the_feed_with_the_reason(registry: Registry) -> None:
    def fail(_announced: Announcement) -> None:
        raise RuntimeError("no room for it")

    feed = registry.feed(fail)
    registry.announce("1")
    assert "no room for it" in str(until_it_ends(feed.check))


def test_whoever_waits_learns_at_once_that_the_feed_died(registry: Registry) -> None:
    def fail(_announced: Announcement) -> None:
        raise RuntimeError("no room for it")

    feed = registry.feed(fail)
    registry.announce("1")
    with pytest.raises(FeedError, match="no room for it"):
        feed.wait_for(100, 60.0)


def test_a_broker_that_is_away_does_not_end_the_feed() -> None:
    """It may come back: how long that may take is the fence's business."""
    feed = RegistryFeed(AWAY, "registry", announcements.reader(MODEL))
    feed.start()
    try:
        assert not feed.wait_for(1, 3.0)
        feed.check()
    finally:
        feed.close()


# --- the end of the topic ---


def test_the_end_counts_what_was_appended(registry: Registry) -> None:
    assert registry.end(10.0) == 0
    registry.announce("1", "2")
    assert registry.end(10.0) == 2


def test_the_end_is_unknown_while_the_broker_is_away() -> None:
    end = RegistryEnd(AWAY, "registry")
    started = time.monotonic()
    assert end(0.5) is None
    assert time.monotonic() - started < 5
    end.close()


def test_the_end_of_a_topic_that_is_not_there_is_unknown(registry: Registry) -> None:
    end = RegistryEnd(registry.world.client, f"{registry.topic}-missing")
    assert end(1.0) is None
    end.close()


def test_the_end_is_told_at_once_also_while_the_feed_waits_for_more(registry: Registry) -> None:
    """Asked on the consumer that follows the topic it would wait for its fetch."""
    feed = registry.feed()
    read_to(feed, 0)
    registry.end(10.0)
    took = []
    for _turn in range(50):
        started = time.monotonic()
        registry.end(10.0)
        took.append(time.monotonic() - started)
    assert median(took) < 0.05


def test_announcements_deleted_from_the_head_of_the_topic_end_the_app(registry: Registry) -> None:
    registry.announce("1", "2", "3")
    assert registry.end(5.0) == 3
    deleted = registry.admin.delete_records([TopicPartition(registry.topic, 0, 2)])
    (one,) = deleted.values()
    one.result(30)
    with pytest.raises(FeedError, match="lost its announcements before offset 2"):
        registry.end(5.0)
