"""A version that is staged: what counts, what ends it, and how far instances are with it."""

from dataclasses import replace

import pytest
from rich.console import Console

from app.domain.plans import NO_PLAN, Announcement, Entry, PlanTable, Staged, Unstaged, Void
from app.tools.announcement_history import history
from app.tools.inspecting.rows import decoders, row_of
from app.tools.watching import staging
from app.tools.watching.staging import Progress, progress_of, reached, who_lacks
from app.topics import announcements, status
from app.topics.announcements import Ignored, read_all
from app.topics.messages import Message
from app.topics.records import RecordDecoder
from app.topics.status import Heard, Report, Staging

ANNOUNCEMENT = Announcement("m", "3", "models:/m/3", "sha256:" + "0a" * 32, ("x",), 0, "event")


def named(offset: int, replaces: int | None = None) -> Announcement:
    return replace(ANNOUNCEMENT, event_id=f"{offset}", replaces=replaces)


def message(offset: int, wire: announcements.Wire) -> Message:
    key, value, headers = wire
    return Message(offset, 42, key, value, tuple(headers), "registry")


def plan(offset: int, replaces: int | None = None) -> Message:
    return message(offset, announcements.encode(named(offset, replaces)))


def staged(offset: int, replaces: int | None = None) -> Message:
    return message(offset, announcements.encode_staged(named(offset, replaces)))


def unstaged(offset: int, staged_offset: int) -> Message:
    end = Unstaged(-1, 0, "m", staged_offset, "not all loaded it", f"{offset}")
    return message(offset, announcements.encode_unstaged(end))


def read(*messages: Message) -> list[Entry | Ignored]:
    return read_all(messages, "m")


def table(*messages: Message) -> PlanTable:
    return PlanTable.of(entry for entry in read(*messages) if not isinstance(entry, Ignored))


def test_what_is_encoded_is_read_back() -> None:
    assert read(staged(4, NO_PLAN), unstaged(5, 4)) == [
        Staged(4, 42, named(4, NO_PLAN)),
        Unstaged(5, 42, "m", 4, "not all loaded it", "5"),
    ]


def test_it_changes_nothing_of_what_is_in_force() -> None:
    found = table(plan(0), staged(1))
    assert found.staged is not None
    assert replace(found, staged=None) == table(plan(0))


@pytest.mark.parametrize(
    ("after", "is_staged"),
    [
        ([], 1),
        ([unstaged(2, 1)], None),
        ([unstaged(2, 0)], 1),
        ([plan(2)], None),
        ([plan(2, 7)], 1),  # outrun: no plan
        ([staged(2)], 2),
        ([staged(2), unstaged(3, 1)], 2),
        ([staged(2, 7)], 1),
        ([plan(2), unstaged(3, 1)], None),
    ],
)
def test_the_newest_is_staged_until_a_plan_or_an_unstaging_of_it(
    after: list[Message], is_staged: int | None
) -> None:
    found = table(plan(0), staged(1, 0), *after).staged
    assert (found and found.offset) == is_staged


def test_what_does_not_count_is_outrun_or_a_duplicate() -> None:
    entries = read(plan(0), staged(1, 9), staged(2, 0), unstaged(3, 1), staged(4), staged(4))
    kinds = [
        entry.kind if isinstance(entry, Ignored) else type(entry).__name__ for entry in entries
    ]
    assert kinds == ["Plan", "outrun", "Staged", "outrun", "Staged", "Staged"]
    again = read(staged(1), replace(staged(1), offset=2))
    assert isinstance(again[1], Ignored)
    assert again[1].kind == "duplicate"


def test_a_void_leaves_it_staged() -> None:
    found = table(plan(0), plan(1), staged(2))
    voided = found.with_void(Void(3, 42, "m", 1, "gone", "void"))
    assert voided.staged == found.staged


def test_the_history_says_what_is_staged_and_what_was() -> None:
    rows = history(read(plan(0), staged(1), unstaged(2, 1), staged(3)), 10**15)
    assert [row["status"] for row in rows] == ["in force", "was staged", "unstaged", "staged"]
    assert (rows[2]["unstages"], rows[2]["why"]) == (1, "not all loaded it")
    assert rows[3]["version"] == "3"


def test_inspect_shows_both() -> None:
    known = decoders(
        records="records",
        signals="signals",
        dead_letters="letters",
        announcements="registry",
        status="status",
        record_decoder=RecordDecoder(),
        model_name="m",
    )
    first, second = (row_of(one, known) for one in (staged(0), unstaged(1, 0)))
    assert (first.kind, first.fields["model_version"]) == ("staged", "3")
    assert "effective" not in first.fields
    assert (second.kind, second.fields["staged_offset"]) == ("unstaged", 0)


# --- how far instances are ---

NOW_MS = 1_700_000_000_000


def heard(name: str, staged: Staging | None, age_ms: int = 0) -> Heard:
    report = Report(name, "", "1", 0, 5_000, "serving", None, 0, None, [], {}, staged=staged)
    return Heard(status.decode(status.encode(report)), NOW_MS - age_ms)


def at(offset: int, why_not: str | None = None) -> Staging:
    return Staging("m", "3", offset, why_not)


def test_an_instance_has_it_once_it_says_so_of_this_very_offset() -> None:
    found = progress_of(
        [
            heard("a", at(7)),
            heard("b", at(7, "m version 3 is being loaded")),
            heard("c", at(6)),
            heard("d", None),
            heard("gone", None, age_ms=15_001),
        ],
        NOW_MS,
        7,
    )
    assert [(one.instance, one.state) for one in found] == [
        *(("a", "loaded"), ("b", "loading"), ("c", "unaware"), ("d", "unaware"))
    ]
    assert not reached(found)
    assert reached(found[:1])
    assert reached([])
    assert who_lacks(found[:3]) == (
        "b (m version 3 is being loaded); c (it has not said that it read of it)"
    )


def test_it_waits_until_all_have_it_or_the_time_is_over() -> None:
    looks = [[Progress("a", "loading")], [Progress("a", "loaded")], [Progress("never", "loaded")]]
    shown: list[object] = []
    found = staging.wait(lambda: looks[len(shown)], shown.append, 60)
    assert (found, len(shown)) == (looks[1], 2)
    late = staging.wait(lambda: looks[0], shown.append, 0)
    assert late == looks[0]


def test_what_an_instance_says_can_not_move_the_cursor() -> None:
    console = Console(record=True, width=100)
    console.print(staging.table_of([Progress("a\x1b[2J", "loading", "[red]\x1b[31m")]))
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "[red]" in shown
