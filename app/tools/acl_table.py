"""What `topics acls` says."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from app.topics.access import Permission

_COLUMNS = ("role", "principal", "resource", "name", "pattern", "operation")


def rows(
    needed: Mapping[str, Sequence[Permission]], principal: str | None, *, applied: bool
) -> list[dict[str, Any]]:
    """Return a row for each permission of each role.

    Args:
        needed: By role.
        principal: Who has it; None for one of the role's name.
        applied: Whether Kafka allows it now.
    """
    return [
        {
            "role": role,
            "principal": principal or f"User:{role}",
            "resource": one.resource,
            "name": one.name,
            "pattern": "prefixed" if one.prefixed else "literal",
            "operation": one.operation,
            "applied": applied,
        }
        for role, those in needed.items()
        for one in those
    ]


def show(found: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, overflow="fold")
    role = ""
    for row in found:
        if row["role"] != role:
            table.add_section()
            role = row["role"]
        table.add_row(*(row[column] for column in _COLUMNS))
    console = Console(highlight=False)
    console.print(table)
    if found[0]["applied"]:
        console.print("Kafka allows all of it now.")
