"""What the instance says of itself on the status topic, for `status` and whoever else looks."""

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import astuple
from importlib.metadata import version
from typing import Any, Self

import msgspec
import structlog
from confluent_kafka import KafkaException, Producer

from app.telemetry.metrics import Served, State
from app.topics import status
from app.topics.status import Doing, Report

log = structlog.get_logger()


class StatusReports:
    """A thread that reports now and then, and at once when something changed. A context manager.

    A report that can't be sent is dropped: the next one says more. It never ends the instance.

    Args:
        config: Of a Kafka client.
        topic: The status topic.
        address: Of the instance's metrics and health.
        state: Asked once a second, and whenever it has changed, from this thread.
        changed: Set by whoever knows that the state has changed.
        every_s: The longest time between two reports.
        look_s: How often the state is asked for.
        clock_ms: Unix milliseconds.
    """

    def __init__(
        self,
        config: dict[str, Any],
        topic: str,
        address: str,
        state: Callable[[], State],
        changed: threading.Event,
        *,
        every_s: float = 5.0,
        look_s: float = 1.0,
        clock_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        self._producer = Producer({**config, "acks": "all", "message.timeout.ms": 5_000})
        self._topic = topic
        self._address = address
        self._state = state
        self._changed = changed
        self._every_ms = round(every_s * 1000)
        self._look_s = look_s
        self._clock_ms = clock_ms
        self._started_ms = self._since_ms = round(clock_ms())
        self._doing: tuple[Doing, str | None] = ("starting", None)
        self._told: Report | None = None
        self._told_at_ms = 0
        self._stops = False
        self._thread = threading.Thread(target=self._work, name="status-reports", daemon=True)
        self.instance = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the word back, if the broker answers at once."""
        self._stops = True
        self._changed.set()
        self._thread.join()
        self._send(None)
        self._producer.flush(2)

    def _work(self) -> None:
        while not self._stops:
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - a report must never end the instance
                log.warning("status.not_reported", error=repr(error))
            self._producer.poll(0)
            self._changed.wait(self._look_s)
            self._changed.clear()

    def _look(self) -> None:
        now_ms = round(self._clock_ms())
        state = self._state()
        if (doing := _doing(state)) != self._doing:
            self._doing, self._since_ms = doing, now_ms
        report = self._report(state)
        silent_ms = now_ms - self._told_at_ms
        if silent_ms >= self._every_ms or _without_lag(report) != self._told:
            self._send(status.encode(report))
            self._told, self._told_at_ms = _without_lag(report), now_ms

    def _report(self, state: State) -> Report:
        doing, why = self._doing
        return Report(
            instance=self.instance,
            address=self._address,
            app_version=version("ds-models"),
            started_ms=self._started_ms,
            every_ms=self._every_ms,
            doing=doing,
            why=why,
            since_ms=self._since_ms,
            in_force=None if state.in_force is None else _version(state.in_force),
            loaded=[_version(one) for one in state.loaded],
            lag=dict(state.lag),
            reason=state.reason,
            staged=None if state.staged is None else status.Staging(*astuple(state.staged)),
        )

    def _send(self, value: bytes | None) -> None:
        try:
            self._producer.produce(self._topic, value, self.instance.encode(), 0)
        except (BufferError, KafkaException) as error:
            log.debug("status.not_sent", error=repr(error))


def _doing(state: State) -> tuple[Doing, str | None]:
    if not state.table_is_read:
        return "starting", state.waits_for
    return ("serving" if state.ready else "holding"), state.waits_for


def _without_lag(report: Report) -> Report:
    """Return what it says but how far behind it is, which changes all the time."""
    return msgspec.structs.replace(report, lag=dict.fromkeys(report.lag, 0))


def _version(served: Served) -> status.Version:
    return status.Version(served.model, served.version, served.offset)
