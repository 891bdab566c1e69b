"""`make stack-restore FROM=…`: a stack that is new gets all that a backup holds, and starts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from infrastructure.processes import InfrastructureError, wait_until
from infrastructure.stack import answers
from infrastructure.stack.backup import (
    ARTIFACTS,
    DATABASES,
    OBJECTS,
    SECRETS,
    SUMS,
    TOPICS,
    app,
    database,
    digest,
)
from infrastructure.stack.containers import Stack
from infrastructure.stack.environment import FILE


def verify(folder: Path) -> None:
    """Compare each file with its sum. Those of the topics are compared by our own `restore`.

    Raises:
        InfrastructureError: There is no backup, or a file is missing or was changed.
    """
    if not (folder / SUMS).exists():
        raise InfrastructureError(f"{folder} is no whole backup of a stack: it has no {SUMS}")
    for line in (folder / SUMS).read_text().splitlines():
        expected, name = line.split("  ", 1)
        if not (folder / name).exists() or digest(folder / name) != expected:
            raise InfrastructureError(f"{folder / name} is missing, or not what was backed up")


def take_secrets(backup: Path, file: Path) -> None:
    """Write the backup's `.env`; one that is there must have the same secrets.

    Raises:
        InfrastructureError: It has others; they are named, their values are not.
    """
    if not file.exists():
        file.touch(mode=0o600)
        shutil.copyfile(backup, file)
        return
    ours, theirs = answers.values(file), answers.values(backup)
    moved = {name for name in ours | theirs if name.endswith("_PORT") or name == "IMAGE"}
    others = sorted(
        name for name in (ours | theirs).keys() - moved if ours.get(name) != theirs.get(name)
    )
    if others:
        raise InfrastructureError(
            f"{file} has another value than the backup for {', '.join(others)}: "
            "move it away, and the backup's is taken"
        )


def restore(stack: Stack, folder: Path) -> None:
    """Start the stores empty, fill them, and start the rest. The `.env` is the backup's by now.

    Raises:
        InfrastructureError: The stack is not new, or a part failed.
    """
    if there := [*stack.containers(ended=True), *stack.volumes()]:
        raise InfrastructureError(
            f"there is a stack already ({len(there)} containers and volumes), and a backup goes "
            "into a new one: `make stack-down VOLUMES=1` removes it with its data"
        )
    _start(stack, "postgres", "s3", "kafka")
    for name in DATABASES:
        print(f"database {name} …", flush=True)
        stack.write(
            "postgres", "psql", "--username=mlflow", f"--dbname={name}", "--quiet",
            "--single-transaction", "--set=ON_ERROR_STOP=1", source=folder / database(name),
        )  # fmt: skip
    if (folder / ARTIFACTS).exists():
        _start(stack, "mlflow")  # not before its database is whole
        print("artifacts …", flush=True)
        stack.write("mlflow", *OBJECTS, "write", source=folder / ARTIFACTS)
    if app(stack, "restore", str(folder / TOPICS)) != 0:
        raise InfrastructureError("the topics were not restored; docs/backup.md says what to do")
    stack.compose("up", "-d")


def _start(stack: Stack, *services: str) -> None:
    stack.compose("up", "-d", *services)
    print(f"waiting for {', '.join(services)} …", flush=True)
    wait_until(
        lambda: all(map(stack.is_healthy, services)),
        seconds=answers.PATIENCE_S, what=" and ".join(services), pause=1,
    )  # fmt: skip


def main() -> int:
    """Restore the stack of `make stack-up`."""
    if len(sys.argv) != 2 or not sys.argv[1]:  # noqa: PLR2004
        print("name the folder of a backup: make stack-restore FROM=backups/today")
        return 2
    folder = Path(sys.argv[1])
    try:
        verify(folder)
        take_secrets(folder / SECRETS, FILE)
        restore(Stack(), folder.resolve())
    except InfrastructureError as error:
        print(error, file=sys.stderr)
        return 1
    return answers.main()


if __name__ == "__main__":
    sys.exit(main())
