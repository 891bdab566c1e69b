"""`make stack-backup TO=…`: one folder from which `make stack-restore` makes the stack again.

In this order, so that no plan names a version that the copy lacks: what Kafka holds, what MLflow
and the registry service know, the artifacts. The secrets are part of it, since what is stored is
encrypted with them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infrastructure.processes import InfrastructureError
from infrastructure.stack import objects
from infrastructure.stack.containers import Stack
from infrastructure.stack.environment import FILE

TOPICS, ARTIFACTS, SECRETS, SUMS = "kafka", "artifacts.tar", "stack.env", "SHA256SUMS"
DATABASES = ("mlflow", "mlflow_login")
OBJECTS = ("python", "-c", Path(objects.__file__).read_text())
WITH_CAVEATS = 8
ROOT = Path(__file__).resolve().parents[2]
_OTHERS = ("DS_MODELS_", "KAFKA_", "MLFLOW_")


def app(stack: Stack, *arguments: str) -> int:
    """Run one of our commands outside the containers, for this stack; return its exit code."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OTHERS)}
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, env={**inherited, **stack.client}, cwd=ROOT, check=False)
    return done.returncode


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def database(name: str) -> str:
    """Return the name of a database's file."""
    return f"{name}.sql"


def keeps_artifacts(stack: Stack) -> bool:
    """Say whether artifacts are in the stack's own store."""
    named = stack.values.get("ARTIFACTS") or "s3://"
    return named.startswith("s3://") and not stack.values.get("S3_ENDPOINT")


def backup(stack: Stack, secrets: Path, to: Path) -> int:
    """Copy all of a stack that runs; return 0, or 8 if the copy of the topics has caveats.

    Until it is whole it has another name, which ends with `.partial`.

    Raises:
        InfrastructureError: The folder is there, or a part failed.
    """
    if to.exists():
        raise InfrastructureError(f"{to} is there already: name another folder")
    own_store = keeps_artifacts(stack)
    missing = [name for name in ("kafka", "postgres", "mlflow") if not stack.containers(name)]
    if missing:
        raise InfrastructureError(f"{', '.join(missing)} must run: make stack-up")
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=to.parent, prefix=f"{to.name}.", suffix=".partial"))
    try:
        code = _fill(partial, stack, secrets, own_store=own_store)
        os.sync()
        partial.rename(to)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return code


def _fill(folder: Path, stack: Stack, secrets: Path, *, own_store: bool) -> int:
    code = app(stack, "backup", str(folder / TOPICS))
    if code not in {0, WITH_CAVEATS}:
        raise InfrastructureError("the topics were not copied; there is no backup")
    for name in DATABASES:
        print(f"database {name} …", flush=True)
        dump = ("pg_dump", "--username=mlflow", f"--dbname={name}")
        stack.read("postgres", *dump, into=folder / database(name))
    if own_store:
        print("artifacts …", flush=True)
        stack.read("mlflow", *OBJECTS, "read", into=folder / ARTIFACTS)
    else:
        print("artifacts are in a store of your own: copy them there")
    shutil.copy(secrets, folder / SECRETS)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    (folder / SUMS).write_text("".join(f"{digest(file)}  {file.name}\n" for file in files))
    return code


def main() -> int:
    """Back up the stack that `make stack-up` started."""
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004
        print("name a folder that is not there yet: make stack-backup TO=backups/today")
        return 2
    to = Path(sys.argv[1]).resolve()
    try:
        code = backup(Stack(), FILE, to)
    except (InfrastructureError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in to.rglob("*"))
    print(f"{to}: {size / 1e6:,.1f} MB, with the stack's secrets: keep it as safe as those")
    return code


if __name__ == "__main__":
    sys.exit(main())
