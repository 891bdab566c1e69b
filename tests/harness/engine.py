"""Kafka and PostgreSQL by testcontainers, where a container engine answers.

With podman: `podman system service --time=0 unix:///tmp/podman.sock &`, and
`DOCKER_HOST=unix:///tmp/podman.sock TESTCONTAINERS_RYUK_DISABLED=true
TESTCONTAINERS_CONNECTION_MODE=docker_host`. `TEST_WITH_ENGINE=0` leaves an engine alone.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from infrastructure.kafka.broker import settings
from infrastructure.processes import LOOPBACK, free_ports

KAFKA = "docker.io/apache/kafka:4.3.0"
POSTGRESQL = "docker.io/library/postgres:17"
_SOCKET = Path("/var/run/docker.sock")
_PORT, _INSIDE, _CONTROLLER = 9092, 19092, 9093


@cache
def engine() -> str | None:
    """Return the name and version of the engine that answers; None if none does."""
    if os.environ.get("TEST_WITH_ENGINE") == "0":
        return None
    if "DOCKER_HOST" not in os.environ and not _SOCKET.exists():
        return None
    import docker  # noqa: PLC0415 - takes a while, and only here
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        said = docker.from_env(timeout=10).version()
    except DockerException:
        return None
    component = said["Components"][0]
    return f"{component['Name']} {component['Version']}"


class EngineBroker:
    """A broker in a container, reached at the same port of 127.0.0.1 from outside."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

        (port,) = free_ports(1)
        self.bootstrap_servers = f"{LOOPBACK}:{port}"
        given = settings("localhost", _PORT, _CONTROLLER) | {
            # It reaches itself, for the markers of transactions, by a listener of its own.
            "listeners": f"BROKER://:{_PORT},INSIDE://:{_INSIDE},CONTROLLER://:{_CONTROLLER}",
            "advertised.listeners": f"BROKER://{self.bootstrap_servers},"
            f"INSIDE://localhost:{_INSIDE}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,INSIDE:PLAINTEXT,"
            "CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "INSIDE",
            "log.dirs": "/tmp/kraft-logs",  # noqa: S108 - the container's
        }
        self._container = DockerContainer(KAFKA).with_bind_ports(_PORT, port)
        for name, value in given.items():
            self._container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
        self._container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))

    @property
    def description(self) -> str:
        return f"{KAFKA} by testcontainers, {engine()}, {self.bootstrap_servers}"

    def __enter__(self) -> Self:
        self._container.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.stop()


@contextmanager
def postgresql() -> Iterator[str]:
    """Have an empty server; yield the address of its database as SQLAlchemy reads it."""
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415

    password = secrets.token_hex(8)
    with PostgresContainer(
        POSTGRESQL, username="tester", password=password, dbname="tests", driver="psycopg"
    ) as server:
        yield server.get_connection_url()
