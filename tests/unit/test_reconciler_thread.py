"""The reconciler in a thread: woken, ended, and begun anew when it dies."""

import threading
from collections.abc import Callable
from typing import Any

from app.registry.reconciling.thread import ReconcilerThread
from app.registry.reconciling.waking import Bell
from tests.harness.world import until


class Looks:
    """Counts its looks; dies at the numbers that it is told."""

    def __init__(self, dies_at: tuple[int, ...] = ()) -> None:
        self.looked = 0
        self.made = 0
        self.ended = False
        self._dies_at = dies_at

    def make(self, _stopped: Callable[[], bool]) -> "Looks":
        self.made += 1
        return self

    def run(
        self, every_s: float, stopped: Callable[[float], bool], woken: Callable[[], bool]
    ) -> None:
        while True:
            self.looked += 1
            if self.looked in self._dies_at:
                raise AttributeError("nobody foresaw this")
            if stopped(every_s):
                self.ended = True
                return


def test_it_looks_at_its_start_and_whenever_it_is_woken_and_ends_with_its_block() -> None:
    looks = Looks()
    with ReconcilerThread(looks.make, every_s=3600) as thread:
        for count in (1, 2, 3):
            until(lambda wanted=count: looks.looked == wanted)  # type: ignore[misc]
            assert thread.runs
            thread.look_again()
        until(lambda: looks.looked == 4)
    assert looks.ended
    assert not thread.runs


def test_one_that_dies_is_begun_anew_and_counted() -> None:
    looks, deaths = Looks(dies_at=(1, 3)), list[int]()
    with ReconcilerThread(looks.make, every_s=0.01, on_death=lambda: deaths.append(1)) as thread:
        until(lambda: looks.looked > 5)
        assert thread.runs
    assert (len(deaths), looks.made) == (2, 3)


def test_a_death_does_not_keep_the_service_from_ending() -> None:
    class Dies:
        def run(self, *_: Any) -> None:
            raise AttributeError("nobody foresaw this")

    died = threading.Event()
    with ReconcilerThread(lambda _stopped: Dies(), every_s=3600, on_death=died.set) as thread:
        assert died.wait(30)
    assert not thread.runs


def test_what_does_not_end_is_left_behind() -> None:
    released, began = threading.Event(), threading.Event()

    class Hangs:
        def run(self, *_: Any) -> None:
            began.set()
            released.wait()

    with ReconcilerThread(lambda _stopped: Hangs(), 3600, ends_within_s=0.1) as thread:
        assert began.wait(30)
    assert thread.runs
    released.set()
    until(lambda: not thread.runs)


def test_a_call_while_nobody_waits_ends_the_next_wait() -> None:
    bell = Bell()
    bell.wake()
    bell.wake()
    assert not bell.wait(600)
    assert bell.woken()
    assert not bell.woken()
    assert not bell.wait(0)
    assert not bell.woken()
    bell.stop()
    assert bell.wait(600)
    assert bell.wait(600)
