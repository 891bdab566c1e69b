"""What `dead-letters` and `redrive` share: which letters, and how they say that it takes long."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.domain.records import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def instant_ms(text: str) -> int:
    """Read a time; UTC unless it says otherwise.

    >>> instant_ms("2026-11-25T06:26:18.961Z"), instant_ms("2026-11-25")
    (1795587978961, 1795564800000)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-25T06:26:18Z") from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only of this reason; may be repeated.")
]
From = Annotated[
    int | None,
    typer.Option(
        "--from",
        parser=instant_ms,
        metavar="TIME",
        help="Only letters of this time or later; UTC unless it says otherwise.",
    ),
]
Until = Annotated[
    int | None,
    typer.Option("--until", parser=instant_ms, metavar="TIME", help="Only letters before it."),
]


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show on standard error how far it is; yields what is told the number."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
    with Progress(
        *columns,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
