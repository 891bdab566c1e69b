"""Rows of a topic as a person or a program reads them."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from app.domain.times import moment
from app.tools import json_lines
from app.tools.inspecting.rows import Row
from app.tools.plain_text import printable

_FOR_PROGRAMS = frozenset(
    {"model_name", "model_uri", "features", "run_id", "event_id"}
    | {"instance", "address", "app_version", "started", "every_ms"}  # the key names the instance
)
_SOURCE = ("source_topic", "source_partition", "source_offset")
_SHOWN = 60  # characters of a value: the rest is for programs
_STYLES = {
    "signal": "green",
    "dead letter": "red",
    "announcement": "cyan",
    "void": "magenta",
    "staged": "cyan",
    "unstaged": "dim",
    "report": "blue",
    "left": "dim",
    "resume": "magenta",
    "raw": "yellow",
}


def json_line(row: Row) -> bytes:
    r"""Return the row as one JSON object, without the newline.

    Bytes that are text are written as text. Others are written in base64, and a field
    `<name>_encoding` beside them says so.

    >>> json_line(Row("t", 0, 5, 1_700_000_000_123, b"k", "raw", {"value": b"\xff"}))[-47:]
    b'"raw","value":"/w==","value_encoding":"base64"}'
    """
    return json_lines.encode(as_dict(row))


def as_dict(row: Row) -> dict[str, Any]:
    """Return what `json_line` writes."""
    place = {
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "appended": moment(row.appended_ms),
        "key": row.key,
        "kind": row.kind,
    }
    return _plain({**place, **row.fields})


def table(rows: Iterable[Row], title: str | None = None) -> Table:
    """Return the rows as a table; its columns are the fields that a row has, in their order.

    What only programs need is left out, and coordinates share a column: `json_line` has it all.
    Text of a message is shown with its control characters escaped: it can't reach the terminal.
    """
    shown = [(row, for_people(row)) for row in rows]
    names = list(dict.fromkeys(name for _, fields in shown for name in fields))
    whole = Table(title=title)
    for name in ("place", "appended", "key", "kind"):
        whole.add_column(name, overflow="fold", no_wrap=name != "key")
    for name in names:
        whole.add_column(name.replace("_", " "), overflow="fold")
    for row, fields in shown:
        whole.add_row(
            f"{row.partition}/{row.offset}",
            moment(row.appended_ms) or str(row.appended_ms),
            shown_value(row.key),
            Text(row.kind, style=_STYLES.get(row.kind, "")),
            *(shown_value(fields.get(name)) for name in names),
        )
    return whole


def line(row: Row) -> Text:
    """Return the row as one line: for rows that come one by one, where a table can't be drawn."""
    said = Text()
    said.append(
        f"{row.partition}/{row.offset} {moment(row.appended_ms) or row.appended_ms} ", style="dim"
    )
    said.append(f"{row.kind} ", style=_STYLES.get(row.kind, ""))
    said.append(shown_value(row.key))
    for name, value in for_people(row).items():
        if value is not None:
            said.append(f" {name}=", style="dim").append(shown_value(value))
    return said


def for_people(row: Row) -> dict[str, Any]:
    """Return the fields that a person wants to see."""
    fields = {
        name: value
        for name, value in row.fields.items()
        if name not in _FOR_PROGRAMS and name not in _SOURCE
    }
    if row.kind == "report":
        fields["in_force"] = _version(fields["in_force"])
        fields["loaded"] = ", ".join(map(_version, fields["loaded"])) or None
        fields["lag"] = sum(fields["lag"].values())
    if _SOURCE[0] in row.fields:
        fields["source"] = "/".join(str(row.fields[name]) for name in _SOURCE)
    return fields


def _version(served: Mapping[str, Any] | None) -> str:
    return "none" if served is None else served["version"]


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, bytes):
            text = _text(value)
            plain[name] = base64.b64encode(value).decode() if text is None else text
            if text is None:
                plain[f"{name}_encoding"] = "base64"
        elif isinstance(value, Mapping):
            plain[name] = _plain(value)
        else:
            plain[name] = value
    return plain


def shown_value(value: Any) -> Text:
    """Return a value of a message as it may reach a terminal; a long one is cut."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        text = f"{value:,.4f}".rstrip("0").rstrip(".")
    elif isinstance(value, bytes):
        text = value[: 4 * _SHOWN].decode("utf-8", "backslashreplace")
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name}: {shown_value(inner)}" for name, inner in value.items())
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    else:
        text = str(value)
    text = printable(text)
    return Text(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
