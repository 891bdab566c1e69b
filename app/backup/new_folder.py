"""A folder that is there whole or not at all, whatever happens while it is written."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.backup import manifest
from app.domain.errors import BackupError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield `FOLDER.partial`, which becomes `folder` at the end, or is removed by an exception.

    What is in it must be on the disk by then. What a killed process has left of it is removed.

    Raises:
        BackupError: `folder` is there, somebody else writes it, or the disk refuses.
    """
    folder = folder.absolute()
    partial = folder.with_name(folder.name + ".partial")
    if folder.exists():
        raise BackupError(f"{folder} is there already; a backup goes into a new folder")
    try:
        partial.mkdir(parents=True, exist_ok=True)
        held = os.open(partial, os.O_RDONLY)
        try:
            _take_over(partial, held)
            try:
                yield partial
                os.fsync(held)
                partial.rename(folder)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        finally:
            os.close(held)
        _sync(folder.parent)
    except OSError as error:
        remedy = "; make room, or choose another disk" if error.errno == errno.ENOSPC else ""
        raise BackupError(
            f"{folder} can't be written: {error.strerror or error}{remedy}"
        ) from error


def _take_over(partial: Path, held: int) -> None:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed, or we are killed
    except BlockingIOError as error:
        raise BackupError(f"another process writes {partial} now") from error
    left = sorted(partial.iterdir())
    for path in left:
        if path.name not in {manifest.NAME, manifest.SUMS} and not manifest.DATA_FILE.fullmatch(
            path.name
        ):
            raise BackupError(f"{path} is not of a backup; remove it, or choose another folder")
    for path in left:
        path.unlink()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
