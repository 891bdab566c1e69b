"""The files of a backup: what is written is read, and what is damaged is named."""

import gzip
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.backup import data_files, manifest
from app.backup.data_files import DataFile, DataWriter, Entry
from app.backup.manifest import Manifest, PartitionCopy, RoleCopy
from app.domain.errors import BackupError

content = st.none() | st.binary(max_size=40)
header_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
entries = st.lists(
    st.builds(
        Entry,
        offset=st.integers(0, 2**62),
        appended_ms=st.integers(-1, 2**62),
        key=content,
        value=content,
        headers=st.lists(st.tuples(header_names, content), max_size=3),
    ),
    max_size=30,
)


def write(path: Path, messages: list[Entry]) -> DataFile:
    path.unlink(missing_ok=True)
    writer = DataWriter(path)
    for message in messages:
        writer.add(message)
    return writer.close()


@given(entries)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, messages: list[Entry]
) -> None:
    path = tmp_path_factory.mktemp("files") / "records-0.gz"
    file = write(path, messages)
    data_files.verify(path.parent, file)
    assert list(data_files.read(path)) == messages


def many() -> list[Entry]:
    return [Entry(i, i, b"k", b"%d" % i * 50, [("h", b"1"), ("n", None)]) for i in range(2_345)]


def test_many_messages_are_many_blocks(tmp_path: Path) -> None:
    write(tmp_path / "a-0.gz", many())
    assert list(data_files.read(tmp_path / "a-0.gz")) == many()


def test_the_same_messages_are_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a-0.gz", many()), write(tmp_path / "a-1.gz", many())
    assert first.sha256 == second.sha256


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:-1], "bytes, not"),
        (lambda data: data + b"x", "bytes, not"),
        (lambda data: data[:99] + bytes([data[99] ^ 1]) + data[100:], "another SHA-256"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: Any, said: str) -> None:
    path = tmp_path / "records-0.gz"
    file = write(path, many())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BackupError, match=f"records-0.gz has .*{said}"):
        data_files.verify(tmp_path, file)
    path.unlink()
    with pytest.raises(BackupError, match=r"records-0.gz can't be read: No such file"):
        data_files.verify(tmp_path, file)


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip",
        gzip.compress(b"abc", mtime=0),
        gzip.compress(b"\0\0\0\x09abc", mtime=0),
        b"\x1f\x8b\x08",
    ],
)
def test_what_is_no_data_file_is_an_error_of_ours(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BackupError, match="can't be read"):
        list(data_files.read(tmp_path / "x"))


def made(folder: Path, name: str = "records-0.gz") -> Manifest:
    """Write a backup of one partition."""
    file = write(folder / name, many())
    part = PartitionCopy(0, 0, 2_345, 2_345, 0, 0, 0, 2_344, file, committed=7, unanswered=2_338)
    whole = Manifest(
        manifest.FORMAT,
        manifest.VERSION,
        "2026-11-25T12:00:00.000Z",
        "0.1.0",
        "model",
        "group",
        "exactly-once",
        {"records": RoleCopy("treasury.data", {"retention.ms": "-1"}, [part])},
        [manifest.Caveat("at_least_once", "…")],
    )
    manifest.write(folder, whole)
    return whole


def test_a_manifest_is_read_as_it_was_written_and_sha256sum_agrees(tmp_path: Path) -> None:
    assert made(tmp_path) == manifest.read(tmp_path)
    subprocess.run(["/usr/bin/sha256sum", "-c", manifest.SUMS], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"committed": 7', '"committed": 8', "is damaged: its SHA-256"),
        ('"version": 1', '"version": 2', "has the format 'ds-models-backup' 2"),
        ('"format": "ds-models-backup"', '"format": "other"', "has the format 'other' 1"),
        ('"messages": 2345', '"messages": "many"', "is damaged: Expected `int`"),
        ("{", "", "is damaged"),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    made(tmp_path)
    path = tmp_path / manifest.NAME
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BackupError, match=said):
        manifest.read(tmp_path)


def test_a_file_outside_the_folder_is_refused(tmp_path: Path) -> None:
    whole = made(tmp_path)
    text = msgspec.json.encode(whole).replace(b"records-0.gz", b"../records-0.gz")
    manifest.write(tmp_path, msgspec.json.decode(text, type=Manifest))
    with pytest.raises(BackupError, match="no data file"):
        manifest.read(tmp_path)


def test_a_partition_that_is_missing_is_told(tmp_path: Path) -> None:
    text = msgspec.json.encode(made(tmp_path)).replace(b'"partition":0', b'"partition":1')
    manifest.write(tmp_path, msgspec.json.decode(text, type=Manifest))
    with pytest.raises(BackupError, match="does not have every partition of records once"):
        manifest.read(tmp_path)


def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no backup"):
        manifest.read(tmp_path)
