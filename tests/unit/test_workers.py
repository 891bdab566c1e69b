"""Workers: started anew when they die, ever later, and ended together."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from structlog.testing import capture_logs

from app.tools.workers import Workers
from tests.harness.world import until

SLEEPS = "import time; time.sleep(600)"
ENDS_WITH = "import sys; sys.exit({})"
IS_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)


def python(program: str) -> Callable[[int], list[str]]:
    return lambda _number: [sys.executable, "-c", program]


@contextmanager
def running(workers: Workers) -> Iterator[tuple[threading.Event, list[int]]]:
    """Run them in a thread; the list gets the exit code."""
    stop, codes = threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: codes.append(workers.run(stop)))
    thread.start()
    try:
        yield stop, codes
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_all_are_started_and_all_are_ended() -> None:
    workers = Workers(python(SLEEPS), 3)
    with running(workers) as (_, codes):
        pids = until(lambda: found if len(found := workers.pids()) == 3 else None)
        assert list(pids) == [1, 2, 3]
    assert codes == [0]
    assert workers.pids() == {}


def test_one_that_dies_is_started_anew_and_the_others_go_on() -> None:
    workers = Workers(python(SLEEPS), 2)
    with running(workers):
        before = until(lambda: found if len(found := workers.pids()) == 2 else None)
        os.kill(before[1], signal.SIGKILL)
        until(lambda: workers.pids().get(1, before[1]) != before[1])
        assert workers.pids()[2] == before[2]


def test_one_that_dies_again_and_again_is_started_ever_later() -> None:
    now = [1000.0]
    workers = Workers(python(ENDS_WITH.format(5)), 1, clock=lambda: now[0])
    with capture_logs() as logs, running(workers):

        def pauses() -> list[float]:
            return [e["starts_again_in_s"] for e in logs if e["event"] == "worker.ended"]

        for deaths in range(1, 8):
            until(lambda: len(pauses()) >= deaths)  # noqa: B023 - called at once
            now[0] += 31
        until(lambda: len(pauses()) >= 8)
    assert pauses()[:8] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_one_that_lived_for_long_is_started_anew_at_once() -> None:
    now = [1000.0]
    workers = Workers(python(SLEEPS), 1, clock=lambda: now[0])
    with capture_logs() as logs, running(workers):
        pids = until(workers.pids)
        now[0] += 61
        os.kill(pids[1], signal.SIGKILL)
        until(lambda: workers.pids().get(1, pids[1]) != pids[1])
    (ended,) = [e for e in logs if e["event"] == "worker.ended"]
    assert (ended["starts_again_in_s"], ended["exit_code"]) == (0, -signal.SIGKILL)


def test_one_that_no_start_can_help_ends_all_with_its_exit_code(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    other = (
        f"import os, pathlib; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); {SLEEPS}"
    )
    waits = (
        f"import pathlib, time\nwhile not pathlib.Path({str(mark)!r}).exists(): time.sleep(0.05)\n"
    )

    def command(number: int) -> list[str]:
        program = other if number == 1 else f"{waits}raise SystemExit(3)"
        return [sys.executable, "-c", program]

    workers = Workers(command, 2)
    with running(workers) as (_, codes):
        until(lambda: codes)
    assert codes == [3]
    assert workers.pids() == {}


def test_one_that_does_not_end_in_time_is_killed_and_the_exit_code_says_so() -> None:
    workers = Workers(python(IS_DEAF), 1, stop_s=1.0)
    with running(workers) as (_, codes):
        pids = until(workers.pids)
        status = Path(f"/proc/{pids[1]}/status")
        deaf = 1 << (signal.SIGTERM - 1)

        def is_deaf() -> bool:
            (line,) = [x for x in status.read_text().splitlines() if x.startswith("SigIgn")]
            return bool(int(line.split()[1], 16) & deaf)

        until(is_deaf)
    assert codes == [1]
    assert workers.pids() == {}
