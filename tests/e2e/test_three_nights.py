"""Three nights of an operator, from the alarm to the cure, by the commands that the pages name."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.harness import models
from tests.harness.instances import ROOT, Instance
from tests.harness.terminal import app_json
from tests.harness.world import MODEL, World, record, until


class Operator:
    """Somebody with a terminal, who types only what a page tells."""

    def __init__(self, world: World) -> None:
        self._world = world

    def types(self, command: str, *, told_by: str) -> tuple[int, list[dict[str, Any]]]:
        """Run `python -m app …` with `--json`; return its exit code and what it says."""
        page = ROOT / "docs" / told_by
        assert f"python -m app {command.split(maxsplit=1)[0]}" in page.read_text()
        return app_json(self._world.environment, *command.split())

    def status(self, told_by: str) -> tuple[int, dict[str, Any]]:
        code, (found,) = self.types("status", told_by=told_by)
        return code, found


def trend(status: dict[str, Any]) -> float:
    """Return how the lag changes, in records a second."""
    return sum(one["change"] or 0.0 for one in status["lag"])


def lag(status: dict[str, Any]) -> int:
    return sum(one["lag"] for one in status["lag"])


class Flow:
    """A producer that goes on until it is told to stop. A context manager."""

    def __init__(self, world: World, make: Callable[[int], bytes], a_second: int) -> None:
        self._world = world
        self._make = make
        self._step = a_second // 10
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._stop.wait(0.1):
            numbers = range(self.sent, self.sent + self._step)
            self._world.send(self._make(number) for number in numbers)
            self.sent += self._step

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_the_night_when_the_lag_grows(world: World, tmp_path: Path) -> None:
    """A model that is too slow for one instance: start more, and announce a faster one."""
    page = "alerts/lag-grows.md"
    operator = Operator(world)
    world.environment["DS_MODELS_STREAM__MAX_BATCH"] = "40"
    slow = models.save(tmp_path / "artifacts", "1", slow_s=0.4)
    world.announce(models.announcement(MODEL, "1", slow))

    instances = [Instance(world.environment, tmp_path / f"{n}.log") for n in range(4)]
    with instances[0] as first, Flow(world, record, a_second=300) as flow:
        first.wait_until_assigned()

        def alarm() -> dict[str, Any] | None:
            code, seen = operator.status(page)
            assert code == 0  # nothing holds: it is only too slow
            return seen if lag(seen) > 1_000 and trend(seen) > 0 else None

        alarmed = until(alarm, 120)
        assert {name for one in alarmed["instances"] for name in one["lag"]} == set("0123")

        fast = models.save(tmp_path / "artifacts", "2")
        world.announce(models.announcement(MODEL, "2", fast))
        with instances[1], instances[2], instances[3]:
            for instance in instances[1:]:
                instance.wait_until_assigned()

            def cured() -> bool:
                code, seen = operator.status(page)
                owned = [len(one["lag"]) for one in seen["instances"] if one["live"]]
                return code == 0 and owned == [1, 1, 1, 1] and lag(seen) < 300

            until(cured, 240)
            flow.__exit__()
            world.wait_for_answers(flow.sent, 120)
            assert [instance.stop() for instance in instances] == [0, 0, 0, 0]
    world.assert_each_answered_once()
