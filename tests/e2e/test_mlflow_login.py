"""An MLflow server that asks who calls (its `basic-auth`): all works, or says what it lacks.

The login is in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, which its client reads.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.service.roles import Role
from infrastructure.mlflow_server.server import Login, MLflowServer
from tests.e2e.test_with_mlflow import MODEL, real_instance, run, run_json, with_mlflow
from tests.harness.registry_service import (
    RegistryService,
    artifact,
    content_digest,
    database_in,
    token,
    zipped,
)
from tests.harness.terminal import app_json
from tests.harness.world import World, record

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("flask_wtf") is None,
    reason="Flask-WTF is not installed: MLflow's own login needs it",
)

LOGIN = Login("ann", "known-to-nobody-else")
KNOWN = {"MLFLOW_TRACKING_USERNAME": LOGIN.name, "MLFLOW_TRACKING_PASSWORD": LOGIN.password}
WRONG = {"MLFLOW_TRACKING_USERNAME": LOGIN.name, "MLFLOW_TRACKING_PASSWORD": "guessed-at-random"}
SAID = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"


@dataclass(frozen=True)
class Site:
    """A version on a server with a login, announced; `world` has no login."""

    world: World
    version: str
    pickle: Path


@pytest.fixture(scope="module")
def site(bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("login")
    with MLflowServer(folder / "mlflow", owned=True, login=LOGIN) as mlflow:
        world = with_mlflow(World(bootstrap_servers, folder), mlflow.tracking_uri)
        world.environment |= database_in(folder)
        pickle = folder / "model.pkl"
        made = run_json(
            world.environment | KNOWN,
            "models/train_and_register_model.py",
            *("--kind", "linear", "--months", "200", "--output", str(pickle), "--no-announce"),
        )
        code, (announced,) = app_json(world.environment, "announce", MODEL, "1", **KNOWN)
        assert (code, announced["version"]) == (0, made["version"])
        yield Site(world, made["version"], pickle)


def test_an_instance_with_the_login_serves_what_was_trained_and_announced_with_it(
    site: Site, tmp_path: Path
) -> None:
    known = World.__new__(World)
    known.__dict__.update(site.world.__dict__, environment=site.world.environment | KNOWN)
    known.send(record(number) for number in range(100))
    with real_instance(known, tmp_path / "a.log") as instance:
        known.wait_for_answers(100)
        assert instance.stop() == 0
        assert LOGIN.password not in instance.tail(1_000)
    known.assert_each_answered_once(model=MODEL)


def test_a_service_with_the_login_takes_an_artifact_in_and_shows_it(
    site: Site, tmp_path: Path
) -> None:
    publisher = token(site.world.environment, "publisher", Role.PUBLISHER)
    body, path = zipped(artifact(tmp_path)), "/api/v1/models/uploaded/versions"
    with (
        RegistryService(site.world.environment | KNOWN, tmp_path) as service,
        service.client(publisher) as client,
    ):
        made = client.post(path, content=body, headers=content_digest(body))
        assert made.status_code == 201, made.text
        assert [one["version"] for one in client.get(path).json()["versions"]] == ["1"]
        assert client.get("/readyz").status_code == 200
        assert LOGIN.password not in service.tail(1_000)


@pytest.mark.parametrize("login", [{}, WRONG], ids=["none", "wrong"])
def test_without_the_login_each_command_says_so_in_one_line(
    site: Site, login: dict[str, str]
) -> None:
    for command in (
        ("models/register_model_in_mlflow.py", "--pickle", str(site.pickle)),
        ("-m", "app", "announce", MODEL, site.version),
        ("-m", "app", "reconcile", "--once"),
    ):
        done = run(site.world.environment | login, *command)
        assert done.returncode == 7, done.stderr
        (line,) = [one for one in done.stderr.splitlines() if one.startswith("error (")]
        assert line.startswith("error (ModelUnavailable): ")
        assert SAID in line
        assert "Traceback" not in done.stderr
        assert WRONG["MLFLOW_TRACKING_PASSWORD"] not in done.stdout + done.stderr


def test_an_instance_and_a_service_without_the_login_say_so_and_go_on(
    site: Site, tmp_path: Path
) -> None:
    reader = token(site.world.environment, "reader", Role.READER)
    environment = site.world.environment | WRONG
    with (
        real_instance(site.world, tmp_path / "a.log") as instance,
        RegistryService(environment, tmp_path) as service,
        service.client(reader) as client,
    ):
        answer = client.get("/api/v1/models")
        assert answer.status_code == 503
        assert SAID in answer.json()["detail"]
        assert client.get("/readyz").json()["why"] == "no answer from MLflow"
        assert SAID in instance.wait_for_event("model.not_loaded")["why"]
        assert instance.running
        assert WRONG["MLFLOW_TRACKING_PASSWORD"] not in answer.text + service.tail(1_000)
