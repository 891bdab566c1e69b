"""What `topics create` and `topics check` say."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from app.topics.catalog import Finding, TopicSpec


def report(
    specs: Sequence[TopicSpec], created: Sequence[str], findings: Sequence[Finding]
) -> list[dict[str, Any]]:
    """Return a row for each topic, and one for each thing that is wrong with it."""
    rows: list[dict[str, Any]] = []
    for spec in specs:
        wrong = [finding for finding in findings if finding.topic == spec.name]
        status = "created" if spec.name in created else "wrong" if wrong else "good"
        rows.extend(
            {
                "topic": spec.name,
                "status": status,
                "setting": finding.setting,
                "found": finding.found,
                "needed": finding.needed,
                "remedy": finding.remedy,
            }
            for finding in wrong
        )
        if not wrong:
            rows.append({"topic": spec.name, "status": status})
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows as a table, and each remedy below it."""
    console = Console()
    table = Table("topic", "status", "setting", "found", "needed")
    for row in rows:
        style = {"good": "green", "created": "bold green", "wrong": "bold red"}[row["status"]]
        table.add_row(
            row["topic"],
            f"[{style}]{row['status']}[/]",
            *(row.get(column, "") for column in ("setting", "found", "needed")),
        )
    console.print(table)
    for row in rows:
        if "remedy" in row:
            console.print(f"{row['topic']}: {row['remedy']}", markup=False, soft_wrap=True)
