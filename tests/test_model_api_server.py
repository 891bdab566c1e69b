"""The model API server from end to end, with a real MLflow, a real broker and the real stream.

    python tests/test_model_api_server.py

Train, upload, register, promote; the stream predicts with it; retrieve it; promote the next one;
roll back. Under pytest it is one test among the others.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if __name__ == "__main__":  # pytest reads this file once more, with the repository on the path
    sys.exit(
        pytest.main(
            [__file__, "-q", "-s", "-W", "ignore", "--rootdir", str(Path(__file__).parents[1])]
        )
    )

import io
import itertools
import uuid
import zipfile

import httpx
import mlflow.sklearn

from app.domain.digest import artifact_digest
from app.service.roles import Role
from app.tools.producing.simulated_records import records
from models.train_and_pickle_model import train
from models.treasury_price_model import table_of
from tests.harness.instances import Instance
from tests.harness.registry_service import (
    RegistryService,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.world import World, until

_SAME = 1e-9


def say(step: str) -> None:
    print(f"  {step}")  # noqa: T201 - for whoever runs it as a script


def trained(seed: int, folder: Path) -> Path:
    """Train the example model, and save it as MLflow does."""
    model = train("linear", 400, seed)
    assert model.evaluation is not None
    example = table_of(model.evaluation.features[:3])
    mlflow.sklearn.save_model(
        model.estimator,
        folder,
        signature=mlflow.models.infer_signature(example, model.predict(example)),
        input_example=example,
        serialization_format="skops",
        pip_requirements=["scikit-learn"],
    )
    return folder


@pytest.fixture
def environment(world: World, tracking_uri: str, tmp_path: Path) -> dict[str, str]:
    world.environment |= {
        **database_in(tmp_path),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": f"treasury-price-model-{uuid.uuid4().hex[:8]}",
    }
    return world.environment


@pytest.fixture
def api(environment: dict[str, str], tmp_path: Path) -> Iterator[httpx.Client]:
    """The service, as somebody who may publish and promote sees it."""
    with RegistryService(environment, tmp_path) as service:
        with service.client(token(environment, "tester", Role.PROMOTER)) as client:
            yield client
        assert service.stop() == 0


class Registry:
    """The service and the stream, as somebody who may publish and promote sees them."""

    def __init__(self, api: httpx.Client, world: World, name: str) -> None:
        self.api = api
        self.model = f"/api/v1/models/{name}"
        self._world = world

    def upload(self, folder: Path, why: str) -> str:
        body = zipped(folder)
        headers, params = content_digest(body), {"why": why}
        made = self.api.post(f"{self.model}/versions", content=body, headers=headers, params=params)
        assert made.status_code == 201, made.text
        return str(made.json()["version"])

    def promote(self, version: str, why: str) -> None:
        path = f"{self.model}/versions/{version}/promote"
        self.accepted(self.api.post(path, params={"why": why}), version)

    def roll_back_to(self, version: str, why: str) -> None:
        self.accepted(self.api.post(f"{self.model}/rollback", params={"why": why}), version)

    def accepted(self, answer: httpx.Response, version: str) -> None:
        """It is accepted, and then all live instances serve it."""
        assert answer.status_code == 202, answer.text

        def served() -> bool:
            found = self.api.get("/api/v1/instances").json()["instances"]
            live = [instance for instance in found if instance["live"]]
            plan = self.api.get("/api/v1/in-force").json()["in_force"]
            return (
                bool(live and plan)
                and plan["version"] == version
                and all(one["in_force"] and one["in_force"]["version"] == version for one in live)
            )

        until(served, 120, f"version {version} served by all")

    def retrieve(self, version: str, into: Path) -> Path:
        got = self.api.get(f"{self.model}/versions/{version}/artifact")
        with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
            archive.extractall(into)
        return into

    def predict_by_both(self, rows: list[bytes], version: str) -> None:
        """The stream and the service give the same rows the same price, by the same version."""
        before = len(self._world.answers())
        self._world.send(rows)
        found = self._world.wait_for_answers(before + len(rows)).signals[before:]
        prices = {signal.id: signal.predicted_price for _, signal in found}
        assert {signal.model_version for _, signal in found} == {version}
        headers = {"Content-Type": "application/x-ndjson"}
        path, body = f"{self.model}/predict", b"\n".join(rows)
        answer = self.api.post(path, content=body, headers=headers).json()
        assert answer["version"] == version
        assert len(answer["rows"]) == len(rows) == len(prices)
        for row in answer["rows"]:
            assert row["predicted_price"] == pytest.approx(prices[row["id"]], rel=0, abs=_SAME)


def test_from_training_to_prediction_and_back(
    world: World, environment: dict[str, str], api: httpx.Client, tmp_path: Path
) -> None:
    name = environment["DS_MODELS_MODEL__NAME"]
    registry = Registry(api, world, name)
    rows = [sample.value or b"" for sample in itertools.islice(records(0), 200)]

    say("train two versions, upload and register them")
    folders = [trained(seed, tmp_path / f"trained-{seed}") for seed in (1, 2)]
    first = registry.upload(folders[0], "the first")
    second = registry.upload(folders[1], "trained on other months")
    shown = api.get(f"{registry.model}/versions/{first}").json()
    assert (shown["created_by"], shown["why"]) == ("tester", "the first")
    assert shown["digest"] == artifact_digest(folders[0])

    with Instance(environment, tmp_path / "stream.log", "app", ("run",)) as stream:
        say(f"promote version {first}: the stream predicts with it, as the service does")
        registry.promote(first, "it is the only one")
        registry.predict_by_both(rows, first)

        say("retrieve it, byte for byte")
        retrieved = registry.retrieve(first, tmp_path / "retrieved")
        assert artifact_digest(retrieved) == artifact_digest(folders[0])

        say(f"promote version {second}, and roll back")
        registry.promote(second, "it is better")
        registry.predict_by_both(rows, second)
        registry.roll_back_to(first, "it is not")
        registry.predict_by_both(rows, first)
        assert stream.stop() == 0
    plans = [plan.announcement.model_version for plan in world.plan_table(name).plans]
    assert plans == [first, second, first]
    assert len(world.answers().letters) == 0
