from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, ClassVar

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from infrastructure.commands import Record, Service
from infrastructure.given import Given
from infrastructure.java import find_java, find_maven
from infrastructure.kafka.broker import Broker
from infrastructure.kafka.choice import choose
from infrastructure.kafka.jars import JARS
from infrastructure.local_server import LocalServer
from infrastructure.processes import (
    InfrastructureError,
    Process,
    free_ports,
    group_members,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

APT = "apt-get install openjdk-17-jre-headless maven"


def topics(broker: Broker) -> set[str]:
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    return set(client.list_topics(timeout=10).topics)


def create_topic(broker: Broker, name: str) -> None:
    client = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    client.create_topics([NewTopic(name, 1)])[name].result(10)


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


class StandIn(LocalServer):
    """A server in no time: a script that makes the file `ready` says that it answers."""

    name: ClassVar[str] = "Stand-in"
    start_seconds: ClassVar[float] = 10
    stop_seconds: ClassVar[float] = 0.2

    def __init__(self, data_folder: Path, script: str) -> None:
        super().__init__(data_folder, owned=False)
        self._script = script

    @property
    def address(self) -> str:
        return "nowhere:1"

    @property
    def description(self) -> str:
        return "a stand-in"

    def prepare(self) -> tuple[Sequence[str], Mapping[str, str]]:
        return ["/bin/sh", "-c", self._script], os.environ

    def answers(self) -> bool:
        return (self.data_folder / "ready").exists()

    def process(self) -> Process:
        assert self._child is not None
        assert isinstance(self._child.args, list)
        return Process(self._child.pid, tuple(self._child.args))


SERVES = "touch ready; sleep 60 & wait"


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Service]:
    service = Service(
        variable="STAND_IN",
        record=tmp_path / "server.json",
        stop_seconds=1,
        choose=lambda environment: (
            Given("STAND_IN", environment["STAND_IN"])
            if "STAND_IN" in environment
            else StandIn(tmp_path / "data", SERVES)
        ),
    )
    yield service
    service.down({})


# --- the broker ---


def test_a_topic_survives_a_stop_and_a_start_on_the_same_address(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "kafka", owned=True)
    address = broker.bootstrap_servers

    with broker:
        create_topic(broker, "kept")
    assert not broker.running

    with broker:
        assert broker.bootstrap_servers == address
        assert "kept" in topics(broker)


def test_a_topic_survives_a_crash(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka with a space", owned=True) as broker:
        create_topic(broker, "kept")

        broker.kill()
        broker.start()

        assert "kept" in topics(broker)


def test_a_killed_parent_leaves_no_broker(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from infrastructure.kafka.broker import Broker\n"
        "broker = Broker(Path(sys.argv[1]), owned=True); broker.start()\n"
        "print(broker._child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        broker = int(parent.stdout.readline())
        assert group_members(broker)

        parent.kill()

    wait_until(lambda: not group_members(broker), seconds=20, what="the end of the broker")


def test_the_broker_says_what_it_is_before_it_runs(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    assert broker.description == (
        f"Apache Kafka {JARS.version} (KRaft), local Java, {broker.bootstrap_servers}"
    )
    assert not broker.running


def test_up_starts_one_broker_however_often_it_is_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(
        variable="KAFKA_BOOTSTRAP_SERVERS",
        record=tmp_path / "broker.json",
        stop_seconds=15,
        choose=lambda environment: choose(environment, tmp_path / "data"),
    )
    try:
        service.up({})
        first = Record.of_running(service.record)
        service.up({})
        assert first is not None
        assert Record.of_running(service.record) == first
        assert capsys.readouterr().out.splitlines() == [
            f"running: {first.description} (process {first.pid})",
            f"already running: {first.description} (process {first.pid})",
        ]
    finally:
        service.down({})
    assert not first.process.is_alive()


# --- the choice ---


def test_a_given_broker_is_used_and_none_is_started(tmp_path: Path) -> None:
    with choose({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, tmp_path / "data") as chosen:
        assert chosen.bootstrap_servers == "kafka:9092"
        assert chosen.description == "given by KAFKA_BOOTSTRAP_SERVERS: kafka:9092"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("environment", [{}, {"KAFKA_BOOTSTRAP_SERVERS": ""}])
def test_without_a_given_broker_it_is_a_local_one(
    environment: dict[str, str], tmp_path: Path
) -> None:
    assert isinstance(choose(environment, tmp_path), Broker)


# --- what the machine lacks ---


def test_a_missing_java_is_one_line_with_the_command_that_installs_it() -> None:
    with pytest.raises(InfrastructureError) as raised:
        find_java({"PATH": ""})
    assert str(raised.value) == f"java 17 or newer is missing: {APT}"


def test_a_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    java = executable(tmp_path / "bin" / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    with pytest.raises(InfrastructureError) as raised:
        find_java({"JAVA_HOME": str(tmp_path)})
    assert str(raised.value) == f"{java} is Java 11, 17 or newer is needed: {APT}"


def test_a_missing_maven_is_one_line_with_the_command_that_installs_it() -> None:
    with pytest.raises(InfrastructureError) as raised:
        find_maven({"PATH": ""})
    assert str(raised.value) == f"mvn (Apache Maven) is missing: {APT}"


def test_a_broker_without_java_says_so_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    broker = Broker(tmp_path)
    with pytest.raises(InfrastructureError, match="java 17 or newer is missing"):
        broker.start()
    assert not broker.running


# --- the jars ---


def test_jars_are_brought_once_although_two_ask_at_the_same_time(tmp_path: Path) -> None:
    executable(
        tmp_path / "bin" / "mvn",
        f'echo called >> "{tmp_path}/calls"\n'
        'for word; do case $word in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
        'mkdir -p "$folder"; touch "$folder/kafka.jar"',
    )
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    asked = [
        threading.Thread(target=JARS.ensure, args=(environment, tmp_path / "home"))
        for _ in range(4)
    ]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()

    folder = JARS.ensure({"PATH": ""}, tmp_path / "home")

    assert (folder / "kafka.jar").exists()
    assert (tmp_path / "calls").read_text() == "called\n"


def test_a_failure_of_maven_names_its_log_and_is_tried_again(tmp_path: Path) -> None:
    executable(tmp_path / "mvn", "echo no network; exit 1")
    for _ in range(2):
        with pytest.raises(InfrastructureError, match=r"see .*/maven\.log"):
            JARS.ensure({"PATH": str(tmp_path)}, tmp_path / "home")
    assert (tmp_path / "home" / "maven.log").read_text() == "no network\n"


def test_the_jars_lie_where_git_does_not_look() -> None:
    assert JARS.home.parent.name == ".local"


# --- the life of any local server ---


def test_a_program_that_ends_at_its_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    server = StandIn(tmp_path, "echo first; echo the port is taken; echo; exit 1")
    with pytest.raises(InfrastructureError, match=r"server\.log: the port is taken$"):
        server.start()
    assert not server.running


def test_a_program_that_ignores_the_request_to_end_is_ended_with_its_children(
    tmp_path: Path,
) -> None:
    server = StandIn(tmp_path, "trap '' TERM; sleep 60 & touch ready; wait; wait")
    server.start()
    process = server.process()
    server.stop()
    assert not group_members(process.pid)


def test_a_start_cleans_up_after_a_program_that_crashed(tmp_path: Path) -> None:
    server = StandIn(tmp_path, SERVES)
    server.start()
    first = server.process()
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not server.running, seconds=5, what="the crash")

    with server:
        assert server.process().pid != first.pid
        assert not group_members(first.pid)


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(1024 < port < 32768 for port in ports)


# --- the commands ---


def test_status_and_env_follow_up_and_down(
    stand_in: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stand_in.status({}) == 1
    assert stand_in.up({}) == 0
    assert stand_in.status({}) == 0
    assert stand_in.env({}) == 0
    assert stand_in.down({}) == 0
    assert stand_in.down({}) == 0
    lines = [line.partition(" (process")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "not running",
        "running: a stand-in",
        "running: a stand-in",
        "export STAND_IN=nowhere:1",
        "ended: a stand-in",
        "not running",
    ]


def test_env_fails_when_nothing_runs(stand_in: Service) -> None:
    with pytest.raises(InfrastructureError, match="not running"):
        stand_in.env({})


def test_commands_prefer_the_given_server(
    stand_in: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"STAND_IN": "far:9"}
    assert [stand_in.up(given), stand_in.status(given), stand_in.env(given)] == [0, 0, 0]
    assert capsys.readouterr().out.splitlines() == [
        "given by STAND_IN: far:9 (nothing to start)",
        "given by STAND_IN: far:9",
        "export STAND_IN=far:9",
    ]
    assert not stand_in.record.exists()


def test_down_spares_a_program_that_was_given_the_same_id(stand_in: Service) -> None:
    stand_in.record.write_text(
        f'{{"pid": {os.getpid()}, "command": ["java"], "address": "a", "description": "b"}}'
    )
    assert stand_in.down({}) == 0  # this test process is still there to say so
    assert not stand_in.record.exists()
