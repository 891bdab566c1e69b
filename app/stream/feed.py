"""The registry feed: follows the announcement topic and keeps the table of plans.

Outside the consumer group, so that every instance reads every announcement. Its thread never dies
unseen: whoever uses the table asks `check`, which raises what ended it.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import FeedError
from app.domain.plans import Plan, PlanTable
from app.topics.announcements import Ignored
from app.topics.messages import Message, message_of

log = structlog.get_logger()
_POLL_S = 0.1


class RegistryFeed:
    """A thread that reads `topic` from its beginning, for ever.

    Args:
        config: Of a librdkafka consumer.
        topic: The announcement topic. It has one partition.
        read: Turns a message into a plan, or says why it is none. Called in offset order.
        on_plan: Called from the feed's thread for each plan, once it is in the table.
        on_ignored: Told the kind of each message that is no plan of ours, from that thread too.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        read: Callable[[Message], Plan | Ignored],
        on_plan: Callable[[Plan], None] = lambda _plan: None,
        on_ignored: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": "ds-models-feed",  # required by the client; nothing is committed
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100,
            }
        )
        self._topic = topic
        self._read = read
        self._on_plan = on_plan
        self._on_ignored = on_ignored
        self._table = PlanTable()
        self._position = 0
        self._moved = threading.Condition()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._ignored: dict[str, int] = {}
        self._thread = threading.Thread(target=self._follow, name="registry-feed", daemon=True)

    @property
    def table(self) -> PlanTable:
        """All plans read so far. Immutable; a new plan makes a new table."""
        return self._table

    @property
    def position(self) -> int:
        """The offset before which everything has been read, transaction markers included."""
        return self._position

    @property
    def ignored(self) -> dict[str, int]:
        """How many messages were no plan of ours, by kind."""
        return dict(self._ignored)

    def start(self) -> None:
        """Begin to follow. Returns at once."""
        self._thread.start()

    def wait_for(self, position: int, timeout_s: float) -> bool:
        """Block until the feed has read all before `position`; False if it did not in time.

        Raises:
            FeedError: The feed is dead.
        """
        with self._moved:
            reached = self._moved.wait_for(
                lambda: self._position >= position or self._failure is not None, timeout_s
            )
        self.check()
        return reached

    def check(self) -> None:
        """Return if the feed is alive.

        Raises:
            FeedError: It is dead; the message says why.
        """
        if self._failure is not None:
            raise FeedError(f"the feed of {self._topic} ended: {self._failure}") from self._failure

    def close(self) -> None:
        """End the thread and leave the broker. Idempotent."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        try:
            self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
            while not self._stop.is_set():
                message = self._consumer.poll(_POLL_S)
                if message is not None:
                    self._take(message)
        except BaseException as failure:  # noqa: BLE001 - told to whoever uses the table
            log.error("feed.dead", topic=self._topic, error=repr(failure))
            with self._moved:
                self._failure = failure
                self._moved.notify_all()
        finally:
            self._consumer.close()

    def _take(self, message: Any) -> None:
        error = message.error()
        if error is None:
            self._apply(message_of(message))
            self._advance(message.offset() + 1)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
            self._advance(message.offset())
        else:
            raise KafkaException(error)

    def _apply(self, message: Message) -> None:
        plan = self._read(message)
        if isinstance(plan, Ignored):
            self._ignored[plan.kind] = self._ignored.get(plan.kind, 0) + 1
            self._on_ignored(plan.kind)
            log.warning("announcement.ignored", offset=plan.offset, kind=plan.kind, why=plan.why)
            return
        self._table = self._table.with_plan(plan)
        log.info(
            "announcement.read",
            offset=plan.offset,
            model=plan.announcement.model_name,
            version=plan.announcement.model_version,
            effective_ms=plan.effective_ms,
        )
        self._on_plan(plan)

    def _advance(self, position: int) -> None:
        with self._moved:
            self._position = max(self._position, position)
            self._moved.notify_all()
