"""The steps that write a partition anew give each message its old offset."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.backup import steps as module
from app.backup.data_files import Entry
from app.backup.steps import Aborted, Committed, Head, Plain, Step, steps


def message(offset: int) -> Entry:
    return Entry(offset, 0, None, b"v", [])


def written(done: Iterable[Step[Entry]]) -> tuple[dict[int, int], int, int]:
    """Do the steps as Kafka does; return which message stands where, the log's start and end."""
    visible: dict[int, int] = {}
    start = end = 0
    for step in done:
        if isinstance(step, Head):
            assert end == 0, "only an empty log is filled"
            start = end = step.offsets
            continue
        if isinstance(step, Aborted):
            assert step.offsets >= 2, "a message and the marker"
            end += step.offsets
            continue
        assert step.entries, "nothing to write"
        for entry in step.entries:
            visible[end] = entry.offset
            end += 1
        if isinstance(step, Committed):
            end += 1
    return visible, start, end


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Offsets with gaps of every width, the start of the log and its end."""
    start = draw(st.integers(0, 40))
    offsets, place = [], start
    for gap in draw(st.lists(st.integers(0, 4) | st.integers(0, 60), max_size=60)):
        place += gap
        offsets.append(place)
        place += 1
    return offsets, start, place + draw(st.integers(0, 5))


@given(logs(), st.integers(1, 7), st.integers(3, 9))
def test_each_message_gets_the_offset_it_had(
    log: tuple[list[int], int, int], at_once: int, aborted_at_once: int
) -> None:
    offsets, start, end = log
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", at_once)
        patch.setattr(module, "_ABORTED_AT_ONCE", aborted_at_once)
        done = list(steps(map(message, offsets), start, end))
    visible, new_start, new_end = written(done)
    assert visible == {offset: offset for offset in offsets}
    assert new_end == end
    first = offsets[0] if offsets else end
    assert new_start == (first if first == start + 1 else start)
    for step in done:
        if isinstance(step, Plain | Committed):
            assert len(step.entries) <= at_once
        if isinstance(step, Aborted):
            assert step.offsets <= aborted_at_once


def test_a_long_run_is_written_without_a_transaction_but_for_its_end() -> None:
    kinds = [type(step).__name__ for step in steps(map(message, range(2_500)), 0, 2_501)]
    assert kinds == ["Plain", "Plain", "Committed"]


def test_large_messages_are_written_few_at_a_time() -> None:
    large = [Entry(offset, 0, None, b"x" * 1_000_000, []) for offset in range(10)]
    assert max(len(s.entries) for s in steps(large, 0, 10) if isinstance(s, Plain)) == 4


@pytest.mark.parametrize(
    ("offsets", "start", "end"), [([3, 3], 0, 9), ([3, 2], 0, 9), ([3], 4, 9), ([9], 0, 9)]
)
def test_offsets_that_can_not_be_are_refused(offsets: list[int], start: int, end: int) -> None:
    with pytest.raises(ValueError, match="out of order"):
        list(steps(map(message, offsets), start, end))
