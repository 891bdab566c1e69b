"""The way out of a plan that nobody can load, and what it may not be used for."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.domain.plans import Plan, Void
from app.topics import announcements
from tests.e2e.test_command_line import app, rows
from tests.e2e.test_metrics import samples
from tests.harness import models
from tests.harness.instances import Instance
from tests.harness.world import MODEL, SOON_REPLACED, World, record, until

ANSWERED = "ds_models_records_total{outcome=signal,reason=}"


def void(world: World, offset: int, *options: str) -> dict[str, Any]:
    """Run `void --json`; return what it says."""
    (found,) = rows(world, "void", str(offset), "--why", "its files are gone", *options)
    return found


def announce_without_files(world: World, version: str) -> Plan:
    """Announce a version whose artifact is gone."""
    folder = models.save(world.folder / "artifacts", version)
    announced = models.announcement(MODEL, version, folder)
    shutil.rmtree(folder)
    return world.announce(announced)


def wait_until_in_force(plan: Plan) -> None:
    until(lambda: time.time() * 1000 > plan.effective_ms + 100)


@contextmanager
def flow(world: World) -> Iterator[Counter[str]]:
    """Send records all the time, and count them."""
    done, sent = threading.Event(), Counter[str]()

    def send() -> None:
        while not done.wait(0.05):
            world.send(record(i) for i in range(40))
            sent["records"] += 40

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


def versions(world: World, environment: dict[str, str] | None = None) -> Counter[str]:
    return Counter(signal.model_version for _, signal in world.answers(environment).signals)


def test_records_that_wait_for_what_nobody_can_load_are_answered_by_the_plan_before_once_it_is_void(
    world: World, tmp_path: Path
) -> None:
    good = world.announce_folder("1")
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
        flow(world) as sent,
    ):
        first.wait_until_assigned()
        second.wait_until_assigned()
        until(lambda: all(samples(i)[ANSWERED] > 200 for i in (first, second)))
        gone = announce_without_files(world, "2")
        for instance in (first, second):
            instance.wait_until_it_holds("version 2 can't be loaded")

        said = void(world, gone.offset)
        assert (said["offset"], said["voided_offset"], said["version"]) == (2, 1, "2")
        assert said["instead"] == [{"version": "1", "offset": good.offset}]
        for instance in (first, second):
            instance.wait_for_event("stream.resumed")
            told = instance.wait_for_event("plan.voided")
            assert told["level"] == "warning"
            assert (told["voided_offset"], told["version"]) == (gone.offset, "2")
            assert (told["why"], told["instead"]) == ("its files are gone", ["1 (offset 0)"])
            assert (told["since_ms"], told["until_ms"]) == (gone.effective_ms, None)
            assert samples(instance)["ds_models_voided_plans_total{}"] == 1
            assert samples(instance)["ds_models_holding{}"] == 0
        until(lambda: sent["records"] > 2_000)
    with Instance(world.environment, tmp_path / "c.log") as third:  # it never wants version 2
        world.wait_for_answers(sent["records"])
        assert third.events("stream.holds") == []
        assert third.events("model.not_loaded") == []
    world.assert_each_answered_once()
    assert set(versions(world)) == {"1"}

    again = world.with_outputs("replay")
    with Instance(again, tmp_path / "replay.log"):
        world.wait_for_answers(sent["records"], environment=again)
    world.assert_each_answered_once(again)


def test_answers_that_a_voided_plan_gave_stay_and_later_ones_are_of_the_plan_before(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    second = world.announce_folder("2")
    wait_until_in_force(second)
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send(record(i) for i in range(100))
        world.wait_for_answers(100)
        said = void(world, second.offset)
        assert said["serves"] is True
        instance.wait_for_event("plan.voided")
        world.send(record(i) for i in range(100))
        found = world.wait_for_answers(200)
        assert instance.stop() == 0
    assert set(found.places().values()) == {1}
    assert versions(world) == {"2": 100, "1": 100}

    again = world.with_outputs("replay")  # of the past as it is now
    with Instance(again, tmp_path / "replay.log"):
        world.wait_for_answers(200, environment=again)
    assert versions(world, again) == {"1": 200}


def test_an_instance_that_was_killed_while_it_held_goes_on_with_the_plan_before(
    world: World, tmp_path: Path
) -> None:
    world.environment |= SOON_REPLACED
    world.announce_folder("1")
    gone = announce_without_files(world, "2")
    wait_until_in_force(gone)
    world.send(record(i) for i in range(300))
    with Instance(world.environment, tmp_path / "a.log") as held:
        held.wait_for_event("stream.holds")
        held.kill()
    void(world, gone.offset)
    with Instance(world.environment, tmp_path / "b.log"):
        world.wait_for_answers(300)
    world.assert_each_answered_once()


def test_the_last_plan_is_voided_only_if_that_is_said_and_then_records_wait_for_another(
    world: World, tmp_path: Path
) -> None:
    only = announce_without_files(world, "1")
    refused = app(world, "void", str(only.offset), "--why", "gone")
    assert refused.returncode == 8
    assert "the last" in refused.stderr
    assert "--even-if-last" in refused.stderr
    world.send(record(i) for i in range(50))
    with Instance(world.environment, tmp_path / "a.log") as instance:
        instance.wait_for_event("stream.holds", reason="model_not_loaded")
        assert void(world, only.offset, "--even-if-last")["instead"] == []
        held = instance.wait_for_event("stream.holds", reason="no_plan")
        assert held["waits_for"].startswith("every plan of the model is voided")
        assert len(world.answers()) == 0
        world.announce_folder("2")
        world.wait_for_answers(50)
        assert instance.stop() == 0
    world.assert_each_answered_once()


def test_what_cannot_be_voided_is_refused_and_nothing_is_written(world: World) -> None:
    world.announce_folder("1")
    world.announce_folder("2")
    world.send_announcement(None, b"noise", [])
    assert void(world, 1, "--dry-run")["offset"] is None
    assert void(world, 1)["offset"] == 3
    for offset, why in [
        ("2", "there is no plan of test-model at offset 2"),
        ("3", "there is no plan of test-model at offset 3"),  # a void
        ("4", "there is no plan of test-model at offset 4"),
        ("1", "is already voided, by the one at offset 3"),
        ("0", "is the last"),
    ]:
        run = app(world, "void", offset, "--why", "because")
        assert run.returncode == 8, run
        assert why in run.stderr
        assert "Traceback" not in run.stderr
    for reason in (" ", "\udcff", "x" * 1001):
        assert app(world, "void", "0", "--why", reason).returncode == 2
    assert app(world, "void", "0").returncode == 2
    found = rows(world, "announcements")
    assert [row["status"] for row in found] == ["in force", "voided", "ignored", "void"]
    assert (found[1]["voided_by"], found[1]["voided_why"]) == (3, "its files are gone")
    assert (found[3]["voids"], found[3]["why"]) == (1, "its files are gone")
    inspected = rows(world, "inspect", world.settings.topics.announcements)
    assert [row["kind"] for row in inspected] == [*["announcement"] * 3, "void"]


def test_records_held_by_the_breaker_since_a_version_raises_take_the_one_before_once_resumed(
    world: World, tmp_path: Path
) -> None:
    world.environment["DS_MODELS_BREAKER__WINDOW"] = "400"
    world.announce_folder("1")
    raising = models.save(world.folder / "artifacts", "2", poison=4.5)
    second = world.announce(models.announcement(MODEL, "2", raising))
    wait_until_in_force(second)
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send(record(i) for i in range(300))
        world.wait_for_answers(300)
        world.send(record(i) for i in range(100))
        instance.wait_for_event("stream.holds", reason="too_many_dead_letters")
        void(world, second.offset)
        instance.wait_for_event("plan.voided")
        assert rows(world, "resume")[0]["went_on"] is True
        world.wait_for_answers(400)
        assert instance.stop() == 0
    found = world.assert_each_answered_once()
    assert (len(found.letters), versions(world)) == (300, {"1": 100})


@pytest.mark.parametrize("last", [False, True])
def test_a_void_that_comes_second_changes_nothing_for_anyone(world: World, last: bool) -> None:
    """Two people void at once: what the second appends does not count, and readers agree."""
    world.announce_folder("1")
    world.announce_folder("2")
    if last:
        world.announce_folder("3")
    for number in range(2):
        message = announcements.encode_void(Void(-1, 0, MODEL, 1, "gone", f"{number}"))
        world.send_announcement(*message)
    assert [void.event_id for void in world.plan_table().voids] == ["0"]


def test_for_people_it_says_what_changes(world: World) -> None:
    world.announce_folder("1", guard_ms=0)
    world.announce_folder("2", guard_ms=0)
    dry = app(world, "void", "1", "--why", "gone", "--dry-run")
    assert "It would void version 2 of offset 1. Records appended from 20" in dry.stdout
    done = app(world, "void", "1", "--why", "gone")
    assert "Voided at offset 2: version 2 of offset 1." in done.stdout
    assert "take version 1 of offset 0, unless they are answered already" in done.stdout
    assert "by offset 2: gone" in app(world, "announcements", COLUMNS="140").stdout
