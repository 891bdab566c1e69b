"""The registry feed: follows the announcement topic and keeps the table of plans.

Outside the consumer group, so that every instance reads every announcement. Its thread never dies
unseen: whoever uses the table asks `check`, which raises what ended it.
"""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import AccessDenied, FeedError
from app.domain.plans import Announcement, Entry, Plan, PlanTable, Staged, Unstaged, Void
from app.domain.voids import change_of
from app.topics import access
from app.topics.announcements import Ignored
from app.topics.messages import Message, message_of

log = structlog.get_logger()
_POLL_S = 0.1


class RegistryFeed:
    """A thread that reads `topic` from its beginning, for ever.

    Args:
        config: Of a librdkafka consumer.
        topic: The announcement topic. It has one partition.
        read: Turns a message into an entry, or says why it is none. Called in offset order.
        on_announced: Called from the feed's thread for each plan and each staged version, once it
            is in the table.
        on_void: Called from the feed's thread for each void, once its plan is out of the table.
        on_ignored: Told the kind of each message that is no plan of ours, from that thread too.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        read: Callable[[Message], Entry | Ignored],
        on_announced: Callable[[Announcement], None] = lambda _announcement: None,
        on_void: Callable[[Void], None] = lambda _void: None,
        on_ignored: Callable[[str], None] = lambda _kind: None,
    ) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": f"{access.READER_GROUPS}feed",  # required; nothing is committed
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
        self._on_announced = on_announced
        self._on_void = on_void
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
        """All plans read so far and not voided. Immutable; a new plan or void makes a new one."""
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
            AccessDenied: It may not read the topic.
        """
        if isinstance(self._failure, AccessDenied):
            raise AccessDenied(str(self._failure)) from self._failure
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
        elif access.refused(error) is not None:
            raise access.no_answer(
                "", error, access.topic("READ", self._topic), access.READ_AS_NOBODY
            )
        else:
            raise KafkaException(error)

    def _apply(self, message: Message) -> None:
        entry = self._read(message)
        if isinstance(entry, Ignored):
            self._ignored[entry.kind] = self._ignored.get(entry.kind, 0) + 1
            self._on_ignored(entry.kind)
            log.warning("announcement.ignored", offset=entry.offset, kind=entry.kind, why=entry.why)
        elif isinstance(entry, Void):
            self._leave_out(entry)
        elif isinstance(entry, Plan):
            self._put_in(entry)
        else:
            self._stage(entry)

    def _put_in(self, plan: Plan) -> None:
        self._table = self._table.with_plan(plan)
        log.info(
            "announcement.read",
            offset=plan.offset,
            model=plan.announcement.model_name,
            version=plan.announcement.model_version,
            effective_ms=plan.effective_ms,
        )
        self._on_announced(plan.announcement)

    def _leave_out(self, void: Void) -> None:
        change = change_of(self._table, void)
        self._table = self._table.with_void(void)
        log.warning(
            "plan.voided",
            offset=void.offset,
            voided_offset=void.voided_offset,
            model=void.model_name,
            version=change.plan.announcement.model_version,
            why=void.why,
            serves=change.serves,
            since_ms=change.since_ms,
            until_ms=change.until_ms,
            instead=[f"{p.announcement.model_version} (offset {p.offset})" for p in change.instead],
            meaning="records of these times that are not answered yet take those plans instead; "
            "if any were answered by it, a replay will differ",
        )
        self._on_void(void)

    def _stage(self, entry: Staged | Unstaged) -> None:
        self._table = self._table.with_entry(entry)
        if isinstance(entry, Unstaged):
            log.info("version.unstaged", staged_offset=entry.staged_offset, why=entry.why)
            return
        announced = entry.announcement
        log.info(
            "version.staged",
            offset=entry.offset,
            model=announced.model_name,
            version=announced.model_version,
        )
        self._on_announced(announced)

    def _advance(self, position: int) -> None:
        with self._moved:
            self._position = max(self._position, position)
            self._moved.notify_all()
