"""The workspace: a folder for each living process, none for the dead."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.stream.workspace import own_folder
from tests.harness.instances import ROOT

OWNER = """
import sys
from pathlib import Path
from app.stream.workspace import own_folder
sys.stdin.readline() if sys.argv[2] == "wait" else None
folder = own_folder(Path(sys.argv[1]))
folder.mkdir()
(folder / "model").write_text("weights")
print(folder, flush=True)
sys.stdin.read()
"""


class Owner:
    """A process that owns a folder in `parent` until it is ended."""

    def __init__(self, parent: Path, *, wait: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(parent), "wait" if wait else "begin"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def folder(self) -> Path:
        assert self._process.stdout is not None
        return Path(self._process.stdout.readline().strip())

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Owner]]:
    owners: list[Owner] = []

    def make(*, wait: bool = False) -> Owner:
        owners.append(Owner(tmp_path, wait=wait))
        return owners[-1]

    yield make
    for owner in owners:
        owner.kill()


def test_the_parent_is_made_and_the_folder_is_in_one_of_our_own(tmp_path: Path) -> None:
    folder = own_folder(tmp_path / "not" / "there")
    assert folder.name == "models"
    assert folder.parent.parent == tmp_path / "not" / "there"
    assert str(os.getpid()) in folder.parent.name


def test_two_folders_of_one_process_are_not_the_same(tmp_path: Path) -> None:
    first, second = own_folder(tmp_path), own_folder(tmp_path)
    assert first != second
    assert first.parent.is_dir()


def test_the_folder_of_a_living_process_stays(tmp_path: Path, start: Callable[..., Owner]) -> None:
    folder = start().folder()
    own_folder(tmp_path)
    assert (folder / "model").read_text() == "weights"


def test_the_folder_of_a_killed_process_is_deleted_by_the_next_one(
    tmp_path: Path, start: Callable[..., Owner]
) -> None:
    killed, living = start(), start()
    litter, used = killed.folder(), living.folder()
    killed.kill()
    assert litter.is_dir()
    own_folder(tmp_path)
    assert not litter.parent.exists()
    assert used.is_dir()


def test_a_folder_that_nobody_ever_locked_is_deleted(tmp_path: Path) -> None:
    litter = tmp_path / "instance-1-0" / "models"
    litter.mkdir(parents=True)
    own_folder(tmp_path)
    assert not litter.parent.exists()


def test_whatever_else_is_in_the_parent_stays(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "instance-of-what").write_text("a file, no folder")
    own_folder(tmp_path)
    assert {"notes.txt", "other", "instance-of-what"} <= {p.name for p in tmp_path.iterdir()}


def test_processes_that_start_at_once_delete_the_dead_and_not_each_other(
    tmp_path: Path, start: Callable[..., Owner]
) -> None:
    for number in range(50):
        (tmp_path / f"instance-{number}-0" / "models").mkdir(parents=True)
    owners = [start(wait=True) for _ in range(4)]
    for owner in owners:
        owner.begin()
    folders = {owner.folder() for owner in owners}
    assert len(folders) == 4
    assert {path.parent for path in folders} == set(tmp_path.iterdir())
    assert all((folder / "model").is_file() for folder in folders)


def test_a_parent_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        own_folder(tmp_path / "file" / "models")
