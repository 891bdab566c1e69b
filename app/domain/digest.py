"""The digest of a model artifact: what was announced is what is loaded, to the byte."""

import hashlib
from pathlib import Path

NOT_CONTENT = frozenset({"registered_model_meta"})
"""Written into a download by the registry's client itself; not part of the artifact."""


def artifact_digest(folder: Path) -> str:
    """Return `sha256:…` over the relative path, size and content of every file in `folder`.

    The same for the same files, in whatever order the file system lists them. A symbolic link
    counts as what it points to.

    Raises:
        OSError: A file can't be read.
    """
    whole = hashlib.sha256()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name in sorted(files):
        if files[name].is_dir() or name in NOT_CONTENT:
            continue
        with files[name].open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{name}\0{files[name].stat().st_size}\0{content}\n".encode())
    return f"sha256:{whole.hexdigest()}"
