"""docs/settings.md, made of the settings themselves: `python -m app.tools.settings_table`."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import annotated_types

from app.settings import PREFIX, WELL_KNOWN, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_HEAD = """\
# Settings

Every setting is `key` under `[section]` in a file `config/*.toml`, and
`DS_MODELS_SECTION__KEY` in the environment. Files are read in the order of their names, a later one
wins, and the environment wins over all of them. `DS_MODELS_CONFIG` names another folder than
`config`. A well-known name is given beside ours where there is one; ours wins. An unknown key is
an error that suggests the right one, and ends the command with 2.

This page is made by `python -m app.tools.settings_table > docs/settings.md`; a test compares it.
"""


def markdown() -> str:
    """Return the whole page.

    >>> "| `linger_ms` | `DS_MODELS_STREAM__LINGER_MS` | `10.0` |" in markdown()
    True
    """
    lines = [_HEAD]
    for section, kind in _sections():
        lines += [f"## [{section}]", "", inspect.cleandoc(kind.__doc__ or ""), ""]
        lines += ["| key | environment | default | meaning |", "|---|---|---|---|"]
        lines += [_row(section, key, field) for key, field in kind.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        if field.annotation is not None:
            yield name, field.annotation


def _row(section: str, key: str, field: FieldInfo) -> str:
    ours = f"{PREFIX}{section}__{key}".upper()
    known = [name for name, place in WELL_KNOWN.items() if place == (section, key)]
    names = ", ".join(f"`{name}`" for name in [*known, ours])
    default = _default(field.get_default(call_default_factory=True))
    meaning = " ".join([field.description or "", *_limits(field)])
    return f"| `{key}` | {names} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"`{name} = {list(bounds)}`" for name, bounds in value.items())
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _limits(field: FieldInfo) -> Iterator[str]:
    """Yield a sentence for what a value may be, beyond its type."""
    if get_origin(field.annotation) is Literal:
        yield f"One of {', '.join(f'`{choice}`' for choice in get_args(field.annotation))}."
    bounds = []
    for limit in field.metadata:
        if isinstance(limit, annotated_types.Gt):
            bounds.append(f"above {limit.gt:,}")
        elif isinstance(limit, annotated_types.Ge):
            bounds.append(f"at least {limit.ge:,}")
        elif isinstance(limit, annotated_types.Le):
            bounds.append(f"at most {limit.le:,}")
    if bounds:
        sentence = ", ".join(bounds)
        yield f"{sentence[0].upper()}{sentence[1:]}."


if __name__ == "__main__":
    sys.stdout.write(markdown())
