"""`inspect`."""

from __future__ import annotations

import os
import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings, screen_console, start_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from app.tools.inspecting.rows import Row
    from app.tools.inspecting.selection import Selection

_TABLE_FITS = 140  # columns of a terminal; on a narrower one each message is a line
_TABLE_ROWS = 1_000  # a table is drawn when all its rows are known; of more, each is a line
_NOTHING = "There is no such message."


def inspect(  # the arguments are those of the command line
    topic: Annotated[str, typer.Argument(help="Any topic; ours are decoded.")],
    limit: Annotated[
        int | None,
        typer.Option("--max", min=1, help="The most messages: the first ones by time."),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="WHERE",
            help="An offset, a time (ISO 8601, UTC unless it says otherwise), `earliest`, or "
            "`latest`: with --follow only what is still to come, else the newest messages, --max "
            "or 10 of them.",
        ),
    ] = "earliest",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is still to come, until Ctrl+C.")
    ] = False,
    key: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Only messages with this key.")
    ] = None,
    record_id: Annotated[
        list[str] | None,
        typer.Option(
            "--id",
            metavar="TEXT",
            help="Only the record with this id, or its answer; without an id it is "
            "TOPIC/PARTITION/OFFSET.",
        ),
    ] = None,
    model_version: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VERSION",
            help="Only answers of this version, its announcements, and instances that have it in "
            "force.",
        ),
    ] = None,
    reason: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="Only dead letters and bad records of this reason, announcements that are "
            "ignored for it, or instances that hold for it.",
        ),
    ] = None,
    partition: Annotated[
        list[int] | None, typer.Option(min=0, metavar="NUMBER", help="Only this partition.")
    ] = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="Not the messages: their rates, versions, reasons and prices."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a topic holds, from the earliest message, as a `read_committed` reader sees it.

    Each filter can be given several times, and then takes any of the values. A filter that
    matches little and a summary have to read all that there is from `--from` on.
    """
    from app.tools.inspecting.filters import Filter  # noqa: PLC0415
    from app.tools.inspecting.selection import Selection  # noqa: PLC0415

    begin = start_of(start)
    if summary and follow:
        raise typer.BadParameter("a summary needs an end: leave out --follow")
    wanted = Selection(
        start=begin,
        limit=limit,
        follow=follow,
        filter=Filter(
            keys=[os.fsencode(text) for text in key or ()],
            ids=record_id or (),
            versions=model_version or (),
            reasons=reason or (),
        ),
    )
    try:
        if summary:
            _summarise(topic, wanted, partition, as_json=as_json)
        else:
            _show(topic, wanted, partition, as_json=as_json)
    except KeyboardInterrupt:
        if not follow:
            raise


def _summarise(
    topic: str, wanted: Selection, partitions: list[int] | None, *, as_json: bool
) -> None:
    from app.bootstrap import messages  # noqa: PLC0415
    from app.tools.inspecting import summary  # noqa: PLC0415
    from app.tools.inspecting.summary_screen import screen  # noqa: PLC0415
    from app.tools.progress import progress_bar  # noqa: PLC0415

    settings = read_settings()
    with progress_bar(topic) as told:
        rows = messages.topic_rows(settings, topic, wanted, partitions, told)
        found = summary.summary_of(rows)
    if as_json:
        print_rows([summary.as_dict(topic, found)])
    else:
        console = screen_console()
        console.print(screen(topic, found, plain=console.options.ascii_only))


def _show(topic: str, wanted: Selection, partitions: list[int] | None, *, as_json: bool) -> None:
    from app.bootstrap import messages  # noqa: PLC0415
    from app.tools.progress import progress_bar  # noqa: PLC0415

    settings, console = read_settings(), screen_console()

    def show(rows: Iterable[Row]) -> None:
        if as_json:
            _print_json(rows, flush=wanted.follow)
        else:
            _print_for_people(rows, console, topic, table=not wanted.follow)

    if wanted.ends_before_it_shows:
        with progress_bar(topic) as told:
            rows = list(messages.topic_rows(settings, topic, wanted, partitions, told))
        show(rows)
    else:
        lines_would_mix = console.is_terminal or wanted.follow
        with progress_bar(topic, wanted=not lines_would_mix) as told:
            show(messages.topic_rows(settings, topic, wanted, partitions, told))


def _print_json(rows: Iterable[Row], *, flush: bool) -> None:
    from app.tools.inspecting import tables  # noqa: PLC0415

    output = sys.stdout.buffer
    for row in rows:
        output.write(tables.json_line(row) + b"\n")
        if flush:
            output.flush()
    output.flush()


def _print_for_people(rows: Iterable[Row], console: Console, topic: str, *, table: bool) -> None:
    from app.tools.inspecting import tables  # noqa: PLC0415

    rows = iter(rows)
    first: list[Row] = []
    if table and console.width >= _TABLE_FITS:
        first = list(islice(rows, _TABLE_ROWS + 1))
        if len(first) <= _TABLE_ROWS:
            console.print(tables.table(first, title=topic) if first else _NOTHING)
            return
    nothing = True
    for row in chain(first, rows):
        nothing = False
        console.print(tables.line(row), soft_wrap=True)
    if nothing and table:
        console.print(_NOTHING)
