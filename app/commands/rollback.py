"""`rollback`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.commands.terminal import AsJson, print_rows, read_settings, who_am_i, why_option


def rollback(
    why: Annotated[str | None, why_option("Why; kept in the announcement.")] = None,
    verify: Annotated[
        bool, typer.Option(help="Load the model first, in a process of its own.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do all of it but move and announce; say what.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0, help="Seconds that live instances may take to load it, if they must."),
    ] = 10.0,
    instead_of: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Only if this version is in force; for programs."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to the version that was in force before the present one.

    It moves the alias in MLflow, and puts that version in force as soon as all live instances have
    it loaded, or after `--timeout`: one that is broken must not stand in the way. It goes by what
    was announced, and announces anew: records that are appended from then on take
    the old version, and nothing of the past changes. If records wait for a version that nobody can
    load, this does not free them: see `void`.

    Exit code 8 if there is no version to go back to, or its files are not those that served.
    """
    from app.bootstrap import announcing, promoting  # noqa: PLC0415
    from app.domain.times import instant  # noqa: PLC0415
    from app.tools.plain_text import printable  # noqa: PLC0415

    settings = read_settings()
    plan = None
    if dry_run:
        done, _ = announcing.plan_rollback(settings, why=why, check=verify, instead_of=instead_of)
    else:
        done, _, plan = promoting.roll_back(
            settings,
            who=who_am_i(),
            why=why,
            check=verify,
            timeout_s=timeout,
            instead_of=instead_of,
        )
    served = done.target.announcement
    row: dict[str, Any] = {
        "model": served.model_name,
        "version": served.model_version,
        "as_at_offset": done.target.offset,
        "instead_of": {
            "version": done.present.announcement.model_version,
            "offset": done.present.offset,
        },
        "offset": None if plan is None else plan.offset,
        "effective": None if plan is None else instant(plan.effective_ms),
        "overtakes": [
            {
                "version": one.announcement.model_version,
                "offset": one.offset,
                "effective": instant(one.effective_ms),
            }
            for one in done.overtaken
        ],
        "digest": served.digest,
        "why": why,
    }
    if as_json:
        print_rows([row])
        return
    does = "It would announce" if plan is None else "Announced"
    typer.echo(
        printable(
            f"{does} {served.model_name} version {served.model_version} again, as at offset "
            f"{done.target.offset}, instead of version {row['instead_of']['version']}."
        )
    )
    if plan is not None:
        typer.echo(f"It has offset {plan.offset}, and is in force from {row['effective']}.")
    for one in row["overtakes"]:
        typer.echo(
            printable(
                f"Version {one['version']} of offset {one['offset']}, which was to come at "
                f"{one['effective']}, will not: what is announced later wins."
            )
        )
