"""A PostgreSQL server for the tests that need one: by testcontainers, or the machine's own."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from infrastructure.processes import free_ports
from tests.harness import engine
from tests.harness.world import until

_DEBIAN = Path("/usr/lib/postgresql")


def why_not() -> str | None:
    """Say why there can be no server here, None if there can."""
    if engine.engine() is not None:
        return None
    if _program("postgres") is None or _program("initdb") is None:
        return "PostgreSQL is not installed"
    if importlib.util.find_spec("psycopg") is None:
        return "psycopg is not installed"
    return None


def description() -> str:
    """Say in one line what the tests get."""
    if engine.engine() is not None:
        return f"{engine.POSTGRESQL} by testcontainers, {engine.engine()}"
    return why_not() or f"local, {_program('postgres')}"


def server() -> AbstractContextManager[str]:
    """Have an empty server; yield the address of its database as SQLAlchemy reads it."""
    return _local() if engine.engine() is None else engine.postgresql()


@contextmanager
def _local() -> Iterator[str]:
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="ds-models-postgresql-"))
    if user is not None:
        shutil.chown(folder, pwd.getpwnam(user).pw_uid)
    (port,) = free_ports(1)
    data, log = folder / "data", (folder.parent / f"{folder.name}.log").open("wb")
    try:
        subprocess.run(
            [str(_program("initdb")), "-D", data, "-U", "tester", "-A", "trust", "-N"],
            user=user,
            cwd="/",
            stdout=log,
            stderr=log,
            check=True,
        )
        arguments = ["-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1", "-F"]
        process = subprocess.Popen(
            [str(_program("postgres")), *arguments], user=user, cwd="/", stdout=log, stderr=log
        )
        try:
            until(lambda: (data / "postmaster.pid").is_file() and _ready(data), 30, "PostgreSQL")
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(2)  # a fast shutdown
            process.wait(30)
    finally:
        log.close()
        Path(log.name).unlink()
        shutil.rmtree(folder, ignore_errors=True)


def _ready(data: Path) -> bool:
    return "ready" in (data / "postmaster.pid").read_text()


def _program(name: str) -> Path | None:
    found = [shutil.which(name), *sorted(map(str, _DEBIAN.glob(f"*/bin/{name}")), reverse=True)]
    return next((Path(path) for path in found if path), None)
