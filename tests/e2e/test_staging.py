"""A version is staged and loaded by all, and only then in force; or all is as before."""

from pathlib import Path

from app.registry import announcer
from tests.e2e.conftest import Trained
from tests.e2e.test_command_line import app, rows
from tests.e2e.test_void import flow, wait_until_in_force
from tests.e2e.test_with_mlflow import MODEL, real_instance, with_mlflow
from tests.harness import models
from tests.harness.instances import Instance
from tests.harness.terminal import app_json
from tests.harness.world import MODEL as FOLDER_MODEL
from tests.harness.world import World, until

TOO_SMALL = {"DS_MODELS_POLICY__MAX_ARTIFACT_MB": "0.01"}


def test_one_that_cannot_load_it_keeps_all_as_before_and_without_it_the_version_comes(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    with_mlflow(world, tracking_uri)
    first, second = trained.linear, trained.forest
    rows(world, "announce", MODEL, first, "--no-verify")
    command = ("announce", MODEL, second, "--when-loaded", "--no-verify", "--timeout")
    before, world.environment = world.environment, world.environment | TOO_SMALL
    with real_instance(world, tmp_path / "small.log") as small:
        world.environment = before
        small.wait_for_event("model.loaded", timeout_s=120)  # the first one is small enough
        until(lambda: live(world) == 1)
        refused = app(world, *command, "5")
        assert refused.returncode == 8
        assert "after 5 s it is not loaded by " in refused.stderr
        assert refused.stderr.count("the policy refuses it") == 1
        small.wait_for_event("version.unstaged")
        assert small.stop() == 0
    history = rows(world, "announcements")
    assert [row["status"] for row in history] == ["in force", "was staged", "unstaged"]

    with real_instance(world, tmp_path / "a.log") as instance:
        instance.wait_for_event("model.loaded", timeout_s=120)
        until(lambda: live(world) == 1)
        with flow(world) as sent:
            until(lambda: sent["records"] > 200)
            (done,) = rows(world, *command, "60")
            assert done["version"] == second
            wait_until_in_force(world.plan_table(MODEL).plans[1])
            mark = sent["records"]
            until(lambda: sent["records"] > mark + 200)
        world.wait_for_answers(sent["records"], timeout_s=120)
        assert instance.events("stream.holds") == []
        assert instance.stop() == 0
    found = world.assert_each_answered_once(model=MODEL)
    assert {signal.model_version for _, signal in found.signals} == {first, second}


def live(world: World) -> int:
    _, (status,) = app_json(world.environment, "status")
    return sum(instance["live"] for instance in status["instances"])


def test_an_instance_that_joins_meanwhile_loads_what_is_staged_before_it_serves(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    folder = models.save(world.folder / "artifacts", "2")
    announcement = models.announcement(FOLDER_MODEL, "2", folder, replaces=0)
    topic = world.settings.topics.announcements
    staged = announcer.stage(world.client, topic, announcement)
    with Instance(world.environment, tmp_path / "a.log") as instance:
        instance.wait_for_event("partitions.assigned")
        names = [one["event"] for one in instance.events()]
        assert names.count("model.loaded") == 2
        assert names[::-1].index("model.loaded") > names[::-1].index("partitions.assigned")
        (told,) = until(lambda: app_json(world.environment, "status")[1][0]["instances"])
        assert told["staged"] == {
            "model": FOLDER_MODEL,
            "version": "2",
            "offset": staged.offset,
            "why_not": None,
        }
        (gone,) = rows(world, "unstage", "--why", "a test")
        assert gone == {"unstaged_offset": staged.offset}
        instance.wait_for_event("version.unstaged", why="a test")
        again = app_json(world.environment, "unstage", "--why", "again")
        assert again == (8, [{"unstaged_offset": None}])
        assert instance.stop() == 0


def test_stage_says_how_far_each_instance_is(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    with_mlflow(world, tracking_uri)
    (alone,) = rows(world, "stage", MODEL, trained.linear)
    assert alone["instances"] == []
    with real_instance(world, tmp_path / "a.log") as instance:
        instance.wait_for_event("model.loaded", timeout_s=120)
        until(lambda: live(world) == 1)
        (again,) = rows(world, "stage", MODEL, trained.linear, "--no-verify")
        assert [one["state"] for one in again["instances"]] == ["loaded"]
        assert instance.stop() == 0
    table = world.plan_table(MODEL)
    assert table.plans == ()
    assert table.staged is not None
    assert table.staged.offset == again["offset"]
