"""The whole product with a real MLflow server: train, register, announce, serve, swap."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from app.domain.plans import Announcement
from app.domain.records import FEATURES
from app.registry import announcer
from app.registry.mlflow_models import MlflowModels
from app.tools.producing.simulated_records import records
from app.topics.records import Record, RecordDecoder
from infrastructure.mlflow_server.server import MLflowServer
from models.register_model_in_mlflow import load
from models.treasury_price_model import table_of
from tests.harness.instances import ROOT, Instance
from tests.harness.terminal import app_json
from tests.harness.world import World, until

MODEL = "treasury-price-model"


def run(
    environment: dict[str, str], *arguments: str, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment, "PYTHONWARNINGS": "ignore"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def run_json(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = run(environment, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(world: World, kind: str, pickle: Path, *, announce: bool = True) -> dict[str, Any]:
    return run_json(
        world.environment,
        "models/train_and_register_model.py",
        *("--kind", kind, "--months", "500", "--output", str(pickle)),
        *(() if announce else ("--no-announce",)),
    )


def training_environment(tracking_uri: str, folder: Path) -> dict[str, str]:
    """What the training scripts need, and no broker."""
    return {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": MODEL,
        "DS_MODELS_CONFIG": str(folder),
    }


def real_instance(world: World, log: Path) -> Instance:
    return Instance(world.environment, log, module="app", arguments=("run",))


def with_mlflow(world: World, address: str) -> World:
    world.environment |= {"MLFLOW_TRACKING_URI": address, "DS_MODELS_MODEL__NAME": MODEL}
    return world


@pytest.fixture
def mlflow_world(world: World, tracking_uri: str) -> World:
    return with_mlflow(world, tracking_uri)


@pytest.fixture(scope="module")
def server_with_versions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A server that has the versions 1 and 2."""
    folder = tmp_path_factory.mktemp("own-mlflow")
    with MLflowServer(folder / "data", owned=True) as server:
        for kind in ("linear", "forest"):
            run_json(
                training_environment(server.tracking_uri, folder),
                "models/train_and_register_model.py",
                *("--kind", kind, "--months", "500", "--output", str(folder / f"{kind}.pkl")),
                "--no-announce",
            )
        yield server


@pytest.fixture
def own_server(server_with_versions: MLflowServer) -> MLflowServer:
    """The same for a test that may stop and start it."""
    server_with_versions.start()
    return server_with_versions


def announced_from(server: MLflowServer, version: str, guard_ms: int = 1000) -> Announcement:
    models = MlflowModels(server.tracking_uri)
    return announcer.prepare(models, MODEL, version, guard_ms=guard_ms, check=None)


def test_what_the_scripts_train_is_what_the_stream_predicts(
    mlflow_world: World, tmp_path: Path
) -> None:
    world = mlflow_world
    first = train(world, "linear", tmp_path / "linear.pkl")
    samples = [s for _, s in zip(range(3000), records(11, 0.02), strict=False)]
    with (
        real_instance(world, tmp_path / "a.log") as a,
        real_instance(world, tmp_path / "b.log") as b,
    ):
        a.wait_for_event("model.loaded")
        b.wait_for_event("model.loaded")
        world.send((s.value for s in samples), key=lambda n: samples[n].key)
        world.wait_for_answers(3000)
        second = train(world, "forest", tmp_path / "forest.pkl")
        a.wait_for_event("model.loaded", version=second["version"])
        b.wait_for_event("model.loaded", version=second["version"])
        effective_ms = world.plan_table(MODEL).plans[-1].effective_ms
        until(lambda: time.time() * 1000 > effective_ms + 100)
        world.send((s.value for s in samples), key=lambda n: samples[n].key)
        found = world.wait_for_answers(6000)
        assert [a.stop(), b.stop()] == [0, 0]
    found = world.assert_each_answered_once(model=MODEL)
    versions = {s.model_version for _, s in found.signals}
    assert versions == {first["version"], second["version"]}

    estimators = {
        first["version"]: load(tmp_path / "linear.pkl"),
        second["version"]: load(tmp_path / "forest.pkl"),
    }
    decoder, inputs = RecordDecoder(), world.inputs()
    for version, model in estimators.items():
        signals = [s for _, s in found.signals if s.model_version == version]
        decoded = [decoder.decode(inputs[s.source_partition, s.source_offset][2]) for s in signals]
        rows = [[getattr(r, f) for f in FEATURES] for r in decoded if isinstance(r, Record)]
        expected = model.predict(table_of(np.array(rows)))
        assert len(rows) == len(signals) > 2000
        got = [s.predicted_price for s in signals]
        assert all(map(math.isclose, got, expected.tolist()))


def test_with_mlflow_away_at_the_start_records_wait_and_are_answered_once_it_is_back(
    world: World, own_server: MLflowServer, tmp_path: Path
) -> None:
    with_mlflow(world, own_server.tracking_uri)
    world.announce(announced_from(own_server, "1"))
    own_server.stop()
    world.environment["DS_MODELS_MODEL__FIRST_LOAD_TIMEOUT_S"] = "5"
    world.send(next(records(1)).value for _ in range(200))
    with real_instance(world, tmp_path / "a.log") as instance:
        failed = instance.wait_for_event("model.not_loaded")
        assert failed["error"] == "ModelUnavailable"
        held = instance.wait_for_event("stream.holds")
        assert "version 1 can't be loaded" in held["waits_for"]
        assert len(world.answers()) == 0
        own_server.start()
        world.wait_for_answers(200, timeout_s=90)
        assert instance.stop() == 0
    world.assert_each_answered_once(model=MODEL)


def test_with_mlflow_away_during_a_swap_records_of_the_old_version_are_answered_and_others_wait(
    world: World, own_server: MLflowServer, tmp_path: Path
) -> None:
    with_mlflow(world, own_server.tracking_uri)
    world.announce(announced_from(own_server, "1"))
    values = [s.value for _, s in zip(range(300), records(2), strict=False)]
    with real_instance(world, tmp_path / "a.log") as instance:
        world.send(values)
        world.wait_for_answers(300)
        announced = announced_from(own_server, "2", guard_ms=10_000)
        own_server.kill()
        plan = world.announce(announced)
        instance.wait_for_event("model.not_loaded", version="2")
        world.send(values)
        world.wait_for_answers(600)
        until(lambda: time.time() * 1000 > plan.effective_ms + 100)
        world.send(values)
        assert "version 2" in instance.wait_for_event("stream.holds")["waits_for"]
        assert len(world.answers()) == 600
        own_server.start()
        found = world.wait_for_answers(900, timeout_s=90)
        assert instance.stop() == 0
    world.assert_each_answered_once(model=MODEL)
    assert {s.model_version for _, s in found.signals} == {"1", "2"}


def test_a_script_says_in_one_line_that_mlflow_is_away(world: World, tmp_path: Path) -> None:
    with_mlflow(world, "http://127.0.0.1:9")
    pickle = str(tmp_path / "model.pkl")
    trained = run(world.environment, "models/train_and_pickle_model.py", "--output", pickle)
    assert trained.returncode == 0, trained.stderr
    done = run(world.environment, "models/register_model_in_mlflow.py", "--pickle", pickle)
    assert done.returncode == 7
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "script",
    [
        *("train_and_pickle_model", "register_model_in_mlflow", "train_and_register_model"),
        "evaluate_model",
    ],
)
def test_every_script_has_help(script: str) -> None:
    done = run({}, f"models/{script}.py", "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_a_version_that_does_not_exist_is_not_announced(mlflow_world: World) -> None:
    done = run(mlflow_world.environment, "-m", "app", "announce", MODEL, "4711")
    assert done.returncode == 7
    assert "version 4711" in done.stderr
    assert "Traceback" not in done.stderr
    assert mlflow_world.plan_table(MODEL).plans == ()


def test_registering_moves_the_alias_and_logs_metrics_parameters_and_a_plot(
    mlflow_world: World, tmp_path: Path
) -> None:
    registered = train(mlflow_world, "forest", tmp_path / "model.pkl", announce=False)
    client = mlflow.MlflowClient(mlflow_world.environment["MLFLOW_TRACKING_URI"])
    champion = client.get_model_version_by_alias(MODEL, "champion")
    assert str(champion.version) == registered["version"]
    code, (announced,) = app_json(
        mlflow_world.environment, "announce", MODEL, registered["version"]
    )
    assert (code, announced["version"]) == (0, registered["version"])
    finished = client.get_run(registered["run_id"])
    assert {"rmse", "mae", "r2"} <= set(finished.data.metrics)
    assert finished.data.params["kind"] == "forest"
    files = [file.path for file in client.list_artifacts(registered["run_id"])]
    assert any(path.endswith(".png") for path in files), files
