"""`manifest.json`: what a backup holds, and what it can't know. Schema: docs/schemas/files."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from app.backup.data_files import DataFile
from app.domain.errors import BackupError

NAME = "manifest.json"
SUMS = "SHA256SUMS"
FORMAT = "ds-models-backup"
VERSION = 1
DATA_FILE = re.compile(r"[a-z_]+-[0-9]+\.gz")

CaveatKind = Literal[
    "at_least_once",
    "deleted_unanswered",
    "never_committed",
    "committed_beyond_end",
    "headers_unreadable",
]


class Caveat(msgspec.Struct, frozen=True):
    """Something that the backup can't promise.

    Attributes:
        kind: One word for programs.
        message: One sentence for a person.
        count: How many messages or offsets it is about, None if it is about all.
    """

    kind: CaveatKind
    message: str
    count: int | None = None


class PartitionCopy(msgspec.Struct, frozen=True):
    """One partition.

    Attributes:
        start: The first offset that Kafka still had.
        end: The offset after the last one that is covered.
        messages: How many are in the file.
        left_out: How many answers are not, because their records are answered again.
        gaps: How often offsets are missing after a message: transaction markers and what is hidden.
        first_ms: Append time of the first message in Unix milliseconds; None if there is none.
        last_ms: Of the last.
        committed: The group's offset; None if it has none, and for topics that it doesn't read.
        unanswered: How many messages the group has not answered.
        oldest_unanswered_ms: The earliest append time of those.
    """

    partition: int
    start: int
    end: int
    messages: int
    left_out: int
    gaps: int
    first_ms: int | None
    last_ms: int | None
    file: DataFile
    committed: int | None = None
    unanswered: int = 0
    oldest_unanswered_ms: int | None = None


class RoleCopy(msgspec.Struct, frozen=True):
    """One topic, by what it is for.

    Attributes:
        topic: Its name when it was copied.
        config: Its own settings, without the broker's defaults.
    """

    topic: str
    config: dict[str, str]
    partitions: list[PartitionCopy]

    @property
    def messages(self) -> int:
        """How many messages are kept of it."""
        return sum(part.messages for part in self.partitions)


class Manifest(msgspec.Struct, frozen=True):
    """A whole backup.

    Attributes:
        format: Always the same, to know it by.
        version: Of the format.
        at: When the group's offsets were asked for, RFC 3339.
        app_version: Of the software that wrote it.
        model: The registered model that was served.
        group: The consumer group whose offsets are kept.
        guarantee: Of the stream, as it was set.
        roles: By role, in the order of copying.
        caveats: What it can't promise.
    """

    format: str
    version: int
    at: str
    app_version: str
    model: str
    group: str
    guarantee: str
    roles: dict[str, RoleCopy]
    caveats: list[Caveat]


class _Kind(msgspec.Struct):
    format: str
    version: int


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, and the sums of all files as `sha256sum -c` reads them, to the disk."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    _write(folder / NAME, text)
    sums = {NAME: hashlib.sha256(text).hexdigest()}
    sums |= {file.name: file.sha256 for file in files(manifest)}
    _write(folder / SUMS, "".join(f"{sha256}  {name}\n" for name, sha256 in sums.items()).encode())


def _write(path: Path, text: bytes) -> None:
    with path.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Manifest:
    """Read a manifest that is whole.

    Raises:
        BackupError: There is none, it is damaged, or of a format that this version can't read.
    """
    try:
        text = (folder / NAME).read_bytes()
        sums = (folder / SUMS).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{folder} is no backup: {error}") from error
    try:
        kind = msgspec.json.decode(text, type=_Kind)
        if (kind.format, kind.version) != (FORMAT, VERSION):
            raise BackupError(
                f"{folder / NAME} has the format {kind.format!r} {kind.version}; "
                f"this version of ds-models reads {FORMAT!r} {VERSION}"
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"{folder / NAME} is damaged: {error}") from error
    if f"{hashlib.sha256(text).hexdigest()}  {NAME}\n" not in sums:
        raise BackupError(f"{folder / NAME} is damaged: its SHA-256 is not the one in {SUMS}")
    for name, role in manifest.roles.items():
        if [part.partition for part in role.partitions] != list(range(len(role.partitions))):
            raise BackupError(f"{folder / NAME} does not have every partition of {name} once")
    for file in files(manifest):
        if DATA_FILE.fullmatch(file.name) is None:
            raise BackupError(f"{folder / NAME} names a file {file.name!r}, which is no data file")
    return manifest


def files(manifest: Manifest) -> Iterator[DataFile]:
    """Yield the data files."""
    for role in manifest.roles.values():
        for part in role.partitions:
            yield part.file


def as_dict(manifest: Manifest) -> dict[str, Any]:
    """Return the summary for programs: totals of each role."""
    return {
        "at": manifest.at,
        "model": manifest.model,
        "group": manifest.group,
        "guarantee": manifest.guarantee,
        "roles": [
            {
                "role": name,
                "topic": role.topic,
                "partitions": len(role.partitions),
                "messages": role.messages,
                "left_out": sum(part.left_out for part in role.partitions),
                "unanswered": sum(part.unanswered for part in role.partitions),
                "bytes": sum(part.file.bytes for part in role.partitions),
            }
            for name, role in manifest.roles.items()
        ],
        "caveats": [msgspec.structs.asdict(caveat) for caveat in manifest.caveats],
    }
