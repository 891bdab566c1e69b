"""Counts over time: every time is in one bar, and there are not too many."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.tools.time_histogram import bars

TIMES = st.lists(st.integers(0, 4_102_444_800_000), min_size=1)


@given(TIMES, st.integers(2, 20))
def test_every_time_is_in_exactly_one_of_a_few_adjoining_bars(times: list[int], most: int) -> None:
    found = bars(times, most)
    assert 1 <= len(found) <= most
    for bar in found:
        assert bar.count == sum(bar.from_ms <= time < bar.until_ms for time in times)
    assert sum(bar.count for bar in found) == len(times)
    assert all(a.until_ms == b.from_ms for a, b in pairwise(found))
    assert found[0].count
    assert found[-1].count


def test_without_a_time_there_is_no_bar() -> None:
    assert bars([]) == []


def test_steps_are_such_as_a_person_would_choose() -> None:
    hour = 3_600_000
    found = bars([hour // 2, 10 * hour])
    assert (found[0].from_ms, found[0].until_ms, len(found)) == (0, hour, 11)
