"""`backup` and `restore` on a terminal: bars while they work, and what they did."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from app.tools.plain_text import printable


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what is told the progress: what is done, how much of it, and how much there is."""
    tasks: dict[str, TaskID] = {}
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:

        def tell(what: str, done: int, total: int) -> None:
            if total == 0:
                return  # a bar of nothing never ends
            if what not in tasks:
                tasks[what] = progress.add_task(what.replace("_", " "), total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield tell


def show_backup(row: Mapping[str, Any]) -> None:
    """Print what a backup holds."""
    console = Console(highlight=False)
    table = Table()
    table.add_column("topic", overflow="fold")
    for column in ("partitions", "messages", "left out", "unanswered", "bytes"):
        table.add_column(column, justify="right")
    for role in row["roles"]:
        table.add_row(
            role["topic"],
            *(
                f"{role[name]:,}"
                for name in ("partitions", "messages", "left_out", "unanswered", "bytes")
            ),
        )
    console.print(table)
    console.print(
        f"{printable(row['folder'])}: of {row['at']}, group {row['group']}, "
        f"in {row['seconds']:.1f} s",
        markup=False,
        soft_wrap=True,
    )
    _show_caveats(console, row["caveats"])


def show_restore(row: Mapping[str, Any]) -> None:
    """Print what was restored, or could be."""
    console = Console(highlight=False)
    table = Table()
    table.add_column("topic", overflow="fold")
    for column in ("partitions", "messages", "committed offsets of the group"):
        table.add_column(column, justify="right")
    for role in row["roles"]:
        offsets = [] if role["role"] != "records" else row["committed"]
        table.add_row(
            role["topic"],
            f"{role['partitions']:,}",
            f"{role['messages']:,}",
            ", ".join(f"{place['partition']}: {place['offset']:,}" for place in offsets),
        )
    console.print(table)
    did = "restored, and read again" if row["restored"] else "whole, and can be restored here"
    console.print(
        f"{printable(row['folder'])}: of {printable(row['at'])}, {did}, in {row['seconds']:.1f} s",
        markup=False,
        soft_wrap=True,
    )
    for name in row["created"]:
        console.print(f"{name}: made anew, empty", markup=False)
    if row["restored"]:
        console.print(f"Instances of {row['group']} can be started.", markup=False)
    _show_caveats(console, row["caveats"])


def _show_caveats(console: Console, caveats: Sequence[Mapping[str, Any]]) -> None:
    for caveat in caveats:
        console.print(f"[yellow]can't be promised[/] ({caveat['kind']})", end=": ")
        console.print(printable(caveat["message"]), markup=False, soft_wrap=True)
