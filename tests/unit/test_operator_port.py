"""The operator's port, over real HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from app.domain.errors import SettingsError
from app.telemetry.http import OperatorPort


class Instance:
    """What the port asks."""

    dead: str | None = None
    waits: str | None = None

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Counter("things", "Things.", registry=self.registry).inc(3)
        self.port = OperatorPort(
            "127.0.0.1",
            0,
            self.registry,
            why_not_alive=lambda: self.dead,
            why_not_ready=lambda: self.waits,
        )


@pytest.fixture
def instance() -> Iterator[Instance]:
    made = Instance()
    with made.port:
        yield made


def ask(instance: Instance, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(instance.port.address + path, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def test_metrics_are_shown_as_prometheus_reads_them(instance: Instance) -> None:
    status, text = ask(instance, "/metrics")
    assert status == 200
    assert "things_total 3.0" in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_an_instance_that_is_well_answers_ok(instance: Instance, path: str) -> None:
    status, text = ask(instance, path)
    assert (status, json.loads(text)) == (200, {"ok": True, "why": None})


def test_an_instance_that_waits_is_alive_and_not_ready(instance: Instance) -> None:
    instance.waits = "no version"
    status, text = ask(instance, "/readyz")
    assert (status, json.loads(text)) == (503, {"ok": False, "why": "no version"})
    assert ask(instance, "/healthz")[0] == 200


def test_an_instance_that_stands_still_is_not_alive(instance: Instance) -> None:
    instance.dead = "still for 400 s"
    assert ask(instance, "/healthz")[0] == 503


def test_another_path_names_those_that_there_are(instance: Instance) -> None:
    status, text = ask(instance, "/metrics/../etc/passwd")
    assert status == 404
    assert "/metrics, /healthz and /readyz" in text


def test_only_reading_is_allowed(instance: Instance) -> None:
    assert ask(instance, "/metrics", "POST")[0] == 405
    assert ask(instance, "/metrics", "HEAD") == (200, "")


def test_a_port_that_is_taken_is_an_error_that_says_what_to_set(instance: Instance) -> None:
    taken = int(instance.port.address.rpartition(":")[2])
    with pytest.raises(SettingsError, match=r"http\.port.*any free port"):
        OperatorPort(
            "127.0.0.1",
            taken,
            instance.registry,
            why_not_alive=lambda: None,
            why_not_ready=lambda: None,
        )
