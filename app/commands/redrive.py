"""`redrive`."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.letter_options import From, Reasons, Until  # noqa: TC001 - typer reads them
from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings

if TYPE_CHECKING:
    from app.tools.redriving.json_edits import Edits
    from app.tools.redriving.redrive import Preview, Redrive, Written


def redrive(
    reason: Reasons = None,
    from_: From = None,
    until: Until = None,
    partition: Annotated[
        int | None, typer.Option(min=0, help="Only of this partition of the dead letters.")
    ] = None,
    offset: Annotated[
        int | None, typer.Option(min=0, help="Only the letter at this offset of --partition.")
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Rename a field first; may be repeated."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field first, to JSON, or to text if it is none; may be repeated.",
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Drop a field first; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; send nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't ask; needed where nobody can be asked.")
    ] = False,
    even_if_bad: Annotated[
        bool, typer.Option("--even-if-bad", help="Send letters that would be refused again, too.")
    ] = False,
    max_tries: Annotated[
        int, typer.Option(min=1, help="Skip records that were redriven so often.")
    ] = 3,
    samples: Annotated[int, typer.Option(min=0, help="Letters to show of each outcome.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their topic again, each once, after edits if you like.

    It first looks at all of them, and says what would be sent; then it asks. Records go to their
    own partition with their own key, and behind all that is there: the version that is in force
    then answers them. However often it is killed, repeated or run twice at once, a letter is sent
    once. Fields are dropped first, then renamed, then set.

    Exit code 8 if a letter was skipped, or not all was sent.
    """
    from rich.console import Console  # noqa: PLC0415

    from app.bootstrap import redriving  # noqa: PLC0415
    from app.tools.letters.chosen import LetterSelection  # noqa: PLC0415
    from app.tools.letters.screen import show  # noqa: PLC0415
    from app.tools.progress import progress_bar  # noqa: PLC0415
    from app.tools.redriving import screen  # noqa: PLC0415

    if offset is not None and partition is None:
        raise typer.BadParameter("--offset needs --partition", param_hint="--offset")
    if not dry_run and not yes and not sys.stdin.isatty():
        raise typer.BadParameter(
            "nobody can be asked here: see what --dry-run says, then say --yes", param_hint="--yes"
        )
    selection = LetterSelection(
        frozenset(reason) if reason else None, from_, until, partition, offset
    )
    work = redriving.redrive(
        read_settings(),
        selection,
        _edits(rename or [], set_ or [], drop or []),
        max_tries=max_tries,
        even_if_bad=even_if_bad,
    )
    with progress_bar(f"reading {work.letters_topic}") as tell:
        seen = work.preview(samples, tell)
    console = Console(highlight=False, stderr=as_json)
    if not (as_json and (yes or dry_run)):
        show(
            console,
            screen.preview_screen(seen, work.records_topic, even_if_bad=even_if_bad),
        )
    written = None
    if seen.sent and not dry_run:
        asked = f"Send {seen.sent:,} records to {work.records_topic}?"
        if yes or typer.confirm(asked, err=True):
            written = _write(work, seen)
        else:
            typer.echo("Nothing was sent.", err=True)
    if as_json:
        topics = work.letters_topic, work.records_topic
        print_rows([screen.as_dict(seen, written, topics)])
    elif written is not None:
        show(console, [screen.written_screen(seen, written, work.records_topic)])
    declined = bool(seen.sent) and not dry_run and written is None
    ended_early = written is not None and written.ended != "done"
    if seen.skipped or declined or ended_early:
        raise typer.Exit(NOT_WELL)


def _edits(renames: list[str], sets: list[str], drops: list[str]) -> Edits:
    from app.tools.redriving.json_edits import Edits  # noqa: PLC0415

    try:
        return Edits.parse(renames, sets, drops)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--rename, --set, --drop") from error


def _write(work: Redrive, seen: Preview) -> Written:
    """Write; the first Ctrl+C ends it in order, behind the transaction that is open."""
    from app.tools.progress import progress_bar  # noqa: PLC0415

    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with progress_bar(f"to {work.records_topic}") as tell:
            return work.write(seen, tell, stop.is_set)
    finally:
        signal.signal(signal.SIGINT, before)
