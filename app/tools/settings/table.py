"""docs/settings.md, made of the settings themselves by `python docs/generate_settings.py`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import annotated_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_HEAD = """\
# Settings

Every setting is `key` under `[section]` in a file `config/*.toml`, and
`DS_MODELS_SECTION__KEY` in the environment. Files are read in the order of their names, a later one
wins, and the environment wins over all of them. `DS_MODELS_CONFIG` names another folder than
`config`. A well-known name is given beside ours where there is one; ours wins. An unknown key is
an error that suggests the right one, and ends the command with 2.

A secret need not stand in a variable: `KEY_FILE`, or `key_file` in a file, names a file that holds
it, as container secrets are given. A line's end after it does not count. `python -m app config`
masks secrets, and they stand in no log and no error.

This page is made by `python docs/generate_settings.py`; a test compares it.
"""


def markdown(
    settings: type[BaseModel], prefix: str, well_known: Mapping[str, tuple[str, str]]
) -> str:
    """Return the whole page.

    Args:
        settings: Has a field for each section, which is a model of its own.
        prefix: Of the environment variables.
        well_known: Section and key of the variables that have another name too.

    >>> from pydantic import Field, create_model
    >>> Log = create_model("Log", level=(str, Field("info", description="The least severe.")))
    >>> Settings = create_model("Settings", log=(Log, Log()))
    >>> print(markdown(Settings, "DS_", {}).splitlines()[-1])
    | `level` | `DS_LOG__LEVEL` | `info` | The least severe. |
    """
    lines = [_HEAD]
    for section, part in settings.model_fields.items():
        kind: Any = part.annotation
        lines += [f"## [{section}]", "", inspect.cleandoc(kind.__doc__ or ""), ""]
        lines += ["| key | environment | default | meaning |", "|---|---|---|---|"]
        for key, field in kind.model_fields.items():
            known = [name for name, place in well_known.items() if place == (section, key)]
            names = [*known, f"{prefix}{section}__{key}".upper()]
            lines.append(_row(key, names, field))
        lines.append("")
    return "\n".join(lines)


def _row(key: str, variables: list[str], field: FieldInfo) -> str:
    names = ", ".join(f"`{name}`" for name in variables)
    default = _default(field.get_default(call_default_factory=True))
    meaning = " ".join([field.description or "", *_limits(field)])
    return f"| `{key}` | {names} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if isinstance(value, dict):
        return "<br>".join(f"`{name} = {list(bounds)}`" for name, bounds in value.items())
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    if isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    if value == "":
        return "none"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _limits(field: FieldInfo) -> Iterator[str]:
    """Yield a sentence for what a value may be, beyond its type."""
    if not field.repr:
        yield "A secret."
    if get_origin(field.annotation) is Literal:
        known = [f"`{choice}`" for choice in get_args(field.annotation) if choice]
        yield f"One of {', '.join(known)}."
    if get_origin(field.annotation) is tuple:
        inner = get_args(field.annotation)[0]
        literal = get_origin(inner) is Literal
        choices = ", ".join(f"`{choice}`" for choice in get_args(inner)) if literal else "texts"
        yield f"A list of {choices}; comma-separated in the environment."
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
