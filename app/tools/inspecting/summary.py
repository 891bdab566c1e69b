"""What the rows of a topic are together: how many, of what, how fast, at which prices."""

import math
import random
from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.domain.times import moment
from app.tools.inspecting.filters import reason_of, version_of
from app.tools.inspecting.rows import Row

QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
"""In percent; 0 is the least price, 100 the largest."""

_KEPT = 1_000_000  # prices; of more, so many at random
_STEPS = 100_000  # of a timeline, before they are made longer
_BINS = 12
_SECOND_MS = 1_000
_COLUMNS = 60


@dataclass(slots=True)
class Timeline:
    """How many messages came in each second; in longer steps once they are too many.

    Attributes:
        step_s: The length of a step.
        counts: By the number of the step since the epoch.
    """

    step_s: int = 1
    counts: Counter[int] = field(default_factory=Counter)

    def add(self, unix_ms: int) -> None:
        """Count a message."""
        self.counts[unix_ms // (_SECOND_MS * self.step_s)] += 1
        if len(self.counts) > _STEPS:
            self.lengthen()

    def lengthen(self) -> None:
        """Make two steps one."""
        longer: Counter[int] = Counter()
        for step, count in self.counts.items():
            longer[step // 2] += count
        self.counts, self.step_s = longer, 2 * self.step_s

    def peak(self) -> tuple[float, int] | None:
        """Return the most messages a second of any step, and when it began in Unix milliseconds.

        >>> line = Timeline()
        >>> for time in (500, 1_200, 1_900): line.add(time)
        >>> line.peak()
        (2.0, 1000)
        """
        if not self.counts:
            return None
        step, count = max(self.counts.items(), key=lambda item: (item[1], -item[0]))
        return count / self.step_s, step * self.step_s * _SECOND_MS

    def columns(self, most: int = _COLUMNS) -> list[int]:
        """Return the counts over time in at most so many equal columns."""
        if not self.counts:
            return []
        first, last = min(self.counts), max(self.counts)
        width = -(-(last - first + 1) // most)
        columns = [0] * ((last - first) // width + 1)
        for step, count in self.counts.items():
            columns[(step - first) // width] += count
        return columns


@dataclass(slots=True)
class Prices:
    """The prices of signals: all of them, or of very many as many as fit, each as likely.

    Attributes:
        count: How many there were.
    """

    count: int = 0
    _kept: "array[float]" = field(default_factory=lambda: array("d"))
    _chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - a sample

    def add(self, price: float) -> None:
        """Take a price in."""
        self.count += 1
        if len(self._kept) < _KEPT:
            self._kept.append(price)
        elif (at := self._chance.randrange(self.count)) < _KEPT:
            self._kept[at] = price

    @property
    def sampled(self) -> bool:
        """Whether some were left out."""
        return self.count > len(self._kept)

    def quantiles(self) -> dict[int, float]:
        """Return a price for each of `QUANTILES`; one must have been taken in."""
        found = np.percentile(self._kept, QUANTILES, method="nearest")
        return dict(zip(QUANTILES, found.tolist(), strict=True))

    def histogram(self) -> list[tuple[float, float, int]]:
        """Return the lower and upper bound of equally wide bins, and how many prices are there.

        One bin if all prices are the same, or nearer or further apart than a float can say. The
        last bin has its upper bound in it.
        """
        least, largest = min(self._kept), max(self._kept)
        one = [(least, largest, len(self._kept))]
        if not 0 < largest - least < math.inf:
            return one
        try:
            counts, edges = np.histogram(self._kept, bins=_BINS)
        except ValueError:  # there are fewer floats between them than bins
            return one
        bounds = edges.tolist()
        return list(zip(bounds[:-1], bounds[1:], counts.tolist(), strict=True))


@dataclass(slots=True)
class Summary:
    """What rows are together.

    Attributes:
        rows: How many.
        first_ms: The earliest append time, in Unix milliseconds; None without rows.
        last_ms: The latest.
        kinds: How many rows of each kind.
        partitions: How many of each partition.
        versions: How many of each model version.
        reasons: How many of each reason.
    """

    rows: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    partitions: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    timeline: Timeline = field(default_factory=Timeline)
    prices: Prices = field(default_factory=Prices)

    def add(self, row: Row) -> None:
        """Take a row in."""
        self.rows += 1
        time = row.appended_ms
        self.first_ms = time if self.first_ms is None else min(time, self.first_ms)
        self.last_ms = time if self.last_ms is None else max(time, self.last_ms)
        self.kinds[row.kind] += 1
        self.partitions[row.partition] += 1
        self.timeline.add(time)
        if (version := version_of(row)) is not None:
            self.versions[version] += 1
        if (reason := reason_of(row)) is not None:
            self.reasons[reason] += 1
        if row.kind == "signal":
            self.prices.add(row.fields["predicted_price"])

    def mean_rate(self) -> float | None:
        """Return the messages a second from the first to the last; None if that is no second."""
        if (
            self.first_ms is None
            or self.last_ms is None
            or self.last_ms - self.first_ms < _SECOND_MS
        ):
            return None
        return self.rows * _SECOND_MS / (self.last_ms - self.first_ms)


def summary_of(rows: Iterable[Row]) -> Summary:
    """Take all rows in."""
    summary = Summary()
    for row in rows:
        summary.add(row)
    return summary


def as_dict(topic: str, summary: Summary) -> dict[str, Any]:
    """Return it for programs; docs/schemas/inspect.json has the fields."""
    peak = summary.timeline.peak()
    return {
        "topic": topic,
        "messages": summary.rows,
        "first": None if summary.first_ms is None else moment(summary.first_ms),
        "last": None if summary.last_ms is None else moment(summary.last_ms),
        "per_second": {
            "mean": summary.mean_rate(),
            "peak": None if peak is None else peak[0],
            "peak_at": None if peak is None else moment(peak[1]),
            "peak_over_s": summary.timeline.step_s,
        },
        "kinds": dict(summary.kinds.most_common()),
        "partitions": {str(number): count for number, count in sorted(summary.partitions.items())},
        "versions": dict(summary.versions.most_common()),
        "reasons": dict(summary.reasons.most_common()),
        "price": _price(summary.prices) if summary.prices.count else None,
    }


def _price(prices: Prices) -> dict[str, Any]:
    return {
        "count": prices.count,
        "sampled": prices.sampled,
        "quantiles": {str(percent): price for percent, price in prices.quantiles().items()},
        "histogram": [
            {"from": low, "to": high, "count": count} for low, high, count in prices.histogram()
        ],
    }
