"""What all tests share: one real broker and one real MLflow for the session, made when needed."""

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, settings

from infrastructure.kafka import choice as kafka_choice
from infrastructure.kafka.broker import Broker
from infrastructure.mlflow_server import choice as mlflow_choice
from infrastructure.mlflow_server.server import MLflowServer
from tests.harness import postgresql
from tests.harness.engine import EngineBroker, engine
from tests.harness.world import World

# A loaded machine is no reason to fail; and CI tries the same examples each time.
settings.register_profile(
    "ours",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ours")


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="ds-models-"))


@cache
def _broker() -> kafka_choice.GivenBroker | Broker | EngineBroker:
    if kafka_choice.VARIABLE not in os.environ and engine() is not None:
        return EngineBroker()
    return kafka_choice.choose(os.environ, _folder() / "kafka", owned=True)


@cache
def _mlflow() -> mlflow_choice.GivenServer | MLflowServer:
    return mlflow_choice.choose(os.environ, _folder() / "mlflow", owned=True)


def pytest_configure() -> None:
    """Set up what must stand before the first test."""
    # A broker lives for minutes here: what Java's second compiler costs would never come back.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
    # MLflow's client writes its address into the environment: choose before it does.
    _broker()
    _mlflow()
    # A shell starts what is in its background with Ctrl+C ignored, and children inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> list[str]:
    return [
        f"kafka: {_broker().description}",
        f"mlflow: {_mlflow().description}",
        f"postgresql: {postgresql.description()}",
    ]


def pytest_unconfigure() -> None:
    shutil.rmtree(_folder(), ignore_errors=True)


@pytest.fixture(scope="session")
def bootstrap_servers() -> Iterator[str]:
    """A real broker for the whole session."""
    with _broker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def tracking_uri() -> Iterator[str]:
    """A real MLflow server for the whole session."""
    with _mlflow() as server:
        yield server.address


@pytest.fixture(scope="session")
def topic_admin(bootstrap_servers: str) -> AdminClient:
    """Who deletes topics on that broker."""
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})


@pytest.fixture
def world(bootstrap_servers: str, topic_admin: AdminClient, tmp_path: Path) -> Iterator[World]:
    """Topics of the test's own, deleted after it: a broker that keeps hundreds is never idle."""
    made = World(bootstrap_servers, tmp_path)
    topics = made.topics()
    yield made
    topic_admin.delete_topics(topics)  # in its own time


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that runs within a test leaves no handler on that test's standard error."""
    root, configured = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)
