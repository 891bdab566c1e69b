"""`announce` and `announcements`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.staging import Timeout, announce_when_loaded
from app.commands.terminal import (
    AsJson,
    instant_ms,
    print_rows,
    read_settings,
    require_our_model,
    why_option,
)

if TYPE_CHECKING:
    from app.domain.plans import Plan


def announce(
    model: Annotated[str, typer.Argument(help="The registered model's name.")],
    version: Annotated[str, typer.Argument(help="Its version in MLflow.")],
    effective_from: Annotated[
        int | None,
        typer.Option(
            parser=instant_ms,
            metavar="TIME",
            help="Not in force before this time (UTC unless it says otherwise). The very first "
            "plan answers earlier records all the same: there is no other.",
        ),
    ] = None,
    why: Annotated[str | None, why_option("Why, for whoever reads the history.")] = None,
    verify: Annotated[
        bool, typer.Option(help="Load the model first, in a process of its own.")
    ] = True,
    when_loaded: Annotated[
        bool,
        typer.Option(
            "--when-loaded",
            help="Stage it first, and announce it once all live instances have loaded it; if one "
            "does not within --timeout, all is as before.",
        ),
    ] = False,
    timeout: Timeout = 120.0,
    as_json: AsJson = False,
) -> None:
    """Put a model version in force on every instance, from the same moment.

    It is in force once its guard has passed, or at `--effective-from` if that is later. Where
    `reconcile` runs, the alias in MLflow wins: move that instead. Exit code 8 if another plan came
    in between, or not all instances loaded it.
    """
    from app.bootstrap import announcing  # noqa: PLC0415

    settings = read_settings()
    require_our_model(settings, model)
    if when_loaded:
        if effective_from is not None:
            raise typer.BadParameter("not beside --effective-from", param_hint="--when-loaded")
        staged = announcing.stage(settings, model, version, why=why, check=verify)
        _show_plan(announce_when_loaded(settings, staged, timeout), as_json)
        return
    plan = announcing.announce_version(
        settings, model, version, effective_from_ms=effective_from, why=why, check=verify
    )
    _show_plan(plan, as_json)


def announcements(as_json: AsJson = False) -> None:
    """Show every announcement, when each takes effect, and which is in force now."""
    from app.bootstrap import history  # noqa: PLC0415
    from app.tools import announcement_history  # noqa: PLC0415

    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    rows = announcement_history.history(history.announced(read_settings()), now_ms)
    print_rows(rows) if as_json else announcement_history.show(rows)


def _show_plan(plan: Plan, as_json: bool) -> None:
    from app.domain.times import instant  # noqa: PLC0415

    announced = plan.announcement
    row = {
        "model": announced.model_name,
        "version": announced.model_version,
        "offset": plan.offset,
        "effective_from": instant(plan.effective_ms),
        "digest": announced.digest,
    }
    if as_json:
        print_rows([row])
    else:
        typer.echo(
            f"Announced {announced.model_name} version {announced.model_version} at offset "
            f"{plan.offset}; in force from {instant(plan.effective_ms)}."
        )
