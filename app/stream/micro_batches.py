"""Quix Streams, one micro-batch at a time: the only module that touches what is not its public API.

Quix hands a topology one record at a time; here it is handed, for each partition that a poll
returned, one row whose value is all its messages. Checkpoints, transactions, back-pressure and
rebalances stay Quix's, with four rules of ours (docs/decisions/0002-micro-batches.md and
0003-lost-partitions.md):

- The first *and* the last offset of each slice are stored: back-pressure seeks to the first.
- A batch whose partitions are revoked or lost is dropped: nothing of it was produced yet, and who
  owns the partitions next reads it again. So `flush` only ever runs on the polling thread.
- Offsets are committed with the group generation under which their records were read. A zombie is
  refused by the broker instead of committing under no generation at all.
- Messages that arrive in the same poll as a rebalance are read again from the committed offset.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from quixstreams import Application
from quixstreams.context import copy_context, set_message_context
from quixstreams.kafka.consumer import raise_for_msg_error
from quixstreams.models import MessageContext

from app.stream.answers import Answers
from app.stream.batches import MicroBatch

log = structlog.get_logger()
_BY_HASH = -1


class MicroBatchApplication(Application):
    """A Quix application whose rows are micro-batches.

    Args:
        max_batch: The most messages of a checkpoint.
        linger_s: How long a batch is collected after its first message.
        before_poll: Called often, also while no messages come. What it raises ends the app.
        drop_batch: Forgets what the sink was given since the last flush.
        options: Those of `quixstreams.Application`.
    """

    def __init__(
        self,
        *,
        max_batch: int,
        linger_s: float,
        before_poll: Callable[[], None],
        drop_batch: Callable[[], None],
        **options: Any,
    ) -> None:
        super().__init__(commit_interval=linger_s, commit_every=max_batch, **options)
        self._max_batch = max_batch
        self._linger_s = linger_s
        self._before_poll = before_poll
        self._drop_batch = drop_batch
        self._rebalances = 0
        self._generation: Any = None
        self._consumer.consumer_group_metadata = lambda: self._generation  # type: ignore[method-assign]

    def _process_message(self, dataframe_composed: dict[str, Any]) -> None:
        self._before_poll()
        self._producer.poll(self._config.producer_poll_timeout)
        rebalances = self._rebalances
        messages = self._poll_batch()
        polled_at = time.monotonic()
        if self._rebalances != rebalances:
            self._read_again(messages)
            messages = []
        self._run_tracker.set_message_consumed(bool(messages))
        for (topic, partition), slice_ in _by_partition(messages).items():
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
            offset = committed.offset if committed.offset >= 0 else OFFSET_BEGINNING
            self._consumer.seek(TopicPartition(committed.topic, committed.partition, offset))

    def _on_assign(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        super()._on_assign(consumer, topic_partitions)
        self._generation = type(self._consumer).consumer_group_metadata(self._consumer)
        log.info("partitions.assigned", partitions=_numbers(topic_partitions))

    def _on_revoke(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        log.info("partitions.revoked", partitions=_numbers(topic_partitions))
        if not self._failed:
            self._begin_anew()
        super()._on_revoke(consumer, topic_partitions)

    def _on_lost(self, consumer: Any, topic_partitions: list[TopicPartition]) -> None:
        self._rebalances += 1
        log.warning("partitions.lost", partitions=_numbers(topic_partitions))
        if not self._failed:
            self._begin_anew()
        super()._on_lost(consumer, topic_partitions)

    def _begin_anew(self) -> None:
        """Drop the batch in hand: clear the sink, abort its transaction, start a checkpoint."""
        self._drop_batch()
        self._processing_context.checkpoint.close(revoking=True)
        self._processing_context.init_checkpoint()  # type: ignore[no-untyped-call]


class TransactionOutput:
    """Produces answers with the application's own producer, in its open transaction.

    Args:
        app: Whose producer it is.
        signals_topic: Where signals go.
        letters_topic: Where dead letters go.
        partitions: How many partitions each topic has; the input's too.
        source_topic: The input. Where an output has as many partitions, an answer keeps the
            partition of its record; else its key decides.
        queue: The most messages that may wait in the producer at once.
    """

    def __init__(
        self,
        app: Application,
        *,
        source_topic: str,
        signals_topic: str,
        letters_topic: str,
        partitions: dict[str, int],
        queue: int,
    ) -> None:
        self._app = app
        self._signals, self._letters = signals_topic, letters_topic
        self._as_signal = _partitioner(partitions[source_topic], partitions[signals_topic])
        self._as_letter = _partitioner(partitions[source_topic], partitions[letters_topic])
        self._queue = queue

    def send(self, answers: Answers) -> None:
        """Queue all answers in their order; blocks while the queue is full.

        Raises:
            KafkaException: The producer refuses a message for ever.
        """
        for source_partition, messages in answers.signals:
            for partition, group in self._as_signal(source_partition, messages):
                self._send_signals(partition, group)
        for key, value, headers, source_partition in answers.letters:
            ((partition, _),) = self._as_letter(source_partition, [{"key": key}])
            self._app._producer.produce(  # noqa: SLF001
                topic=self._letters, key=key, value=value, headers=headers, partition=partition
            )

    def _send_signals(self, partition: int, messages: list[dict[str, Any]]) -> None:
        internal = self._app._producer  # noqa: SLF001
        producer = internal._producer._producer  # noqa: SLF001
        while messages:
            free = max(1, self._queue - len(producer))
            # It does not raise when the queue is full: it queues what fits and marks the rest. Nor
            # does it look at a partition in a message, whatever its documentation says.
            head, messages = messages[:free], messages[free:]
            queued = producer.produce_batch(
                self._signals,
                head,
                partition,
                on_delivery=internal._on_delivery,  # noqa: SLF001
            )
            if queued < len(head):
                refused = [message for message in head if "_error" in message]
                for message in refused:
                    error = message.pop("_error")
                    if not _is_queue_full(error):
                        raise KafkaException(error)
                messages = refused + messages
            if messages:
                producer.poll(0.05)  # serves delivery reports, which empties the queue


def _by_partition(messages: list[Any]) -> dict[tuple[str, int], list[Any]]:
    slices: dict[tuple[str, int], list[Any]] = {}
    places = [(message.topic(), message.partition()) for message in messages]
    start = 0
    for place, run in itertools.groupby(places):
        end = start + sum(1 for _ in run)
        slices.setdefault(place, []).extend(messages[start:end])
        start = end
    return slices


_Messages = list[dict[str, Any]]


def _partitioner(
    source_partitions: int, target_partitions: int
) -> Callable[[int, _Messages], list[tuple[int, _Messages]]]:
    """Return how to divide the answers for one source partition over the target's partitions.

    With as many partitions all keep the source's. Otherwise a key goes where its hash says, as the
    Java client does it, and what has no key stays together, so that its order is kept.
    """

    def same(source_partition: int, messages: _Messages) -> list[tuple[int, _Messages]]:
        return [(source_partition, messages)]

    def by_key(source_partition: int, messages: _Messages) -> list[tuple[int, _Messages]]:
        keyed = [message for message in messages if message["key"] is not None]
        others = [message for message in messages if message["key"] is None]
        parts = ((_BY_HASH, keyed), (source_partition % target_partitions, others))
        return [(partition, part) for partition, part in parts if part]

    return same if source_partitions == target_partitions else by_key


def _is_queue_full(error: Any) -> bool:
    return bool(error.code() == KafkaError._QUEUE_FULL)  # noqa: SLF001 - its public name


def _numbers(partitions: list[TopicPartition]) -> list[int]:
    return sorted(tp.partition for tp in partitions)
