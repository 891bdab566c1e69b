"""Small edits of a JSON object: fields renamed, set or dropped, all else left byte for byte."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = " \t\n\r"


@dataclass(frozen=True, slots=True)
class NotEditable:
    """Why the edits can't be made to a value: one sentence for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class Edits:
    """What to change of an object: first fields are dropped, then renamed, all at once, then set.

    Attributes:
        drops: Names of fields.
        renames: New name by old name. A field that is not there is no fault.
        sets: The JSON text of the new value, by name.
    """

    drops: frozenset[str] = frozenset()
    renames: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, renames: Iterable[str], sets: Iterable[str], drops: Iterable[str]) -> Self:
        """Read them as they are written on a command line: `old=new`, `field=value`, `field`.

        A value is JSON where it can be read as such, else text.

        Raises:
            ValueError: One can't be understood, or two contradict each other.

        >>> Edits.parse(["rate=interest_rate"], ["month=2024-05", "volume=1e6"], []).sets
        {'month': '"2024-05"', 'volume': '1e6'}
        """
        renamed, new = _pairs(renames, "old=new"), _pairs(sets, "field=value")
        if len(set(renamed.values())) < len(renamed):
            raise ValueError("two fields can't be renamed to the same name")
        dropped = frozenset(drops)
        if both := dropped & renamed.keys():
            raise ValueError(f"{min(both)!r} can't be both dropped and renamed")
        return cls(dropped, renamed, {name: _as_json(value) for name, value in new.items()})

    def __bool__(self) -> bool:
        return bool(self.drops or self.renames or self.sets)

    def apply(self, value: bytes | None) -> bytes | NotEditable:
        """Return the value with the edits made. Never raises.

        What the edits don't name keeps its bytes, numbers of any length too; of a name that is
        there twice the last counts. A null gives way to a field that is renamed to its name. A
        value that the edits don't change is returned as it is.

        >>> Edits(renames={"rate": "interest_rate"}).apply(b'{"rate": 4.50, "id": "a"}')
        b'{"interest_rate":4.50,"id":"a"}'
        >>> Edits(drops=frozenset({"note"})).apply(b"[1]")
        NotEditable(why='it is no JSON object')
        """
        if not self:
            return value if value is not None else NotEditable("it is null")
        try:
            text = (value or b"").decode()
            if not isinstance(_DECODER.decode(text), dict):
                return NotEditable("it is no JSON object")
            fields = list(_fields(text))
        except (ValueError, RecursionError) as error:
            return NotEditable(f"it is no JSON object: {error}")
        before = {name: content for name, _, content in fields}
        after: dict[str, str] = {}
        for name, content in before.items():
            if name in self.drops:
                continue
            target = self.renames.get(name, name)
            there = after.get(target, "null")
            if "null" not in (there, content):
                return NotEditable(f"there are two fields for {target!r}")
            after[target] = content if there == "null" else there
        after |= self.sets
        if after == before and value is not None:
            return value
        written = {name: as_written for name, as_written, _ in fields}
        members = ",".join(
            f"{written.get(name) or json.dumps(name)}:{content}" for name, content in after.items()
        )
        return f"{{{members}}}".encode()


def _pairs(texts: Iterable[str], shape: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals or (shape == "old=new" and not value):
            raise ValueError(f"{text!r} is not {shape}")
        if name in pairs:
            raise ValueError(f"{name!r} is there twice")
        pairs[name] = value
    return pairs


def _as_json(value: str) -> str:
    """Return JSON text of a value that a person wrote."""
    try:
        _STRICT.decode(value.encode().decode())
    except (ValueError, RecursionError):
        return json.dumps(value)
    return value.strip(_SPACE)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_STRICT = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def _fields(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, and JSON text of name and value, of each member of the object that it is."""
    at = _next(text, _next(text, 0) + 1)
    while text[at] != "}":
        name, behind = _DECODER.raw_decode(text, at)
        start = _next(text, _next(text, behind) + 1)  # behind the colon
        _, end = _DECODER.raw_decode(text, start)
        yield name, text[at:behind], text[start:end]
        at = _next(text, end)
        if text[at] == ",":
            at = _next(text, at + 1)


def _next(text: str, at: int) -> int:
    """Return where the next character stands that is no space."""
    while text[at] in _SPACE:
        at += 1
    return at
