"""The image: who it runs as, what is in it and what is not, and how it starts and ends."""

import socket
import subprocess
import tarfile
import threading
import tomllib
from pathlib import Path
from typing import IO

import pytest

from infrastructure.processes import http_status
from infrastructure.stack.containers import engine
from tests.e2e.test_with_mlflow import MODEL, train, with_mlflow
from tests.harness.containers import Container, inside, inspected
from tests.harness.instances import ROOT
from tests.harness.world import World, record, until

CANARY = "canary-4c1f0d52-of-a-secret"
BAIT = (
    *(".env", ".git/config", ".netrc", "infrastructure/.env", "config/kafka.key"),
    *("tests/secret", "models/pickles/m.pkl", "app/service/__pycache__/x.pyc"),
)


def test_it_runs_as_nobody_with_no_capability_on_a_root_that_is_read_only(image: str) -> None:
    assert inside(image, "id", "-u") == "10001"
    status = inside(image, "cat", "/proc/self/status").splitlines()
    assert {line.split()[1] for line in status if line.startswith("Cap")} == {"0" * 16}
    attempt = (
        "import pathlib\n"
        "def writes(folder):\n"
        "    try: pathlib.Path(folder, 'x').write_text('x')\n"
        "    except OSError: return False\n"
        "    return True\n"
        "print([f for f in ('/', '/etc', '/etc/ds-models', '/opt/ds-models', '/tmp') if writes(f)])"
    )
    assert inside(image, "python", "-c", attempt) == "['/tmp']"


@pytest.mark.parametrize(
    "package",
    ["pytest", "hypothesis", "ruff", "mypy", "playwright", "testcontainers", "uv", "pip",
     "setuptools", "models", "infrastructure", "tests"],
)  # fmt: skip
def test_what_only_development_and_training_need_is_not_in_it(image: str, package: str) -> None:
    find = f"import importlib.util as u; print(u.find_spec({package!r}))"
    assert inside(image, "python", "-c", find) == "None"


def test_its_labels_name_the_version_and_the_commit(image: str) -> None:
    labels = inspected("image", image)["Config"]["Labels"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.revision"].removesuffix("-dirty") == commit
    assert labels["org.opencontainers.image.licenses"] == "MIT"


def test_one_image_has_every_role(image: str) -> None:
    commands = inside(image, "ds-models", "--help")
    assert all(name in commands for name in ("run", "registry", "reconcile", "topics", "promote"))
    assert inside(image, "mlflow", "--version").startswith("mlflow, version")
    inside(image, "python", "-c", "import boto3, flask_wtf, psycopg")
    assert '"bad"' not in inside(image, "ds-models", "config")  # its own folder of settings reads


def test_the_same_files_from_the_same_commit_and_no_secret_in_any_layer(
    image: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    for name in _tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
        (source / name).chmod(0o600)  # as with another umask
    for name in BAIT:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(CANARY)
    again = "localhost/ds-models-again:test"
    engine("build", "--no-cache", "--file", str(source / "infrastructure/Containerfile"),
           "--tag", again, str(source))  # fmt: skip
    try:
        assert _files(again) == _files(image)
        saved = tmp_path / "saved.tar"
        engine("save", "--output", str(saved), again)
        with tarfile.open(saved) as layers:
            names = [member.name for member in layers if member.isfile()]
            found = [name for name in names if _holds(layers.extractfile(name), CANARY.encode())]
        assert len(names) > 3
        assert found == []
    finally:
        engine("rmi", "--force", again)


def test_a_layer_that_holds_the_secret_is_seen(tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    bait.write_bytes(b"x" * (2**20 - 5) + CANARY.encode() + b"x" * 2**20)
    with bait.open("rb") as file:
        assert _holds(file, CANARY.encode())


def test_the_stream_drains_at_sigterm_and_what_it_answered_is_committed(
    image: str, world: World, tracking_uri: str, tmp_path: Path
) -> None:
    train(with_mlflow(world, tracking_uri), "linear", tmp_path / "model.pkl")
    environment = _settings(world)
    done = threading.Event()
    sent = [0]

    def flow() -> None:
        while not done.is_set():
            world.send(record(number) for number in range(100))
            sent[0] += 100
            done.wait(0.02)

    flowing = threading.Thread(target=flow)
    with Container(image, environment=environment) as container:
        flowing.start()
        try:
            until(
                lambda: sum(world.committed().values()) > 500 or not container.running,
                120,
                "answers",
            )
            assert container.running, container.logs()
            assert container.is_healthy()
            code = container.stop()
        finally:
            done.set()
            flowing.join()
        assert code == 0, container.logs()
        assert '"stream.stopped"' in container.logs()
    assert len(world.answers()) == sum(world.committed().values())
    with Container(image, environment=environment) as container:
        world.wait_for_answers(sent[0])
        assert container.stop() == 0
    world.assert_each_answered_once(model=MODEL)


def test_the_registry_service_is_healthy_only_where_it_listens(
    image: str, world: World, tracking_uri: str
) -> None:
    with_mlflow(world, tracking_uri)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    environment = _settings(world) | {
        "DS_MODELS_SERVICE__PORT": port,
        "DS_MODELS_SERVICE__DATABASE_URL": "sqlite:////tmp/registry.db",
        "HEALTH_URL": f"http://127.0.0.1:{port}/healthz",
    }
    with Container(image, "registry", environment=environment) as container:
        until(lambda: container.is_healthy() or not container.running, 120, "the service")
        assert container.running, container.logs()
        assert container.stop() == 0
    elsewhere = environment | {"HEALTH_URL": "http://127.0.0.1:1/healthz"}
    with Container(image, "registry", environment=elsewhere) as container:
        until(lambda: http_status(int(port), "/healthz") == 200, 120, "the service")
        assert not container.is_healthy()


def _settings(world: World) -> dict[str, str]:
    """What the container needs to know; paths are its own."""
    own = ("DS_MODELS_CONFIG", "DS_MODELS_MODEL__CACHE_DIR")
    given = {name: value for name, value in world.environment.items() if name not in own}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    return given | {
        "DS_MODELS_HTTP__HOST": "127.0.0.1",
        "DS_MODELS_HTTP__PORT": port,
        "HEALTH_URL": f"http://127.0.0.1:{port}/healthz",
    }


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return listed.stdout.splitlines()


def _files(image: str) -> list[str]:
    """Return the digest, mode, owner and date of all that we put into an image."""
    script = (
        "cd / && find opt/ds-models etc/ds-models -type f -print0 | sort -z | xargs -0 sha256sum"
        " && find opt/ds-models etc/ds-models -printf '%p %m %U %T@ %l\\n' | sort"
    )
    return inside(image, "sh", "-c", script).splitlines()


def _holds(file: IO[bytes] | None, secret: bytes) -> bool:
    assert file is not None
    before = b""
    while block := file.read(2**20):
        if secret in before + block:
            return True
        before = block[-len(secret) :]
    return False
