"""The registry service with a real MLflow server and a real broker: what it gives and refuses."""

import contextlib
import io
import itertools
import re
import signal
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from confluent_kafka import Producer

from app.bootstrap import announcing, parts, redriving
from app.domain.digest import artifact_digest
from app.domain.records import FEATURES, Reason, Rejection
from app.domain.scoring import score
from app.service.outside import SAFE_HEADERS
from app.service.roles import Role
from app.service.routes.page import CONTENT_SECURITY_POLICY
from app.settings import Settings, read
from app.stream.decode import feature_columns
from app.tools.producing.simulated_records import records
from app.topics import dead_letters, reading, redriven
from app.topics.dead_letters import DeadLetter
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
from tests.harness.world import World, record, until

API = "/api/v1"


@dataclass(frozen=True)
class Site:
    """A service with a token of each role, and two artifacts."""

    environment: dict[str, str]
    service: RegistryService
    tokens: dict[Role, str]
    model: str
    folders: tuple[Path, Path]
    folder: Path

    def client(self, role: Role = Role.ADMIN) -> httpx.Client:
        return self.service.client(self.tokens[role])

    @property
    def settings(self) -> Settings:
        return read(self.environment)

    def upload(self, which: int, **headers: str) -> httpx.Response:
        body = zipped(self.folders[which])
        with self.client(Role.PUBLISHER) as client:
            return client.post(
                f"{API}/models/{self.model}/versions",
                content=body,
                headers={**content_digest(body), **headers},
            )


@pytest.fixture(scope="module")
def site(
    bootstrap_servers: str, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("registry")
    model = f"service-{uuid.uuid4().hex[:8]}"
    environment = {
        **World(bootstrap_servers, folder).environment,
        **database_in(folder),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": model,
        "DS_MODELS_SERVICE__REQUESTS_PER_S": "100000",
        "DS_MODELS_SERVICE__BURST": "100000",
        "DS_MODELS_SERVICE__WRONG_TOKENS_PER_MIN": "100000",
        "DS_MODELS_SERVICE__MAX_BODY_MB": "0.1",
        "DS_MODELS_SERVICE__MAX_UPLOAD_MB": "3",
        "DS_MODELS_SERVICE__MAX_ROWS": "500",
    }
    tokens = {role: token(environment, role.value, role) for role in Role}
    folders = (artifact(folder), artifact(folder, 2.0))
    with RegistryService(environment, folder) as service:
        yield Site(environment, service, tokens, model, folders, folder)


@pytest.fixture(scope="module")
def versions(site: Site) -> tuple[str, str]:
    """Two versions; a plan names the first."""
    first, second = (site.upload(which).json()["version"] for which in (0, 1))
    announcing.announce_version(site.settings, site.model, first, check=False, why="the first")
    return first, second


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["next"]
    assert found["request_id"] == response.headers["x-request-id"]
    assert not re.search(r"/tmp|/home|/root|Traceback|\.py", response.text)  # noqa: S108
    return found


# --- who may do what ---


def operations(site: Site) -> list[tuple[str, str, bool]]:
    """Return the method and path of each route, and whether it changes something."""
    with site.client() as client:
        described = client.get("/openapi.json").json()
    found = []
    for path, methods in described["paths"].items():
        at = path.replace("{name}", site.model).replace("{version}", "1")
        found += [(method.upper(), at) for method in methods]
    changing = {("POST", f"{API}/models/{site.model}/versions")}
    return [
        (method, path, method == "DELETE" or (method, path) in changing) for method, path in found
    ] + [("GET", "/openapi.json", False), ("GET", "/nowhere", False)]


def test_every_route_but_health_needs_a_valid_token(site: Site) -> None:
    expired = token(site.environment, "expired", Role.ADMIN, 1)
    revoked = token(site.environment, "revoked", Role.ADMIN)
    assert app(site.environment, "token", "revoke", "revoked").returncode == 0
    good = site.tokens[Role.ADMIN]
    bad = [
        None,
        "",
        "Bearer",
        f"Basic {good}",
        good,
        f"Bearer {good}x",
        f"Bearer x.{good}",
        f"Bearer {good} {good}",
        "Bearer admin.",
        "Bearer \xff.\xff",
        f"Bearer {expired}",
        f"Bearer {revoked}",
    ]
    asked = 0
    with httpx.Client(base_url=site.service.address, timeout=60) as client:
        for (method, path, _), given in itertools.product(operations(site), bad):
            if path in {"/healthz", "/readyz"}:
                continue
            headers = [] if given is None else [(b"Authorization", given.encode("latin-1"))]
            answer = client.request(method, path, headers=headers)
            problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            asked += 1
        assert asked > 100
        assert client.get("/healthz").json() == {"ok": True, "why": None}
        assert client.get("/readyz").json() == {"ok": True, "why": None}


def test_a_role_that_is_too_small_changes_nothing_and_is_recorded(site: Site) -> None:
    needed = {"DELETE": Role.ADMIN, "POST": Role.PUBLISHER}
    for method, path, changes in operations(site):
        if not changes and path != f"{API}/audit":
            continue
        for role in Role:
            if role.may(needed.get(method, Role.ADMIN)):
                continue
            with site.client(role) as client:
                found = problem(client.request(method, path, params={"why": "try"}), 403)
            assert found["error"] == "RoleTooSmall"
    with site.client() as client:
        recorded = client.get(f"{API}/audit", params={"limit": 200}).json()["records"]
    refused = {(r["who"], r["action"]) for r in recorded if r["status"] == 403}
    assert refused == {
        ("reader", "version.upload"),
        *((role.value, "version.delete") for role in Role if role is not Role.ADMIN),
    }
    assert {r["outcome"] for r in recorded if r["status"] == 403} == {"refused"}


def test_each_answer_has_safe_headers_and_none_opens_it_to_other_pages(site: Site) -> None:
    with site.client() as client:
        for path in ("/healthz", f"{API}/models", "/nowhere", f"{API}/models/x/versions/0"):
            answer = client.get(path, headers={"Origin": "https://ui.example"})
            for name, value in SAFE_HEADERS.items():
                assert answer.headers[name] == value
            assert "access-control-allow-origin" not in answer.headers
            assert "server" not in answer.headers


def test_the_log_never_has_a_token(site: Site) -> None:
    with site.client() as client:
        client.get(f"{API}/models")
    until(lambda: site.service.events("request"), what="a request in the log")
    log = site.service.tail(100_000)
    assert all(secret.partition(".")[2] not in log for secret in site.tokens.values())


def test_a_change_that_is_asked_for_wrongly_is_recorded_as_refused(site: Site) -> None:
    with site.client() as client:
        path = f"{API}/models/{site.model}/versions/none"
        problem(client.delete(path, params={"why": "a slip"}), 422)
        last = client.get(f"{API}/audit", params={"limit": 1}).json()["records"][0]
    assert (last["why"], last["outcome"], last["status"]) == ("a slip", "refused", 422)
    assert "version" in last["detail"]


# --- what a page asks ---


def test_the_page_is_outside_of_the_gate_and_what_it_asks_for_is_not(site: Site) -> None:
    with httpx.Client(base_url=site.service.address, timeout=60) as client:
        page = client.get("/")
        assert page.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert "script-src 'self';" in CONTENT_SECURITY_POLICY
        for path in re.findall(r'"(assets/[^"]+)"', page.text):
            found = client.get(f"/{path}")
            assert found.status_code == 200
            assert found.headers["x-content-type-options"] == "nosniff"
        problem(client.get(f"{API}/me"), 401)
        problem(client.get("/assets"), 401)


@pytest.mark.parametrize("role", Role)
def test_each_caller_is_told_its_role_and_what_is_served(site: Site, role: Role) -> None:
    with site.client(role) as client:
        assert client.get(f"{API}/me").json() == {
            "name": role.value,
            "role": role.value,
            "dev": False,
            "model": site.model,
            "alias": "champion",
        }


def test_dead_letters_are_counted_by_reason_and_those_that_were_redriven(site: Site) -> None:
    topics, producer = site.settings.topics, Producer({**parts.kafka(site.settings)})
    reasons = [Reason.MISSING_FIELD, Reason.NOT_JSON, Reason.MISSING_FIELD]
    for number, reason in enumerate(reasons):
        letter = DeadLetter(b"k", b"{}", topics.records, 0, number, Rejection(reason, "why"))
        key, value, headers = dead_letters.encode(letter)
        producer.produce(topics.dead_letters, value, key, 0, headers=headers)
    assert producer.flush(30) == 0
    sent = list(reading.read(parts.kafka(site.settings), topics.dead_letters))
    key, value = redriven.encode(sent[0], 1)
    producer.produce(topics.redriven, value, key)
    assert producer.flush(30) == 0
    with site.client(Role.READER) as client:
        found = client.get(f"{API}/dead-letters").json()
        for minutes in (0, 1_441, "x"):
            problem(client.get(f"{API}/dead-letters", params={"minutes": minutes}), 422)
    assert (found["complete"], found["letters"], found["redriven"]) == (True, 3, 1)
    counted = [(one["reason"], one["letters"], one["redriven"]) for one in found["reasons"]]
    assert counted == [("missing_field", 2, 1), ("not_json", 1, 0)]

    # What is older is not counted, and a count that lasts is broken off.
    in_an_hour = round(time.time() * 1000) + 3_600_000
    later = redriving.recent_letters(site.settings, 1, in_an_hour, 60.0)
    assert (later["letters"], later["complete"]) == (0, True)
    assert later["since"] < later["at"]
    now = round(time.time() * 1000)
    assert redriving.recent_letters(site.settings, 60, now, -1.0)["complete"] is False


def test_the_newest_plans_are_had_with_the_one_that_is_in_force(
    site: Site, versions: tuple[str, str]
) -> None:
    announced = announcing.stage(site.settings, site.model, versions[1], why="x", check=False)
    announcing.unstage(site.settings, "y", announced.offset)
    with site.client(Role.READER) as client:
        found = client.get(f"{API}/plans", params={"newest": 1}).json()["plans"]
        every = client.get(f"{API}/plans").json()["plans"]
    assert [row["status"] for row in found] == ["in force", "unstaged"]
    assert len(every) > len(found)


# --- models and versions ---


def test_an_artifact_comes_back_byte_for_byte(site: Site, versions: tuple[str, str]) -> None:
    with site.client(Role.READER) as client:
        answer = client.get(f"{API}/models/{site.model}/versions/{versions[1]}/artifact")
    source = site.folders[1]
    files = {p.relative_to(source).as_posix(): p for p in source.rglob("*") if p.is_file()}
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {n: archive.read(n) for n in archive.namelist()} == {
            name: path.read_bytes() for name, path in files.items()
        }
    assert answer.headers["x-artifact-digest"] == artifact_digest(source)


def test_a_version_is_shown_with_who_and_why_and_its_digest(site: Site) -> None:
    body = zipped(site.folders[0])
    with site.client(Role.PUBLISHER) as client:
        made = client.post(
            f"{API}/models/{site.model}/versions",
            content=body,
            params={"why": "a test\n of the ümlaut"},
            headers=content_digest(body),
        )
        assert made.status_code == 201, made.text
        shown = client.get(made.headers["location"]).json()
        listed = client.get(f"{API}/models/{site.model}").json()
    assert (shown["created_by"], shown["why"]) == ("publisher", "a test  of the ümlaut")
    assert shown["digest"] == artifact_digest(site.folders[0]) == made.json()["digest"]
    assert [column["name"] for column in shown["signature"]["inputs"]] == list(FEATURES)
    assert listed["name"] == site.model


def test_lists_are_read_page_by_page(site: Site, versions: tuple[str, str]) -> None:
    path, seen, page_token = f"{API}/models/{site.model}/versions", [], None
    with site.client(Role.READER) as client:
        while True:
            params = {"limit": 1} | ({"page_token": page_token} if page_token else {})
            page = client.get(path, params=params).json()
            seen += [version["version"] for version in page["versions"]]
            assert len(page["versions"]) <= 1
            page_token = page["next_page_token"]
            if page_token is None:
                break
            problem(client.get(f"{API}/models", params={"page_token": page_token}), 400)
        assert client.get(path).json()["next_page_token"] is None
        for noise in ("x", "WyJ4Il0", "é", "%00", "[]"):
            problem(client.get(path, params={"page_token": noise}), 400)
    assert set(versions) <= set(seen)
    assert seen == sorted(seen, key=int, reverse=True)


def test_two_versions_are_compared(site: Site, versions: tuple[str, str]) -> None:
    with site.client(Role.READER) as client:
        params = dict(zip(("left", "right"), versions, strict=True))
        found = client.get(f"{API}/models/{site.model}/compare", params=params).json()
    assert [column["name"] for column in found["signature"]] == [
        *sorted(f"inputs.{feature}" for feature in FEATURES),
        "outputs.0",
    ]
    assert not any(column["differs"] for column in found["signature"])


def test_what_is_not_there_is_not_found(site: Site) -> None:
    with site.client() as client:
        for path in (
            "/models/no-such-model",
            "/models/no-such-model/versions",
            f"/models/{site.model}/versions/999999",
            f"/models/{site.model}/versions/999999/artifact",
            f"/models/{site.model}/compare?left=1&right=999999",
        ):
            problem(client.get(f"{API}{path}"), 404)
        problem(client.delete(f"{API}/models/{site.model}/versions/999999"), 404)
        problem(client.post(f"{API}/models/no-such-model/predict", content=record(1)), 404)


# --- uploads that are refused ---


def versions_of(site: Site) -> list[str]:
    """Return the versions of the model; none if no test has published one yet."""
    with site.client() as client:
        answer = client.get(f"{API}/models/{site.model}/versions", params={"limit": 200})
    if answer.status_code == 404:
        return []
    return [version["version"] for version in answer.json()["versions"]]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def made_of(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()


def test_hostile_artifacts_are_refused_and_make_no_version(
    site: Site, versions: tuple[str, str]
) -> None:
    good = files_of(site.folders[0])
    mlmodel = good["MLmodel"].decode()
    pickled = files_of(artifact(site.folder, 3.0, serialization_format="cloudpickle"))
    attacks = {
        "slip": {**good, "../../evil": b"x"},
        "absolute": {**good, "/tmp/evil": b"x"},  # noqa: S108
        "bomb": {**good, "zeros": b"\0" * 300_000_000},
        "no MLmodel": {name: content for name, content in good.items() if name != "MLmodel"},
        "deeper": {f"model/{name}": content for name, content in good.items()},
        "pickle": pickled,
        "code": {**good, "MLmodel": mlmodel.replace("code: null", "code: code").encode()},
        "noise": {**good, "MLmodel": b"\xff\0: ["},
        "yaml code": {**good, "MLmodel": b"!!python/object/apply:os.system ['false']"},
        "outside": {**good, "MLmodel": mlmodel.replace("model.skops", "/etc/passwd").encode()},
        "other columns": {
            **good,
            "MLmodel": mlmodel.replace("interest_rate", "password").encode(),
        },
    }
    before = versions_of(site)
    with site.client(Role.PUBLISHER) as client:
        for name, files in attacks.items():
            body = made_of(files)
            answer = client.post(
                f"{API}/models/{site.model}/versions", content=body, headers=content_digest(body)
            )
            assert problem(answer, 422)["error"] in {"ModelRefused", "PolicyRefused"}, name
    assert versions_of(site) == before
    with site.client() as client:
        recorded = client.get(f"{API}/audit", params={"limit": len(attacks)}).json()["records"]
    assert {(r["outcome"], r["status"]) for r in recorded} == {("refused", 422)}


def test_a_digest_that_is_missing_wrong_or_of_other_files_is_refused(site: Site) -> None:
    body = zipped(site.folders[0])
    good = content_digest(body)
    other = "sha256:" + "0" * 64
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 400),
        ({"Content-Digest": "md5=:AAAA:"}, 400),
        ({"Content-Digest": "sha-256=:!!:"}, 400),
        (content_digest(body + b"x"), 422),
        ({**good, "X-Artifact-Digest": other}, 422),
        ({"X-Artifact-Digest": other}, 422),
    ]
    before = versions_of(site)
    with site.client(Role.PUBLISHER) as client:
        for headers, status in asked:
            path = f"{API}/models/{site.model}/versions"
            problem(client.post(path, content=body, headers=headers), status)
    assert versions_of(site) == before


def test_a_body_over_the_limit_is_broken_off_while_it_arrives(site: Site) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    limits = {f"{API}/models/{site.model}/versions": 3_000_000, predicting(site): 100_000}
    for path, most in limits.items():
        sent = 0
        with site.client(Role.PUBLISHER) as client:
            announced = client.post(path, content=b"x" * (most + 1), headers=content_digest(b""))
            assert problem(announced, 413)["error"] == "BodyTooLarge"
            with contextlib.suppress(httpx.WriteError, httpx.ReadError):  # it hung up first
                problem(client.post(path, content=endless(), headers=content_digest(b"")), 413)
        assert sent < most + 20_000_000


# --- predictions ---


def predicting(site: Site) -> str:
    return f"{API}/models/{site.model}/predict"


def predict(site: Site, rows: list[bytes], **params: str) -> dict[str, Any]:
    with site.client(Role.READER) as client:
        answer = client.post(
            predicting(site),
            params=params,
            content=b"\n".join(rows),
            headers={"content-type": "application/x-ndjson"},
        )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_rows_get_what_the_stream_would_answer(site: Site, versions: tuple[str, str]) -> None:
    sent = itertools.islice(records(seed=3), 300)
    rows = [sample.value or b"" for sample in sent]
    bad = [b"", b"null", b"{", b'{"interest_rate": NaN}', b"\xff", record(1, interest_rate=1e9)]
    for place, row in enumerate(bad):
        rows.insert(place * 40, row)
    found = predict(site, rows)
    assert found["version"] == versions[0]
    assert found["plan_offset"] == 0

    models, decoder = parts.models(site.settings), parts.decoder(site.settings)
    decoded, rejected = decoder.decode_all(rows)
    folder = site.folder / f"fetched-{uuid.uuid4().hex}"
    folder.mkdir()
    model = models.load(models.fetch(f"models:/{site.model}/{versions[0]}", folder))
    good = [at for at in range(len(rows)) if at not in rejected]
    prices = score(model, feature_columns(decoded, some_missing=True)[good]).prices
    answered = [found["rows"][at]["predicted_price"] for at in good]
    np.testing.assert_allclose(answered, prices, rtol=0, atol=1e-9)
    for at, why in rejected.items():
        said = found["rows"][at]
        assert (said["reason"], said["message"]) == (why.reason.value, why.message)
    assert [found["rows"][at]["id"] for at in good] == [
        one.id for one in decoded if one is not None
    ]


def test_a_version_that_is_named_predicts_whether_or_not_it_was_announced(
    site: Site, versions: tuple[str, str]
) -> None:
    prices = [
        predict(site, [record(50)], version=version)["rows"][0]["predicted_price"]
        for version in versions
    ]
    np.testing.assert_allclose(prices, [50.0, 100.0], rtol=1e-9)


def test_one_record_or_an_array_of_them_is_json(site: Site, versions: tuple[str, str]) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    with site.client(Role.READER) as client:
        one = client.post(predicting(site), content=record(7), headers=headers).json()
        many = client.post(
            predicting(site), content=b"[%b, {}]" % record(7), headers=headers
        ).json()
        problem(client.post(predicting(site), content=b"[1,", headers=headers), 400)
        problem(
            client.post(predicting(site), content=b"[" + b"1," * 500 + b"1]", headers=headers), 413
        )
        problem(client.post(predicting(site), data={"a": "b"}), 415)
    assert one["rows"] == many["rows"][:1]
    assert many["rows"][1]["reason"] == "missing_field"


# --- plans ---


def test_plans_and_what_is_in_force_are_those_of_the_commands(
    site: Site, versions: tuple[str, str]
) -> None:
    with site.client(Role.READER) as client:
        plans = client.get(f"{API}/plans").json()["plans"]
        in_force = client.get(f"{API}/in-force").json()["in_force"]
        assert client.get(f"{API}/instances").json() == {"instances": []}
    assert plans == app_json(site.environment, "announcements")[1]
    assert (plans[0]["version"], plans[0]["why"]) == (versions[0], "the first")
    assert (in_force["version"], in_force["offset"]) == (versions[0], 0)


@pytest.mark.usefixtures("versions")  # whose plan is the first
def test_a_version_that_a_plan_names_is_deleted_only_when_that_is_said(site: Site) -> None:
    version = site.upload(1).json()["version"]
    plan = announcing.announce_version(site.settings, site.model, version, check=False)
    path = f"{API}/models/{site.model}/versions/{version}"
    with site.client() as client:
        assert f"offsets {plan.offset}:" in problem(client.delete(path), 409)["detail"]
        assert client.get(path).status_code == 200
        gone = client.delete(path, params={"break_replay": "true", "why": "a test"})
        assert gone.json() == {"name": site.model, "version": version, "plans": [plan.offset]}
        problem(client.get(path), 404)
        last = client.get(f"{API}/audit", params={"limit": 1}).json()["records"][0]
    assert (last["action"], last["outcome"], last["why"]) == ("version.delete", "done", "a test")
    announcing.void(
        site.settings, plan.offset, "its version is gone", even_if_last=False, dry_run=False
    )


# --- once, whatever happens ---


def test_two_services_make_one_version_of_one_request(site: Site, tmp_path: Path) -> None:
    key = str(uuid.uuid4())
    body = zipped(site.folders[1])
    headers = {**content_digest(body), "Idempotency-Key": key}
    before = versions_of(site)
    with (
        RegistryService(site.environment, tmp_path, "other") as other,
        ThreadPoolExecutor(6) as pool,
    ):
        clients = [site.client(), other.client(site.tokens[Role.ADMIN])]

        def ask(number: int) -> httpx.Response:
            path = f"{API}/models/{site.model}/versions"
            return clients[number % 2].post(path, content=body, headers=headers)

        answers = list(pool.map(ask, range(6)))
        assert {answer.status_code for answer in answers} <= {201, 409}
        again = [ask(number) for number in range(2)]
        for client in clients:
            client.close()
    assert [answer.headers["idempotent-replayed"] for answer in again] == ["true", "true"]
    made = {a.json()["version"] for a in (*answers, *again) if a.status_code == 201}
    assert set(versions_of(site)) - set(before) == made
    assert len(made) == 1


def test_the_same_key_with_another_request_is_refused(site: Site) -> None:
    key = str(uuid.uuid4())
    assert site.upload(0, **{"Idempotency-Key": key}).status_code == 201
    assert problem(site.upload(1, **{"Idempotency-Key": key}), 422)["error"] == (
        "IdempotencyKeyReused"
    )
    problem(site.upload(1, **{"Idempotency-Key": "a b"}), 400)


@pytest.mark.parametrize(
    "point",
    [
        "app.registry.mlflow_catalog:MlflowCatalog.register:1",
        "app.registry.mlflow_catalog:MlflowCatalog.require_allowed:1",
    ],
    ids=["after the version was made", "before"],
)
def test_a_service_killed_in_the_middle_leaves_one_version_in_the_end(
    site: Site, tmp_path: Path, point: str
) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    before = versions_of(site)
    killed = RegistryService(
        {**site.environment, "KILL_AFTER": point, "LEASE_MS": "5000"},
        tmp_path,
        "killed",
        module="tests.harness.killed_command",
    )
    body = zipped(site.folders[0])
    with killed, killed.client(site.tokens[Role.PUBLISHER]) as client:
        with pytest.raises(httpx.TransportError):
            client.post(
                f"{API}/models/{site.model}/versions",
                content=body,
                headers={**content_digest(body), **headers},
            )
        assert killed.wait() == -signal.SIGKILL
    waiting = site.upload(0, **headers)
    problem(waiting, 409)
    assert 1 <= int(waiting.headers["retry-after"]) <= 6

    def answered() -> httpx.Response | None:
        answer = site.upload(0, **headers)
        return None if answer.status_code == 409 else answer

    made = until(answered, 40, "the end of the lease")
    assert made.status_code == 201, made.text
    assert set(versions_of(site)) - set(before) == {made.json()["version"]}
    with site.client() as client:
        recorded = client.get(f"{API}/audit", params={"limit": 200}).json()["records"]
    assert [r for r in recorded if r["outcome"] == "started"]


# --- around it ---


def test_a_service_that_can_reach_nothing_says_so_and_when_to_try_again(
    site: Site, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    away = {
        **site.environment,
        "MLFLOW_TRACKING_URI": f"http://me:hidden@127.0.0.1:{port}",
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
    }
    with (
        RegistryService(away, tmp_path) as service,
        service.client(site.tokens[Role.ADMIN]) as client,
    ):
        paths = ("/models", f"/models/{site.model}/versions/1", "/plans", "/instances")
        with ThreadPoolExecutor(6) as pool:  # each waits for what is away
            answers = [pool.submit(client.get, f"{API}{path}") for path in paths]
            predicted = pool.submit(client.post, predicting(site), content=record(1))
            readiness = pool.submit(client.get, "/readyz")
        for answer in (one.result() for one in answers):
            problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            assert "hidden" not in answer.text
        problem(predicted.result(), 503)
        ready = readiness.result()
        assert (ready.status_code, ready.json()["why"]) == (503, "no answer from MLflow, Kafka")
        assert client.get("/healthz").status_code == 200
        assert service.stop() == 0


def test_a_token_that_calls_too_often_is_told_when_to_come_back(site: Site, tmp_path: Path) -> None:
    slow = {"DS_MODELS_SERVICE__REQUESTS_PER_S": "0.5", "DS_MODELS_SERVICE__BURST": "3"}
    with RegistryService({**site.environment, **slow}, tmp_path) as service:
        with service.client(site.tokens[Role.READER]) as client:
            answers = [client.get("/nowhere") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
        problem(answers[3], 429)
        assert answers[3].headers["retry-after"] in {"1", "2"}
        with service.client(site.tokens[Role.ADMIN]) as client:
            assert client.get("/nowhere").status_code == 404


def test_an_address_of_many_wrong_tokens_is_told_to_wait_and_a_valid_one_is_let_in(
    site: Site, tmp_path: Path
) -> None:
    few = {"DS_MODELS_SERVICE__WRONG_TOKENS_PER_MIN": "3"}
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with (
        RegistryService({**site.environment, **few}, tmp_path) as service,
        service.client("admin.guess") as wrong,
        service.client(site.tokens[Role.ADMIN]) as valid,
        httpx.Client(base_url=service.address, transport=elsewhere) as other,
    ):
        for number in range(3):
            problem(wrong.get("/nowhere", headers={"X-Forwarded-For": f"10.0.0.{number}"}), 401)
        refused = wrong.get("/nowhere", headers={"X-Forwarded-For": "10.0.0.4"})
        assert problem(refused, 429)["error"] == "TooManyWrongTokens"
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert valid.get("/nowhere").status_code == 404
        problem(other.get("/nowhere", headers={"Authorization": "Bearer admin.guess"}), 401)
        counted = 'ds_models_service_refused_callers_total{reason="too_many_wrong_tokens"} 1.0'
        assert counted in valid.get("/metrics").text.splitlines()


def test_a_body_that_takes_too_long_is_broken_off(site: Site, tmp_path: Path) -> None:
    impatient = {"DS_MODELS_SERVICE__BODY_TIMEOUT_S": "1"}
    done = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"x"
        done.wait(30)

    with (
        RegistryService({**site.environment, **impatient}, tmp_path) as service,
        service.client(site.tokens[Role.PUBLISHER]) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        path = f"{API}/models/{site.model}/versions"
        pool.submit(client.post, path, content=slowly(), headers=content_digest(b""))
        refused = service.wait_for_event("change", outcome="refused", status=408)
        done.set()
    assert refused["action"] == "version.upload"


def test_a_service_that_is_told_to_end_ends_what_is_under_way(site: Site, tmp_path: Path) -> None:
    body, told = zipped(site.folders[0]), threading.Event()

    def in_two_parts() -> Iterator[bytes]:
        yield body[:100]
        assert told.wait(30)
        yield body[100:]

    with (
        RegistryService(site.environment, tmp_path) as service,
        service.client(site.tokens[Role.PUBLISHER]) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        path = f"{API}/models/{site.model}/versions"
        under_way = pool.submit(
            client.post, path, content=in_two_parts(), headers=content_digest(body)
        )
        with site.client() as other:
            audit = f"{API}/audit"
            until(lambda: other.get(audit).json()["records"][0]["outcome"] == "started", 30)
        service.send(signal.SIGTERM)
        service.wait_for_event("Shutting down")
        told.set()
        assert under_way.result(30).status_code == 201
        assert service.wait() == 0


def test_dev_serves_this_machine_alone(site: Site, tmp_path: Path) -> None:
    done = app(site.environment, "registry", "--dev", DS_MODELS_SERVICE__HOST="0.0.0.0")  # noqa: S104
    assert done.returncode == 2
    assert "this machine alone" in done.stderr
    with RegistryService(site.environment, tmp_path, options=("--dev",)) as service:
        assert service.wait_for_event("registry.open_to_all")["level"] == "warning"
        with service.client() as client:
            assert client.get(f"{API}/audit").status_code == 200
            assert (
                client.get(f"{API}/audit", headers={"Origin": service.address}).status_code == 200
            )
            for headers in (
                {"Host": "evil.example"},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
                {"Host": "127.0.0.1.evil.example"},
            ):
                problem(client.get(f"{API}/audit", headers=headers), 403)
        assert service.stop() == 0


def test_pages_of_named_origins_may_call(site: Site, tmp_path: Path) -> None:
    named = {"DS_MODELS_SERVICE__CORS_ORIGINS": "https://ui.example"}
    with (
        RegistryService({**site.environment, **named}, tmp_path) as service,
        service.client() as client,
    ):
        for origin, allowed in (("https://ui.example", True), ("https://evil.example", False)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            assert client.options(f"{API}/models", headers=asked).is_success is allowed
            refused = client.get(f"{API}/models", headers={"Origin": origin})
            assert ("access-control-allow-origin" in refused.headers) is allowed
            problem(refused, 401)


def test_a_port_that_is_taken_or_a_database_that_is_none_ends_it_with_a_reason(site: Site) -> None:
    port = site.service.address.rpartition(":")[2]
    taken = app(site.environment, "registry", DS_MODELS_SERVICE__PORT=port)
    assert (taken.returncode, "service.port" in taken.stderr) == (2, True)
    none = app(site.environment, "registry", DS_MODELS_SERVICE__DATABASE_URL="nonsense")
    assert (none.returncode, "database_url" in none.stderr) == (2, True)
    nowhere = "sqlite:////proc/nowhere/registry.db"
    away = app(site.environment, "registry", DS_MODELS_SERVICE__DATABASE_URL=nowhere)
    assert away.returncode == 10


# --- tokens on the command line ---


def test_tokens_are_made_shown_and_revoked_by_commands(tmp_path: Path) -> None:
    environment = {**database_in(tmp_path), "DS_MODELS_CONFIG": str(tmp_path)}
    create = ("token", "create", "ci", "--role", "publisher", "--expires-in", "90d")
    code, (made,) = app_json(environment, *create)
    assert (code, made["role"], made["state"]) == (0, "publisher", "valid")
    assert app(environment, *create).returncode == 8
    _, listed = app_json(environment, "token", "list")
    assert listed == [{key: value for key, value in made.items() if key != "token"}]
    _, (revoked,) = app_json(environment, "token", "revoke", "ci")
    assert revoked["state"] == "revoked"
    assert app(environment, "token", "revoke", "nobody").returncode == 8
    assert app(environment, "token", "create", "a b").returncode == 2
    assert made["token"].partition(".")[2] not in app(environment, "token", "list").stdout
