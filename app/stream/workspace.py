"""A folder for each instance, and no litter of instances that were killed."""

import fcntl
import os
import shutil
from pathlib import Path

_LOCK = "lock"
_held: list[int] = []  # locks live as long as the process


def own_folder(parent: Path) -> Path:
    """Return a new folder in `parent` for this process alone.

    Folders that no living process owns are deleted: each is locked by its owner, and the lock
    ends with the process, however it ends.

    Raises:
        OSError: `parent` can't be written.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob("instance-*"):
        lock = _lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    number = 0
    while True:
        folder = parent / f"instance-{os.getpid()}-{number}"
        folder.mkdir(exist_ok=True)
        lock = _lock(folder)
        if lock is not None:
            _held.append(lock)
            return folder / "models"
        number += 1


def _lock(folder: Path) -> int | None:
    """Lock the folder for this process; None if another one has it, or it is gone or none."""
    try:
        handle = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_ino == (folder / _LOCK).stat().st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass  # another one has it, or has just deleted it
    os.close(handle)
    return None
