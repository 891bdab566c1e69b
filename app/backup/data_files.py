"""The data file of a partition: gzip over blocks of messages, each a length and a msgpack list.

A message is `[offset, append time, key, value, headers]`; the length is four bytes, big-endian.
"""

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from app.domain.errors import BackupError

_LENGTH = struct.Struct(">I")
_BLOCK_MESSAGES = 1_000
_BLOCK_BYTES = 1_000_000


class Entry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A message as it is kept.

    Attributes:
        offset: In its partition.
        appended_ms: Its timestamp, in Unix milliseconds.
        key: Byte for byte; None is not the same as no bytes. So is the value.
        headers: In their order.
    """

    offset: int
    appended_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]

    @property
    def size(self) -> int:
        """Bytes of key, value and headers together."""
        return (
            len(self.key or b"")
            + len(self.value or b"")
            + sum(len(name) + len(value or b"") for name, value in self.headers)
        )


class DataFile(msgspec.Struct, frozen=True):
    """A file of a backup, and how to know that it is whole.

    Attributes:
        name: Within the backup's folder.
        bytes: Its size.
        sha256: Of its bytes as they are, 64 hexadecimal digits.
    """

    name: str
    bytes: int
    sha256: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Entry]).decode


class DataWriter:
    """Writes one data file. Raises OSError if the disk refuses.

    Args:
        path: Must not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self._gzip = zlib.compressobj(1, wbits=31)  # 31: as a gzip file
        self._block: list[Entry] = []
        self._block_bytes = 0

    def add(self, entry: Entry) -> None:
        """Take the next message."""
        self._block.append(entry)
        self._block_bytes += entry.size
        if len(self._block) == _BLOCK_MESSAGES or self._block_bytes >= _BLOCK_BYTES:
            self._write_block()

    def close(self) -> DataFile:
        """Finish the file; return once it is on the disk."""
        if self._block:
            self._write_block()
        self._write(self._gzip.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        return DataFile(self._path.name, size, self._hash.hexdigest())

    def abandon(self) -> None:
        """Close what is left of it."""
        self._file.close()

    def _write_block(self) -> None:
        encoded = _encode(self._block)
        self._write(self._gzip.compress(_LENGTH.pack(len(encoded)) + encoded))
        self._block, self._block_bytes = [], 0

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def read(path: Path) -> Iterator[Entry]:
    """Yield the messages of a data file, in the order of their offsets.

    Raises:
        BackupError: The file is not what `DataWriter` writes.
    """
    try:
        with gzip.open(path) as file:
            while length := file.read(_LENGTH.size):
                yield from _decode(_exactly(file, _LENGTH.unpack(length)[0]))
    except (OSError, EOFError, zlib.error, struct.error, msgspec.MsgspecError) as error:
        raise BackupError(f"{path} can't be read: {error}") from error


def _exactly(file: Any, size: int) -> bytes:
    data: bytes = file.read(size)
    if len(data) < size:
        raise EOFError(f"a block of {size} bytes ends after {len(data)}")
    return data


def verify(folder: Path, expected: DataFile) -> None:
    """Return if the file is byte for byte what was written.

    Raises:
        BackupError: It is missing, or of another size or digest.
    """
    path = folder / expected.name
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise BackupError(f"{path} can't be read: {error.strerror}") from error
    if size != expected.bytes:
        raise BackupError(f"{path} has {size} bytes, not {expected.bytes}: it is damaged")
    if digest != expected.sha256:
        raise BackupError(f"{path} has another SHA-256 than when it was written: it is damaged")
