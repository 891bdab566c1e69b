"""An upgrade, one instance after the other, from an earlier commit to this one under flow.

The earlier code runs with the packages of today: what is shown is that both understand each other's
announcements, statuses, offsets and answers. UPGRADE_FROM names another commit.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import Trained
from tests.e2e.test_void import flow
from tests.e2e.test_with_mlflow import MODEL, real_instance, with_mlflow
from tests.harness.instances import ROOT, Instance
from tests.harness.terminal import app, app_json
from tests.harness.world import World, until

BEFORE = os.environ.get(
    "UPGRADE_FROM", "2d3eb5b9f453fc5ad6c609bcb0b7c6086644a204"
)  # without containers


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the earlier commit."""
    archived = subprocess.run(
        ["git", "archive", BEFORE, "app", "config"],  # noqa: S607
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if archived.returncode != 0:
        pytest.skip(f"this checkout does not have the commit {BEFORE[:7]}")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def test_a_rolling_upgrade_under_flow_loses_and_doubles_nothing(
    world: World, tracking_uri: str, trained: Trained, earlier: Path, tmp_path: Path
) -> None:
    with_mlflow(world, tracking_uri)

    def old(name: str) -> Instance:
        return Instance(world.environment, tmp_path / f"{name}.log", "app", ("run",), earlier)

    def served() -> set[str]:
        _, (seen,) = app_json(world.environment, "status")
        return {one["in_force"]["version"] for one in seen["instances"] if one["live"]}

    assert app(world.environment, "announce", MODEL, trained.linear).returncode == 0
    with flow(world) as sent, old("a") as a, old("b") as b:
        a.wait_until_assigned()
        b.wait_until_assigned()
        assert a.stop() == 0
        with real_instance(world, tmp_path / "c.log") as c:
            c.wait_until_assigned()
            done = app(world.environment, "announce", MODEL, trained.forest, "--when-loaded")
            assert done.returncode == 0, done.stderr  # the old one and the new one have it loaded
            until(lambda: served() == {trained.forest}, 60, "both to serve it")
            assert b.stop() == 0
            with real_instance(world, tmp_path / "d.log") as d:
                d.wait_until_assigned()
                count = sent["records"]
                until(lambda: sent["records"] > count + 500)
                assert [c.stop(), d.stop()] == [0, 0]
    # the flow has ended
    with real_instance(world, tmp_path / "e.log"):
        world.wait_for_answers(sent["records"])
    found = world.assert_each_answered_once(model=MODEL)
    assert {s.model_version for _, s in found.signals} == {trained.linear, trained.forest}
