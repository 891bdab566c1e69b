"""Instances of the stream as processes of their own, as they run in production."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness.world import until

ROOT = Path(__file__).parents[2]


class Instance:
    """`python -m app run`, or one of our entry points that wraps the same application.

    Args:
        environment: Its settings.
        log: Where its standard error goes.
        module: What is run.
        root: The folder of its code.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        module: str = "tests.harness.folder_instance",
        arguments: tuple[str, ...] = (),
        root: Path = ROOT,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env={**os.environ, **environment, "PYTHONWARNINGS": "ignore"},
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return what it has logged; of one event only, if named."""
        lines = self._log.read_text(errors="replace").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in found if name is None or event.get("event") == name]

    def wait_for_event(self, name: str, timeout_s: float = 120.0, **fields: Any) -> dict[str, Any]:
        """Wait until it has logged such an event; return the first."""

        def found() -> dict[str, Any] | None:
            for event in self.events(name):
                if all(event.get(key) == value for key, value in fields.items()):
                    return event
            assert self.running, f"it ended with {self.exit_code}:\n{self.tail()}"
            return None

        return until(found, timeout_s, f"event {name} {fields}")

    def wait_until_it_holds(self, why: str) -> None:
        """Wait until records wait for such a reason; it may have been another one at first."""
        until(
            lambda: any(why in event["waits_for"] for event in self.events("stream.holds")),
            what=f"a hold: {why}",
        )

    def wait_until_assigned(self, count: int = 1) -> None:
        """Wait until it has been given partitions for the `count`-th time."""
        until(
            lambda: (
                len([e for e in self.events("partitions.assigned") if e["partitions"]]) >= count
                or not self.running
            ),
            what="an assignment",
        )
        assert self.running, self.tail()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for its end; return its exit code."""
        return self._process.wait(timeout_s)

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM, and wait; return its exit code."""
        if self.running:
            self.send(signal.SIGTERM)
        return self.wait(timeout_s)

    def kill(self) -> None:
        if self.running:
            self._process.kill()
        self._process.wait(30)

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            print(f"--- {self._log.name} ---\n{self.tail(40)}")  # noqa: T201
        self.kill()
