"""Programs run beside the product: free ports, start, identity, waiting, end by id. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import os
import random
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LOOPBACK = "127.0.0.1"
_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
# Below the ports that Linux gives to outgoing connections (32768 and up): between a server's stop
# and its next start, a client that keeps connecting could otherwise be given the server's port.
_PORTS = range(15_000, 30_000)


class InfrastructureError(Exception):
    """Raised when a local server can't be had; its text is one line.

    Operator action: do what the line says, or read the log file that it names.
    """


def free_ports(count: int) -> tuple[int, ...]:
    """Return `count` different TCP ports on 127.0.0.1 to which nothing is bound at this moment."""
    draw = random.SystemRandom()
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            candidate = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                candidate.bind((LOOPBACK, draw.choice(_PORTS)))
                found.append(candidate.getsockname()[1])
        return tuple(found)


def accepts_connections(port: int) -> bool:
    """Say whether a TCP connection to `port` on 127.0.0.1 succeeds; blocks for at most 1 s."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def http_status(port: int, path: str) -> int | None:
    """Return what a GET of `path` at `port` on 127.0.0.1 is answered with, None if it is not.

    Blocks for 3 s at most. No proxy of the environment is asked.
    """
    if not accepts_connections(port):
        return None
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float,
    what: str,
    pause: float = 0.02,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Block until `condition` holds; ask at least once, then every `pause` seconds.

    Raises:
        InfrastructureError: It did not hold within `seconds`; `what` names it. Whatever the
            condition itself raises passes through.

    >>> answers = iter([False, True])
    >>> wait_until(lambda: next(answers), seconds=1, what="a yes")
    """
    deadline = clock() + seconds
    while not condition():
        if clock() >= deadline:
            raise InfrastructureError(f"waited {seconds:g} s in vain for {what}")
        sleep(pause)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` as a lock among processes; blocks while another one holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class Process:
    """A program that leads a process group of its own: its id is the group's id."""

    pid: int
    command: tuple[str, ...]

    def is_alive(self) -> bool:
        """Say whether this very program runs: a reused id has another command line."""
        try:
            words = (_PROC / str(self.pid) / "cmdline").read_bytes().split(b"\0")[:-1]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return tuple(os.fsdecode(word) for word in words) == self.command

    def end(self, *, grace: float) -> None:
        """End the program and all of its group; return when none of them runs.

        SIGTERM first, to the leader, which is to end its own children; SIGKILL to what is left of
        the group once the leader is gone, or after `grace` seconds. A grace of 0 is SIGKILL at
        once. Does nothing if all of them ended before.
        """
        if grace > 0 and self.pid in group_members(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            with contextlib.suppress(InfrastructureError):
                wait_until(
                    lambda: self.pid not in group_members(self.pid),
                    seconds=grace,
                    what="SIGTERM to work",
                )
        if group_members(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            wait_until(
                lambda: not group_members(self.pid),
                seconds=30,
                what=f"the end of process {self.pid}",
            )


def launch(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
    death_signal: signal.Signals | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in `folder`, in a session of its own, with its output appended to `log`.

    With a `death_signal` the kernel sends it to the program when the *thread* that called this
    function ends, even by SIGKILL of the whole process: call it from a thread that lives as long
    as the program shall.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if death_signal is None else _die_with_parent(death_signal),  # noqa: PLW1509 - only a system call, loaded before the fork
        )


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent ended before the call
            os._exit(1)

    return in_child


def group_members(group: int) -> frozenset[int]:
    """Return the processes of a group that run.

    One that has ended but is not yet reaped by its parent doesn't run, though signals reach it.
    """
    members = set()
    for entry in _PROC.glob("[0-9]*"):
        try:
            # pid (name) state parent group …; the name may hold spaces and brackets
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[2] == str(group) and fields[0] not in "ZX":
            members.add(int(entry.name))
    return frozenset(members)
