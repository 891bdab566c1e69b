"""The announcement topic as a person reads it: what was, is and will be in force."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.plans import Entry, Plan, PlanTable, Staged, Void
from app.domain.times import instant
from app.tools.plain_text import printable
from app.topics.announcements import Ignored

_STYLES = {
    "in force": "bold green",
    "coming": "cyan",
    "ignored": "yellow",
    "past": "dim",
    "voided": "red",
    "void": "magenta",
    "staged": "bold cyan",
    "was staged": "dim",
    "unstaged": "dim",
}


def history(entries: Sequence[Entry | Ignored], now_ms: int) -> list[dict[str, Any]]:
    """Return a row for each message of the topic, in its order; docs/rollback.md has the fields.

    `status` is `past`, `in force`, `coming` or `voided` for a plan, `void` for what voids one,
    `staged` or `was staged` for a version that is or was, `unstaged` for what ended that, and
    `ignored` for the rest.
    """
    table = PlanTable.of(entry for entry in entries if not isinstance(entry, Ignored))
    in_force = table.at(now_ms)
    voids = {void.voided_offset: void for void in table.voids}
    rows: list[dict[str, Any]] = []
    for entry in entries:
        if isinstance(entry, Ignored):
            why = f"{entry.kind}: {entry.why}"
            rows.append({"offset": entry.offset, "status": "ignored", "why": why})
        elif isinstance(entry, Void):
            rows.append(
                {
                    "offset": entry.offset,
                    "status": "void",
                    "model": entry.model_name,
                    "voids": entry.voided_offset,
                    "announced": instant(entry.appended_ms),
                    "why": entry.why,
                }
            )
        elif isinstance(entry, Plan):
            rows.append(_plan(entry, in_force, now_ms) | _voided(voids.get(entry.offset)))
        elif isinstance(entry, Staged):
            status = "staged" if entry is table.staged else "was staged"
            rows.append({"offset": entry.offset, "status": status, **_named(entry)})
        else:
            rows.append(
                {
                    "offset": entry.offset,
                    "status": "unstaged",
                    "model": entry.model_name,
                    "unstages": entry.staged_offset,
                    "announced": instant(entry.appended_ms),
                    "why": entry.why,
                }
            )
    return rows


def _plan(plan: Plan, in_force: Plan | None, now_ms: int) -> dict[str, Any]:
    coming = plan.effective_ms > now_ms and plan is not in_force
    return {
        "offset": plan.offset,
        "status": "in force" if plan is in_force else "coming" if coming else "past",
        **_named(plan),
        "effective": instant(plan.effective_ms),
        "guard_ms": plan.announcement.guard_ms,
    }


def _named(entry: Plan | Staged) -> dict[str, Any]:
    announced = entry.announcement
    return {
        "model": announced.model_name,
        "version": announced.model_version,
        "announced": instant(entry.appended_ms),
        "digest": announced.digest,
        "run_id": announced.run_id,
        **({"why": announced.why} if announced.why is not None else {}),
    }


def _voided(void: Void | None) -> dict[str, Any]:
    if void is None:
        return {}
    return {"status": "voided", "voided_by": void.offset, "voided_why": void.why}


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table("offset")
    for column in ("status", "version", "effective"):
        table.add_column(column, no_wrap=True)
    table.add_column("digest or reason", overflow="fold")
    for row in rows:
        table.add_row(
            str(row["offset"]),
            Text(row["status"], style=_STYLES[row["status"]]),
            Text(printable(row.get("version", ""))),
            row.get("effective", ""),
            Text(printable(_said(row))),
        )
    console = Console()
    console.print(table if rows else "Nothing has been announced.")


def _said(row: dict[str, Any]) -> str:
    if "unstages" in row:
        return f"offset {row['unstages']}: {row['why']}"
    if "voids" in row:
        return f"offset {row['voids']}: {row['why']}"
    if "voided_by" in row:
        return f"by offset {row['voided_by']}: {row['voided_why']}"
    return str(row.get("why") or row["digest"][:19] + "…")
