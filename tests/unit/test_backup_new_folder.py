"""A backup's folder is there whole, or not at all."""

from pathlib import Path

import pytest

from app.backup.new_folder import new_folder
from app.domain.errors import BackupError


def test_it_is_there_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "monday"
    with new_folder(target) as partial:
        (partial / "records-0.gz").write_bytes(b"1")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["monday"]
    assert (target / "records-0.gz").read_bytes() == b"1"


def fail(target: Path) -> None:
    with new_folder(target) as partial:
        (partial / "records-0.gz").write_bytes(b"1")
        raise KeyboardInterrupt


def test_whatever_interrupts_it_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "monday")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_taken_over(tmp_path: Path) -> None:
    left = tmp_path / "monday.partial"
    left.mkdir()
    for name in ("records-0.gz", "manifest.json", "SHA256SUMS"):
        (left / name).write_bytes(b"old")
    with new_folder(tmp_path / "monday") as partial:
        assert list(partial.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused_and_stays(tmp_path: Path) -> None:
    left = tmp_path / "monday.partial"
    left.mkdir()
    (left / "thesis.txt").write_bytes(b"precious")
    (left / "manifest.json").write_bytes(b"of the thesis")
    with (
        pytest.raises(BackupError, match=r"thesis.txt is not of a backup"),
        new_folder(tmp_path / "monday"),
    ):
        pass
    assert (left / "thesis.txt").read_bytes() == b"precious"
    assert (left / "manifest.json").read_bytes() == b"of the thesis"


def test_two_at_once_do_not_write_the_same_folder(tmp_path: Path) -> None:
    with (
        new_folder(tmp_path / "monday") as partial,
        pytest.raises(BackupError, match="another process writes"),
        new_folder(tmp_path / "monday"),
    ):
        pass
    assert partial.name == "monday.partial"
    assert (tmp_path / "monday").exists()


def test_a_place_that_can_not_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(BackupError, match="can't be written: Not a directory"),
        new_folder(tmp_path / "file" / "monday"),
    ):
        pass
