"""The life of one local server: prepared, started, answering, ended; the same for every kind."""

from __future__ import annotations

import atexit
import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

from infrastructure.processes import InfrastructureError, Process, launch, wait_until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class LocalServer(ABC):
    """A server on 127.0.0.1 with all of its data in one folder; a context manager.

    The address is fixed at construction, which starts nothing: a server that was stopped or killed
    starts again on the same ports and the same data.

    It ends with the interpreter (`atexit`). An *owned* one ends also when the interpreter is
    killed: the kernel tells it (see `launch` for the thread that has to live).
    """

    name: ClassVar[str]
    """How the server is called in messages."""
    start_seconds: ClassVar[float] = 120
    """How long a start may take; generous, for a machine that does much else."""
    stop_seconds: ClassVar[float] = 15
    """How long an orderly stop may take before the server is killed."""
    death_signal: ClassVar[signal.Signals] = signal.SIGKILL
    """What an owned server receives when its parent is gone."""

    def __init__(self, data_folder: Path, *, owned: bool) -> None:
        self.data_folder = data_folder.absolute()
        self.log = self.data_folder / "server.log"
        self._owned = owned
        self._child: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """What a client connects to."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What runs, and where, in one line."""

    @abstractmethod
    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Make the data folder ready; return the command line and the environment.

        Called at each start. Raises InfrastructureError if something is missing on the machine.
        """

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server serves requests; blocks for a second or two at most."""

    @property
    def running(self) -> bool:
        """Whether the program runs; it may not answer yet."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the server and block until it answers; does nothing if it runs.

        Raises:
            InfrastructureError: Something is missing, the program ended, or it did not answer in
                `start_seconds`. Nothing is left running.
        """
        if self.running:
            return
        self.kill()  # what a crash of the program may have left of its group
        self.data_folder.mkdir(parents=True, exist_ok=True)
        command, environment = self.prepare()
        atexit.register(self.kill)
        self._child = launch(
            command,
            folder=self.data_folder,
            log=self.log,
            environment=environment,
            death_signal=self.death_signal if self._owned else None,
        )
        try:
            wait_until(
                self._answers_or_ended,
                seconds=self.start_seconds,
                what=f"{self.name} to answer, see {self.log}",
            )
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End the server in an orderly way, by force after `stop_seconds`; return when it is gone.

        Does nothing if it does not run.
        """
        self._end(self.stop_seconds)

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL); return when it is gone."""
        self._end(0)

    def detach(self) -> Process:
        """Let the running server outlive this interpreter; return what ends it later.

        Raises:
            InfrastructureError: It does not run.
        """
        if self._child is None:
            raise InfrastructureError(f"{self.name} does not run")
        process = _process(self._child)
        # Popen warns of a child that it can't reap; this one is given away.
        self._child.returncode = 0
        self._forget()
        return process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers_or_ended(self) -> bool:
        if not self.running:
            lines = self.log.read_text(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
            raise InfrastructureError(f"{self.name} ended at its start, see {self.log}: {last}")
        return self.answers()

    def _end(self, grace: float) -> None:
        if self._child is None:
            return
        _process(self._child).end(grace=grace)
        self._child.wait()
        self._forget()

    def _forget(self) -> None:
        self._child = None
        atexit.unregister(self.kill)


def _process(child: subprocess.Popen[bytes]) -> Process:
    command = child.args
    assert isinstance(command, list)  # noqa: S101 - `launch` was given a list
    return Process(child.pid, tuple(command))
