"""Artifacts as zip files: what is unpacked, and every trick that is refused."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.digest import artifact_digest
from app.domain.errors import ModelRefused
from app.service.model_zip import Limits, pack, unpack

SMALL = Limits(total_bytes=3_000_000, files=20, ratio=100)


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return whole.getvalue()


def unpacked(content: bytes, folder: Path, limits: Limits = SMALL) -> dict[str, bytes]:
    """Unpack and return all files; nothing may be written outside, whatever happens."""
    target = folder / "in" / "side"
    target.mkdir(parents=True)
    packed = folder / "artifact.zip"
    packed.write_bytes(content)
    try:
        unpack(packed, target, limits)
    finally:
        everything = {p for p in folder.rglob("*") if not p.is_relative_to(target)}
        assert everything == {folder / "in", target, packed} - {target}
        assert not any(p.is_symlink() for p in folder.rglob("*"))
    return {
        p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()
    }


def info(name: str, mode: int = 0, **changes: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("placeholder")
    made.filename = name
    made.external_attr = mode << 16
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def patched(content: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in content
    return content.replace(old, new)


def encrypted() -> bytes:
    content = bytearray(zipped(("a", b"x")))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    return bytes(content)


def with_count(count: int) -> bytes:
    content = bytearray(zipped(("a", b"x")))
    struct.pack_into("<HH", content, len(content) - 14, count, count)
    return bytes(content)


def lying_about_size() -> bytes:
    """A megabyte that says of itself to be a byte."""
    content = bytearray(zipped(("a", b"\0" * 2_000_000), method=zipfile.ZIP_DEFLATED))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.index(signature) + place, 1)
    return bytes(content)


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "traversal": (lambda: zipped((info("../evil"), b"x")), "leads elsewhere"),
    "deep traversal": (lambda: zipped((info("a/../../../evil"), b"x")), "leads elsewhere"),
    "dot": (lambda: zipped((info("./a"), b"x")), "leads elsewhere"),
    "empty part": (lambda: zipped((info("a//b"), b"x")), "leads elsewhere"),
    "absolute": (lambda: zipped((info("/tmp/evil"), b"x")), "absolute"),  # noqa: S108
    "drive": (lambda: zipped((info("C:evil"), b"x")), "absolute"),
    "backslash": (lambda: zipped((info("a\\..\\evil"), b"x")), "not for names"),
    "nul": (lambda: patched(zipped(("aXb", b"x")), b"aXb", b"a\0b"), "not for names"),
    "newline": (lambda: zipped((info("a\nb"), b"x")), "not for names"),
    "long name": (lambda: zipped((info("a" * 201), b"x")), "200 characters"),
    "link": (lambda: zipped((info("a", stat.S_IFLNK | 0o777), b"/etc/passwd")), "link"),
    "device": (lambda: zipped((info("a", stat.S_IFCHR), b"")), "link or a device"),
    "folder that is a file": (lambda: zipped((info("a/", stat.S_IFREG), b"")), "link or a device"),
    "twice": (
        lambda: patched(zipped(("aa", b"x"), ("bb", b"y")), b"bb", b"aa"),
        "twice",
    ),
    "twice in capitals": (lambda: zipped(("MLmodel", b"x"), ("mlMODEL", b"y")), "twice"),
    "twice in Unicode": (lambda: zipped(("\u00e9", b"x"), ("e\u0301", b"y")), "twice"),
    "file and folder": (lambda: zipped(("a", b"x"), ("a/b", b"y")), "a file and a folder"),
    "encrypted": (encrypted, "encrypted"),
    "bzip2": (lambda: zipped(("a", b"x"), method=zipfile.ZIP_BZIP2), "another way"),
    "many files": (lambda: zipped(*((f"f{n}", b"") for n in range(21))), "more than 20 files"),
    "many announced": (lambda: with_count(60_000), "more than 20 files"),
    "too large": (lambda: zipped(("a", b"x" * 3_000_001)), "larger than allowed"),
    "too large together": (
        lambda: zipped(("a", b"x" * 2_000_000), ("b", b"x" * 2_000_000)),
        "larger than allowed",
    ),
    "bomb": (
        lambda: zipped(("a", b"\0" * 2_900_000), method=zipfile.ZIP_DEFLATED),
        "too much larger than its zip",
    ),
    "lying": (lying_about_size, "broken|larger"),
    "wrong checksum": (
        lambda: patched(zipped(("a", b"content")), b"content", b"CONTENT"),
        "broken",
    ),
    "cut short": (lambda: zipped(("a", b"x"))[:-5], "no zip file"),
    "comment": (lambda: zipped(("a", b"x"))[:-2] + b"\1\0c", "no zip file"),
    "empty": (lambda: b"", "no zip file"),
    "text": (lambda: b"PK" * 100, "no zip file"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_trick_is_refused_and_nothing_is_written_elsewhere(attack: str, tmp_path: Path) -> None:
    make, said = ATTACKS[attack]
    with pytest.raises(ModelRefused, match=said):
        unpacked(make(), tmp_path)


def test_a_plain_zip_file_gives_its_files(tmp_path: Path) -> None:
    content = zipped(("MLmodel", b"x"), ("data/", b""), ("data/model.skops", b"y"))
    assert unpacked(content, tmp_path) == {"MLmodel": b"x", "data/model.skops": b"y"}


def test_what_a_client_of_the_registry_wrote_into_its_download_is_left_out(tmp_path: Path) -> None:
    content = zipped(("MLmodel", b"x"), ("registered_model_meta", b"y"))
    assert unpacked(content, tmp_path) == {"MLmodel": b"x"}


NAMES = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3})?", fullmatch=True).map(lambda n: f"d{n}.x")


@given(st.dictionaries(NAMES, st.binary(max_size=200), max_size=8))
def test_what_is_packed_is_unpacked_byte_for_byte(files: dict[str, bytes]) -> None:
    import tempfile  # noqa: PLC0415 - a folder for each example

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        source, target = Path(one, "source"), Path(other)
        source.mkdir()
        for name, content in files.items():
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_bytes(content)
        with Path(one, "packed.zip").open("wb") as file:
            pack(source, file)
        unpack(Path(one, "packed.zip"), target, SMALL)
        assert artifact_digest(source) == artifact_digest(target)


@given(st.binary(max_size=300))
def test_noise_is_refused_and_never_raises_anything_else(noise: bytes) -> None:
    import tempfile  # noqa: PLC0415 - a folder for each example

    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "packed.zip")
        packed.write_bytes(noise + zipped(("a", b"content"))[len(noise) % 60 :])
        target = Path(folder, "target")
        target.mkdir()
        try:
            unpack(packed, target, SMALL)
        except ModelRefused:
            return
        assert [p.name for p in target.iterdir()] == ["a"]
