"""One Apache Kafka broker (KRaft: broker and controller in one process) from its own jars."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infrastructure.java import find_java
from infrastructure.kafka.jars import JARS
from infrastructure.local_server import LocalServer
from infrastructure.processes import (
    LOOPBACK,
    InfrastructureError,
    accepts_connections,
    free_ports,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG4J = Path(__file__).with_name("log4j2.properties")

# What keeps a broker of one node small, quick to start and as strict as one in production. Topics
# keep Kafka's own defaults.
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=BROKER://{host}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
# relative to the working folder: a path of its own would have to be escaped
log.dirs=log
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# After a crash the controller refuses the broker until its former session has run out.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# 128 MB of the heap otherwise
log.cleaner.dedupe.buffer.size=16777216
"""


def settings(host: str, port: int, controller_port: int) -> dict[str, str]:
    """Return the settings of such a broker, which listens at a host's ports."""
    return parsed(_SETTINGS.format(host=host, port=port, controller_port=controller_port))


def parsed(text: str) -> dict[str, str]:
    """Return what stands in lines of properties."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


class Broker(LocalServer):
    """A broker on free ports of 127.0.0.1, with its data and its log in `data_folder`.

    A first start takes about 3 s, a later one 2 s, and one after `kill` 5 s.
    """

    name: ClassVar[str] = "Apache Kafka"

    def __init__(self, data_folder: Path, *, owned: bool = False) -> None:
        super().__init__(data_folder, owned=owned)
        self._port, self._controller_port = free_ports(2)

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address as Kafka clients take it, `127.0.0.1:port`."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def address(self) -> str:
        """The same as `bootstrap_servers`."""
        return self.bootstrap_servers

    @property
    def description(self) -> str:
        """What runs, and where, in one line."""
        return f"Apache Kafka {JARS.version} (KRaft), local Java, {self.bootstrap_servers}"

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Bring the jars, write the settings, and format the storage if there is none yet."""
        environment = dict(os.environ)
        java = find_java(environment)
        classpath = f"{JARS.ensure(environment)}/*"
        logging = f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}"
        file = self.data_folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in self.settings().items()))
        if not (self.data_folder / "log" / "meta.properties").exists():
            quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            self._format([java, *quick, logging, "-cp", classpath], file)
        command = [java, "-Xmx512m", "-Djava.awt.headless=true", logging, "-cp", classpath]
        return [*command, "kafka.Kafka", str(file)], environment

    def answers(self) -> bool:
        """Say whether the broker tells its topics."""
        # The client would complain on standard error of each port that is closed.
        if not accepts_connections(self._port):
            return False
        client = AdminClient({**self.client_config(), "reconnect.backoff.ms": 50})
        try:
            return bool(client.list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    def settings(self) -> dict[str, str]:
        """Return what stands in its `server.properties`."""
        return settings(LOOPBACK, self._port, self._controller_port)

    def format_options(self) -> Sequence[str]:
        """Return what else the storage is formatted with."""
        return ()

    def client_config(self) -> dict[str, Any]:
        """Return the configuration of a client that may do everything."""
        return {"bootstrap.servers": self.bootstrap_servers}

    def _format(self, java: Sequence[str], file: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
        with self.log.open("ab") as output:
            done = subprocess.run(
                [*java, *tool, f"--config={file}", *self.format_options()],
                cwd=self.data_folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise InfrastructureError(f"the broker's storage could not be formatted: {self.log}")
