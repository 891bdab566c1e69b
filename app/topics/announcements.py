"""The wire format of `model.registry`: a serving plan as a CloudEvent in Kafka's binary mode.

The key is the model's name. `ce_type` names the schema with its version; a message of another type,
or of another model, is foreign and ignored. See README.md for an example.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event, to_binary_event
from cloudevents.core.v1.event import CloudEvent

from app.domain.plans import Announcement, Plan
from app.topics.messages import Message

EVENT_TYPE = "ds-models.serving-plan.announced.v1"
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


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is no plan of ours.

    Attributes:
        kind: `null`, `malformed`, `foreign` or `duplicate`.
        why: One sentence for a person.
    """

    offset: int
    kind: str
    why: str


def encode(announcement: Announcement) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return the key, value and headers of the message that announces this plan."""
    instant = announcement.effective_from_ms
    data = _Data(
        model_name=announcement.model_name,
        model_version=announcement.model_version,
        model_uri=announcement.model_uri,
        digest=announcement.digest,
        features=list(announcement.features),
        guard_ms=announcement.guard_ms,
        run_id=announcement.run_id,
        effective_from=None if instant is None else datetime.fromtimestamp(instant / 1000, UTC),
    )
    event = CloudEvent(
        attributes={
            "id": announcement.event_id,
            "source": EVENT_SOURCE,
            "type": EVENT_TYPE,
            "specversion": "1.0",
            "subject": announcement.model_name,
            "datacontenttype": "application/json",
        },
        data=msgspec.to_builtins(data),
    )
    message = to_binary_event(event)
    return announcement.model_name.encode(), message.value, list(message.headers.items())


def decode(message: Message, model_name: str) -> Plan | Ignored:
    """Read one message as a plan of `model_name`; say why if it is none. Never raises."""

    def ignored(kind: str, why: str) -> Ignored:
        return Ignored(message.offset, kind, why)

    if message.value is None:
        return ignored("null", "the message has no value")
    try:
        event = from_kafka_event(
            KafkaMessage({k: v or b"" for k, v in message.headers}, None, message.value)
        )
        kind, event_id = event.get_type(), event.get_id()
        if kind != EVENT_TYPE:
            return ignored("foreign", f"the event's type is {kind!r}, not {EVENT_TYPE!r}")
        data = msgspec.convert(event.get_data(), _Data)
        msgspec.json.encode(data)  # raises for half a surrogate pair, which no answer could carry
        event_id.encode()
    except Exception as error:  # noqa: BLE001 - whatever a foreign message makes a parser raise
        return ignored("malformed", f"{type(error).__name__}: {error}"[:500])
    if data.model_name != model_name:
        return ignored("foreign", f"it is about the model {data.model_name!r}")
    if message.key is not None and message.key != model_name.encode():
        return ignored("malformed", f"its key {message.key!r} is not the model's name")
    effective_from = data.effective_from
    return Plan(
        offset=message.offset,
        appended_ms=message.appended_ms,
        announcement=Announcement(
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
        ),
    )


def reader(model_name: str) -> Callable[[Message], Plan | Ignored]:
    """Return `decode` with a memory: a second message with the same event id is a duplicate."""
    seen: dict[str, int] = {}

    def read(message: Message) -> Plan | Ignored:
        plan = decode(message, model_name)
        if isinstance(plan, Ignored):
            return plan
        first = seen.setdefault(plan.announcement.event_id, plan.offset)
        if first == plan.offset:
            return plan
        return Ignored(plan.offset, "duplicate", f"it repeats the event at offset {first}")

    return read


def read_all(messages: Iterable[Message], model_name: str) -> list[Plan | Ignored]:
    """Read a whole topic, in the order of its offsets."""
    return list(map(reader(model_name), messages))
