"""The commands up, down, status and env of a local server that outlives the command."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

from infrastructure.given import Given
from infrastructure.processes import InfrastructureError, Process, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from infrastructure.local_server import LocalServer


@dataclass(frozen=True, slots=True)
class Record:
    """What a detached server leaves behind in a file for the next command."""

    pid: int
    command: tuple[str, ...]
    address: str
    description: str

    @classmethod
    def of_running(cls, path: Path) -> Self | None:
        """Read the record of the server that runs; None if there is none, or it has ended."""
        try:
            fields = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        record = cls(**{**fields, "command": tuple(fields["command"])})
        return record if record.process.is_alive() else None

    @property
    def process(self) -> Process:
        """The program, known by its id and its command line."""
        return Process(self.pid, self.command)


@dataclass(frozen=True, slots=True)
class Service:
    """One kind of server, as the commands see it."""

    variable: str
    """The environment variable that names a server of somebody else's."""
    record: Path
    """The file that says what runs."""
    stop_seconds: float
    choose: Callable[[Mapping[str, str]], LocalServer | Given]
    """Chooses the given server or a local one; starts nothing."""

    def up(self, environment: Mapping[str, str]) -> int:
        """Start the local server unless it runs or another one is given."""
        chosen = self.choose(environment)
        if isinstance(chosen, Given):
            print(f"{chosen.description} (nothing to start)")
            return 0
        with locked(self.record.with_suffix(".lock")):
            if running := Record.of_running(self.record):
                print(f"already running: {running.description} (process {running.pid})")
                return 0
            chosen.start()
            process = chosen.detach()
            record = Record(process.pid, process.command, chosen.address, chosen.description)
            self.record.write_text(json.dumps(asdict(record), indent=2) + "\n")
        print(f"running: {record.description} (process {record.pid})")
        return 0

    def down(self, _: Mapping[str, str]) -> int:
        """End the local server; that is done as well if it does not run."""
        with locked(self.record.with_suffix(".lock")):
            running = Record.of_running(self.record)
            if running:
                running.process.end(grace=self.stop_seconds)
            self.record.unlink(missing_ok=True)
        print(f"ended: {running.description}" if running else "not running")
        return 0

    def status(self, environment: Mapping[str, str]) -> int:
        """Say what is used and what runs; fail if neither a given nor a local server is there."""
        if given := environment.get(self.variable):
            print(Given(self.variable, given).description)
        running = Record.of_running(self.record)
        if running:
            print(f"running: {running.description} (process {running.pid})")
        elif not given:
            print("not running")
        return 0 if running or given else 1

    def env(self, environment: Mapping[str, str]) -> int:
        """Print the line that makes a shell's programs use the server; fail if there is none."""
        running = Record.of_running(self.record)
        address = environment.get(self.variable) or (running and running.address)
        if not address:
            raise InfrastructureError("not running; start it with `up`")
        print(f"export {self.variable}={shlex.quote(address)}")
        return 0


def run(
    service: Service, program: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Run one command; return the exit code. A failure is one line on standard error."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    commands = {
        "up": service.up,
        "down": service.down,
        "status": service.status,
        "env": service.env,
    }
    parser.add_argument("command", choices=commands)
    command = commands[parser.parse_args(arguments).command]
    try:
        return command(environment)
    except InfrastructureError as error:
        print(error, file=sys.stderr)
        return 1
