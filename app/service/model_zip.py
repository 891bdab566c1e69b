"""Artifacts as zip files: unpacked with every trick refused, and packed byte for byte.

Nothing that a file says of itself is believed: sizes are counted while they are written.
"""

import errno
import os
import stat
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.domain.digest import NOT_CONTENT
from app.domain.errors import ModelRefused

_END_BYTES = 22
_LARGEST_NAME = 200
_AT_ONCE = 1 << 20
_UNPACKED = 1 << 20  # so much may come of any file, however well it was compressed
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_FAULTS_OF_NAMES = frozenset({errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR})
_EARLIEST = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an artifact may be.

    Attributes:
        total_bytes: Of all its files, unpacked.
        files: The most files and folders.
        ratio: The most bytes that come of one byte of the zip file, once there is a megabyte.
    """

    total_bytes: int = 1_000_000_000
    files: int = 1_000
    ratio: int = 200


def unpack(packed: Path, into: Path, limits: Limits) -> None:
    """Unpack a zip file into an empty folder.

    Args:
        packed: The zip file.
        into: The folder. If it is refused, some of the files may be there.
        limits: What it may be.

    Raises:
        ModelRefused: It is no plain zip file of files within the limits.
    """
    most_packed = packed.stat().st_size * limits.ratio + _UNPACKED
    most = min(limits.total_bytes, most_packed)
    try:
        _require_short_directory(packed, limits.files)
        with zipfile.ZipFile(packed) as archive:
            for info in _checked(archive.infolist(), limits.files):
                target = into / info.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("xb") as file:
                    most -= _copy(source, file, most, "the whole artifact")
    except ModelRefused:
        raise
    except OSError as error:
        if error.errno not in _FAULTS_OF_NAMES:
            raise
        raise ModelRefused(f"a name in it can't be written: {error.strerror}") from error
    except Exception as error:  # BadZipFile, zlib.error, EOFError, whatever a broken file leads to
        raise ModelRefused(f"the zip file is broken: {type(error).__name__}") from error


def pack(folder: Path, file: IO[bytes]) -> None:
    """Write the files of an artifact as a zip file, the same bytes for the same files."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(_files(folder)):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EARLIEST)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
                while part := source.read(_AT_ONCE):
                    target.write(part)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).as_posix() not in NOT_CONTENT:
            yield path


def _require_short_directory(packed: Path, most: int) -> None:
    """Look at the end of the file before its list of files is read into memory.

    Raises:
        ModelRefused: There is no such end, or it announces too much.
    """
    with packed.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES - 20))
        tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(b"PK\x05\x06") or end[20:] != b"\0\0":
        raise ModelRefused("it is no zip file, or has a comment at its end")
    if tail[:4] == b"PK\x06\x07":
        raise ModelRefused("it is a zip file for more than 65,535 files or 4 GB (zip64)")
    count = int.from_bytes(end[10:12], "little")
    directory = int.from_bytes(end[12:16], "little")
    if count > most or directory > most * (46 + 3 * _LARGEST_NAME):
        raise ModelRefused(f"it has more than {most:,} files")


def _checked(infos: Iterable[zipfile.ZipInfo], most: int) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of an archive, all of them looked at before the first is yielded.

    Raises:
        ModelRefused: One of them has a name or a kind that is not for us.
    """
    files: list[zipfile.ZipInfo] = []
    seen: dict[str, bool] = {}
    for number, info in enumerate(infos):
        if number >= most:
            raise ModelRefused(f"it has more than {most:,} files")
        name, folder = _safe_name(info), info.is_dir()
        _require_plain(info, name)
        if _same(name) in seen:
            raise ModelRefused(f"{name!r} is there twice")
        seen[_same(name)] = folder
        if not folder and name not in NOT_CONTENT:
            files.append(info)
    for name in seen:
        parents = name.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if seen.get("/".join(parents[:depth])) is False:
                raise ModelRefused(f"{'/'.join(parents[:depth])!r} is a file and a folder")
    yield from files


def _require_plain(info: zipfile.ZipInfo, name: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG}:
        raise ModelRefused(f"{name!r} is a link or a device")
    if info.flag_bits & _ENCRYPTED:
        raise ModelRefused(f"{name!r} is encrypted")
    if info.compress_type not in _METHODS:
        raise ModelRefused(f"{name!r} is compressed in another way than deflate")


def _safe_name(info: zipfile.ZipInfo) -> str:
    written = info.orig_filename
    name = written.removesuffix("/")
    shown = ascii(written[:100])
    if not name or len(written) > _LARGEST_NAME:
        raise ModelRefused(f"a file has no name, or one of more than {_LARGEST_NAME} characters")
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in name) or "\\" in name:
        raise ModelRefused(f"the name {shown} has characters that are not for names")
    if name.startswith("/") or ":" in name:
        raise ModelRefused(f"the name {shown} is absolute")
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise ModelRefused(f"the name {shown} leads elsewhere")
    return name


def _same(name: str) -> str:
    """Return what two names have in common that some file system holds for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _copy(source: IO[bytes], target: IO[bytes], most: int, what: str) -> int:
    copied = 0
    while part := source.read(_AT_ONCE):
        copied += len(part)
        if copied > most:
            raise ModelRefused(f"{what} is larger than allowed, or too much larger than its zip")
        target.write(part)
    return copied
