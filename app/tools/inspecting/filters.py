"""Which rows of a topic are wanted: by key, id, model version and reason."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec

from app.tools.inspecting.rows import Row


@dataclass(frozen=True, slots=True)
class Filter:
    """What a row must have: one of the values of each kind that names any.

    Attributes:
        keys: Of the message; that of a message without one is empty.
        ids: Of the record that the row is or answers; without one of its own its coordinates,
            `topic/partition/offset`.
        versions: Of the model that answered, was announced, or is in force for an instance.
        reasons: Of a dead letter or of the rejection of a record; why an announcement is ignored,
            or an instance holds.

    >>> row = Row("t", 0, 5, 0, b"k", "signal", {"id": "a", "model_version": "2"})
    >>> Filter(keys=[b"k"], versions=["1", "2"]).wants(row), Filter(reasons=["empty"]).wants(row)
    (True, False)
    """

    keys: Collection[bytes] = ()
    ids: Collection[str] = ()
    versions: Collection[str] = ()
    reasons: Collection[str] = ()

    @property
    def wants_all(self) -> bool:
        """Whether nothing is left out."""
        return not (self.keys or self.ids or self.versions or self.reasons)

    def wants(self, row: Row) -> bool:
        """Say whether the row is wanted."""
        return (
            (not self.keys or (row.key or b"") in self.keys)
            and (not self.versions or version_of(row) in self.versions)
            and (not self.reasons or reason_of(row) in self.reasons)
            and (not self.ids or id_of(row) in self.ids)
        )


def version_of(row: Row) -> str | None:
    """Return the model version that the row is about."""
    if row.kind == "report":
        in_force: dict[str, str] | None = row.fields["in_force"]
        return None if in_force is None else in_force["version"]
    version: str | None = row.fields.get("model_version")
    return version


def reason_of(row: Row) -> str | None:
    """Return the code that says why the row is not as hoped."""
    for name in ("reason", "rejected", "ignored"):
        if name in row.fields:
            reason: str | None = row.fields[name]
            return reason
    return None


def id_of(row: Row) -> str | None:
    """Return the id of the record that the row is or answers, as its answer has it."""
    if row.kind == "signal":
        signal_id: str = row.fields["id"]
        return signal_id
    if row.kind == "record":
        own = row.fields["id"] if "id" in row.fields else id_in(row.fields["value"])
        return own or f"{row.topic}/{row.partition}/{row.offset}"
    if row.kind == "dead letter":
        place = (row.fields[f"source_{name}"] for name in ("topic", "partition", "offset"))
        return id_in(row.fields["value"]) or "/".join(map(str, place))
    return None


class _Named(msgspec.Struct, gc=False):
    id: str | None = None


_decode = msgspec.json.Decoder(_Named).decode


def id_in(value: bytes | None) -> str | None:
    """Return the id in the value of a record, also of one that is bad; None if none can be read.

    >>> id_in(b'{"id": "a", "interest_rate": NaN}'), id_in(b'{"id": "a"')
    ('a', None)
    """
    try:
        return _decode(value or b"").id
    except (ValueError, RecursionError):
        return _id_of_bad(value or b"")


def _id_of_bad(value: bytes) -> str | None:
    """Read it as the decoder of records explains it: more is JSON there."""
    try:
        document: Any = json.loads(value.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    found = document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None
