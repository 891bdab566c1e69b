"""Containers of an image, as they run in production: read-only, and with no privileges."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from infrastructure.stack.containers import engine, passes_its_check

ENGINE = os.environ.get("ENGINE") or shutil.which("podman") or shutil.which("docker")
HARDENED = (
    "--read-only",
    *("--tmpfs", "/tmp:rw,size=512m,mode=1777"),  # noqa: S108 - the container's
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--network=host",
)


def inside(image: str, *command: str) -> str:
    """Run a program in a new container, hardened; return what it prints."""
    program, *rest = command
    return engine("run", "--rm", *HARDENED, "--entrypoint", program, image, *rest)


def inspected(what: str, name: str) -> dict[str, Any]:
    """Return what the engine knows of an image or a container."""
    (found,) = json.loads(engine(what, "inspect", name))
    assert isinstance(found, dict)
    return found


def logs(container: str) -> str:
    """Return what a container has printed."""
    done = subprocess.run(
        [str(ENGINE), "logs", container], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


class Container:
    """A container under way; it is gone at the end.

    Args:
        image: Its image.
        command: Behind the image's own entry point.
        environment: Its settings.
    """

    def __init__(self, image: str, *command: str, environment: Mapping[str, str]) -> None:
        given = [text for name, value in environment.items() for text in ("-e", f"{name}={value}")]
        self._id = engine("run", "--detach", *HARDENED, *given, image, *command).splitlines()[-1]

    def logs(self) -> str:
        return logs(self._id)

    @property
    def running(self) -> bool:
        return bool(inspected("container", self._id)["State"]["Running"])

    def is_healthy(self) -> bool:
        """Run the image's own health check, now."""
        return passes_its_check(self._id)

    def stop(self, patience_s: int = 10) -> int:
        """SIGTERM, and SIGKILL after the patience; return the exit code, 137 of a killed one."""
        engine("stop", "--time", str(patience_s), self._id)
        code = inspected("container", self._id)["State"]["ExitCode"]
        assert isinstance(code, int)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        engine("rm", "--force", self._id)
