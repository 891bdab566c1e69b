"""The ways in which a record can be bad before a model sees it, to be sent on purpose."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from app.domain.records import FEATURES, Reason

Make = Callable[[dict[str, Any], random.Random], bytes | None]
"""Spoils a good record, which it may change; what it picks, chance decides."""

_MOST_THAT_A_TOPIC_TAKES = 900_000  # bytes; Kafka's default is a megabyte with all that is around


@dataclass(frozen=True, slots=True)
class BadKind:
    """One way in which a record can be bad.

    Attributes:
        reason: What its dead letter must say.
        make: Spoils a good record.
        weight: How often it is drawn, in relation to the others.
    """

    reason: Reason
    make: Make
    weight: float = 1.0


def bad_kinds(max_bytes: int = 100_000) -> Mapping[str, BadKind]:
    """Return every kind by its name.

    Args:
        max_bytes: What is longer is too large: `records.max_bytes` of the settings.
    """
    filler = "x" * max_bytes
    return {
        "null value": BadKind(Reason.EMPTY, _instead(None)),
        "no bytes": BadKind(Reason.EMPTY, _instead(b"")),
        # A thousand times as long as the others, so drawn less.
        "too large": BadKind(
            Reason.TOO_LARGE,
            lambda record, _: orjson.dumps({**record, "note": filler}),
            weight=0.02 if max_bytes < _MOST_THAT_A_TOPIC_TAKES else 0.0,
        ),
        "not UTF-8": BadKind(Reason.WRONG_ENCODING, _not_utf8),
        "UTF-16": BadKind(Reason.WRONG_ENCODING, _instead("{}".encode("utf-16"))),
        "not JSON": BadKind(Reason.NOT_JSON, _instead(b"treasury", b"{'id': 1}", b" ", b"{]")),
        "cut off": BadKind(Reason.NOT_JSON, _cut_off),
        "CSV": BadKind(Reason.NOT_JSON, _csv),
        "two documents": BadKind(
            Reason.NOT_JSON, lambda record, _: orjson.dumps(record) + b"\n" + orjson.dumps(record)
        ),
        "array": BadKind(Reason.NOT_AN_OBJECT, lambda record, _: orjson.dumps([record])),
        "no object": BadKind(Reason.NOT_AN_OBJECT, _instead(b"42", b'"text"', b"null", b"true")),
        "missing field": BadKind(Reason.MISSING_FIELD, _without_a_feature),
        "null field": BadKind(Reason.MISSING_FIELD, _with(lambda _: None)),
        "empty object": BadKind(Reason.MISSING_FIELD, _instead(b"{}")),
        "boolean": BadKind(Reason.WRONG_TYPE, _with(lambda value: value > 1)),
        "numeric string": BadKind(Reason.WRONG_TYPE, _with(str)),
        "nested": BadKind(Reason.WRONG_TYPE, _with(lambda value: {"value": value})),
        "id not text": BadKind(Reason.WRONG_TYPE, _set("id", 17, True, ["a"])),
        "month not text": BadKind(Reason.WRONG_TYPE, _set("month", 202401, 1.5, {})),
        "NaN": BadKind(Reason.NOT_FINITE, _literal("NaN", '"NaN"', '"nan"')),
        "Infinity": BadKind(Reason.NOT_FINITE, _literal("-Infinity", '"Infinity"', '"-inf"')),
        "1e999": BadKind(Reason.NOT_FINITE, _literal("1e999", "-1e999", "9" * 400)),
        "out of range": BadKind(Reason.OUT_OF_RANGE, _with(lambda _: 1e300)),
        "negative": BadKind(Reason.OUT_OF_RANGE, _with(lambda value: -1e9 * (1 + value))),
        "malformed month": BadKind(
            Reason.MALFORMED_MONTH,
            _set("month", "2024-13", "2024-1", "24-01", "January 2024", "2024-01-01", ""),
        ),
    }


def _with(change: Callable[[Any], Any]) -> Make:
    """Return a maker that changes one feature, whichever chance picks."""

    def make(record: dict[str, Any], chance: random.Random) -> bytes:
        feature = chance.choice(FEATURES)
        return orjson.dumps({**record, feature: change(record[feature])})

    return make


def _literal(*texts: str) -> Make:
    """Return a maker that writes one feature as a text that a JSON encoder would not write."""

    def make(record: dict[str, Any], chance: random.Random) -> bytes:
        feature, text = chance.choice(FEATURES), chance.choice(texts)
        mark = "\x00"
        spoilt = orjson.dumps({**record, feature: mark})
        return spoilt.replace(orjson.dumps(mark), text.encode())

    return make


def _set(name: str, *values: Any) -> Make:
    """Return a maker that gives a field one of the values."""

    def make(record: dict[str, Any], chance: random.Random) -> bytes:
        return orjson.dumps({**record, name: chance.choice(values)})

    return make


def _instead(*values: bytes | None) -> Make:
    """Return a maker that writes one of the values and nothing of the record."""

    def make(_record: dict[str, Any], chance: random.Random) -> bytes | None:
        return chance.choice(values)

    return make


def _without_a_feature(record: dict[str, Any], chance: random.Random) -> bytes:
    del record[chance.choice(FEATURES)]
    return orjson.dumps(record)


def _cut_off(record: dict[str, Any], chance: random.Random) -> bytes:
    whole = orjson.dumps(record).decode()  # or the cut could go through a character
    return whole[: chance.randrange(1, len(whole))].encode()


def _not_utf8(record: dict[str, Any], chance: random.Random) -> bytes:
    broken = chance.choice((b"\xff", b"\xc3(", b"\xed\xa0\x80", b"caf\xe9"))
    return orjson.dumps({**record, "note": "@"}).replace(b"@", broken)


def _csv(record: dict[str, Any], _chance: random.Random) -> bytes:
    return ",".join(map(str, record.values())).encode()
