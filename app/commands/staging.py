"""`stage` and `unstage`, and how `announce --when-loaded` waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings, require_our_model, why_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.plans import Plan, Staged
    from app.settings import Settings
    from app.tools.watching.staging import Progress

Timeout = Annotated[
    float, typer.Option(min=1, help="Seconds that live instances may take to load it.")
]


def stage(
    model: Annotated[str, typer.Argument(help="The registered model's name.")],
    version: Annotated[str, typer.Argument(help="Its version in MLflow.")],
    why: Annotated[str | None, why_option("Why, for whoever reads the history.")] = None,
    verify: Annotated[
        bool, typer.Option(help="Load the model first, in a process of its own.")
    ] = True,
    timeout: Timeout = 120.0,
    as_json: AsJson = False,
) -> None:
    """Have all instances load a version and keep it warm; what is in force stays in force.

    Announce it then, and no record waits for it. The next plan ends it, whatever version that
    names, and so does `unstage`.

    Exit code 8 if a live instance has not loaded it in time; it stays staged, and is tried again.
    """
    from app.bootstrap import announcing  # noqa: PLC0415
    from app.tools.watching.staging import as_dict, reached  # noqa: PLC0415

    settings = read_settings()
    require_our_model(settings, model)
    staged = announcing.stage(settings, model, version, why=why, check=verify)
    found = wait_until_loaded(settings, staged, timeout)
    if as_json:
        print_rows([as_dict(staged, found)])
    else:
        typer.echo(f"Staged {model} version {version} at offset {staged.offset}.")
        show_instances(found)
    if not reached(found):
        raise typer.Exit(NOT_WELL)


def unstage(
    why: Annotated[str, why_option("Why; kept on the announcement topic.")],
    as_json: AsJson = False,
) -> None:
    """Have instances forget the version that is staged. Exit code 8 if none is."""
    from app.bootstrap import announcing  # noqa: PLC0415

    offset = announcing.unstage(read_settings(), why)
    if as_json:
        print_rows([{"unstaged_offset": offset}])
    elif offset is None:
        typer.echo("No version is staged.")
    else:
        typer.echo(f"What was staged at offset {offset} is staged no more.")
    if offset is None:
        raise typer.Exit(NOT_WELL)


def announce_when_loaded(settings: Settings, staged: Staged, timeout_s: float) -> Plan:
    """Put a staged version in force once all live instances have loaded it.

    Raises:
        Refused: One has not in time; or a plan came in between. All is as before.
        BrokerUnavailable: Kafka is away. It may still be staged.
    """
    from app.bootstrap import announcing  # noqa: PLC0415
    from app.domain.errors import Refused  # noqa: PLC0415
    from app.tools.watching.staging import reached, who_lacks  # noqa: PLC0415

    plan = None
    try:
        found = wait_until_loaded(settings, staged, timeout_s)
        if not reached(found):
            raise Refused(
                f"version {staged.announcement.model_version} is not announced: after "
                f"{timeout_s:g} s it is not loaded by {who_lacks(found)}"
            )
        plan = announcing.announce_staged(settings, staged)
    finally:
        if plan is None:
            announcing.unstage(settings, "not all instances loaded it in time", staged.offset)
    return plan


def wait_until_loaded(settings: Settings, staged: Staged, timeout_s: float) -> list[Progress]:
    """Wait until all live instances have loaded it; show how far they are on standard error."""
    from app.bootstrap import watching  # noqa: PLC0415
    from app.tools.watching import staging  # noqa: PLC0415
    from app.tools.watching.live import live_table  # noqa: PLC0415

    look = watching.staging_look(settings, staged)
    with live_table() as show:
        return staging.wait(look, show, timeout_s)


def show_instances(found: Sequence[Progress]) -> None:
    """Print how far each live instance is."""
    from rich.console import Console  # noqa: PLC0415

    from app.tools.watching.staging import table_of  # noqa: PLC0415

    if found:
        Console(highlight=False).print(table_of(found))
    else:
        typer.echo("No instance is live: the next one to start loads it before it joins.")
