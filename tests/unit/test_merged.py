"""The metrics and the health of several workers behind one port."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from app.telemetry.http import OperatorPort
from app.telemetry.merged import Merged

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


@contextmanager
def worker(
    lag: float, *, not_alive: str | None = None, not_ready: str | None = None
) -> Iterator[str]:
    registry = CollectorRegistry()
    Gauge("ds_models_lag_records", "Lag.", ["partition"], registry=registry).labels("0").set(lag)
    port = OperatorPort(
        "127.0.0.1",
        0,
        registry,
        why_not_alive=lambda: not_alive,
        why_not_ready=lambda: not_ready,
    )
    with port:
        yield port.address


@pytest.fixture
def gone() -> str:
    """Where one answered until a moment ago."""
    with worker(0) as address:
        return address


def read(merged: Merged) -> str:
    registry = CollectorRegistry()
    registry.register(merged)
    return generate_latest(registry).decode()


def test_each_sample_has_the_number_of_its_worker_and_the_text_of_a_metric_is_there_once() -> None:
    with worker(5) as first, worker(7) as second:
        text = read(Merged(lambda: {1: first, 2: second}))
    assert 'ds_models_lag_records{partition="0",worker="1"} 5.0' in text
    assert 'ds_models_lag_records{partition="0",worker="2"} 7.0' in text
    assert text.count("# TYPE ds_models_lag_records gauge") == 1


def test_a_worker_that_does_not_answer_is_left_out_and_said_to_be_down(gone: str) -> None:
    with worker(5) as first:
        text = read(Merged(lambda: {1: first, 2: gone, 3: None}))
    ups = re.findall(r'ds_models_worker_up\{worker="(.)"\} (.)', text)
    assert ups == [("1", "1"), ("2", "0"), ("3", "0")]
    assert 'ds_models_lag_records{partition="0",worker="1"} 5.0' in text
    assert "| `ds_models_worker_up` | gauge | `worker` |" in PAGE


def test_all_are_ready_when_each_is() -> None:
    with worker(0) as first, worker(0) as second:
        assert Merged(lambda: {1: first, 2: second}).why_not_ready() is None


def test_one_that_is_not_ready_is_named_with_its_reason(gone: str) -> None:
    with worker(0) as first, worker(0, not_ready="no model") as second:
        assert Merged(lambda: {1: first, 2: second}).why_not_ready() == "worker 2: no model"
        assert Merged(lambda: {1: first, 2: None}).why_not_ready() == "worker 2 starts"
        assert Merged(lambda: {1: gone, 2: second}).why_not_ready() == "worker 1 does not answer"


def test_one_that_hangs_is_named_and_one_that_is_away_is_started_anew_by_itself(gone: str) -> None:
    with worker(0) as first, worker(0, not_alive="it hangs") as second:
        assert Merged(lambda: {1: first, 2: gone, 3: None}).why_not_alive() is None
        assert Merged(lambda: {1: first, 2: second}).why_not_alive() == "worker 2: it hangs"
