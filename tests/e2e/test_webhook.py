"""MLflow tells the service of a moved alias; nothing depends on it.

One MLflow server of the test's own, since every alias that is moved in it rings.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest

from app.service.roles import Role
from app.service.webhooks import PATH, signature
from infrastructure.mlflow_server.server import MLflowServer
from infrastructure.processes import free_ports
from tests.harness.registry_service import (
    RegistryService,
    artifact,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.terminal import app, app_json
from tests.harness.world import World, until

SECRET = "a secret that only these two know, of 40"  # noqa: S105 - of this test
ALIAS = "champion"
TAKEN = 'ds_models_service_webhooks_total{outcome="taken"}'


@dataclass
class Site:
    """A stream's topics, an MLflow server, and a service that is started again and again."""

    world: World
    server: MLflowServer
    folder: Path
    model: str
    token: str
    starts: int = 0

    def service(self, **changes: str) -> RegistryService:
        self.starts += 1
        environment = {**self.world.environment, **changes}
        return RegistryService(environment, self.folder, f"registry-{self.starts}")

    def upload(self, service: RegistryService, slope: float) -> None:
        body = zipped(artifact(self.folder, slope))
        with service.client(self.token) as client:
            path = f"/api/v1/models/{self.model}/versions"
            made = client.post(path, content=body, headers=content_digest(body))
            assert made.status_code == 201, made.text

    def move(self, version: str) -> None:
        client = mlflow.MlflowClient(self.server.tracking_uri)
        client.set_registered_model_alias(self.model, ALIAS, version)

    def announced(self) -> list[str]:
        plans = self.world.plan_table(self.model).plans
        return [plan.announcement.model_version for plan in plans]

    def state(self, service: RegistryService) -> dict[str, Any]:
        with service.client(self.token) as client:
            answer = client.get("/api/v1/reconciler")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def metric(self, service: RegistryService, sample: str) -> float:
        with service.client(self.token) as client:
            lines = client.get("/metrics").text.splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(f"{sample} ")))


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    model = f"rung-{uuid.uuid4().hex[:8]}"
    with MLflowServer(tmp_path / "mlflow", owned=True) as server:
        (port,) = free_ports(1)
        world.environment |= {
            **database_in(tmp_path),
            "MLFLOW_TRACKING_URI": server.tracking_uri,
            "DS_MODELS_MODEL__NAME": model,
            "DS_MODELS_SERVICE__PORT": str(port),
            "DS_MODELS_SERVICE__WEBHOOK_SECRET": SECRET,
            "DS_MODELS_RECONCILER__EVERY_S": "3600",
        }
        admin = token(world.environment, "tester", Role.ADMIN)
        yield Site(world, server, tmp_path, model, admin)


def ring(address: str, delivery_id: str, secret: str = SECRET) -> dict[str, Any]:
    """Send what MLflow would; return the answer."""
    at, body = str(round(time.time())), b"{}"
    headers = {
        "X-MLflow-Signature": signature(secret, delivery_id, at, body),
        "X-MLflow-Timestamp": at,
        "X-MLflow-Delivery-Id": delivery_id,
    }
    found: dict[str, Any] = httpx.post(address + PATH, content=body, headers=headers).json()
    return found


@pytest.mark.timeout(600)
def test_a_moved_alias_comes_into_force_by_a_webhook_and_when_every_webhook_is_lost(
    site: Site,
) -> None:
    a_webhook_is_enough(site)
    what_is_lost_is_found_at_a_start_and_mlflow_may_start_anew(site)
    without_webhooks_it_looks_from_time_to_time_and_ends_when_it_is_told(site)
    one_that_is_not_to_reconcile_leaves_the_topic_alone(site)
    code, removed = app_json(site.world.environment, "webhook", "remove")
    assert (code, len(removed)) == (0, 1)


def a_webhook_is_enough(site: Site) -> None:
    """The reconciler itself looks once an hour."""
    environment = site.world.environment
    with site.service() as service:
        done = app(environment, "webhook", "install", "--url", service.address)
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout + done.stderr
        code, listed = app_json(environment, "webhook", "list")
        ours = {"url": service.address + PATH, "status": "ACTIVE", "ours": True}
        assert (code, [row | ours for row in listed]) == (0, listed)
        assert len(listed) == 1
        code, tried = app_json(environment, "webhook", "test")
        assert (code, tried[0]["taken"], tried[0]["status"]) == (0, True, 200)
        for slope in (1.0, 2.0):
            site.upload(service, slope)
        site.move("1")
        until(lambda: site.announced() == ["1"], 120)
        until(lambda: site.state(service)["agrees"])
        assert site.metric(service, TAKEN) >= 2

        # doubled, forged and too many ones change nothing
        assert [ring(service.address, "twice") for _ in range(2)] == [
            {"outcome": "taken"},
            {"outcome": "repeated"},
        ]
        assert ring(service.address, "forged", "x" * 40)["error"] == "WebhookWrongSignature"
        before = site.state(service)["looked"]
        assert ring(service.address, "more")["outcome"] == "taken"
        until(lambda: site.state(service)["looked"] > before)
        assert site.announced() == ["1"]
        assert site.metric(service, "ds_models_reconciler_agrees") == 1
        assert service.stop() == 0


def what_is_lost_is_found_at_a_start_and_mlflow_may_start_anew(site: Site) -> None:
    site.move("2")
    with site.service() as service:
        until(lambda: site.announced() == ["1", "2"], 120)

        # MLflow is started again in between, and still knows the secret
        site.server.stop()
        assert ring(service.address, "away") == {"outcome": "taken"}
        until(lambda: site.state(service)["failure"])
        site.server.start()
        before = site.metric(service, TAKEN)  # a try of the lost one may have come late
        site.move("1")
        until(lambda: site.announced() == ["1", "2", "1"], 120)
        until(lambda: site.state(service)["agrees"])
        until(lambda: site.metric(service, TAKEN) > before)
        assert service.stop() == 0


def without_webhooks_it_looks_from_time_to_time_and_ends_when_it_is_told(site: Site) -> None:
    off = {"DS_MODELS_SERVICE__WEBHOOK_SECRET": "", "DS_MODELS_RECONCILER__EVERY_S": "0.3"}
    with site.service(**off) as service:
        assert ring(service.address, "off")["error"] == "NotFound"
        until(lambda: site.state(service)["agrees"])
        site.move("2")

        # SIGTERM in the middle of verifying a version
        until(lambda: "verified" in site.state(service)["why"])
        assert service.stop(20) == 0
        assert service.events("reconciler.failed") == []
        assert service.events("reconciler.abandoned") == []
        assert [e["event"] for e in service.events("registry.stopped")] == ["registry.stopped"]


def one_that_is_not_to_reconcile_leaves_the_topic_alone(site: Site) -> None:
    with site.service(DS_MODELS_SERVICE__RECONCILE="false") as service:
        assert ring(service.address, "ignored") == {"outcome": "taken"}
        found = site.state(service)
        assert (found["runs_here"], found["agrees"], found["looked"]) == (False, None, None)
        assert "service.reconcile" in found["why"]
        assert service.stop() == 0
    assert site.announced() == ["1", "2", "1"]
