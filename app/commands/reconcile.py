"""`reconcile`."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import read_settings


def reconcile(
    once: Annotated[
        bool, typer.Option("--once", help="End when they agree, or it was given up; for jobs.")
    ] = False,
) -> None:
    """Put in force what the alias in MLflow names, whenever somebody moves it, until SIGTERM.

    A moved alias is staged at once: all instances load that version beside the one in force. It is
    announced when all live ones have it. If one has not within `reconciler.load_timeout_s`, it
    is given up, or announced all the same (`reconciler.on_timeout`). It may run several times at
    once, and be killed at any moment.

    Exit code 8 with `--once` if the version was given up, or there is no such alias.
    """
    from app.bootstrap.reconciling import reconciler  # noqa: PLC0415

    settings = read_settings()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    made = reconciler(settings, stop.is_set)
    if not once:
        made.run(settings.reconciler.every_s, stop.wait)
        return
    ended = made.settle(stop.wait)
    typer.echo(f"{ended.why[0].upper()}{ended.why[1:]}.")
    if not ended.agrees:
        raise typer.Exit(NOT_WELL)
