"""`config` and `config check`."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings


def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show every setting in force and where its value comes from; secrets are masked.

    From the default, a file or an environment variable; what it was stronger than stands beside
    it.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console  # noqa: PLC0415

    from app import settings  # noqa: PLC0415
    from app.tools.settings.in_force import rows, table  # noqa: PLC0415

    found, sources = settings.read_with_sources()
    shown = rows(found.model_dump(mode="json"), sources)
    if as_json:
        print_rows(shown)
    else:
        Console(highlight=False).print(table(shown))


def check(
    context: typer.Context,
    timeout: Annotated[
        float, typer.Option(min=1, help="The longest that one of the checks may take, in seconds.")
    ] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Connect to all that the settings name; say what is wrong, and what to do about it.

    Exit code 8 if something is. Changes nothing, and goes on after a failure. An instance that
    runs on this machine has its operator port, so that check fails beside it.
    """
    from app.bootstrap import checking  # noqa: PLC0415
    from app.tools.settings.check import run_checks  # noqa: PLC0415
    from app.tools.settings.check import show as show_found  # noqa: PLC0415

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it tells each retry
    checks = checking.config_checks(read_settings(), timeout)
    found = list(run_checks(checks, timeout))
    if as_json or (context.parent is not None and context.parent.params.get("as_json")):
        print_rows(one.as_dict() for one in found)
    else:
        show_found(found)
    if any(one.status == "wrong" for one in found):
        raise typer.Exit(NOT_WELL)
