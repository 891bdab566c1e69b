"""The policy with a real MLflow server: refused with a reason by default, served where allowed."""

import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.records import FEATURES
from app.registry import announcer
from app.registry.mlflow_models import MlflowModels
from app.registry.policy import Policy
from app.tools.producing.simulated_records import records
from app.topics.records import Record, RecordDecoder
from models.register_model_in_mlflow import load
from models.treasury_price_model import table_of
from tests.contract.test_model_sources import signature
from tests.e2e.test_with_mlflow import (
    MODEL,
    real_instance,
    run_json,
    training_environment,
    with_mlflow,
)
from tests.harness.instances import Instance
from tests.harness.terminal import app, app_json
from tests.harness.world import World

ALLOWED = {"DS_MODELS_POLICY__FLAVORS": "skops,pyfunc"}
REASON = "the policy refuses it: it is a pyfunc model; policy.flavors allows skops"


@dataclass(frozen=True)
class Registered:
    """A pyfunc that our script registered: the default policy does not stop that."""

    version: str
    pickle: Path


@pytest.fixture(scope="module")
def pyfunc(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    folder = tmp_path_factory.mktemp("pyfunc")
    environment = training_environment(tracking_uri, folder)
    pickle = folder / "model.pkl"
    training = ("--kind", "forest", "--months", "500", "--output", str(pickle))
    run_json(environment, "models/train_and_pickle_model.py", *training)
    registering = ("--pickle", str(pickle), "--flavor", "pyfunc")
    done = run_json(environment, "models/register_model_in_mlflow.py", *registering)
    return Registered(done["version"], pickle)


@pytest.fixture
def registered(world: World, tracking_uri: str, pyfunc: Registered) -> str:
    with_mlflow(world, tracking_uri)
    return pyfunc.version


def metric_of(instance: Instance, line: str) -> bool:
    address = instance.wait_for_event("operator_port.listens")["address"]
    with urllib.request.urlopen(f"{address}/metrics") as answer:  # noqa: S310 - our own
        return line in answer.read().decode().splitlines()


@pytest.mark.parametrize("options", [[], ["--no-verify"]], ids=["verified", "unseen"])
def test_announcing_a_pyfunc_is_refused_by_default_and_says_which_setting(
    world: World, registered: str, options: list[str]
) -> None:
    done = app(world.environment, "announce", MODEL, registered, *options)
    assert done.returncode == 7
    assert f"error (PolicyRefused): {REASON}" in done.stderr
    assert world.plan_table(MODEL).plans == ()


def test_a_version_that_does_not_load_is_announced_only_unseen(
    world: World, tracking_uri: str
) -> None:
    import mlflow.pyfunc  # noqa: PLC0415 - takes seconds
    from mlflow.pyfunc.model import PythonModel  # noqa: PLC0415

    class Broken(PythonModel):
        def load_context(self, context: Any) -> None:
            raise ValueError("there are no weights")

        def predict(self, model_input: Any) -> Any:  # type: ignore[override]  # as MLflow documents
            return model_input.sum(axis=1)

    with_mlflow(world, tracking_uri)
    world.environment["DS_MODELS_MODEL__NAME"] = "broken"
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.pyfunc.log_model(
        name="model",
        python_model=Broken(),
        signature=signature(),
        pip_requirements=[],
        registered_model_name="broken",
    )
    refused = app(world.environment, "announce", "broken", "1", **ALLOWED)
    assert refused.returncode == 7
    assert "there are no weights" in refused.stderr
    assert world.plan_table("broken").plans == ()
    unseen = app(world.environment, "announce", "broken", "1", "--no-verify", **ALLOWED)
    assert unseen.returncode == 0, unseen.stderr
    assert len(world.plan_table("broken").plans) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DS_MODELS_POLICY__MODELS": "other-*"}, "policy.models allows other-*"),
        ({"DS_MODELS_POLICY__URI_SCHEMES": "s3"}, "policy.uri_schemes allows s3"),
        ({"DS_MODELS_POLICY__URI_HOSTS": "mlflow.example"}, "files come from the host '127.0.0.1'"),
        ({"DS_MODELS_POLICY__MAX_ARTIFACT_MB": "0.01"}, "policy.max_artifact_mb allows 0.01 MB"),
    ],
    ids=["models", "uri_schemes", "uri_hosts", "max_artifact_mb"],
)
def test_each_part_of_the_policy_stops_an_announcement(
    world: World, registered: str, changes: dict[str, str], said: str
) -> None:
    done = app(world.environment, "announce", MODEL, registered, **ALLOWED, **changes)
    assert done.returncode == 7
    assert said in done.stderr
    assert world.plan_table(MODEL).plans == ()


def test_an_instance_holds_with_the_reason_and_one_that_is_allowed_to_answers(
    world: World, registered: str, pyfunc: Registered, tracking_uri: str, tmp_path: Path
) -> None:
    announced = announcer.prepare(
        MlflowModels(tracking_uri, policy=Policy(flavors=["pyfunc"])),
        MODEL,
        registered,
        guard_ms=0,
        check=None,
    )
    world.announce(announced)
    samples = [sample for _, sample in zip(range(500), records(3, 0.05), strict=False)]
    with real_instance(world, tmp_path / "refusing.log") as instance:
        instance.wait_for_event("model.not_loaded", error="PolicyRefused", why=REASON)
        world.send((s.value for s in samples), key=lambda n: samples[n].key)
        held = instance.wait_for_event("stream.holds", reason="refused_by_policy")
        assert REASON in held["waits_for"]
        assert metric_of(instance, 'ds_models_holds_total{reason="refused_by_policy"} 1.0')
        code, (status,) = app_json(world.environment, "status")
        assert code == 8
        (told,) = status["instances"]
        assert told["reason"] == "refused_by_policy"
        assert REASON in told["why"]
        shown = app(world.environment, "status", COLUMNS="300")
        assert REASON in shown.stdout
        assert instance.events("model.loaded") == []
        assert len(world.answers()) == 0
        assert instance.stop() == 0

    world.environment |= ALLOWED
    with real_instance(world, tmp_path / "allowing.log") as instance:
        world.wait_for_answers(500)
        assert instance.stop() == 0
    found = world.assert_each_answered_once(model=MODEL)
    decoder, inputs = RecordDecoder(), world.inputs()
    rows, got = [], []
    for _, signal in found.signals:
        record = decoder.decode(inputs[signal.source_partition, signal.source_offset][2])
        assert isinstance(record, Record)
        rows.append([getattr(record, feature) for feature in FEATURES])
        got.append(signal.predicted_price)
    assert len(rows) > 400
    expected = load(pyfunc.pickle).predict(table_of(np.array(rows)))
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_pyfunc_is_announced_once_it_is_verified_where_the_policy_allows_it(
    world: World, registered: str
) -> None:
    code, (announced,) = app_json(world.environment, "announce", MODEL, registered, **ALLOWED)
    assert (code, announced["version"]) == (0, registered)
    (plan,) = world.plan_table(MODEL).plans
    assert plan.announcement.model_uri == f"models:/{MODEL}/{registered}"
