"""What all tests share: one real broker and one real MLflow for the session, made when needed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from infrastructure.kafka import choice as kafka_choice
from infrastructure.mlflow_server import choice as mlflow_choice
from tests.harness.world import World

# A loaded machine is no reason to fail.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


def pytest_report_header() -> list[str]:
    nowhere = Path()
    return [
        f"kafka: {kafka_choice.choose(os.environ, nowhere).description}",
        f"mlflow: {mlflow_choice.choose(os.environ, nowhere).description}",
    ]


@pytest.fixture(scope="session")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real broker for the whole session."""
    folder = tmp_path_factory.mktemp("kafka")
    with kafka_choice.choose(os.environ, folder, owned=True) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server for the whole session."""
    folder = tmp_path_factory.mktemp("mlflow")
    with mlflow_choice.choose(os.environ, folder, owned=True) as server:
        yield server.address


@pytest.fixture
def world(bootstrap_servers: str, tmp_path: Path) -> World:
    """Topics of the test's own."""
    return World(bootstrap_servers, tmp_path)
