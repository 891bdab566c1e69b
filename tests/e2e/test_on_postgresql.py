"""MLflow's tables and ours in one PostgreSQL database: versions, the alias, and two services."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, inspect

from app.service.roles import Role
from infrastructure.mlflow_server.server import MLflowServer
from tests.e2e.test_with_mlflow import run_json
from tests.harness import postgresql
from tests.harness.registry_service import (
    RegistryService,
    artifact,
    content_digest,
    token,
    zipped,
)
from tests.harness.terminal import app
from tests.harness.world import World

pytestmark = pytest.mark.skipif(postgresql.why_not() is not None, reason=str(postgresql.why_not()))


@dataclass(frozen=True)
class Site:
    """A database, and the MLflow server on it.

    Attributes:
        environment: Of all that uses both, with topics of its own.
    """

    url: str
    mlflow: MLflowServer
    world: World

    @property
    def environment(self) -> dict[str, str]:
        return self.world.environment

    @property
    def model(self) -> str:
        return self.world.settings.model.name

    def versions(self) -> set[str]:
        """Return the versions that MLflow says there are."""
        asked = {"filter": f"name='{self.model}'"}
        found = httpx.get(self._api("model-versions/search"), params=asked)
        return {one["version"] for one in found.json().get("model_versions", ())}

    def move_alias(self, version: str) -> None:
        moved = {"name": self.model, "alias": "champion", "version": version}
        httpx.post(self._api("registered-models/alias"), json=moved).raise_for_status()

    def _api(self, path: str) -> str:
        return f"{self.mlflow.tracking_uri}/api/2.0/mlflow/{path}"


@pytest.fixture(scope="module")
def site(bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("postgresql")
    with (
        postgresql.server() as url,
        MLflowServer(folder / "mlflow", owned=True, store_uri=url) as mlflow,
    ):
        world = World(bootstrap_servers, folder)
        world.environment |= {
            "MLFLOW_TRACKING_URI": mlflow.tracking_uri,
            "DS_MODELS_MODEL__NAME": f"on-postgresql-{uuid.uuid4().hex[:8]}",
            "DS_MODELS_SERVICE__DATABASE_URL": url,
        }
        yield Site(url, mlflow, world)


def test_an_alias_that_is_moved_by_rest_is_announced(site: Site, tmp_path: Path) -> None:
    first, second = (
        run_json(
            site.environment,
            "models/train_and_register_model.py",
            *("--kind", "linear", "--months", "200", "--output", str(tmp_path / "model.pkl")),
            "--no-announce",
        )["version"]
        for _ in range(2)
    )
    assert site.versions() == {first, second}  # the alias is on the second
    site.move_alias(first)
    done = app(site.environment, "reconcile", "--once")
    assert done.returncode == 0, done.stderr
    announced = [p.announcement.model_version for p in site.world.plan_table(site.model).plans]
    assert announced == [first]


def test_two_services_beside_mlflow_make_one_version_of_one_request(
    site: Site, tmp_path: Path
) -> None:
    publisher = token(site.environment, "publisher", Role.PUBLISHER)
    body, before = zipped(artifact(tmp_path)), site.versions()
    headers = {**content_digest(body), "Idempotency-Key": str(uuid.uuid4())}
    path = f"/api/v1/models/{site.model}/versions"
    with (
        RegistryService(site.environment, tmp_path, "one") as one,
        RegistryService(site.environment, tmp_path, "other") as other,
        one.client(publisher) as first,
        other.client(publisher) as second,
        ThreadPoolExecutor(6) as pool,
    ):

        def ask(client: httpx.Client) -> httpx.Response:
            return client.post(path, content=body, headers=headers)

        answers = list(pool.map(ask, [first, second] * 3))
        assert {answer.status_code for answer in answers} <= {201, 409}
        again = [ask(client) for client in (first, second)]
    assert [answer.headers["idempotent-replayed"] for answer in again] == ["true", "true"]
    made = {a.json()["version"] for a in (*answers, *again) if a.status_code == 201}
    assert len(made) == 1
    assert site.versions() - before == made
    engine = create_engine(site.url)
    tables = set(inspect(engine).get_table_names())
    engine.dispose()
    assert {"registered_models", "ds_models_tokens", "ds_models_idempotency"} <= tables
