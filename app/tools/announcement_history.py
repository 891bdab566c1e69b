"""The announcement topic as a person reads it: what was, is and will be in force."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from app.domain.plans import Plan, PlanTable
from app.topics.announcements import Ignored

_STYLES = {"in force": "bold green", "coming": "cyan", "ignored": "yellow", "past": "dim"}


def history(entries: Sequence[Plan | Ignored], now_ms: int) -> list[dict[str, Any]]:
    """Return a row for each message of the topic, in its order.

    `status` is `past`, `in force`, `coming` or `ignored`.
    """
    table = PlanTable.of(entry for entry in entries if isinstance(entry, Plan))
    in_force = table.at(now_ms)
    rows: list[dict[str, Any]] = []
    for entry in entries:
        if isinstance(entry, Ignored):
            why = f"{entry.kind}: {entry.why}"
            rows.append({"offset": entry.offset, "status": "ignored", "why": why})
            continue
        announced = entry.announcement
        coming = entry.effective_ms > now_ms and entry is not in_force
        rows.append(
            {
                "offset": entry.offset,
                "status": "in force" if entry is in_force else "coming" if coming else "past",
                "model": announced.model_name,
                "version": announced.model_version,
                "announced": instant(entry.appended_ms),
                "effective": instant(entry.effective_ms),
                "guard_ms": announced.guard_ms,
                "digest": announced.digest,
                "run_id": announced.run_id,
            }
        )
    return rows


def instant(unix_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 in UTC.

    >>> instant(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    moment = datetime.fromtimestamp(unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table("offset")
    for column in ("status", "version", "effective"):
        table.add_column(column, no_wrap=True)
    table.add_column("digest or reason", overflow="fold")
    for row in rows:
        style = _STYLES[row["status"]]
        table.add_row(
            str(row["offset"]),
            f"[{style}]{row['status']}[/]",
            row.get("version", ""),
            row.get("effective", ""),
            row.get("why") or row["digest"][:19] + "…",
        )
    console = Console()
    console.print(table if rows else "Nothing has been announced.")
