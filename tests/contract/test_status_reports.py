"""What an instance says of itself on the status topic of a real broker, and when."""

import threading
import time
from dataclasses import replace

from app.stream.status_reports import StatusReports
from app.telemetry.metrics import State
from app.topics import reading, status
from app.topics.messages import Message
from app.topics.status import Report
from tests.harness.world import World, until

WHY = "version 1 can't be loaded"


class Reporting:
    """An instance of which only the state is known, and the newest word of it."""

    def __init__(self, world: World, look_s: float) -> None:
        self.state = State(table_is_read=True, waits_for=WHY, lag={0: 0})
        self._changed = threading.Event()
        self._world = world
        self.reports = StatusReports(
            world.client,
            world.settings.topics.status,
            "http://a:1",
            lambda: self.state,
            self._changed,
            every_s=3_600,
            look_s=look_s,
        )

    def change(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]
        self._changed.set()

    def messages(self) -> list[Message]:
        return list(reading.read(self._world.client, self._world.settings.topics.status))

    def heard(self) -> Report | None:
        found = status.newest(self.messages())
        return found[0].report if found else None

    def heard_holding(self) -> Report | None:
        report = self.heard()
        return report if report is not None and report.reason is not None else None


def test_records_that_begin_to_wait_are_reported_at_once_and_with_their_reason(
    world: World,
) -> None:
    """An hour lies between two looks and two reports: only the change can have brought it."""
    told = Reporting(world, look_s=3_600)
    with told.reports:
        assert until(told.heard).reason is None
        told.change(holds=WHY, reason="refused_by_policy")
        report = until(told.heard_holding)
        assert (report.doing, report.why, report.reason) == ("holding", WHY, "refused_by_policy")
    assert told.heard() is None


def test_how_far_behind_it_is_is_no_change(world: World) -> None:
    told = Reporting(world, look_s=0.01)
    with told.reports:
        until(told.heard)
        for lag in range(20):
            told.change(lag={0: lag})
            time.sleep(0.02)
        told.change(lag={0: 20}, holds=WHY, reason="no_plan")
        assert until(told.heard_holding).lag == {0: 20}
        assert len(told.messages()) == 2
