"""The digest of a model artifact: what was announced is what is loaded, to the byte."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

NOT_CONTENT = frozenset({"registered_model_meta"})
"""Written into a download by the registry's client itself; not part of the artifact."""


def artifact_digest(folder: Path) -> str:
    """Return `sha256:…` over the relative path, size and content of every file in `folder`.

    The same for the same files, in whatever order the file system lists them. A symbolic link
    counts as what it points to.

    Raises:
        OSError: A file or folder can't be read, or links lead in a circle.
    """
    whole = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name in sorted(files):
        if name in NOT_CONTENT:
            continue
        with files[name].open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        size = files[name].stat().st_size
        whole.update(os.fsencode(f"{name}\0{size}\0{content}\n"))
    return f"sha256:{whole.hexdigest()}"


def _files(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for parent, _, names in os.walk(folder, onerror=refuse, followlinks=True):
        for name in names:
            yield Path(parent, name)
