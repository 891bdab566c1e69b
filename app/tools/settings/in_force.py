"""`config`: every setting in force, and where its value comes from; secrets are masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import orjson
from rich.table import Table
from rich.text import Text

from app.domain.secrets import MASK, is_secret, without_passwords
from app.tools.plain_text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STYLES = {"default": "dim", "file": "cyan", "environment": "magenta"}


class Source(Protocol):
    """Who gave a value: a file or a variable, by its name."""

    @property
    def kind(self) -> str:
        """`file` or `environment`."""

    @property
    def name(self) -> str:
        """The path of the file, or the name of the variable."""


def rows(
    values: Mapping[str, Mapping[str, Any]],
    sources: Mapping[tuple[str, str], Sequence[Source]],
) -> list[dict[str, Any]]:
    """Return a row for each setting, in their order.

    Args:
        values: By section and key, as JSON has them.
        sources: Who gave a value, by section and key: the one that counts last.

    >>> rows({"mlflow": {"token": "abc"}}, {})[0]["value"]
    '***'
    """
    found: list[dict[str, Any]] = []
    for section, keys in values.items():
        for key, value in keys.items():
            given = sources.get((section, key), ())
            found.append(
                {
                    "setting": f"{section}.{key}",
                    "value": masked(key, value),
                    "source": given[-1].kind if given else "default",
                    "name": given[-1].name if given else None,
                    "overrides": [source.name for source in reversed(given[:-1])],
                }
            )
    return found


def masked(name: str, value: Any) -> Any:
    """Return the value of a setting without what must not be shown."""
    if isinstance(value, dict):
        return {inner: masked(inner, held) for inner, held in value.items()}
    if is_secret(name):
        return MASK if value else value
    if isinstance(value, list):
        return [masked(name, held) for held in value]
    return without_passwords(value) if isinstance(value, str) else value


def table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Return the rows as a table for people."""
    shown = Table()
    for name in ("setting", "value", "from"):
        shown.add_column(name, overflow="fold")
    section = ""
    for row in found:
        if row["setting"].partition(".")[0] != section:
            shown.add_section()
            section = row["setting"].partition(".")[0]
        source = Text(printable(row["name"] or "default"), style=_STYLES[row["source"]])
        if row["overrides"]:
            source.append(f" over {printable(', '.join(row['overrides']))}", style="dim")
        shown.add_row(row["setting"], printable(_text(row["value"])), source)
    return shown


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
