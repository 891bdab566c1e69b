"""Quix Streams' producer, where it is not public API: answers join their batch's transaction."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from quixstreams import Application

from app.stream.answers import Answers

_BY_HASH = -1


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
        for partition, messages in self._as_signal(answers.partition, answers.signals):
            self._send_signals(partition, messages)
        for key, value, headers in answers.letters:
            ((partition, _),) = self._as_letter(answers.partition, [{"key": key}])
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
