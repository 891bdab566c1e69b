"""A stack of compose.yaml of one's own: another name, free ports, secrets of its own."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infrastructure.processes import free_ports
from infrastructure.stack import answers, containers, environment
from infrastructure.stack.containers import engine
from tests.e2e.test_with_mlflow import MODEL
from tests.harness.containers import inspected, logs

ROOT = Path(__file__).parents[2]
PORTS = ("KAFKA_PORT", "MLFLOW_PORT", "REGISTRY_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")


class Stack(containers.Stack):
    """The stack under test.

    Args:
        folder: For the file with its secrets, and for what its commands print.
        image: What is run.
    """

    def __init__(self, folder: Path, image: str) -> None:
        self.file = folder / "stack.env"
        self.file.unlink(missing_ok=True)
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        environment.write(self.file, {**ports, "IMAGE": image})
        super().__init__(self.file, "ds-models-test", folder / "compose.log")

    @property
    def client(self) -> Mapping[str, str]:
        """What our commands outside the containers need to know."""
        return {
            **super().client,
            "DS_MODELS_MODEL__NAME": MODEL,
            "DS_MODELS_MLFLOW__TIMEOUT_S": "60",  # the machine is busy with nine containers
            "PYTHONWARNINGS": "ignore",
        }

    def up(self, streams: int | None = None) -> None:
        """Start what does not run yet, and wait for it."""
        super().up(streams)
        late = answers.wait(self.values)
        assert late == [], f"no answer of {late}"

    def retire(self, container: str) -> int:
        """Remove a container, which has to end well."""
        said = logs(container)
        code = super().retire(container)
        assert code == 0, said
        return code

    def down(self) -> None:
        """Remove all of it, with its data."""
        self.compose("down", "--volumes", "--remove-orphans")

    def mounted(self) -> set[str]:
        """Return the names of the volumes that our containers have, those without a name too."""
        mounts = [
            mount
            for container in self.containers(ended=True)
            for mount in inspected("container", container)["Mounts"]
        ]
        return {mount["Name"] for mount in mounts if mount["Type"] == "volume"}

    def last_words(self) -> str:
        """Return the end of each container's log."""
        names = engine("ps", "--all", "--format", "{{.Names}}").split()
        ours = [name for name in names if name.startswith(self.project)]
        return "\n".join(f"== {name}\n{logs(name)[-3000:]}" for name in ours)

    def is_set_up(self) -> bool:
        """Say whether the one-shot job has done its work.

        Raises:
            AssertionError: It failed.
        """
        (found,) = self.containers("set-up", ended=True)
        state = inspected("container", found)["State"]
        assert state["Running"] or state["ExitCode"] == 0, logs(found)
        return not state["Running"]

    def leftovers(self) -> list[str]:
        """Return the names of containers, volumes and networks that bear our name."""
        found = [
            *engine("ps", "--all", "--format", "{{.Names}}").split(),
            *engine("volume", "ls", "--format", "{{.Name}}").split(),
            *engine("network", "ls", "--format", "{{.Name}}").split(),
        ]
        return [name for name in found if name.startswith(self.project)]

    def app(self, *arguments: str, script: str | None = None) -> dict[str, Any]:
        """Run one of our commands or scripts outside the containers; return its last JSON row."""
        done = self._run(*arguments, "--json", script=script)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        found = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(found, dict)
        return found

    def status(self) -> dict[str, Any]:
        """Return what `status` says, well or not; nobody is there while the broker is away."""
        lines = self._run("status", "--json").stdout.splitlines()
        found = json.loads(lines[-1]) if lines else {"instances": []}
        assert isinstance(found, dict)
        return found

    def _run(self, *arguments: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
        what = ("-m", "app") if script is None else (script,)
        return subprocess.run(
            [str(ROOT / ".venv/bin/python"), *what, *arguments],
            env={**os.environ, **self.client},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def query(self, statement: str) -> str:
        """Ask the stack's PostgreSQL."""
        who = ("--username=mlflow", "--dbname=mlflow")
        return engine(
            *("exec", self.container("postgres"), "psql", *who),
            *("--tuples-only", "--command", statement),
        )


def crash(container: str) -> None:
    """Kill a container's process from outside, as a machine would that runs out of memory."""
    pid = int(engine("inspect", "--format", "{{.State.Pid}}", container))
    os.kill(pid, 9)


def existing() -> set[str]:
    """Return the names of all volumes, those without a name of their own too."""
    return set(engine("volume", "ls", "--format", "{{.Name}}").split())
