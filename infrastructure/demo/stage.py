"""What the demo runs: servers, instances of the stream, and scripts, all of them for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from infrastructure.given import Given
from infrastructure.kafka import choice as kafka_choice
from infrastructure.mlflow_server import choice as mlflow_choice
from infrastructure.processes import InfrastructureError, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]


class Stage:
    """The demo's processes, in `folder`; a context manager that ends them unless they are kept."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self._keep = keep
        self._ends = ExitStack()
        self._instances: list[subprocess.Popen[bytes]] = []
        owned = not keep
        self.broker = kafka_choice.choose(os.environ, folder / "kafka", owned=owned)
        self.mlflow = mlflow_choice.choose(os.environ, folder / "mlflow", owned=owned)
        self.environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap_servers,
            "MLFLOW_TRACKING_URI": self.mlflow.address,
            "DS_MODELS_MODEL__CACHE_DIR": str(folder / "models"),
            "DS_MODELS_LOG__FORMAT": "json",
            "PYTHONWARNINGS": "ignore",
            **(_names_of_our_own() if isinstance(self.broker, Given) else {}),
        }

    def start_servers(self) -> None:
        """Start the broker and MLflow, unless they are given."""
        self._ends.enter_context(self.broker)
        self._ends.enter_context(self.mlflow)

    def start_instance(self) -> None:
        """Start `python -m app run`; its log is `instance-N.log`."""
        number = len(self._instances) + 1
        with self.log(number).open("wb") as output:
            self._instances.append(
                subprocess.Popen(
                    [sys.executable, "-m", "app", "run"],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=self._keep,
                )
            )

    def log(self, number: int) -> Path:
        """Return where an instance writes to; the first is 1."""
        return self.folder / f"instance-{number}.log"

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield each such event that an instance has logged, with its `instance`."""
        for number, _ in enumerate(self._instances, start=1):
            for line in self.log(number).read_text(errors="replace").splitlines():
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("event") == name:
                    yield {**event, "instance": number}

    def wait_for(self, name: str, instances: int, seconds: float = 90, **fields: Any) -> None:
        """Block until so many instances have logged such an event.

        Raises:
            InfrastructureError: An instance ended, or it took too long.
        """

        def seen() -> bool:
            for number, process in enumerate(self._instances, start=1):
                if process.poll() is not None:
                    raise InfrastructureError(
                        f"instance {number} ended with {process.returncode}: {self.log(number)}"
                    )
            found = {
                event["instance"]
                for event in self.events(name)
                if all(event.get(field) == value for field, value in fields.items())
            }
            return len(found) >= instances

        wait_until(seen, seconds=seconds, what=f"{instances} instance(s) to log {name}")

    def script(self, *arguments: str) -> dict[str, Any]:
        """Run a Python script or module of ours; return the last line of JSON that it prints.

        Raises:
            InfrastructureError: It failed; the message is what it said.
        """
        run = subprocess.run(
            [sys.executable, *arguments, "--json"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise InfrastructureError(f"{' '.join(arguments)} failed: {run.stderr.strip()}")
        found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
        return found

    def keep(self) -> Sequence[int]:
        """Let everything run on; return the processes that a person must end."""
        self._ends.pop_all()
        servers = [s.detach() for s in (self.broker, self.mlflow) if hasattr(s, "detach")]
        return [p.pid for p in self._instances] + [server.pid for server in servers]

    def stop_instances(self) -> list[tuple[int, float]]:
        """Stop the instances in order; return the exit code and the seconds of each."""
        stopped = []
        for process in self._instances:
            started = time.monotonic()
            process.terminate()
            stopped.append((process.wait(30), time.monotonic() - started))
        self._instances.clear()
        return stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._instances if not self._keep else ():
            if process.poll() is None:
                process.kill()
            process.wait()
        self._ends.close()


def _names_of_our_own() -> dict[str, str]:
    """Return settings that keep the demo apart from what else is on a given broker."""
    unique = f"demo-{int(time.time())}"
    topics = {
        "RECORDS": "treasury.data",
        "SIGNALS": "signals.topic",
        "DEAD_LETTERS": "treasury.data.dead-letters",
        "REDRIVEN": "treasury.data.redriven",
        "ANNOUNCEMENTS": "model.registry",
        "STATUS": "model.status",
    }
    return {
        "KAFKA_CONSUMER_GROUP": unique,
        **{f"DS_MODELS_TOPICS__{key}": f"{name}.{unique}" for key, name in topics.items()},
    }
