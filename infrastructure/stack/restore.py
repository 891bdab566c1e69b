"""`make stack-restore FROM=…`: a stack that is new gets all that a backup holds, and starts."""

from __future__ import annotations

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
from infrastructure.stack.environment import DEFAULTS, FILE, made

_STORES = ("postgres", "s3", "kafka")
_NEEDED = (SECRETS, f"{TOPICS}/manifest.json", *map(database, DATABASES))


def verify(folder: Path) -> None:
    """See that a backup is whole, and compare each file with its sum.

    Raises:
        InfrastructureError: There is no backup, or a file is missing or was changed.
    """
    for name in _NEEDED:
        if not (folder / name).exists():
            raise InfrastructureError(f"{folder} is no whole backup of a stack: it has no {name}")
    for part in (folder, folder / TOPICS):
        if not (part / SUMS).exists():
            raise InfrastructureError(f"{part} is no whole backup: it has no {SUMS}")
        for line in (part / SUMS).read_text().splitlines():
            expected, name = line.split("  ", 1)
            if not (part / name).exists() or digest(part / name) != expected:
                raise InfrastructureError(f"{part / name} is missing, or not what was backed up")


def require_new(stack: Stack) -> None:
    """See that nothing of a stack is there.

    Raises:
        InfrastructureError: Something is.
    """
    if there := [*stack.containers(ended=True), *stack.volumes()]:
        raise InfrastructureError(
            f"there is a stack already ({len(there)} containers and volumes), and a backup goes "
            "into a new one: `make stack-down VOLUMES=1` removes it with its data"
        )


def take_secrets(backup: Path, file: Path) -> None:
    """Write the backup's `.env`; one that is there must have the same secrets.

    Raises:
        InfrastructureError: It has others; they are named, their values are not.
    """
    if not file.exists():
        new = file.with_name(f"{file.name}.new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(backup.read_text())
        new.rename(file)
        return
    ours, theirs = answers.values(file), answers.values(backup)
    secrets = sorted(made().keys() - DEFAULTS.keys())
    others = [name for name in secrets if ours.get(name) != theirs.get(name)]
    if others:
        raise InfrastructureError(
            f"{file} has another value than the backup for {', '.join(others)}: "
            "move it away, and the backup's is taken"
        )


def restore(stack: Stack, folder: Path, *, yes: bool = False) -> None:
    """Start the stores empty, fill them, and start the rest. The `.env` is the backup's by now.

    Args:
        stack: Of which nothing is there.
        folder: A backup that was verified.
        yes: What our own `restore` calls `--yes`: also records that Kafka would soon delete.

    Raises:
        InfrastructureError: A part failed.
    """
    stack.compose("up", "-d", *_STORES)
    print(f"waiting for {', '.join(_STORES)} …", flush=True)
    wait_until(
        lambda: all(map(stack.is_healthy, _STORES)),
        seconds=answers.PATIENCE_S, what=" and ".join(_STORES), pause=1,
    )  # fmt: skip
    topics = (str(folder / TOPICS), *(["--yes"] if yes else []))
    _restore_topics(stack, *topics, "--check")
    for name in DATABASES:
        print(f"database {name} …", flush=True)
        stack.write(
            "postgres", "psql", "--username=mlflow", f"--dbname={name}", "--quiet",
            "--single-transaction", "--set=ON_ERROR_STOP=1", source=folder / database(name),
        )  # fmt: skip
    if (folder / ARTIFACTS).exists():
        stack.compose("up", "-d", "mlflow")  # not before its database is whole
        print("waiting for mlflow …", flush=True)
        if answers.wait(stack.values, ["MLflow"]):
            raise InfrastructureError("MLflow does not answer: look at its log")
        print("artifacts …", flush=True)
        stack.write("mlflow", *OBJECTS, "write", source=folder / ARTIFACTS)
    _restore_topics(stack, *topics)
    stack.up()


def _restore_topics(stack: Stack, *arguments: str) -> None:
    if app(stack, "restore", *arguments) != 0:
        raise InfrastructureError(
            "the topics can't be restored as they are (docs/backup.md). What was begun: "
            "`make stack-down VOLUMES=1` removes it"
        )


def main() -> int:
    """Restore the stack of `make stack-up`."""
    yes = "--yes" in sys.argv[1:]
    folders = [argument for argument in sys.argv[1:] if argument not in {"", "--yes"}]
    if len(folders) != 1:
        print("name the folder of a backup: make stack-restore FROM=backups/today")
        return 2
    folder, stack = Path(folders[0]).resolve(), Stack()
    try:
        verify(folder)
        require_new(stack)
        take_secrets(folder / SECRETS, FILE)
        restore(stack, folder, yes=yes)
    except (InfrastructureError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return answers.say(stack.values)


if __name__ == "__main__":
    sys.exit(main())
