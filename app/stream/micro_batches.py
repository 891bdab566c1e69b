"""Quix Streams, one micro-batch at a time: its application, where it is not public API.

Quix hands a topology one record at a time; here it is handed, for each partition that a poll
returned, one row whose value is all its messages. Checkpoints, transactions, back-pressure and
rebalances stay Quix's, with five rules of ours (docs/decisions/0002-micro-batches.md and
0003-lost-partitions.md):

- The first *and* the last offset of each slice are stored: back-pressure seeks to the first.
- A batch whose partitions are revoked or lost is dropped: nothing of it was produced yet, and who
  owns the partitions next reads it again. So `flush` only ever runs on the polling thread.
- Offsets are committed with the group generation under which their records were read. A zombie is
  refused by the broker instead of committing under no generation at all.
- Messages that arrive in the same poll as a rebalance are read again from the committed offset.
- What is assigned is resumed: Kafka's client keeps a pause, and Quix forgets that it paused.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaException, TopicPartition
from quixstreams import Application
from quixstreams.context import copy_context, set_message_context
from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.models import MessageContext

from app.stream.batches import MicroBatch
from app.telemetry.metrics import Rebalance

log = structlog.get_logger()


class MicroBatchApplication(Application):
    """A Quix application whose rows are micro-batches.

    Args:
        max_batch: The most messages of a checkpoint.
        linger_s: How long a batch is collected after its first message.
        before_poll: Called often, also while no messages come. What it raises ends the app.
        drop_batch: Forgets what the sink was given since the last flush.
        on_commit: Told how many seconds a commit took, also of a batch that is held instead.
        on_rebalance: Told that partitions were assigned, revoked or lost.
        options: Those of `quixstreams.Application`.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        linger_s: float,
        before_poll: Callable[[], None],
        drop_batch: Callable[[], None],
        on_commit: Callable[[float], None] = lambda _seconds: None,
        on_rebalance: Callable[[Rebalance], None] = lambda _kind: None,
        **options: Any,
    ) -> None:
        super().__init__(commit_interval=linger_s, commit_every=max_batch, **options)
        self._max_batch = max_batch
        self._linger_s = linger_s
        self._before_poll = before_poll
        self._drop_batch = drop_batch
        self._on_commit = on_commit
        self._on_rebalance = on_rebalance
        self._commit = self._processing_context.commit_checkpoint
        self._processing_context.commit_checkpoint = self._timed_commit  # type: ignore[assignment, method-assign]
        self._rebalances = 0
        self.owned: frozenset[int] = frozenset()  # partitions of the input
        self.left_the_loop = False
        self.failure: Exception | None = None  # what ended the loop; later ones come from leaving
        self._generation: Any = None
        self._consumer.consumer_group_metadata = lambda: self._generation  # type: ignore[method-assign]

    def open_producer(self) -> None:
        """Make the producer, and register its transactional id.

        Quix does it at the first poll. But who may begin no transaction would then leave while it
        joins the group, and a consumer that is assigned while it is closed asks in vain for half a
        minute where it was.

        Raises:
            KafkaException: Kafka does not allow it.
        """
        self._producer.poll(0)

    def _timed_commit(self, **how: bool) -> None:
        checkpoint = self._processing_context.checkpoint
        started = time.monotonic()
        self._commit(**how)
        if not checkpoint.empty() and self._processing_context.checkpoint is not checkpoint:
            self._on_commit(time.monotonic() - started)

    def _process_message(self, dataframe_composed: dict[str, Any]) -> None:
        if self._stop_event.is_set():  # it was told to stop before it had begun
            self._run_tracker.stop()  # type: ignore[no-untyped-call]
            return
        self._before_poll()
        self._producer.poll(self._config.producer_poll_timeout)
        rebalances = self._rebalances
        messages = self._poll_batch()
        polled_at = time.monotonic()
        if self._rebalances != rebalances:
            self._read_again(messages)
            messages = []
        self._run_tracker.set_message_consumed(bool(messages))
        for partition, slice_ in _by_partition(messages).items():
            topic = slice_[0].topic()
            self._process_slice(
                dataframe_composed[topic], MicroBatch(topic, partition, slice_, polled_at)
            )
        if messages:
            self._producer._broker_available()  # type: ignore[no-untyped-call] # noqa: SLF001
            self._consumer._broker_available()  # type: ignore[no-untyped-call] # noqa: SLF001

    def _poll_batch(self) -> list[Any]:
        """Wait for a first message, then linger for more. Raises for a consumer's error."""
        first = self._consumer.poll(self._config.consumer_poll_timeout)
        if first is None:
            return []
        rest = self._consumer.consume(self._max_batch - 1, timeout=self._linger_s)
        messages = [first, *rest]
        for message in messages:
            if message.error() is not None:
                raise_for_msg_error(message)
        return messages

    def _process_slice(self, run: Callable[..., None], batch: MicroBatch) -> None:
        first, last = batch.messages[0], batch.messages[-1]
        context = copy_context()
        context.run(
            set_message_context,
            MessageContext(batch.topic, batch.partition, last.offset(), size=len(batch.messages)),
        )
        context.run(run, batch, first.key(), last.timestamp()[1], [])
        checkpoint = self._processing_context.checkpoint
        before = checkpoint._total_offsets_processed  # noqa: SLF001
        checkpoint.store_offset(batch.topic, batch.partition, first.offset())
        if last.offset() > first.offset():
            checkpoint.store_offset(batch.topic, batch.partition, last.offset())
        checkpoint._total_offsets_processed = before + len(batch.messages)  # noqa: SLF001

    def _read_again(self, messages: list[Any]) -> None:
        """Seek back: a rebalance came with these messages, so whose they are is not sure."""
        tops = {(message.topic(), message.partition()) for message in messages}
        ours = [tp for tp in self._consumer.assignment() if (tp.topic, tp.partition) in tops]
        for committed in self._consumer.committed(ours, timeout=30) if ours else []:
            if committed.error is not None:
                raise KafkaException(committed.error)
            offset = committed.offset if committed.offset >= 0 else OFFSET_BEGINNING
            self._consumer.seek(TopicPartition(committed.topic, committed.partition, offset))

    def _exception_handler(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> Any:
        self.left_the_loop, self.failure = True, exc_val
        return super()._exception_handler(exc_type, exc_val, exc_tb)  # type: ignore[no-untyped-call]

    def _on_assign(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        super()._on_assign(consumer, topic_partitions)
        self._consumer.resume(topic_partitions)  # a hold's pause would outlive its assignment
        self._generation = type(self._consumer).consumer_group_metadata(self._consumer)
        self.owned = frozenset(_numbers(topic_partitions))
        self._on_rebalance("assigned")
        log.info("partitions.assigned", partitions=_numbers(topic_partitions))

    def _on_revoke(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        self.owned = frozenset()  # the assignor is eager: all of them go
        self._on_rebalance("revoked")
        log.info("partitions.revoked", partitions=_numbers(topic_partitions))
        if not self._failed:
            self._begin_anew()
        super()._on_revoke(consumer, topic_partitions)

    def _on_lost(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        self.owned = frozenset()
        self._on_rebalance("lost")
        log.warning("partitions.lost", partitions=_numbers(topic_partitions))
        if not self._failed:
            self._begin_anew()
        super()._on_lost(consumer, topic_partitions)

    def _begin_anew(self) -> None:
        """Drop the batch in hand: clear the sink, abort its transaction, start a checkpoint."""
        self._drop_batch()
        self._processing_context.checkpoint.close(revoking=True)
        self._processing_context.init_checkpoint()  # type: ignore[no-untyped-call]


def _by_partition(messages: list[Any]) -> dict[int, list[Any]]:
    """Group messages of one topic; most stand in long runs."""
    slices: dict[int, list[Any]] = {}
    start = 0
    for partition, run in itertools.groupby([message.partition() for message in messages]):
        end = start + sum(1 for _ in run)
        slices.setdefault(partition, []).extend(messages[start:end])
        start = end
    return slices


def _numbers(partitions: list[TopicPartition]) -> list[int]:
    return sorted(tp.partition for tp in partitions)
