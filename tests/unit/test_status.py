"""What `status` says: who is live, what is wrong, and for programs all that the page lists."""

import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from app.domain.plans import Announcement, Plan, PlanTable
from app.tools.watching.screen import screen
from app.tools.watching.status import PartitionLag, Status, as_dict, status_of
from app.topics import status
from app.topics.messages import Message
from app.topics.status import Heard, Report, Version, newest

PAGE = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
NOW_MS = 1_700_000_000_000
SERVED = Version("m", "7", 3)
REPORT = Report(
    instance="host-1-abc",
    address="http://127.0.0.1:1",
    app_version="0",
    started_ms=NOW_MS - 60_000,
    every_ms=5_000,
    doing="serving",
    why=None,
    since_ms=NOW_MS - 50_000,
    in_force=SERVED,
    loaded=[SERVED],
    lag={0: 5, 2: 0},
)


def report(**changes: Any) -> Report:
    return msgspec.structs.replace(REPORT, **changes)


def message(offset: int, key: bytes | None, value: bytes | None) -> Message:
    return Message(offset, NOW_MS + offset, key, value)


def plan(version: str, offset: int, appended_ms: int) -> Plan:
    announced = Announcement("m", version, "uri", "digest", ("x",), 1000, version)
    return Plan(offset, appended_ms, announced)


def status_with(*instances: Heard) -> Status:
    table = PlanTable.of([plan("7", 3, NOW_MS - 9_000), plan("8", 4, NOW_MS - 500)])
    return status_of(NOW_MS, "group", table, instances, {0: 10, 1: 0}, {0: 4, 1: 0}, 0.5, 3)


def heard(doing: status.Doing = "serving", why: str | None = None, age_ms: int = 0) -> Heard:
    return Heard(report(doing=doing, why=why), NOW_MS - age_ms)


def test_the_newest_report_of_each_instance_counts_and_a_null_takes_it_back() -> None:
    found = newest(
        [
            message(0, b"a", status.encode(report(instance="a", doing="starting"))),
            message(1, b"b", status.encode(report(instance="b"))),
            message(2, b"a", status.encode(report(instance="a"))),
            message(3, b"c", status.encode(report(instance="c"))),
            message(4, b"b", None),
            message(5, b"c", b"of another version"),
            message(6, None, b"{}"),
        ]
    )
    assert [(one.report.instance, one.report.doing, one.appended_ms) for one in found] == [
        ("a", "serving", NOW_MS + 2)
    ]


def test_all_is_well_if_every_live_instance_serves() -> None:
    assert status_with(heard()).holds is None
    assert status_with(heard(), heard("starting", "it starts")).holds is None


def test_an_instance_that_holds_is_named_with_what_it_waits_for() -> None:
    found = status_with(heard(), heard("holding", "no version"), heard("holding", "a flood"))
    assert found.held == ["host-1-abc holds: no version", "host-1-abc holds: a flood"]
    assert found.holds == "; ".join(found.held)


def test_an_instance_that_is_silent_counts_as_none() -> None:
    assert status_with(heard(age_ms=15_000)).holds is None
    silent = status_with(heard("holding", "no version", age_ms=15_001))
    assert silent.holds == "no instance is live"
    assert status_with().holds == "no instance is live"


def test_an_instance_that_was_killed_is_shown_for_an_hour() -> None:
    an_hour = 3_600_000
    assert len(status_with(heard(age_ms=an_hour), heard(age_ms=an_hour + 1)).instances) == 1


def test_the_lag_has_a_trend_where_it_is_known_twice() -> None:
    assert status_with().lag == (
        PartitionLag(0, 4, -12.0),
        PartitionLag(1, 0, 0.0),
        PartitionLag(2, None, None),
    )


def test_plans_in_force_and_coming_are_told_apart() -> None:
    found = status_with()
    assert found.in_force is not None
    assert found.in_force.offset == 3
    assert [one.offset for one in found.coming] == [4]


def test_the_page_lists_the_fields_that_a_program_gets_and_no_other() -> None:
    found = as_dict(status_with(heard()))
    first, second = re.findall(r"\| field.*?\n\|[-|]+\n((?:\|.*\n)+)", PAGE)
    listed = [set(re.findall(r"^\| `(\w+)`", rows, re.MULTILINE)) for rows in (first, second)]
    assert listed == [set(found), set(found["instances"][0])]
    assert set(found["in_force"]) == set(found["coming"][0])
    for name in ("model", "version", "offset", "effective", "partition", "lag", "change"):
        assert f"`{name}`" in first


def test_the_screen_says_what_holds_and_nothing_of_a_report_reaches_the_terminal_raw() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    held = heard("holding", "[bold]no\x1b[31m version")
    named = msgspec.structs.replace(held.report, reason="no_plan", lag={0: 99, 1: 99})
    held = msgspec.structs.replace(held, report=named)
    console.print(screen(status_with(held)))
    shown = console.export_text()
    assert "[bold]no" in shown
    assert "\x1b" not in shown
    assert "▼ 12/s" in shown
    assert re.search(r"holding .* 0, 1 +│ 4 +│.*\n.*│ no_plan ", shown)
    assert "unknown" in shown


@pytest.mark.parametrize("module", ["watching", "messages"])
def test_what_only_looks_starts_without_the_imports_of_a_model(module: str) -> None:
    slow = "{'mlflow', 'numpy', 'pandas', 'quixstreams'}"
    ask = f"import sys; import app.cli, app.bootstrap.{module}; print({slow} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
