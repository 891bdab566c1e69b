"""The wire format of `treasury.data`: JSON bytes to a record, or to the reason why not.

Two paths: the fast one accepts, with one typed decode in C that has the ranges in it; what it does
not accept, the slow one explains. The fast one alone decides, so the two can't disagree.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, cast

import msgspec

from app.domain.records import DEFAULT_RANGES, FEATURES, Range, Reason, Rejection

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|∞|1\.#(inf|ind|qnan|snan))", re.IGNORECASE)
_LARGEST_FLOAT_DIGITS = 400  # more digits than any finite float has


class Record(msgspec.Struct, gc=False):
    """One month of the treasury: the four features, and what names the record."""

    treasury_print_volume: float
    interest_rate: float
    inflation_rate: float
    previous_month_price: float
    id: str | None = None
    month: str | None = None


class RecordDecoder:
    """Turns values into records. Holds no state but a cache of months; not thread-safe.

    Args:
        ranges: The values that each feature may have.
        max_bytes: A longer value is rejected unread.

    >>> decoder = RecordDecoder()
    >>> decoder.decode(b'{"treasury_print_volume": 1, "interest_rate": "high"}').message
    'interest_rate: expected a number, got text'
    """

    def __init__(
        self, ranges: Mapping[str, Range] = DEFAULT_RANGES, max_bytes: int = 100_000
    ) -> None:
        self._ranges = {feature: ranges[feature] for feature in FEATURES}
        self._max_bytes = max_bytes
        self._months: set[str] = set()
        bounded = msgspec.defstruct(
            "BoundedRecord",
            [
                (name, Annotated[float, msgspec.Meta(ge=bound.low, le=bound.high)])
                for name, bound in self._ranges.items()
            ],
            bases=(Record,),
            gc=False,
        )
        self._decode = cast("msgspec.json.Decoder[Record]", msgspec.json.Decoder(bounded)).decode

    def decode(self, value: bytes | None) -> Record | Rejection:
        """Decode one value. Never raises."""
        (record,), rejected = self.decode_all((value,))
        return rejected[0] if record is None else record

    def decode_all(
        self, values: Iterable[bytes | None]
    ) -> tuple[list[Record | None], dict[int, Rejection]]:
        """Decode each value, in order. Never raises; costs about half a microsecond a record.

        Returns:
            For each value its record or None, and by index why there is none.
        """
        decode, max_bytes, months = self._decode, self._max_bytes, self._months
        records: list[Record | None] = []
        rejected: dict[int, Rejection] = {}
        for value in values:
            try:
                if not value or len(value) > max_bytes:
                    raise ValueError
                if not value.isascii():
                    value.decode()  # fields that are ignored are skipped unread by the decoder
                record = decode(value)
                if record.month is not None and record.month not in months:
                    if not _MONTH.fullmatch(record.month):
                        raise ValueError
                    months.add(record.month)
                records.append(record)
            except (ValueError, RecursionError) as refusal:  # msgspec's errors are ValueErrors
                rejected[len(records)] = self._explain(value) or Rejection(
                    Reason.NOT_JSON, f"the value is not valid JSON: {refusal}"
                )
                records.append(None)
        return records, rejected

    def _explain(self, value: bytes | None) -> Rejection | None:
        """Find the first reason, in the order of the codes; None if only the decoder knows it."""
        if not value:
            return Rejection(Reason.EMPTY, "the value is " + ("null" if value is None else "empty"))
        if len(value) > self._max_bytes:
            return Rejection(
                Reason.TOO_LARGE, f"{len(value)} bytes are more than {self._max_bytes}"
            )
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            return Rejection(Reason.WRONG_ENCODING, f"byte {error.start} is not UTF-8")
        try:
            document = json.loads(text, parse_int=_parse_int)
        except (ValueError, RecursionError) as error:
            return Rejection(Reason.NOT_JSON, f"the value is not valid JSON: {error}")
        if not isinstance(document, dict):
            return Rejection(
                Reason.NOT_AN_OBJECT, f"expected an object with fields, got {_kind(document)}"
            )
        for feature, bound in self._ranges.items():
            if fault := _fault_of_number(feature, document.get(feature), bound):
                return fault
        return _fault_of_text(document)


def _fault_of_number(name: str, value: Any, bound: Range) -> Rejection | None:
    if value is None:
        return Rejection(Reason.MISSING_FIELD, f"{name}: the field is missing or null")
    if isinstance(value, str) and _NOT_FINITE.fullmatch(value.strip()):
        return Rejection(Reason.NOT_FINITE, f"{name}: {value.strip()!r} is not a finite number")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Rejection(Reason.WRONG_TYPE, f"{name}: expected a number, got {_kind(value)}")
    if not math.isfinite(value):
        return Rejection(Reason.NOT_FINITE, f"{name}: {value} is not a finite number")
    if not bound.holds(value):
        return Rejection(
            Reason.OUT_OF_RANGE, f"{name}: {value} is not within {bound.low:g} and {bound.high:g}"
        )
    return None


def _fault_of_text(document: dict[str, Any]) -> Rejection | None:
    for name in ("id", "month"):
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            return Rejection(Reason.WRONG_TYPE, f"{name}: expected text, got {_kind(value)}")
    month = document.get("month")
    if month is not None and not _MONTH.fullmatch(month):
        return Rejection(Reason.MALFORMED_MONTH, f"month: {month[:40]!r} is not YYYY-MM")
    return None


def _parse_int(digits: str) -> float:
    """Read an integer as the number it is to a model; too large a one is infinite."""
    return (
        float(digits)
        if len(digits) < _LARGEST_FLOAT_DIGITS
        else math.copysign(math.inf, -1 if digits.startswith("-") else 1)
    )


def _kind(value: Any) -> str:
    kinds = {
        dict: "an object",
        list: "an array",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return kinds[type(value)]
