"""`promote`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.staging import Timeout, show_instances
from app.commands.status import NOT_WELL
from app.commands.terminal import (
    AsJson,
    print_rows,
    read_settings,
    require_our_model,
    who_am_i,
    why_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain.plans import Plan
    from app.domain.promoting import Promoted
    from app.settings import Settings
    from app.tools.watching.staging import Progress

_TURN_S = 15.0  # beyond the guard


def promote(
    model: Annotated[str, typer.Argument(help="The registered model's name.")],
    version: Annotated[str, typer.Argument(help="Its version in MLflow.")],
    why: Annotated[str | None, why_option("Why; kept in MLflow and in the announcement.")] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Until all live instances serve it; if one does not load it within --timeout, "
            "the alias is moved back, and all is as before.",
        ),
    ] = False,
    timeout: Timeout = 120.0,
    verify: Annotated[
        bool, typer.Option(help="Load the model first, in a process of its own.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Move the alias in MLflow to a version, so that all instances serve it.

    Without `--wait` that is all, and whatever reconciles does the rest: `reconcile`, or the
    registry service. With `--wait` nothing else need run: the version is staged, and put in force
    once all live instances have loaded it, from one moment for all partitions.

    Exit code 8 if not all loaded it in time or the alias was moved elsewhere meanwhile: the message
    says which instance, and why. Also if it is in force, which is said, and an instance does not
    serve it within 15 seconds.
    """
    from app.bootstrap import promoting  # noqa: PLC0415

    settings = read_settings()
    require_our_model(settings, model)
    promoted = promoting.promote(settings, version, who=who_am_i(), why=why, check=verify)
    if not wait:
        _show(promoted, None, [], as_json=as_json)
        return
    plan = _put_in_force(settings, promoted, timeout)
    found = _wait_for_turn(settings, plan)
    _show(promoted, plan, found, as_json=as_json)
    if any(one.state != "serving" for one in found):
        raise typer.Exit(NOT_WELL)


def _put_in_force(settings: Settings, promoted: Promoted, timeout_s: float) -> Plan:
    """Return the plan, or move the alias back.

    Raises:
        Refused: It was given up or interrupted; the message says what is so now.
        DsModelsError: MLflow or Kafka were away for too long; likewise.
    """
    from app.bootstrap import promoting  # noqa: PLC0415
    from app.domain.errors import DsModelsError, Refused  # noqa: PLC0415
    from app.tools.watching.live import live_table  # noqa: PLC0415

    try:
        with live_table() as show:
            return promoting.put_in_force(settings, promoted, timeout_s, "give_up", show)
    except (DsModelsError, KeyboardInterrupt) as error:
        said = _take_back(settings, promoted, str(error) or "it was interrupted")
        kind = type(error) if isinstance(error, DsModelsError) else Refused
        raise kind(said) from error


def _take_back(settings: Settings, promoted: Promoted, why: str) -> str:
    """Move the alias back; return what is so now."""
    from app.bootstrap import promoting  # noqa: PLC0415
    from app.domain.errors import DsModelsError  # noqa: PLC0415

    said = f"version {promoted.version} is not promoted: {why}"
    try:
        if not promoting.move_back(settings, promoted):
            return said
    except DsModelsError as error:
        return f"{said}; and the alias {promoted.alias} could not be moved back: {error}"
    said = f"{said}; the alias {promoted.alias} names {_before(promoted)}, as before"
    try:
        promoting.tidy_after(settings, promoted, f"not promoted: {why}")
    except DsModelsError as error:
        return f"{said}; what was staged for it is left to whatever reconciles: {error}"
    return said


def _wait_for_turn(settings: Settings, plan: Plan) -> list[Progress]:
    from app.bootstrap import watching  # noqa: PLC0415
    from app.tools.watching import staging  # noqa: PLC0415
    from app.tools.watching.live import live_table  # noqa: PLC0415

    guard_s = (plan.effective_ms - plan.appended_ms) / 1000
    with live_table() as show:
        look = watching.turn_look(settings, plan)
        return staging.wait(look, show, guard_s + _TURN_S, staging.turned)


def _show(
    promoted: Promoted, plan: Plan | None, found: Sequence[Progress], *, as_json: bool
) -> None:
    from app.domain.times import instant  # noqa: PLC0415
    from app.tools.plain_text import printable  # noqa: PLC0415

    if as_json:
        row: dict[str, Any] = {
            **asdict(promoted),
            "offset": None if plan is None else plan.offset,
            "effective": None if plan is None else instant(plan.effective_ms),
            "instances": [asdict(one) for one in found],
        }
        print_rows([row])
        return
    typer.echo(
        printable(
            f"The alias {promoted.alias} of {promoted.model} names version {promoted.version}; "
            f"before, it named {_before(promoted)}."
        )
    )
    if plan is None:
        typer.echo("What reconciles puts it in force: `reconcile`, or the registry service.")
        return
    typer.echo(f"It has offset {plan.offset}, and is in force from {instant(plan.effective_ms)}.")
    show_instances(found)


def _before(promoted: Promoted) -> str:
    return f"version {promoted.before}" if promoted.before else "no version"
