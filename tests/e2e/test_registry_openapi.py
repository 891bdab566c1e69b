"""The description of the registry service: complete, with examples, and true under fire.

`SCHEMATHESIS_EXAMPLES` says how many requests are made up in total: 1,000 in CI, 150 elsewhere.
"""

import os
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from app.bootstrap import announcing, serving_registry
from app.service.roles import Role
from app.settings import read
from tests.harness.registry_service import (
    artifact,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.world import World

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text()
_OPERATIONS = 26
_WITH_CHOICE = 19  # the others take nothing, so that few requests can be made up
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "1000" if "CI" in os.environ else "150"))
_LEFT_OUT = {
    "positive_data_acceptance": "bytes that no description can tell from a model are refused",
    "negative_data_rejection": "a row that is bad gets its reason, among others that are good",
}


@schemathesis.serializer("application/zip", "application/x-ndjson")
def as_bytes(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@dataclass(frozen=True)
class Site:
    app: FastAPI
    headers: dict[str, str]
    model: str


@pytest.fixture(scope="module")
def site(
    bootstrap_servers: str, tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A service in this process, with a version in force."""
    folder = tmp_path_factory.mktemp("openapi")
    environment = {
        **World(bootstrap_servers, folder).environment,
        **database_in(folder),
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": f"openapi-{uuid.uuid4().hex[:8]}",
        "DS_MODELS_SERVICE__WEBHOOK_SECRET": "0" * 32,
        "DS_MODELS_SERVICE__REQUESTS_PER_S": "100000",
        "DS_MODELS_SERVICE__BURST": "100000",
        "DS_MODELS_SERVICE__WRONG_TOKENS_PER_MIN": "100000",
    }
    settings_ = read(environment)
    headers = {"Authorization": f"Bearer {token(environment, 'tester', Role.ADMIN)}"}
    with serving_registry.registry_service(settings_, dev=False) as app:
        body = zipped(artifact(folder))
        path = f"/api/v1/models/{settings_.model.name}/versions"
        made = TestClient(app).post(path, content=body, headers=headers | content_digest(body))
        assert made.status_code == 201, made.text
        announcing.announce_version(settings_, settings_.model.name, "1", check=False)
        yield Site(app, headers, settings_.model.name)


@pytest.mark.timeout(900)
def test_no_request_that_can_be_made_up_breaks_it(site: Site) -> None:
    load_all_checks()
    checks: list[Any] = [check for check in CHECKS.get_all() if check.__name__ not in _LEFT_OUT]
    asked = Counter[int]()
    schema = schemathesis.openapi.from_asgi("/openapi.json", site.app, headers=site.headers)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        modes = [GenerationMode.POSITIVE]
        if list(operation.iter_parameters()) or operation.body:
            modes.append(GenerationMode.NEGATIVE)
        cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))

        @settings(
            max_examples=-(-EXAMPLES // _WITH_CHOICE), suppress_health_check=list(HealthCheck)
        )
        @given(case=cases, there=st.booleans())
        def ask(case: schemathesis.Case[Any], *, there: bool) -> None:
            if "name" in case.path_parameters and (there or case.method != "GET"):
                case.path_parameters["name"] = site.model  # only what is ours is changed
                if "version" in case.path_parameters:  # and the one in force stays
                    seldom = case.method == "DELETE" or case.path.endswith("/stage")
                    case.path_parameters["version"] = "2" if seldom else "1"
            answer = case.call(headers=site.headers)
            asked[answer.status_code] += 1
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=checks, headers=site.headers)

        ask()
    assert asked[200] > 0
    print(f"{asked.total():,} requests: {dict(asked)}")  # noqa: T201


def described(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = site.app.openapi()
    return found


def test_every_route_has_examples_of_what_it_takes_and_gives(site: Site) -> None:
    found, operations = described(site), 0
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            operations += 1
            where = f"{method} {path}"
            assert operation["summary"], where
            for parameter in operation.get("parameters", ()):
                if parameter["required"]:
                    assert parameter["schema"].get("examples") or parameter.get("examples"), where
    assert operations == _OPERATIONS
    for name, one in found["components"]["schemas"].items():
        for field, kind in one.get("properties", {}).items():
            is_of_documents = "$ref" in str(kind)
            assert "examples" in kind or is_of_documents, (name, field)


def test_every_refusal_is_described_as_problem_details(site: Site) -> None:
    for path, methods in described(site)["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                if status >= "400" and path != "/readyz":
                    assert list(response["content"]) == ["application/problem+json"], (method, path)


def test_the_page_names_every_route_with_its_role(site: Site) -> None:
    listed = set(re.findall(r"^\| `(GET|POST|DELETE) ([^`]+)` \|", PAGE, re.MULTILINE))
    real = {
        (method.upper(), path)
        for path, methods in described(site)["paths"].items()
        for method in methods
    }
    assert {(method, path.partition("?")[0]) for method, path in listed} == {
        *real,
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("POST", "/webhooks/mlflow"),  # only with a secret to check them by
    }
