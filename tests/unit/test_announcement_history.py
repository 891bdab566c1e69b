"""The announcement topic as a person reads it."""

import pytest

from app.domain.plans import Announcement, Entry, Plan, Void
from app.tools.announcement_history import history, show
from app.topics.announcements import Ignored

NOW_MS = 1_700_000_000_000


def plan(offset: int, version: str = "7", why: str | None = None) -> Plan:
    announced = Announcement(
        "m", version, "uri", "sha256:" + "0" * 64, ("x",), 1000, f"{offset}", why=why
    )
    return Plan(offset, NOW_MS - 60_000, announced)


ENTRIES: list[Entry | Ignored] = [
    plan(0),
    plan(1, "8", why="it is better"),
    Ignored(2, "null", "the message has no value"),
    Void(3, NOW_MS - 1_000, "m", 1, "its files are gone", "e"),
]


def test_a_voided_plan_says_by_what_and_why_and_the_one_before_it_is_in_force() -> None:
    first, voided, ignored, void = history(ENTRIES, NOW_MS)
    assert [row["status"] for row in (first, voided, ignored, void)] == [
        *("in force", "voided", "ignored", "void")
    ]
    assert (voided["voided_by"], voided["voided_why"]) == (3, "its files are gone")
    assert voided["why"] == "it is better"
    assert (void["voids"], void["why"]) == (1, "its files are gone")
    assert "why" not in first
    assert "voided_by" not in first


def test_the_table_says_both_reasons(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    show(history(ENTRIES, NOW_MS))
    shown = " ".join(capsys.readouterr().out.split())
    assert "by offset 3: its files are gone" in shown
    assert "offset 1: its files are gone" in shown


def test_a_reason_can_neither_move_the_cursor_nor_be_taken_for_markup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(history([plan(0, version="\x1b[2J", why="[red]\x1b[31m[/]")], NOW_MS))
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]" in shown
