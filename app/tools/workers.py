"""Several instances as processes of one parent: started anew when they die, ended together."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

log = structlog.get_logger()

_LOOK_S = 0.1
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STEADY_AFTER_S = 60.0  # who lived for so long is started anew at once
_HOPELESS = frozenset({2, 3})  # settings and topics: the next one would end in the same way


@dataclass(slots=True)
class _Worker:
    number: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    deaths: int = 0  # one soon after the other


class Workers:
    """Keeps `count` processes running until it is told to stop.

    Each has the read end of a pipe as its standard input, and must end when that is closed: then
    none outlives a parent that was killed.

    Args:
        command: Of a worker, by its number; the first is 1.
        count: How many.
        stop_s: How long a worker may take to end before it is killed.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int,
        *,
        stop_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._stop_s = stop_s
        self._clock = clock

    def pids(self) -> dict[int, int]:
        """Return the process of each worker that runs, by its number."""
        return {
            worker.number: worker.process.pid
            for worker in self._workers
            if worker.process is not None and worker.process.poll() is None
        }

    def run(self, stopped: threading.Event) -> int:
        """Start them, keep them running, and end them once `stopped` is set.

        Returns:
            The exit code: 0; that of a worker that can't be helped by another start (its settings
            or topics are wrong: all of them are ended then); 1 if one had to be killed.
        """
        try:
            while not stopped.is_set():
                for worker in self._workers:
                    code = self._look_after(worker)
                    if code is not None:
                        return code
                stopped.wait(_LOOK_S)
        finally:
            clean = self._end_all()
        return 0 if clean else 1

    def _look_after(self, worker: _Worker) -> int | None:
        """Start it if it is time to; return its exit code if no start can help."""
        now = self._clock()
        if worker.process is None:
            if now >= worker.start_at:
                worker.started_at = now
                worker.process = subprocess.Popen(  # noqa: S603 - our own command
                    self._command(worker.number), stdin=subprocess.PIPE
                )
                log.info("worker.started", worker=worker.number, process=worker.process.pid)
            return None
        code = worker.process.poll()
        if code is None:
            return None
        if code in _HOPELESS:
            log.error("worker.hopeless", worker=worker.number, exit_code=code)
            return code
        _forget(worker.process)
        worker.process = None
        worker.deaths = 0 if now - worker.started_at >= _STEADY_AFTER_S else worker.deaths + 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (worker.deaths - 1))
        worker.start_at = now + (pause if worker.deaths else 0.0)
        log.error(
            "worker.ended",
            worker=worker.number,
            exit_code=code,
            starts_again_in_s=round(worker.start_at - now, 1),
        )
        return None

    def _end_all(self) -> bool:
        """SIGTERM to all of them; say whether all ended by themselves."""
        running = [w.process for w in self._workers if w.process is not None]
        for process in running:
            process.terminate()
        clean = True
        deadline = self._clock() + self._stop_s
        for process in running:
            try:
                process.wait(max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                log.error("worker.killed", process=process.pid, waited_s=self._stop_s)
                clean = False
                process.kill()
                process.wait()
            _forget(process)
        return clean


def _forget(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
