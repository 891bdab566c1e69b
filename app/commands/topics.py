"""`topics create` and `topics check`."""

from __future__ import annotations

import typer

from app.commands.terminal import AsJson, print_rows, read_settings


def create(as_json: AsJson = False) -> None:
    """Create the topics that are missing; report existing ones that break a promise (exit 3)."""
    _report(create=True, as_json=as_json)


def check(as_json: AsJson = False) -> None:
    """Report topics that are missing or break a promise (exit 3); change nothing."""
    _report(create=False, as_json=as_json)


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
