"""The command line against the real broker: what it prints, and how it ends."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import terminal
from tests.harness.instances import Instance
from tests.harness.terminal import app_json
from tests.harness.world import World


def app(world: World, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return terminal.app(world.environment, *arguments, **changes)


def rows(world: World, *arguments: str) -> list[dict[str, Any]]:
    code, found = app_json(world.environment, *arguments)
    assert code == 0
    return found


@pytest.mark.parametrize(
    "command",
    [
        *([], ["run"], ["announce"], ["announcements"], ["produce"], ["inspect"], ["trace"]),
        *(["dead-letters"], ["redrive"]),
        *(["rollback"], ["void"]),
        *(["backup"], ["restore"]),
        *(["topics"], ["topics", "create"], ["topics", "check"]),
    ],
)
def test_every_command_has_help(world: World, command: list[str]) -> None:
    run = app(world, *command, "--help")
    assert run.returncode == 0
    assert "Usage" in run.stdout


def test_topics_that_are_good_are_reported_good(world: World) -> None:
    found = rows(world, "topics", "create")
    assert {row["status"] for row in found} == {"good"}
    assert {row["topic"] for row in found} == {
        world.settings.topics.records,
        world.settings.topics.signals,
        world.settings.topics.dead_letters,
        world.settings.topics.announcements,
        world.settings.topics.redriven,
        world.settings.topics.status,
    }


def test_an_instance_refuses_topics_that_are_missing_and_says_what_to_do(world: World) -> None:
    run = app(world, "run", DS_MODELS_TOPICS__SIGNALS="not-there")
    assert run.returncode == 3
    assert "not-there: topic is missing" in run.stderr
    assert "python -m app topics create" in run.stderr


def test_without_a_broker_a_command_says_so_and_ends_with_5(world: World) -> None:
    run = app(world, "announcements", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")
    assert run.returncode == 5
    assert "no Kafka broker answers at 127.0.0.1:9" in run.stderr


def test_an_unknown_setting_ends_with_2_and_a_suggestion(world: World) -> None:
    run = app(world, "run", DS_MODELS_STREAM__MAX_BATHC="5")
    assert run.returncode == 2
    assert "did you mean 'max_batch'?" in run.stderr


def test_what_is_produced_can_be_inspected(world: World) -> None:
    summary = rows(world, "produce", "--count", "500", "--bad", "0.2", "--seed", "3")[0]
    assert summary["records"] == 500
    found = rows(world, "inspect", world.settings.topics.records)
    assert len(found) == 500
    bad = [row for row in found if "rejected" in row]
    assert len(bad) == 500 - int(str(summary["good"]))
    table = app(world, "inspect", world.settings.topics.records, "--max", "3")
    assert table.returncode == 0
    assert "economy-3-" in table.stdout


def test_the_announcements_say_what_is_in_force(world: World) -> None:
    assert "Nothing has been announced" in app(world, "announcements").stdout
    world.announce_folder("1", guard_ms=0)
    world.announce_folder("2", guard_ms=0)
    world.announce_folder("3", guard_ms=86_400_000)
    world.send_announcement(None, b"noise", [])
    found = rows(world, "announcements")
    assert [row["status"] for row in found] == ["past", "in force", "coming", "ignored"]
    assert "in force" in app(world, "announcements").stdout


def test_another_model_than_ours_is_not_announced(world: World) -> None:
    run = app(world, "announce", "other-model", "1")
    assert run.returncode == 2
    assert "this application serves 'test-model'" in run.stderr


def test_a_download_that_never_ends_does_not_keep_an_instance_that_is_told_to_stop(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    world.send([b"{}"])
    world.environment["DS_MODELS_MODEL__FIRST_LOAD_TIMEOUT_S"] = "0.1"
    module = "tests.harness.hanging_download"
    with Instance(world.environment, tmp_path / "a.log", module, ("run",)) as instance:
        instance.wait_until_assigned()
        assert instance.stop() == 0
        assert instance.events("stream.stopped")


@pytest.mark.parametrize("arguments", [["--help"], ["config", "--json"]])
def test_a_full_disk_is_told_in_one_line(world: World, arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "app", *arguments],
            env={**os.environ, **world.environment},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert run.stderr == "error: [Errno 28] No space left on device\n"
