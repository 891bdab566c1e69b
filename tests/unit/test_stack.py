"""compose.yaml and `.env`: no secret by default, ports on loopback only, nobody privileged."""

import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrastructure.stack import environment

FOLDER = Path(__file__).parents[2] / "infrastructure"
TEXT = (FOLDER / "compose.yaml").read_text()
STACK: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
each_service = pytest.mark.parametrize("service", SERVICES)


def test_a_secret_has_no_default_and_its_absence_names_the_command() -> None:
    variables = re.findall(r"\$\{(\w+)([^}]*)\}", TEXT)
    secret = re.compile("PASSWORD|SECRET|CREDENTIAL|IDENTITY|KEY|CLUSTER")
    assert {name for name, _ in variables if secret.search(name)} >= {"POSTGRES_PASSWORD"}
    for name, rest in variables:
        if secret.search(name):
            assert rest == ":?run `make stack-env` first", name
        else:
            assert rest.startswith(":-"), name


def test_env_gives_all_that_the_stack_asks_for_and_each_time_anew() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", TEXT))
    first, second = environment.made(), environment.made()
    assert asked <= set(first)
    assert not [name for name in asked & set(first) if first[name] == second[name] != "admin"]


def test_env_is_its_owners_alone_and_one_that_is_there_stays(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    assert environment.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert not environment.write(file)
    assert file.read_text() == before


@each_service
def test_ports_are_on_loopback_only(service: str) -> None:
    for port in SERVICES[service].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port)


@each_service
def test_nobody_has_more_than_it_needs(service: str) -> None:
    its = SERVICES[service]
    assert its["cap_drop"] == ["ALL"]
    assert its["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in its
    assert "container_name" not in its  # it could not be scaled
    assert not its["image"].endswith(":latest")
    if its["image"].startswith("${IMAGE"):
        assert its["read_only"]


@each_service
def test_what_crashes_is_started_anew_whatever_else_does_not_run(service: str) -> None:
    assert "depends_on" not in SERVICES[service]  # podman would wait for what has ended
    assert SERVICES[service]["restart"] == ("no" if service == "set-up" else "unless-stopped")


def test_what_is_stored_is_reached_only_by_those_that_need_it() -> None:
    assert STACK["networks"]["storage"] == {"internal": True}
    inside = {name for name, its in SERVICES.items() if "storage" in its["networks"]}
    assert inside == {"postgres", "s3", "mlflow", "set-up", "registry"}
    assert all("ports" not in SERVICES[name] for name in ("postgres", "s3"))


def test_every_volume_is_declared_and_every_mounted_file_is_there() -> None:
    mounts = [volume for its in SERVICES.values() for volume in its.get("volumes", [])]
    names = {mount.split(":")[0] for mount in mounts}
    assert {name for name in names if not name.startswith(".")} == set(STACK["volumes"])
    assert all((FOLDER / name).is_file() for name in names if name.startswith("."))
