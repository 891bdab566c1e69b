"""`dead-letters`."""

from typing import Annotated

import typer

from app.commands.letter_options import From, Reasons, Until
from app.commands.terminal import AsJson, print_rows, read_settings


def dead_letters(
    reason: Reasons = None,
    from_: From = None,
    until: Until = None,
    samples: Annotated[
        int, typer.Option(min=0, help="The newest letters to show of each reason.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show how many dead letters there are, why, since when, and how many were redriven.

    With `--samples`, the newest of each reason as well: where it stands, what was wrong, and how
    its value begins. `redrive` sends letters again.
    """
    from rich.console import Console  # noqa: PLC0415

    from app.bootstrap import redriving  # noqa: PLC0415
    from app.tools.letters.chosen import LetterSelection  # noqa: PLC0415
    from app.tools.letters.counts import as_dict  # noqa: PLC0415
    from app.tools.letters.screen import screen, show  # noqa: PLC0415
    from app.tools.progress import progress_bar  # noqa: PLC0415

    selection = LetterSelection(frozenset(reason) if reason else None, from_, until)
    settings = read_settings()
    with progress_bar(f"reading {settings.topics.dead_letters}") as tell:
        counts = redriving.letter_counts(settings, selection, samples, tell)
    if as_json:
        print_rows([as_dict(counts)])
    else:
        show(Console(highlight=False), screen(counts))
