"""Read any topic, ours or not, and say what each message is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.domain.plans import Plan, Unstaged, Void
from app.domain.records import Rejection
from app.domain.times import instant
from app.tools.watching.status import report_fields
from app.topics import announcements, dead_letters, resumes, signals, status
from app.topics.messages import Message
from app.topics.records import RecordDecoder


@dataclass(frozen=True, slots=True)
class Row:
    """What a person wants to see of a message.

    Attributes:
        kind: `record`, `signal`, `dead letter`, `announcement`, `void`, `staged`, `unstaged`,
            `report`, `left`, `resume`; `raw` for a message that is none of what its topic promises,
            or of a topic that is not ours.
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
    status: str,
    record_decoder: RecordDecoder,
    model_name: str,
) -> dict[str, Decode]:
    """Return what reads each of our topics, by the topic's name.

    Args:
        records: The name of the input topic, and so the next four.
        signals: Likewise.
        dead_letters: Likewise.
        announcements: Likewise.
        status: Likewise.
        record_decoder: Says of a record what the stream would say of it.
        model_name: Announcements of another model are shown as ignored.
    """
    return {
        records: lambda message: _record(message, record_decoder),
        signals: _signal,
        dead_letters: _dead_letter,
        announcements: _announcement(model_name),
        status: _status,
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
        entry = read_next(message)
        if isinstance(entry, announcements.Ignored):
            return "announcement", {
                "ignored": entry.kind,
                "message": entry.why,
                "value": message.value,
            }
        if isinstance(entry, Void):
            return "void", {
                "model_name": entry.model_name,
                "voided_offset": entry.voided_offset,
                "why": entry.why,
                "even_if_last": entry.even_if_last,
                "event_id": entry.event_id,
            }
        if isinstance(entry, Unstaged):
            return "unstaged", {
                "model_name": entry.model_name,
                "staged_offset": entry.staged_offset,
                "why": entry.why,
                "event_id": entry.event_id,
            }
        announced = entry.announcement
        effective = {"effective": instant(entry.effective_ms)} if isinstance(entry, Plan) else {}
        return "announcement" if isinstance(entry, Plan) else "staged", {
            "model_name": announced.model_name,
            "model_version": announced.model_version,
            "model_uri": announced.model_uri,
            "digest": announced.digest,
            "features": list(announced.features),
            "guard_ms": announced.guard_ms,
            **effective,
            "run_id": announced.run_id,
            "event_id": announced.event_id,
            "why": announced.why,
        }

    return decode


def _status(message: Message) -> tuple[str, dict[str, Any]]:
    if message.value is None and message.key is not None:
        return "left", {"instance": message.key.decode("utf-8", "backslashreplace")}
    try:
        if (message.key or b"").startswith(resumes.key_of("")):
            return "resume", msgspec.structs.asdict(resumes.decode(message.value or b""))
        return "report", report_fields(status.decode(message.value or b""))
    except (ValueError, OverflowError, OSError):  # the last two for a time that is no year of ours
        return raw(message)
