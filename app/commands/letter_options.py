"""What `dead-letters` and `redrive` share: which letters."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import instant_ms
from app.domain.records import Reason

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only of this reason; may be repeated.")
]
From = Annotated[
    int | None,
    typer.Option(
        "--from",
        parser=instant_ms,
        metavar="TIME",
        help="Only letters of this time or later; UTC unless it says otherwise.",
    ),
]
Until = Annotated[
    int | None,
    typer.Option("--until", parser=instant_ms, metavar="TIME", help="Only letters before it."),
]
