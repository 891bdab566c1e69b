"""`backup` and `restore`."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from app.commands.status import NOT_WELL
from app.commands.terminal import AsJson, print_rows, read_settings


def backup(
    folder: Annotated[Path, typer.Argument(help="Is made; until it is whole: FOLDER.partial.")],
    as_json: AsJson = False,
) -> None:
    """Copy our topics and the group's offsets into a new folder, while the stream runs.

    Records, signals, dead letters, marks of those that were redriven, and announcements, each
    message with its offset and append time.
    Answers to records that the group has not committed are left out: they are given again after a
    restore. Exit code 8 if the backup is made but can't promise that nothing is lost; it says why.
    """
    from app.backup import manifest  # noqa: PLC0415
    from app.bootstrap import copying  # noqa: PLC0415
    from app.tools import backup_screen  # noqa: PLC0415

    started = time.monotonic()
    with backup_screen.bars() as progress:
        made = copying.back_up(read_settings(), folder, progress)
    row = {
        "folder": str(folder),
        **manifest.as_dict(made),
        "seconds": round(time.monotonic() - started, 3),
    }
    print_rows([row]) if as_json else backup_screen.show_backup(row)
    if any(caveat.kind != "at_least_once" for caveat in made.caveats):
        raise typer.Exit(NOT_WELL)


def restore(
    folder: Annotated[Path, typer.Argument(help="What `backup` made.", exists=True)],
    check: Annotated[
        bool, typer.Option("--check", help="Only look whether it can be restored here.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Delete what an interrupted restore has left, and begin anew. Other topics are "
            "never deleted.",
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Even if Kafka may delete records before they are answered."),
    ] = False,
    fill_limit: Annotated[
        int,
        typer.Option(
            min=0, help="The most empty messages to write where old offsets were deleted."
        ),
    ] = 100_000_000,
    as_json: AsJson = False,
) -> None:
    """Restore a backup to the topics and the group of the settings, which must be new.

    Each message gets the offset and the append time that it had, and the group its offsets; then
    everything is read again and compared. Instances refuse the topics until it is done. Stop the
    producers meanwhile.
    """
    from app.bootstrap import copying, parts  # noqa: PLC0415
    from app.tools import backup_screen  # noqa: PLC0415

    started, settings = time.monotonic(), read_settings()
    with backup_screen.bars() as progress:
        restorer = copying.restorer(settings, progress)
        found = restorer.check(
            folder, round(time.time() * 1000), again=again, most_filled=fill_limit
        )
        if not yes:
            found.require_kept()
        if not check:
            restorer.restore(folder, found)
    created = [] if check else parts.create_topics(settings)
    row = {
        "folder": str(folder),
        "restored": not check,
        **found.as_dict(),
        "created": created,
        "seconds": round(time.monotonic() - started, 3),
    }
    print_rows([row]) if as_json else backup_screen.show_restore(row)
