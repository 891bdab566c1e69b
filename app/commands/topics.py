"""`topics create`, `topics check` and `topics acls`."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import AsJson, print_rows, read_settings


def create(as_json: AsJson = False) -> None:
    """Create the topics that are missing; report existing ones that break a promise (exit 3)."""
    _report(create=True, as_json=as_json)


def check(as_json: AsJson = False) -> None:
    """Report topics that are missing or break a promise (exit 3); change nothing."""
    _report(create=False, as_json=as_json)


def acls(
    role: Annotated[
        str | None, typer.Option(help="Only this one of our kinds of client; all if not said.")
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option(metavar="User:NAME", help="Who has it; `User:` and the role if not said."),
    ] = None,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply", help="Have Kafka allow it; say --role and --principal. Takes nothing away."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the least that Kafka must allow each kind of client, or have it allow that."""
    from app.bootstrap import access  # noqa: PLC0415
    from app.tools.acl_table import rows, show  # noqa: PLC0415
    from app.topics.permissions import ROLES  # noqa: PLC0415

    if role is not None and role not in ROLES:
        raise typer.BadParameter(f"{role!r} is none of {', '.join(ROLES)}", param_hint="--role")
    if principal is not None and not all(principal.partition(":")):
        raise typer.BadParameter("it is as User:NAME", param_hint="--principal")
    if apply and (role is None or principal is None):
        raise typer.BadParameter("--apply needs --role and --principal")
    settings = read_settings()
    found = {one: access.needed(settings, one) for one in ([role] if role else ROLES)}
    if apply and role and principal:
        access.grant(settings, principal, found[role])
    shown = rows(found, principal, applied=apply)
    print_rows(shown) if as_json else show(shown)


def _report(*, create: bool, as_json: bool) -> None:
    from app.bootstrap import parts  # noqa: PLC0415
    from app.tools.topic_report import report, show  # noqa: PLC0415

    settings = read_settings()
    topics, specs = parts.topic_catalog(settings), parts.topic_specs(settings)
    created = topics.create(specs) if create else []
    findings = topics.findings(specs)
    rows = report(specs, created, findings)
    print_rows(rows) if as_json else show(rows)
    if findings:
        raise typer.Exit(3)
