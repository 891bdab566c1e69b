"""`void`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings, why_option


def void(
    offset: Annotated[
        int,
        typer.Argument(
            min=0, metavar="OFFSET", help="Of the plan; `announcements` shows the offsets."
        ),
    ],
    why: Annotated[str, why_option("Why; kept for ever.")],
    even_if_last: Annotated[
        bool,
        typer.Option("--even-if-last", help="Also if no plan is left: all records wait then."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it would change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take back a plan that nobody can load: records that wait for it take the plan before it.

    **This is the only thing that changes the past.** From when an instance reads it, it joins
    records as if the plan had never been announced. Records that are answered keep their answers:
    if the plan has answered any, a replay gives those another version. Use `rollback` for a
    version that works and is not wanted. A void can't be voided: announce the version again.

    Exit code 8 if there is no such plan, it is voided already, or it is the last one.
    """
    from app.bootstrap import announcing  # noqa: PLC0415
    from app.tools.plain_text import printable  # noqa: PLC0415
    from app.tools.voiding import as_dict, in_words  # noqa: PLC0415

    voided = announcing.void(
        read_settings(), offset, why, even_if_last=even_if_last, dry_run=dry_run
    )
    if as_json:
        print_rows([as_dict(voided)])
    else:
        typer.echo(printable(in_words(voided)))
