"""Three nights of an operator, from the alarm to the cure, by the commands that the pages name."""

import shlex
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.e2e.test_metrics import samples
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
        return app_json(self._world.environment, *shlex.split(command))

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

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def __exit__(self, *_: object) -> None:
        self.stop()


def test_the_night_when_the_artifact_of_the_version_in_force_is_gone(
    world: World, tmp_path: Path
) -> None:
    """Nobody has another copy: the plan is voided, and the records take the one before."""
    operator = Operator(world)
    world.announce_folder("1", guard_ms=0)
    bad = world.announce_folder("2", guard_ms=0)
    with Instance(world.environment, tmp_path / "before.log") as before:
        world.send(record(i) for i in range(500))
        world.wait_for_answers(500)
        shutil.rmtree(tmp_path / "artifacts" / "version-2")  # it is loaded: nobody notices
        world.send(record(i) for i in range(500))
        world.wait_for_answers(1_000)
        assert before.stop() == 0  # the nightly deployment

    world.environment["DS_MODELS_MODEL__FIRST_LOAD_TIMEOUT_S"] = "1"
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
        Flow(world, record, a_second=200) as flow,
    ):
        page = "alerts/stream-holds.md"
        until(lambda: [samples(one)["ds_models_holding{}"] for one in (first, second)] == [1, 1])

        code, seen = operator.status(page)
        assert code == 8
        assert "version-2 is not there" in seen["holds"]
        assert seen["in_force"]["offset"] == bad.offset

        code, (said,) = operator.types(
            f"void {bad.offset} --why 'its artifact is gone'", told_by=page
        )
        assert (code, said["instead"]) == (0, [{"version": "1", "offset": 0}])

        until(lambda: operator.status(page)[0] == 0 and lag(operator.status(page)[1]) < 200)
        assert [samples(one)["ds_models_holding{}"] for one in (first, second)] == [0, 0]
        flow.stop()
        found = world.wait_for_answers(1_000 + flow.sent)
        assert [first.stop(), second.stop()] == [0, 0]
    assert set(found.places().values()) == {1}
    assert set(found.places()) == set(world.inputs())
    by_version = Counter(signal.model_version for _, signal in found.signals)
    assert by_version == {"2": 1_000, "1": flow.sent}


def renamed(number: int) -> bytes:
    return record(number).replace(b'"interest_rate"', b'"rate"')


def test_the_night_when_a_producer_renamed_a_field(world: World, tmp_path: Path) -> None:
    """The breaker holds the flood; the producer is corrected; what had passed is sent again."""
    operator = Operator(world)
    world.announce_folder("1")
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
    ):
        first.wait_until_assigned()
        second.wait_until_assigned()
        world.send(record(i) for i in range(1_000))
        world.wait_for_answers(1_000)
        world.send(renamed(i) for i in range(1_000, 6_000))

        page = "circuit-breaker.md"
        until(lambda: [samples(one)["ds_models_holding{}"] for one in (first, second)] == [1, 1])
        code, seen = operator.status(page)
        assert code == 8
        assert "can't be predicted" in seen["holds"]
        assert len(world.answers().letters) < 2 * 500

        world.send(record(i) for i in range(6_000, 7_000))  # the producer is corrected
        code, went_on = operator.types("resume --why 'the producer is corrected'", told_by=page)
        assert (code, len(went_on)) == (0, 2)
        found = world.wait_for_answers(7_000)
        assert (len(found.signals), len(found.letters)) == (2_000, 5_000)

        page = "dead-letters.md"
        code, (counts,) = operator.types("dead-letters --samples 1", told_by=page)
        assert [(one["reason"], one["letters"]) for one in counts["reasons"]] == [
            ("missing_field", 5_000)
        ]
        mend = "redrive --reason missing_field --rename rate=interest_rate"
        code, (dry,) = operator.types(f"{mend} --dry-run", told_by=page)
        assert (code, dry["to_redrive"]) == (0, 5_000)
        assert len(world.inputs()) == 7_000
        code, (done,) = operator.types(f"{mend} --yes", told_by=page)
        assert (code, done["redriven"]) == (0, 5_000)
        world.wait_for_answers(12_000)
        until(lambda: operator.status("alerts/stream-holds.md")[0] == 0)
        assert [first.stop(), second.stop()] == [0, 0]
    found = world.assert_each_answered_once()
    assert {signal.id for _, signal in found.signals} == {f"r-{i}" for i in range(7_000)}
    assert (len(found.signals), len(found.letters)) == (7_000, 5_000)


def test_the_night_when_the_lag_grows(world: World, tmp_path: Path) -> None:
    """A model that is too slow for one instance: start more, and announce a faster one."""
    page = "alerts/lag-grows.md"
    operator = Operator(world)
    world.environment["DS_MODELS_STREAM__MAX_BATCH"] = "40"
    slow = models.save(tmp_path / "artifacts", "1", slow_s=1.0)
    world.announce(models.announcement(MODEL, "1", slow))

    instances = [Instance(world.environment, tmp_path / f"{n}.log") for n in range(4)]
    with instances[0] as first, Flow(world, record, a_second=300) as flow:
        first.wait_until_assigned()

        def alarm() -> dict[str, Any] | None:
            code, seen = operator.status(page)
            assert code == 0  # nothing holds: it is only too slow
            return seen if lag(seen) > 500 and trend(seen) > 0 else None

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
            flow.stop()
            world.wait_for_answers(flow.sent, 120)
            assert [instance.stop() for instance in instances] == [0, 0, 0, 0]
    world.assert_each_answered_once()
