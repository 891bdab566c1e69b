"""The one writer that sends dead letters again: records and their marks, in one transaction."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from app.domain.errors import BrokerUnavailable, TopicsError
from app.topics import access

_BY_HASH = -1
_FENCED = (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001 - public names
_FATAL = KafkaError._FATAL  # noqa: SLF001 - its public name
# What became of the others when one was refused: no reason of its own.
_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - public names
_BYTES = 1_048_588  # the most that a topic of records may take


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to send, and the mark that it was sent.

    Attributes:
        partition: Where its record stood; its key decides if there is no such partition any more.
    """

    partition: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    mark_key: bytes
    mark_value: bytes


class RedriveWriter:
    """Writes in transactions whose id is the same for all who redrive the same letters.

    Args:
        config: Of a Kafka client.
        transactional_id: Whoever takes it over fences whoever had it.
        records_topic: Where records go.
        partitions: How many it has.
        marks_topic: Where marks go.
        transaction_timeout_ms: For so long at most a killed writer's transaction delays readers.
        timeout_s: The longest that one answer of the broker may take.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        transactional_id: str,
        records_topic: str,
        partitions: int,
        marks_topic: str,
        transaction_timeout_ms: int,
        timeout_s: float = 30.0,
    ) -> None:
        self._records, self._marks = records_topic, marks_topic
        self._partitions = partitions
        self._timeout_s = timeout_s
        self._needed = access.Permission("transactional-id", transactional_id, "WRITE")
        self._refusal: str | None = None
        self._denied: str | None = None  # the topic
        self._fenced = False
        self._producer = Producer(
            {
                "compression.type": "lz4",
                **config,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": transaction_timeout_ms,
                "message.max.bytes": _BYTES,
                # The partition of a key as clients in other languages choose it.
                "partitioner": "murmur2_random",
                "on_delivery": self._delivered,
                "error_cb": lambda _error: None,
            },
            # What matters is raised; what is fatal would be written to the terminal all the same.
            logger=logging.Logger("silent", logging.CRITICAL + 1),  # noqa: LOG001 - not in the tree
        )

    def take_over(self) -> None:
        """Fence whoever else redrives these letters; its open transaction is aborted then.

        Raises:
            BrokerUnavailable: Kafka does not answer in time.
        """
        try:
            self._patiently(self._producer.init_transactions)
        except KafkaException as error:
            text = f"no transaction can be begun: {error.args[0].str()}"
            raise access.no_answer(text, error, self._needed) from error

    def write(self, records: Sequence[Outgoing]) -> bool:
        """Write all records and their marks, or nothing of them; return whether it was done.

        False if another redrive has taken over, or this one stood still for longer than the
        transaction time-out.

        Raises:
            BrokerUnavailable: Kafka does not answer in time.
            TopicsError: A topic refuses a message.
        """
        if self._fenced:
            return False
        try:
            self._producer.begin_transaction()
            self._produce_all(records)
            self._patiently(self._producer.commit_transaction)
        except KafkaException as error:
            if error.args[0].code() in _FENCED:
                self._fenced = True  # a client that is fenced stays so
                return False
            self._abort()
            if self._denied is not None:
                raise access.denied([access.topic("WRITE", self._denied)]) from error
            if self._refusal is not None:
                raise TopicsError(f"nothing of the last part was sent: {self._refusal}") from error
            raise BrokerUnavailable(
                f"Kafka does not answer ({error.args[0].str()}); what was sent is marked, so that "
                "the next redrive goes on behind it"
            ) from error
        return True

    def _produce_all(self, records: Sequence[Outgoing]) -> None:
        try:
            for record in records:
                known = record.partition < self._partitions
                partition = record.partition if known else _BY_HASH
                self._produce(
                    self._records, record.value, record.key, partition, headers=record.headers
                )
                self._produce(self._marks, record.mark_value, record.mark_key)
        except KafkaException as error:
            if error.args[0].code() != _FATAL:
                raise
            # Only the commit, which must fail now, says what it was that was fatal.

    def _produce(self, topic: str, *message: Any, **more: Any) -> None:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.produce(topic, *message, **more)
            except BufferError:
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"{topic} takes no more records") from None
                self._producer.poll(0.1)
            else:
                return

    def _patiently(self, ask: Callable[[float], None]) -> None:
        """Ask again while the client says that it may help, until the time is over."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                ask(max(1.0, deadline - time.monotonic()))
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def _abort(self) -> None:
        with suppress(KafkaException):  # else whoever takes over does it, or the time-out
            self._producer.abort_transaction(min(5.0, self._timeout_s))

    def _delivered(self, error: Any, message: Any) -> None:
        if access.refused(error) is not None:
            self._denied = message.topic()
        if error is not None and error.code() not in _PURGED and self._refusal is None:
            self._refusal = f"{message.topic()}: {error.str()}"
