"""`trace`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings, screen_console, start_of


def trace(
    record: Annotated[
        str,
        typer.Argument(
            metavar="ID|PARTITION:OFFSET",
            help="The record's id, or its place on the input topic; PARTITION/OFFSET is one too.",
        ),
    ],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="Where the search for an id begins on the input topic: an offset, a time (ISO "
            "8601, UTC unless it says otherwise) or `earliest`.",
        ),
    ] = "earliest",
    to_end: Annotated[
        bool,
        typer.Option(
            "--to-end",
            help="Read the answers to their end: is there a second one? Else the search ends with "
            "the first.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one record's whole way: the record, the plan in force for it and why, and its answer.

    If several records have the id, each is shown. A place is found at once; an id is looked for in
    all of the input topic, from `--from` on. Exit code 8 if there is no such record.
    """
    from app.bootstrap import messages  # noqa: PLC0415
    from app.tools.progress import progress_bar  # noqa: PLC0415
    from app.tools.tracing.screen import screen  # noqa: PLC0415
    from app.tools.tracing.trace import as_dict  # noqa: PLC0415
    from app.topics.starts import LATEST  # noqa: PLC0415

    begin = start_of(start)
    if begin == LATEST:
        raise typer.BadParameter("nothing stands behind the latest", param_hint="--from")
    settings = read_settings()
    found = messages.tracer(settings, progress_bar, to_end=to_end).traces(record, begin)
    if as_json:
        print_rows(map(as_dict, found))
    else:
        console = screen_console()
        for number, one in enumerate(found):
            if number:
                console.print()
            console.print(screen(one))
        if not found:
            console.print(
                f"{settings.topics.records} has no record with this id or place. What Kafka has "
                "deleted can't be traced; inspect --id looks for its answer.",
                markup=False,
                soft_wrap=True,
            )
    if not found:
        raise typer.Exit(NOT_WELL)
