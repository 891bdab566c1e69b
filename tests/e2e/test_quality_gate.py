"""The quality gate before a running stream."""

import json
import re
from pathlib import Path
from typing import Any

import mlflow
import pytest

from app.registry import announcer
from app.registry.mlflow_models import MlflowModels
from models.evaluate_model import TAG
from tests.e2e.conftest import Trained
from tests.e2e.test_reconcile import Registry
from tests.e2e.test_void import versions
from tests.e2e.test_with_mlflow import MODEL, real_instance, run
from tests.harness.world import World, record, until


def judge(world: World, version: str) -> tuple[int, dict[str, Any], str]:
    """Return exit code, comparison and message."""
    done = run(world.environment, "models/evaluate_model.py", version, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def assert_is_in_the_registry(tracking_uri: str, found: dict[str, Any]) -> None:
    """The verdict is a tag of the version, and its numbers are metrics of its run."""
    client = mlflow.MlflowClient(tracking_uri)
    registered = client.get_model_version(MODEL, found["version"])
    assert re.fullmatch(
        rf"{found['verdict']} at \S+Z: {re.escape(found['why'])}", registered.tags[TAG]
    )
    metrics = client.get_run(str(registered.run_id)).data.metrics
    assert metrics["gate_rmse"] == found["candidate"]["rmse"]
    assert metrics["gate_ratio"] == found["ratio"]


def test_a_worse_model_is_not_promoted_and_a_better_one_is_by_the_workflow_and_the_stream_turns(
    world: World,
    tracking_uri: str,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(world, tracking_uri)
    worse, first = trained.linear, trained.forest
    registry.move(first)
    models = MlflowModels(tracking_uri)
    world.announce(announcer.prepare(models, MODEL, first, guard_ms=1000, check=None))
    page, outputs = tmp_path / "summary.md", tmp_path / "outputs"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    with real_instance(world, tmp_path / "a.log") as instance:
        code, found, said = judge(world, worse)
        assert (code, found["verdict"], found["opponent"]) == (8, "failed", first)
        assert found["candidate"]["rmse"] > found["in_force"]["rmse"] * 1.05
        assert f"version {worse} must not take over: its RMSE is 1." in said
        assert f"| RMSE | {found['candidate']['rmse']:.4f} | " in page.read_text()
        assert outputs.read_text().startswith("verdict=failed\n")
        assert_is_in_the_registry(tracking_uri, found)
        assert (registry.alias, registry.announced()) == (first, [first])
        world.send(record(i) for i in range(100))
        world.wait_for_answers(100, timeout_s=120)
        assert versions(world) == {first: 100}

        arguments = ("-m", "infrastructure.workflow", "--folder", str(tmp_path / "workflow"))
        done = run(world.environment, *arguments, timeout_s=280)
        assert done.returncode == 0, done.stdout + done.stderr
        second = registry.alias
        assert second not in {worse, first}
        assert f"version {second} against version {first} (in force)" in done.stdout
        assert "✓ Promote" in done.stdout
        assert registry.announced() == [first, second]
        world.send(record(i) for i in range(100))
        until(lambda: len(world.answers()) == 200)
        assert instance.stop() == 0
    world.assert_each_answered_once(model=MODEL)
    assert versions(world) == {first: 100, second: 100}
    why = world.plan_table(MODEL).plans[-1].announcement.why
    assert str(why).endswith("the rule allows 1.050")
