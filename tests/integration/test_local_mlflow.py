from __future__ import annotations

import base64
import http.client
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from infrastructure.mlflow_server.choice import choose
from infrastructure.mlflow_server.server import MLflowServer
from infrastructure.mlflow_server.webhook_key import kept_key
from infrastructure.processes import group_members, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    with MLflowServer(tmp_path_factory.mktemp("mlflow with a space"), owned=True) as running:
        yield running


def status(server: MLflowServer, *, host: str) -> int:
    connection = http.client.HTTPConnection(server.tracking_uri.removeprefix("http://"), timeout=10)
    try:
        connection.request(
            "GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host}
        )
        return connection.getresponse().status
    finally:
        connection.close()


def process_group(server: MLflowServer) -> int:
    assert server._child is not None
    return server._child.pid


def test_a_run_and_its_artifact_survive_a_stop_and_a_start(
    server: MLflowServer, tmp_path: Path
) -> None:
    address = server.tracking_uri
    client = MlflowClient(address)
    run = client.create_run("0").info.run_id
    client.log_text(run, "kept", "notes/note.txt")

    before = process_group(server)
    server.stop()
    assert not group_members(before)
    server.start()

    assert server.tracking_uri == address
    found = client.download_artifacts(run, "notes/note.txt", str(tmp_path))
    assert Path(found).read_text() == "kept"


def test_all_that_is_kept_lies_in_the_data_folder(server: MLflowServer) -> None:
    names = {path.name for path in server.data_folder.iterdir()}
    assert {"mlflow.db", "server.log"} <= names


def test_the_key_of_its_webhooks_is_kept_and_its_owner_s_alone(
    server: MLflowServer, tmp_path: Path
) -> None:
    file = server.data_folder / "webhook.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert kept_key(server.data_folder) == kept_key(server.data_folder) == file.read_text()
    assert kept_key(tmp_path) != file.read_text()
    assert len(base64.urlsafe_b64decode(file.read_text())) == 32


def test_one_worker_and_no_side_service_runs(server: MLflowServer) -> None:
    group = process_group(server)
    programs = [
        Path(f"/proc/{member}/cmdline").read_text().split("\0")[2]
        for member in group_members(group)
    ]
    assert sorted(programs) == ["mlflow", "uvicorn"]


@pytest.mark.parametrize(("host", "expected"), [("", 200), ("evil.example", 403)])
def test_only_its_own_address_is_served(server: MLflowServer, host: str, expected: int) -> None:
    own = server.tracking_uri.removeprefix("http://")
    assert status(server, host=host or own) == expected


def test_a_killed_parent_leaves_no_server(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from infrastructure.mlflow_server.server import MLflowServer\n"
        "server = MLflowServer(Path(sys.argv[1]), owned=True); server.start()\n"
        "print(server._child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert len(group_members(group)) == 2

        parent.kill()

    wait_until(lambda: not group_members(group), seconds=20, what="the end of the server")


def test_a_given_server_is_used_and_none_is_started(tmp_path: Path) -> None:
    with choose({"MLFLOW_TRACKING_URI": "https://mlflow:5000"}, tmp_path / "data") as chosen:
        assert chosen.tracking_uri == "https://mlflow:5000"
        assert chosen.description == "given by MLFLOW_TRACKING_URI: https://mlflow:5000"
    assert not (tmp_path / "data").exists()


def test_without_a_given_server_it_is_a_local_one(tmp_path: Path) -> None:
    assert isinstance(choose({}, tmp_path), MLflowServer)
