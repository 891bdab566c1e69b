"""The stack's containers, by way of compose and of the container engine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infrastructure.processes import LOOPBACK, InfrastructureError
from infrastructure.stack import answers
from infrastructure.stack.environment import FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPOSE_FILE = Path(__file__).resolve().parents[1] / "compose.yaml"
PROJECT = "ds-models"


def engine(*arguments: str, **streams: Any) -> str:
    """Run podman, or docker where it is not there, to its end; return what it says.

    `streams` are those of `subprocess.run`. `ENGINE` in the environment names another.

    Raises:
        InfrastructureError: There is none, or it failed; with what it said.
    """
    program = os.environ.get("ENGINE") or shutil.which("podman") or shutil.which("docker")
    if program is None:
        raise InfrastructureError("neither podman nor docker is installed")
    if "stdin" not in streams:
        streams["stdin"] = subprocess.DEVNULL
    done = subprocess.run(
        [program, *arguments],
        **{"stdout": subprocess.PIPE, **streams},
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()[-3000:]
        raise InfrastructureError(f"`{Path(program).name} {shlex.join(arguments)}` failed: {said}")
    return (done.stdout or b"").decode(errors="replace").strip()


class Stack:
    """The containers of compose.yaml under one name.

    Args:
        file: Its `.env`.
        project: What the names of its containers, networks and volumes begin with.
        log: Where compose writes what it says; None for the terminal.
    """

    def __init__(self, file: Path = FILE, project: str = PROJECT, log: Path | None = None) -> None:
        self.project = project
        self._file, self._log = file, log

    @cached_property
    def values(self) -> Mapping[str, str]:
        """What stands in its `.env`.

        Raises:
            InfrastructureError: There is none.
        """
        if not self._file.exists():
            raise InfrastructureError(f"there is no {self._file}: `make stack-up` starts a stack")
        return answers.values(self._file)

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address outside the containers."""
        return f"{LOOPBACK}:{self.values['KAFKA_PORT']}"

    @property
    def client(self) -> Mapping[str, str]:
        """What a command outside the containers needs to know."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{self.values['MLFLOW_PORT']}",
            "MLFLOW_TRACKING_USERNAME": self.values["MLFLOW_TRACKING_USERNAME"],
            "MLFLOW_TRACKING_PASSWORD": self.values["MLFLOW_TRACKING_PASSWORD"],
        }

    def compose(self, *arguments: str) -> None:
        """Run compose to its end.

        Raises:
            InfrastructureError: It failed; with the end of what it wrote into the log.
        """
        command = [
            *shlex.split(os.environ.get("COMPOSE", "podman-compose")),
            *("--project-name", self.project, "--env-file", str(self._file)),
            *("--file", str(COMPOSE_FILE), *arguments),
        ]
        # What a shell read of another `.env` would win.
        environment = {k: v for k, v in os.environ.items() if k not in self.values}
        with nullcontext() if self._log is None else self._log.open("ab") as log:
            code = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            ).returncode
        if code != 0:
            said = "" if self._log is None else ":\n" + self._log.read_text()[-3000:]
            raise InfrastructureError(f"`compose {shlex.join(arguments)}` failed{said}")

    def up(self, streams: int | None = None) -> None:
        """Start what does not run, and replace what runs an image that was built anew since.

        Args:
            streams: How many containers of the stream; None for as many as there are, or one.
        """
        for container in self.containers(ended=True):
            if _is_outdated(container):
                self.retire(container)
        wanted = streams or len(self.containers("stream")) or 1
        self.compose("up", "-d", "--scale", f"stream={wanted}")
        for surplus in self.containers("stream")[wanted:]:  # podman-compose leaves them running
            self.retire(surplus)

    def retire(self, container: str) -> int:
        """Stop a container as its image stops, remove it, and return its exit code."""
        engine("stop", "--time", "30", container)
        code = int(engine("container", "inspect", "--format", "{{.State.ExitCode}}", container))
        engine("rm", container)
        return code

    def containers(self, service: str | None = None, *, ended: bool = False) -> list[str]:
        """Return the ids of the containers of one service, or of all, that run (or ended)."""
        labels = [f"com.docker.compose.project={self.project}"]
        if service is not None:
            labels.append(f"com.docker.compose.service={service}")
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return engine("ps", "--quiet", *filters, *(["--all"] if ended else [])).split()

    def container(self, service: str) -> str:
        """Return the id of the one container of a service.

        Raises:
            InfrastructureError: It does not run.
        """
        found = self.containers(service)
        if len(found) != 1:
            raise InfrastructureError(f"{len(found)} containers of {service} run, one should")
        return found[0]

    def volumes(self) -> list[str]:
        """Return the names of its volumes."""
        names = engine("volume", "ls", "--format", "{{.Name}}").split()
        return [name for name in names if name.startswith(f"{self.project}_")]

    def read(self, service: str, *command: str, into: Path) -> None:
        """Run a program in a service's container, and keep in a file what it prints."""
        with into.open("xb") as file:
            engine("exec", self.container(service), *command, stdout=file)

    def write(self, service: str, *command: str, source: Path) -> None:
        """Run a program in a service's container, with a file as its input."""
        with source.open("rb") as file:
            engine("exec", "--interactive", self.container(service), *command, stdin=file)

    def is_healthy(self, service: str) -> bool:
        """Run a service's own health check, now."""
        found = self.containers(service)
        return len(found) == 1 and passes_its_check(found[0])


def passes_its_check(container: str) -> bool:
    """Run a container's own health check, now."""
    (told,) = json.loads(engine("container", "inspect", container))
    kind, *check = told["Config"]["Healthcheck"]["Test"]
    command = check if kind == "CMD" else ["sh", "-c", *check]
    try:
        engine("exec", container, *command)
    except InfrastructureError:
        return False
    return True


def _is_outdated(container: str) -> bool:
    """Say whether the name of a container's image means another image by now."""
    has, name = engine(
        "container", "inspect", "--format", "{{.Image}} {{.Config.Image}}", container
    ).split()
    return has != engine("image", "inspect", "--format", "{{.Id}}", name)
