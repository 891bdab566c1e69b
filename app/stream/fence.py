"""The fence: no record is joined before every announcement that could concern it was read."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from confluent_kafka import Consumer, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from app.domain.errors import FeedError
from app.domain.plans import Plan, PlanTable
from app.topics import access

log = structlog.get_logger()


class Feed(Protocol):
    """What keeps the table of plans; `RegistryFeed` is one."""

    @property
    def table(self) -> PlanTable:
        """All plans read so far and not voided. Immutable; a new plan or void makes a new one."""

    @property
    def position(self) -> int:
        """The offset before which everything has been read, transaction markers included."""

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Block until all before `position` has been read; False if it was not in time.

        Raises:
            FeedError: The feed is dead.
        """

    def check(self) -> None:
        """Return if the feed is alive.

        Raises:
            FeedError: It is dead; the message says why.
        """


class RegistryEnd:
    """Asks the broker where the announcement topic ends.

    A client of its own: a question on the consumer that long-polls the topic would queue behind
    its fetch. It counts what a `read_committed` reader can see, as the feed does. Each time that
    the end has moved it makes sure that the topic is still the same one: one of the same name that
    was made anew has other plans at the offsets that were read.
    """

    def __init__(self, config: dict[str, Any], topic: str) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"{access.READER_GROUPS}fence",  # required; it never joins
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._admin = AdminClient(config)
        self._topic = topic
        self._partition = TopicPartition(topic, 0)
        self._identity: str | None = None
        self._end = -1

    def __call__(self, timeout_s: float) -> int | None:
        """Return the end offset, None if the broker does not say within `timeout_s`.

        Raises:
            FeedError: The topic was made anew, or lost announcements.
        """
        try:
            first, end = self._consumer.get_watermark_offsets(
                self._partition, timeout=timeout_s, cached=False
            )
            if first > 0:
                raise FeedError(
                    f"{self._topic} lost its announcements before offset {first}: a record would "
                    "get another version than it got before"
                )
            if end != self._end:
                self._make_sure(timeout_s)
                self._end = end
        except (KafkaException, TimeoutError) as error:
            log.debug("fence.unanswered", error=str(error))
            return None
        return int(end)

    def _make_sure(self, timeout_s: float) -> None:
        asked = self._admin.describe_topics(
            TopicCollection([self._topic]), request_timeout=timeout_s
        )
        identity = str(asked[self._topic].result(timeout_s).topic_id)
        if self._identity not in {None, identity}:
            raise FeedError(f"the announcement topic {self._topic} was deleted and made anew")
        self._identity = identity

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


class Fence:
    """Gives the table of plans, up to date as of a moment.

    Args:
        feed: Keeps the table.
        end_offset: Where the announcement topic ends now; None if that can't be known in time.
        timeout_s: The longest that `table` blocks.
        stale_after_s: How long the table may go without a passed fence before the app must end.
        on_pass: Told how many seconds it took to be sure of the table.
        on_late: Told of each plan that became visible after it should have been in force.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        feed: Feed,
        end_offset: Callable[[float], int | None],
        *,
        timeout_s: float = 1.0,
        stale_after_s: float = 60.0,
        on_pass: Callable[[float], None] = lambda _seconds: None,
        on_late: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._end_offset = end_offset
        self._timeout_s = timeout_s
        self._stale_after_s = stale_after_s
        self._on_pass = on_pass
        self._on_late = on_late
        self._clock = clock
        self._asked_at = float("-inf")
        self._passed_at = clock()
        self._table = feed.table
        self._true_as_of = float("-inf")
        self._held_as_of = float("-inf")
        self._seen = -1
        self._answered_ms = -1

    @property
    def staleness_s(self) -> float:
        """Seconds since the table was last known to be complete."""
        return self._clock() - self._passed_at

    def table(self, as_of: float) -> PlanTable | None:
        """Return a table with all plans and voids that were visible at `as_of` (monotonic seconds).

        Blocks for at most the time-out; asks the broker once for all partitions of one poll, which
        all get the same table.

        Returns:
            None if the feed is behind, or the broker does not answer: hold the records.

        Raises:
            FeedError: The feed is dead or stale, or the topic lost announcements.
        """
        if as_of > self._true_as_of:
            if as_of <= self._held_as_of:  # for another partition of the same poll
                return None
            if not self._pass():
                self._held_as_of = as_of
                return None
        return self._table

    def check(self, idle_s: float = 5.0) -> None:
        """Be sure of the table also while no records come. Call it often; it asks rarely.

        Raises:
            FeedError: The feed is dead or stale, or the topic lost announcements.
        """
        self._feed.check()
        if self._clock() - self._asked_at >= idle_s:
            self._pass()

    def answered(self, up_to_ms: int) -> None:
        """Note that a record with this append time was answered: later plans can't reach it."""
        self._answered_ms = max(self._answered_ms, up_to_ms)

    def _pass(self) -> bool:
        self._asked_at = started = self._clock()
        had_read = self._feed.position  # before the question: it may read more meanwhile
        end = self._end_offset(self._timeout_s)
        if end is not None and end < had_read:
            raise FeedError(
                f"the announcement topic ends at {end}, but {had_read} were read: "
                "announcements were lost, or the topic was made anew"
            )
        left = max(0.0, started + self._timeout_s - self._clock())
        if end is not None and self._feed.wait_for(end, left):
            self._passed_at = self._true_as_of = started
            self._table = self._feed.table
            self._on_pass(self._clock() - started)
            self._alarm_late_plans()
            return True
        self._feed.check()
        if self.staleness_s > self._stale_after_s:
            raise FeedError(f"the announcements could not be followed for {self.staleness_s:.0f} s")
        return False

    def _alarm_late_plans(self) -> None:
        for plan in _after(self._table, self._seen):
            self._seen = plan.offset
            if plan.effective_ms <= self._answered_ms:
                self._on_late()
                log.error(
                    "plan.visible_late",
                    offset=plan.offset,
                    version=plan.announcement.model_version,
                    effective_ms=plan.effective_ms,
                    answered_ms=self._answered_ms,
                    meaning="records were answered by the plan before; a replay will differ",
                )


def _after(table: PlanTable, offset: int) -> list[Plan]:
    plans = table.plans
    if not plans or plans[-1].offset <= offset:
        return []
    return [plan for plan in plans if plan.offset > offset]
