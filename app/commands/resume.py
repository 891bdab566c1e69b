"""`resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings, why_option


def resume(
    why: Annotated[str | None, why_option("Each instance logs it.")] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds that they may take.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Let instances go on that a circuit breaker holds: the records become dead letters.

    The breaker lets everything pass then, and is armed again once the share of dead letters is
    normal. Exit code 8 if no live instance is held by it, or one does not go on in time.
    """
    from app.bootstrap import watching  # noqa: PLC0415

    went_on = watching.resume(read_settings(), why, wait)
    if as_json:
        print_rows({"instance": name, "went_on": on} for name, on in went_on.items())
    elif not went_on:
        typer.echo("No live instance is held by its circuit breaker; see python -m app status.")
    for name, on in {} if as_json else went_on.items():
        typer.echo(f"{name} {'goes on' if on else f'is still held after {wait:g} s'}.")
    if not went_on or not all(went_on.values()):
        raise typer.Exit(NOT_WELL)
