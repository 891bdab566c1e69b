"""Rolling back under flow, with a real MLflow server; and when it is refused."""

from dataclasses import replace
from pathlib import Path

import mlflow

from app.registry import announcer
from app.registry.mlflow_models import MlflowModels
from tests.e2e.conftest import Trained
from tests.e2e.test_command_line import app, rows
from tests.e2e.test_void import flow, wait_until_in_force
from tests.e2e.test_with_mlflow import MODEL, real_instance, with_mlflow
from tests.harness.world import World, until


def test_under_flow_the_version_before_is_in_force_again_and_each_record_is_answered_once(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    with_mlflow(world, tracking_uri)
    first, second = trained.linear, trained.forest
    for version in (first, second):
        rows(world, "announce", MODEL, version, "--no-verify")
    wait_until_in_force(world.plan_table(MODEL).plans[1])
    dry = app(world, "rollback", "--no-verify", "--dry-run")
    assert f"It would announce {MODEL} version {first} again" in dry.stdout
    assert len(world.plan_table(MODEL).plans) == 2
    with (
        real_instance(world, tmp_path / "a.log") as a,
        real_instance(world, tmp_path / "b.log") as b,
    ):
        for instance in (a, b):
            instance.wait_for_event("model.loaded", timeout_s=120)
            instance.wait_until_assigned()
        with flow(world) as sent:
            until(lambda: sent["records"] > 200)
            (done,) = rows(world, "rollback", "--why", "it drifts")
            assert (done["version"], done["offset"]) == (first, 3)
            assert done["as_at_offset"] == 0
            assert done["instead_of"] == {"version": second, "offset": 1}
            wait_until_in_force(world.plan_table(MODEL).plans[2])
            mark = sent["records"]
            until(lambda: sent["records"] > mark + 200)
        world.wait_for_answers(sent["records"], timeout_s=120)
        assert [a.stop(), b.stop()] == [0, 0]
    found = world.assert_each_answered_once(model=MODEL)
    assert {s.announcement_offset for _, s in found.signals} == {1, 3}
    assert alias_of(tracking_uri) == first
    shown = rows(world, "announcements")
    assert [row["status"] for row in shown] == ["past", "past", "was staged", "in force"]
    assert shown[3]["why"].endswith("Z: it drifts")


def alias_of(tracking_uri: str) -> str:
    return str(
        mlflow.MlflowClient(tracking_uri).get_model_version_by_alias(MODEL, "champion").version
    )


def test_it_is_refused_while_a_plan_is_about_to_come_and_for_files_that_did_not_serve(
    world: World, tracking_uri: str, trained: Trained
) -> None:
    with_mlflow(world, tracking_uri)
    models = MlflowModels(tracking_uri)
    good = announcer.prepare(models, MODEL, trained.linear, guard_ms=0, check=None)
    other = replace(good, digest="sha256:" + "0" * 64, event_id="other")
    world.announce(other)
    world.announce(replace(good, model_version="4711", event_id="next"))
    run = app(world, "rollback")
    assert run.returncode == 8
    assert "are not those that served" in run.stderr
    world.announce(replace(good, guard_ms=60_000, event_id="coming"))
    run = app(world, "rollback")
    assert run.returncode == 8
    assert "void 2 --why" in run.stderr
    assert len(world.plan_table(MODEL).plans) == 3
