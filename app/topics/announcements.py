"""The wire format of `model.registry`: CloudEvents in Kafka's binary mode.

Plans, voids of plans, versions that are staged, and what ends that.

The key is the model's name. `ce_type` names the schema with its version; a message of another type,
or of another model, is foreign and ignored. See README.md and docs/rollback.md for examples.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

from app.domain.plans import (
    NO_PLAN,
    Announcement,
    Entry,
    Plan,
    Staged,
    Unstaged,
    Void,
    last_plan,
)
from app.domain.voids import objection
from app.topics.messages import Message

EVENT_TYPE = "ds-models.serving-plan.announced.v1"
VOID_TYPE = "ds-models.serving-plan.voided.v1"
STAGED_TYPE = "ds-models.version.staged.v1"
UNSTAGED_TYPE = "ds-models.version.unstaged.v1"
EVENT_SOURCE = "/ds-models"

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Data(msgspec.Struct, omit_defaults=True):
    """The data of the event, version 1. Unknown fields are ignored, so that it can grow."""

    model_name: _Text
    model_version: _Text
    model_uri: _Text
    digest: Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]
    features: Annotated[list[str], msgspec.Meta(min_length=1)]
    guard_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
    run_id: str | None = None
    effective_from: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    why: str | None = None
    replaces: Annotated[int, msgspec.Meta(ge=NO_PLAN)] | None = None
    alias: str | None = None


class _VoidData(msgspec.Struct, omit_defaults=True):
    """The data of a void, version 1. Unknown fields are ignored, so that it can grow."""

    model_name: _Text
    voided_offset: Annotated[int, msgspec.Meta(ge=0)]
    why: _Text
    even_if_last: bool = False


class _UnstagedData(msgspec.Struct):
    """The data of an unstaging, version 1. Unknown fields are ignored, so that it can grow."""

    model_name: _Text
    staged_offset: Annotated[int, msgspec.Meta(ge=0)]
    why: _Text


_SCHEMAS: dict[str, type[_Data | _VoidData | _UnstagedData]] = {
    EVENT_TYPE: _Data,
    VOID_TYPE: _VoidData,
    STAGED_TYPE: _Data,
    UNSTAGED_TYPE: _UnstagedData,
}


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is no plan of ours, and no void that counts.

    Attributes:
        kind: `null`, `malformed`, `foreign`, `duplicate`, `outrun` or `invalid_void`.
        why: One sentence for a person.
    """

    offset: int
    kind: str
    why: str


Wire = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""The key, value and headers of a message."""


def encode(announcement: Announcement) -> Wire:
    """Return the message that announces this plan."""
    return _encode(EVENT_TYPE, announcement.event_id, _data(announcement))


def encode_staged(announcement: Announcement) -> Wire:
    """Return the message that stages the version of this plan."""
    return _encode(STAGED_TYPE, announcement.event_id, _data(announcement))


def _data(announcement: Announcement) -> _Data:
    instant = announcement.effective_from_ms
    return _Data(
        model_name=announcement.model_name,
        model_version=announcement.model_version,
        model_uri=announcement.model_uri,
        digest=announcement.digest,
        features=list(announcement.features),
        guard_ms=announcement.guard_ms,
        run_id=announcement.run_id,
        effective_from=None if instant is None else datetime.fromtimestamp(instant / 1000, UTC),
        why=announcement.why,
        replaces=announcement.replaces,
        alias=announcement.alias,
    )


def encode_void(void: Void) -> Wire:
    """Return the message that voids a plan. Its offset and append time are the broker's."""
    data = _VoidData(void.model_name, void.voided_offset, void.why, void.even_if_last)
    return _encode(VOID_TYPE, void.event_id, data)


def encode_unstaged(unstaged: Unstaged) -> Wire:
    """Return the message that ends a staged version."""
    data = _UnstagedData(unstaged.model_name, unstaged.staged_offset, unstaged.why)
    return _encode(UNSTAGED_TYPE, unstaged.event_id, data)


def _encode(kind: str, event_id: str, data: _Data | _VoidData | _UnstagedData) -> Wire:
    event = CloudEvent(
        attributes={
            "id": event_id,
            "source": EVENT_SOURCE,
            "type": kind,
            "specversion": "1.0",
            "subject": data.model_name,
            "datacontenttype": "application/json",
        },
        data=msgspec.to_builtins(data),
    )
    message = to_binary_event(event)
    return data.model_name.encode(), message.value, list(message.headers.items())


def decode(message: Message, model_name: str) -> Entry | Ignored:
    """Read one message as an entry of `model_name`; say why if it is none. Never raises.

    Whether it counts may depend on what stands before it: `reader` knows.
    """

    def ignored(kind: str, why: str) -> Ignored:
        return Ignored(message.offset, kind, why)

    if message.value is None:
        return ignored("null", "the message has no value")
    try:
        event = from_kafka_event(
            KafkaMessage({k: v or b"" for k, v in message.headers}, None, message.value)
        )
        kind, event_id = event.get_type(), event.get_id()
        schema = _SCHEMAS.get(kind)
        if schema is None:
            return ignored("foreign", f"the event's type is {kind!r}, not {EVENT_TYPE!r}")
        data = msgspec.convert(event.get_data(), schema)
        msgspec.json.encode(data)  # raises for half a surrogate pair, which no answer could carry
        event_id.encode()
    except Exception as error:  # noqa: BLE001 - whatever a foreign message makes a parser raise
        return ignored("malformed", f"{type(error).__name__}: {error}"[:500])
    if data.model_name != model_name:
        return ignored("foreign", f"it is about the model {data.model_name!r}")
    if message.key is not None and message.key != model_name.encode():
        return ignored("malformed", f"its key {message.key!r} is not the model's name")
    place = message.offset, message.appended_ms
    if isinstance(data, _VoidData):
        return _void(message, event_id, data)
    if isinstance(data, _UnstagedData):
        return Unstaged(*place, data.model_name, data.staged_offset, data.why, event_id)
    return (Plan if kind == EVENT_TYPE else Staged)(*place, _announcement(event_id, data))


def _announcement(event_id: str, data: _Data) -> Announcement:
    effective_from = data.effective_from
    return Announcement(
        model_name=data.model_name,
        model_version=data.model_version,
        model_uri=data.model_uri,
        digest=data.digest,
        features=tuple(data.features),
        guard_ms=data.guard_ms,
        event_id=event_id,
        run_id=data.run_id,
        effective_from_ms=None
        if effective_from is None
        else round(effective_from.timestamp() * 1000),
        why=data.why,
        replaces=data.replaces,
        alias=data.alias,
    )


def _void(message: Message, event_id: str, data: _VoidData) -> Void:
    return Void(
        offset=message.offset,
        appended_ms=message.appended_ms,
        model_name=data.model_name,
        voided_offset=data.voided_offset,
        why=data.why,
        event_id=event_id,
        even_if_last=data.even_if_last,
    )


def reader(model_name: str) -> Callable[[Message], Entry | Ignored]:
    """Return `decode` with a memory, for messages in the order of their offsets.

    A second message with the same event id is a duplicate. A plan, or a staged version, that names
    the plan that it replaces counts only if no other came in between; a void if it names a plan
    that stands; and an unstaging if it names what is staged.
    """
    seen: dict[tuple[type, str], int] = {}
    plans: dict[int, int | None] = {}
    staged: int | None = None

    def read(message: Message) -> Entry | Ignored:
        nonlocal staged
        entry = decode(message, model_name)
        if isinstance(entry, Ignored):
            return entry
        first = seen.setdefault((type(entry), _event_id(entry)), entry.offset)
        if first != entry.offset:
            return Ignored(entry.offset, "duplicate", f"it repeats the event at offset {first}")
        if isinstance(entry, Plan | Staged):
            newest = next(reversed(plans), NO_PLAN)
            if entry.announcement.is_outrun(newest):
                return Ignored(entry.offset, "outrun", _outrun(entry.announcement, newest))
            if isinstance(entry, Plan):
                plans[entry.offset] = None
            staged = entry.offset if isinstance(entry, Staged) else None
        elif isinstance(entry, Unstaged):
            if entry.staged_offset != staged:
                why = f"what was staged at offset {entry.staged_offset} is not staged any more"
                return Ignored(entry.offset, "outrun", why)
            staged = None
        else:
            if (why_not := objection(entry, plans)) is not None:
                return Ignored(entry.offset, "invalid_void", why_not)
            plans[entry.voided_offset] = entry.offset
        return entry

    return read


def _event_id(entry: Entry) -> str:
    return entry.event_id if isinstance(entry, Void | Unstaged) else entry.announcement.event_id


def _outrun(announcement: Announcement, newest: int) -> str:
    replaces = announcement.replaces
    said = "no plan" if replaces == NO_PLAN else f"the plan at offset {replaces}"
    return f"it replaces {said}, but the one at offset {newest} had come before it"


def newest_plan(entries: Iterable[Entry | Ignored]) -> int:
    """Return the offset of the newest plan, voided or not; `NO_PLAN` if there is none.

    Args:
        entries: In the order of their offsets.
    """
    newest = last_plan(entries)
    return NO_PLAN if newest is None else newest.offset


def read_all(messages: Iterable[Message], model_name: str) -> list[Entry | Ignored]:
    """Read a whole topic, in the order of its offsets."""
    return list(map(reader(model_name), messages))
