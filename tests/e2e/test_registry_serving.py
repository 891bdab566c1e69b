"""Which version is served, changed through the registry service."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.service.roles import Role
from tests.e2e.test_with_mlflow import real_instance
from tests.harness.registry_service import (
    RegistryService,
    artifact,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.world import World, until

WHY = {"why": "it is better"}


class Site:
    """A service with its reconciler, and three versions of a model of its own."""

    def __init__(self, world: World, tracking_uri: str, folder: Path) -> None:
        self.model = f"serving-{uuid.uuid4().hex[:8]}"
        self.world = world
        world.environment |= {
            **database_in(folder),
            "MLFLOW_TRACKING_URI": tracking_uri,
            "DS_MODELS_MODEL__NAME": self.model,
            "DS_MODELS_SERVICE__BURST": "1000",
            "DS_MODELS_RECONCILER__EVERY_S": "3600",  # only what calls it makes it look
        }
        self.tokens = {role: token(world.environment, role.value, role) for role in Role}
        self.service = RegistryService(world.environment, folder)
        self._bodies = [zipped(artifact(folder, slope)) for slope in (1.0, 2.0, 3.0)]
        for body in self._bodies:
            self.upload(body)

    def upload(self, body: bytes | None = None) -> str:
        """Make a version, of files that are there already if none are given; return it."""
        body = body or self._bodies[-1]
        with self.client(Role.PUBLISHER) as client:
            made = client.post("/versions", content=body, headers=content_digest(body))
            assert made.status_code == 201, made.text
            return str(made.json()["version"])

    def bring(self, version: str) -> None:
        """Have a version in force and the alias name it, whichever test was before."""
        with self.client() as client:
            assert client.post(f"/versions/{version}/promote").status_code == 202
        self.wait_until_in_force(version)

    def client(self, role: Role = Role.PROMOTER) -> httpx.Client:
        client = self.service.client(self.tokens[role])
        client.base_url = httpx.URL(f"{self.service.address}/api/v1/models/{self.model}")
        return client

    def get(self, path: str) -> dict[str, Any]:
        with self.service.client(self.tokens[Role.ADMIN]) as client:
            found: dict[str, Any] = client.get(f"/api/v1/{path}").raise_for_status().json()
            return found

    def plans(self) -> list[str]:
        table = self.world.plan_table(self.model)
        return [plan.announcement.model_version for plan in table.plans]

    def wait_until_in_force(self, version: str) -> None:
        def so() -> bool:
            found = self.get("in-force")["in_force"]
            return found is not None and found["version"] == version

        until(so, 60, f"version {version}")


@pytest.fixture(scope="module")
def site(
    bootstrap_servers: str, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("serving")
    made = Site(World(bootstrap_servers, folder), tracking_uri, folder)
    with made.service:
        yield made


def test_promoted_versions_come_into_force_and_a_rollback_leads_back(site: Site) -> None:
    first, second = site.upload(), site.upload()  # nobody has promoted them
    was = site.get(f"models/{site.model}")["aliases"].get("champion")
    plans_before, rows_before = len(site.plans()), len(site.get("plans")["plans"])
    with site.client() as client:
        for version, before in ((first, was), (second, first)):
            done = client.post(f"/versions/{version}/promote", params=WHY)
            assert done.status_code == 202, done.text
            found = done.json()
            assert (found["version"], found["before"]) == (version, before)
            assert found["said"].startswith("promoted by promoter at ")
            site.wait_until_in_force(version)
        stale = client.post("/rollback", params={"why": "it drifts", "instead_of": first})
        assert (stale.status_code, stale.json()["error"]) == (409, "Refused")
        back = client.post("/rollback", params={"why": "it drifts", "instead_of": second})
        assert back.status_code == 202, back.text
        found = back.json()
        assert (found["version"], found["instead_of"], found["before"]) == (first, second, second)
        site.wait_until_in_force(first)
    assert site.plans()[plans_before:] == [first, second, first]
    shown = site.get("plans")["plans"][rows_before:]
    whys = [plan["why"] for plan in shown if plan["status"] != "was staged"]
    assert [why.rpartition("Z: ")[2] for why in whys] == ["it is better"] * 2 + ["it drifts"]
    changes = [
        (record["action"], record["target"], record["outcome"])
        for record in site.get("audit?limit=200")["records"]
        if record["who"] == "promoter"
    ]
    assert changes[:4] == [
        ("version.rollback", f"{site.model}/{first}", "done"),
        ("version.rollback", site.model, "refused"),
        ("version.promote", f"{site.model}/{second}", "done"),
        ("version.promote", f"{site.model}/{first}", "done"),
    ]


def test_what_somebody_stages_stays_staged_until_he_unstages_it(site: Site) -> None:
    site.bring("1")
    with site.client() as client:
        staged = client.post("/versions/2/stage", params=WHY).json()
        assert (staged["version"], staged["digest"][:7]) == ("2", "sha256:")
        looked = site.get("reconciler")["looked"]
        assert client.post("/versions/1/promote").status_code == 202  # so the reconciler looks
        until(lambda: site.get("reconciler")["looked"] != looked)
        table = site.world.plan_table(site.model)
        assert table.staged is not None
        assert table.staged.offset == staged["offset"]
        refused = client.post("/versions/2/retire")
        assert refused.status_code == 409
        assert f"it is staged at offset {staged['offset']}" in refused.json()["detail"]
        assert client.post("/unstage", params=WHY).json()["offset"] == staged["offset"]
        assert client.post("/unstage").json()["offset"] is None


def test_a_version_in_use_is_not_retired_and_a_retired_one_is_not_served_until_reinstated(
    site: Site,
) -> None:
    site.bring("1")
    with site.client() as client:
        in_use = client.post("/versions/1/retire")
        assert in_use.status_code == 409
        assert "in force" in in_use.json()["detail"]
        assert "the alias champion names it" in in_use.json()["detail"]
        retired = client.post("/versions/3/retire", params={"why": "wrong rows"})
        assert retired.status_code == 200, retired.text
        said = retired.json()["retired"]
        assert said.startswith("retired by promoter at ")
        assert site.get(f"models/{site.model}/versions/3")["retired"] == said
        for action in ("promote", "stage"):
            refused = client.post(f"/versions/3/{action}")
            assert refused.status_code == 422
            assert "wrong rows" in refused.json()["detail"]
        assert client.post("/versions/3/reinstate").json()["retired"] is None
        assert client.post("/versions/3/stage").status_code == 200
        assert client.post("/unstage").status_code == 200


def test_a_version_that_a_plan_names_or_an_alias_is_deleted_only_if_that_is_said(
    site: Site,
) -> None:
    site.bring("2")
    spare = site.upload()
    with site.client(Role.ADMIN) as client:
        refused = client.delete("/versions/2")
        assert refused.status_code == 409
        assert "could not be replayed" in refused.json()["detail"]
        assert client.get("/versions/2").json()["retired"] is None
        assert client.delete(f"/versions/{spare}").status_code == 200
        assert client.get(f"/versions/{spare}").status_code == 404


def test_one_key_promotes_once_and_what_is_not_there_or_not_ours_is_said(site: Site) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    with site.client() as client:
        first = client.post("/versions/1/promote", headers=key)
        assert client.post("/versions/2/promote").status_code == 202
        again = client.post("/versions/1/promote", headers=key)
        assert (again.status_code, again.text) == (202, first.text)
        assert again.headers["idempotent-replayed"] == "true"
        assert site.get(f"models/{site.model}")["aliases"] == {"champion": "2"}
        assert client.post("/versions/999/promote").status_code == 404
        assert client.post("/versions/999/stage").status_code == 404
        assert client.post("/versions/999/reinstate").status_code == 404
        other = client.post(f"{site.service.address}/api/v1/models/other/rollback")
        assert other.status_code == 409
        assert "this service puts versions of" in other.json()["detail"]


def test_many_promotions_by_many_through_two_services_end_in_agreement(
    site: Site, tmp_path: Path
) -> None:
    with (
        RegistryService(site.world.environment, tmp_path, "second") as second,
        real_instance(site.world, tmp_path / "a.log") as instance,
    ):
        instance.wait_for_event("partitions.assigned", timeout_s=120)

        def promote(number: int) -> int:
            service = (site.service, second)[number % 2]
            version = 1 + number % 3 % 2
            path = f"/api/v1/models/{site.model}/versions/{version}/promote"
            with service.client(site.tokens[Role.PROMOTER]) as client:
                return client.post(path, params={"why": f"promotion {number}"}).status_code

        with ThreadPoolExecutor(4) as clients:
            assert set(clients.map(promote, range(50))) == {202}

        def agree() -> bool:
            alias = site.get(f"models/{site.model}")["aliases"]["champion"]
            return bool(site.get("reconciler")["agrees"]) and site.plans()[-1] == alias

        until(agree, 120)
        last = site.world.plan_table(site.model).plans[-1]
        version = last.announcement.model_version

        def served() -> bool:
            (live,) = [one for one in site.get("instances")["instances"] if one["live"]]
            return live["in_force"] is not None and live["in_force"]["offset"] == last.offset

        until(served, 60, f"version {version} served")
        assert [second.stop(), instance.stop()] == [0, 0]
    assert site.plans()[-1] == version == site.get(f"models/{site.model}")["aliases"]["champion"]
    plans = site.world.plan_table(site.model).plans
    assert [p.announcement.replaces for p in plans[1:]] == [p.offset for p in plans[:-1]]


@pytest.mark.parametrize(
    "path",
    ["/versions/1/stage", "/unstage", "/versions/1/promote", "/rollback", "/versions/1/retire"],
)
def test_a_publisher_may_change_nothing_that_is_served(site: Site, path: str) -> None:
    with site.client(Role.PUBLISHER) as client:
        refused = client.post(path)
        assert refused.status_code == 403
        assert "promoter" in refused.json()["next"]
