"""The life of an instance: how it begins, and what is said of its end."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.bootstrap import streaming
from app.cli import app
from app.domain.errors import DsModelsError, FeedError, PartitionsLost
from app.stream.service import StreamService

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@pytest.fixture
def own_signals_and_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for name in THREADS:
        monkeypatch.setenv(name, "8")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals_and_environment")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_instance_that_is_stopped_while_it_starts_ends_as_asked(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def told_to_stop(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), number)
        raise AssertionError("it went on")

    monkeypatch.setattr(streaming, "stream_service", told_to_stop)
    assert CliRunner().invoke(app, ["run"]).exit_code == 0


@pytest.mark.usefixtures("own_signals_and_environment")
def test_an_instance_computes_with_one_thread_before_a_library_could_start_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, str] = {}

    class Service:
        def run(self) -> None:
            seen.update({name: os.environ[name] for name in THREADS})

    monkeypatch.setattr(streaming, "stream_service", lambda *_, **__: Service())
    assert CliRunner().invoke(app, ["run"]).exit_code == 0
    assert set(seen.values()) == {"1"}


class Application:
    """What is asked of the application once its run has raised."""

    def __init__(self, failure: Exception | None = None, *, left_the_loop: bool = True) -> None:
        self.failure = failure
        self.left_the_loop = left_the_loop


def ended(application: Application, error: Exception) -> None:
    """Say what ended the service of this application, whose run raised `error`."""
    service = object.__new__(StreamService)
    service._app = application  # type: ignore[assignment]
    service._raise_what_ended_it(error)


def test_the_first_failure_is_told_and_not_what_went_wrong_while_leaving() -> None:
    first = FeedError("the feed ended")
    with pytest.raises(FeedError, match="the feed ended"):
        ended(Application(first), RuntimeError("the consumer can't be closed"))


def test_what_goes_wrong_while_leaving_as_asked_is_a_warning() -> None:
    with capture_logs() as logs:
        ended(Application(), RuntimeError("the consumer can't be closed"))
    assert [entry["event"] for entry in logs] == ["stream.left_untidily"]


def test_a_failure_before_the_loop_is_told_as_it_is() -> None:
    with pytest.raises(ValueError, match="no such topic"):
        ended(Application(left_the_loop=False), ValueError("no such topic"))


def test_what_kafka_raises_is_told_as_an_error_of_ours_with_its_cause() -> None:
    foreign = KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
    with pytest.raises(PartitionsLost) as told:
        ended(Application(foreign), foreign)
    assert told.value.__cause__ is foreign
    assert isinstance(told.value, DsModelsError)
