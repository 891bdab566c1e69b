"""`status`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings

NOT_WELL = 8


def status(
    watch: Annotated[bool, typer.Option(help="Show it again and again, until Ctrl+C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show the lag and its trend, the plans, and what each instance loads, serves or waits for.

    Exit code 8 if something holds, or no instance is live.
    """
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from app.bootstrap import watching  # noqa: PLC0415
    from app.tools.watching.screen import screen  # noqa: PLC0415
    from app.tools.watching.status import as_dict  # noqa: PLC0415

    look = watching.status_look(read_settings())
    found = look()
    if as_json:
        print_rows([as_dict(found)])
    elif not watch:
        Console(highlight=False).print(screen(found))
    try:
        with (
            Live(screen(found), auto_refresh=False)
            if watch and not as_json
            else nullcontext() as live
        ):
            while watch:
                time.sleep(every)
                found = look()
                if live is None:
                    print_rows([as_dict(found)])
                else:
                    live.update(screen(found), refresh=True)
    except KeyboardInterrupt:
        pass  # it was asked to end
    if found.holds is not None:
        raise typer.Exit(NOT_WELL)
