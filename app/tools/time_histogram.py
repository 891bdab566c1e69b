"""Counts over time, in steps that a person would choose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_S, _MIN, _H, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(_S, 5 * _S, 10 * _S, 30 * _S),
    *(_MIN, 5 * _MIN, 10 * _MIN, 30 * _MIN),
    *(_H, 3 * _H, 6 * _H, 12 * _H),
    *(_DAY, 7 * _DAY, 28 * _DAY, 364 * _DAY),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """How many there were from a time until before another, in Unix milliseconds."""

    from_ms: int
    until_ms: int
    count: int


def bars(times_ms: Sequence[int], most: int = 12) -> list[Bar]:
    """Return adjoining bars of one width that hold every time; none if there is no time.

    Args:
        times_ms: Unix milliseconds, in any order.
        most: There are not more bars.

    >>> [(bar.from_ms, bar.count) for bar in bars([1_000, 1_999, 3_000])]
    [(1000, 2), (2000, 0), (3000, 1)]
    """
    if not times_ms:
        return []
    first, last = min(times_ms), max(times_ms)
    step = _step(first, last, most)
    counts = Counter(_floors(times_ms, step))
    starts = range(first // step * step, last + 1, step)
    return [Bar(start, start + step, counts[start]) for start in starts]


def _step(first: int, last: int, most: int) -> int:
    for step in _STEPS:
        if last // step - first // step < most:
            return step
    return (last - first) // max(1, most - 1) + 1


def _floors(times_ms: Iterable[int], step: int) -> Iterable[int]:
    return (time // step * step for time in times_ms)
