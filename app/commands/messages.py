"""`inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import AsJson, read_settings

_TABLE_FITS = 140  # columns of a terminal; on a narrower one each message is a line


def inspect(
    topic: Annotated[str, typer.Argument(help="Any topic; ours are decoded.")],
    limit: Annotated[int | None, typer.Option("--max", min=1, help="The most messages.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what is still to come.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a topic holds, from the earliest message, as a `read_committed` reader sees it."""
    from rich.console import Console  # noqa: PLC0415

    from app import bootstrap  # noqa: PLC0415
    from app.tools import inspect as inspection  # noqa: PLC0415
    from app.tools import tables  # noqa: PLC0415
    from app.topics import reading  # noqa: PLC0415

    settings = read_settings()
    known = bootstrap.topic_decoders(settings)
    messages = reading.read(bootstrap.kafka(settings), topic, limit=limit, follow=follow)
    rows = (inspection.row_of(message, known) for message in messages)
    console = Console(highlight=False)
    if as_json:
        for row in rows:
            typer.echo(tables.json_line(row))
    elif follow or console.width < _TABLE_FITS:
        for row in rows:
            console.print(tables.line(row), soft_wrap=True)
    else:
        console.print(tables.table(rows, title=topic))
