"""Read any topic, ours or not, and say what each message is."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from app.domain.errors import BrokerUnavailable, TopicsError
from app.domain.records import Rejection
from app.tools.announcement_history import instant
from app.topics import announcements, dead_letters, signals
from app.topics.records import RecordDecoder

_POLL_S = 0.2  # how often `stopped` is asked while nothing comes


@dataclass(frozen=True, slots=True)
class Message:
    """What a topic holds at one place, undecoded.

    Attributes:
        appended_ms: Its timestamp, in Unix milliseconds.
    """

    topic: str
    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What a person wants to see of a message.

    Attributes:
        kind: `record`, `signal`, `dead letter`, `announcement`; `raw` for a message that is none
            of what its topic promises, or of a topic that is not ours.
        fields: What the message says, by name. Values that are not text stay bytes.
    """

    topic: str
    partition: int
    offset: int
    appended_ms: int
    key: bytes | None
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Decode = Callable[[Message], tuple[str, dict[str, Any]]]
"""A message to its kind and fields. Never raises."""


def decoders(
    *,
    records: str,
    signals: str,
    dead_letters: str,
    announcements: str,
    record_decoder: RecordDecoder,
    model_name: str,
) -> dict[str, Decode]:
    """Return what reads each of our topics, by the topic's name.

    Args:
        records: The name of the input topic, and so the next three.
        signals: Likewise.
        dead_letters: Likewise.
        announcements: Likewise.
        record_decoder: Says of a record what the stream would say of it.
        model_name: Announcements of another model are shown as ignored.
    """
    return {
        records: lambda message: _record(message, record_decoder),
        signals: _signal,
        dead_letters: _dead_letter,
        announcements: _announcement(model_name),
    }


def row_of(message: Message, known: Mapping[str, Decode]) -> Row:
    """Decode a message by its topic; one of an unknown topic stays raw."""
    kind, fields = known.get(message.topic, raw)(message)
    return Row(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        appended_ms=message.appended_ms,
        key=message.key,
        kind=kind,
        fields=fields,
    )


def read(
    config: Mapping[str, Any],
    topic: str,
    *,
    limit: int | None = None,
    follow: bool = False,
    timeout_s: float = 30.0,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """Yield the messages of a topic that a `read_committed` reader sees, from the earliest.

    In order within a partition; partitions are mixed. Takes part in no group and commits nothing.

    Args:
        config: Of a Kafka client; at least `bootstrap.servers`.
        topic: Is not made by looking at it.
        limit: The most messages, None for all.
        follow: Go on with what is still to come, until `limit` or `stopped`; else end with what
            was there at the start.
        timeout_s: The longest that nothing may come before the end.
        stopped: Asked between messages, and five times a second while nothing comes.

    Raises:
        BrokerUnavailable: No broker answers, or nothing came for `timeout_s` seconds.
        TopicsError: There is no such topic.
    """
    consumer = Consumer(
        {
            "log_level": 0,  # what matters is raised
            **config,
            "group.id": "ds-models-inspect",  # the client wants one
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,  # the broker says only after it that there is no more
            "error_cb": lambda _error: None,
        }
    )
    try:
        ends = _ends(consumer, topic, timeout_s)
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        messages = _until_read(consumer, ends, follow=follow, timeout_s=timeout_s, stopped=stopped)
        yield from islice(messages, limit)
    except KafkaException as error:
        raise BrokerUnavailable(f"{topic} can't be read: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _ends(consumer: Any, topic: str, timeout_s: float) -> dict[int, int]:
    """Return the end offset of each partition, as it is now."""
    try:
        known = consumer.list_topics(timeout=min(timeout_s, 10.0)).topics
    except KafkaException as error:
        raise BrokerUnavailable(f"no Kafka broker answers ({error.args[0].str()})") from error
    if topic not in known:
        raise TopicsError(f"there is no topic {topic}")
    return {
        number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=timeout_s)[1]
        for number in known[topic].partitions
    }


def _until_read(
    consumer: Any,
    ends: Mapping[int, int],
    *,
    follow: bool,
    timeout_s: float,
    stopped: Callable[[], bool],
) -> Iterator[Message]:
    """Yield messages until every partition is read.

    The last offsets before an end may be transaction markers, or of a transaction that was
    aborted, and such never come: only the client's word that there is no more ends a partition
    that nobody writes to. One that is written to ends where its end was at the start.
    """
    unread = set(ends)
    last_heard = time.monotonic()
    while (unread or follow) and not stopped():
        message = consumer.poll(_POLL_S)
        if message is None:
            if not follow and time.monotonic() - last_heard > timeout_s:
                raise BrokerUnavailable(f"nothing came for {timeout_s:.0f} s")
            continue
        last_heard = time.monotonic()
        partition, offset, error = message.partition(), message.offset(), message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                raise KafkaException(error)
            unread.discard(partition)
            continue
        if offset + 1 >= ends[partition]:
            unread.discard(partition)
        if follow or offset < ends[partition]:
            yield _message(message)


def _message(message: Any) -> Message:
    return Message(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        appended_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )


def raw(message: Message) -> tuple[str, dict[str, Any]]:
    """Show the value and headers as they are."""
    fields: dict[str, Any] = {"value": message.value}
    if message.headers:
        fields["headers"] = dict(message.headers)
    return "raw", fields


def _record(message: Message, decoder: RecordDecoder) -> tuple[str, dict[str, Any]]:
    outcome = decoder.decode(message.value)
    if isinstance(outcome, Rejection):
        return "record", {
            "rejected": outcome.reason.value,
            "message": outcome.message,
            "value": message.value,
        }
    return "record", msgspec.structs.asdict(outcome)


def _signal(message: Message) -> tuple[str, dict[str, Any]]:
    try:
        return "signal", msgspec.structs.asdict(signals.decode(message.value or b""))
    except ValueError:  # msgspec's errors are
        return raw(message)


def _dead_letter(message: Message) -> tuple[str, dict[str, Any]]:
    try:
        letter = dead_letters.decode(message.key, message.value, message.headers)
    except ValueError:
        return raw(message)
    return "dead letter", {
        "reason": letter.rejection.reason.value,
        "message": letter.rejection.message,
        "source_topic": letter.source_topic,
        "source_partition": letter.source_partition,
        "source_offset": letter.source_offset,
        "value": letter.value,
    }


def _announcement(model_name: str) -> Decode:
    read_next = announcements.reader(model_name)  # remembers, to know a duplicate

    def decode(message: Message) -> tuple[str, dict[str, Any]]:
        plan = read_next(
            announcements.Message(
                offset=message.offset,
                appended_ms=message.appended_ms,
                key=message.key,
                value=message.value,
                headers=message.headers,
            )
        )
        if isinstance(plan, announcements.Ignored):
            return "announcement", {
                "ignored": plan.kind,
                "message": plan.why,
                "value": message.value,
            }
        announced = plan.announcement
        return "announcement", {
            "model_name": announced.model_name,
            "model_version": announced.model_version,
            "model_uri": announced.model_uri,
            "digest": announced.digest,
            "features": list(announced.features),
            "guard_ms": announced.guard_ms,
            "effective": instant(plan.effective_ms),
            "run_id": announced.run_id,
            "event_id": announced.event_id,
        }

    return decode
