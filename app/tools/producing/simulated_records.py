"""Records of a simulated economy without end: what `produce` writes unless it is given history."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from app.domain.records import FEATURES
from app.tools.producing.samples import Sample, Spoiler
from app.tools.producing.seasons import shift
from app.tools.producing.series import simulate_many

_MONTHS = 480  # of a series, before its history begins anew
_SIDE_BY_SIDE = 32  # series that are simulated at once: one alone costs almost the same


def records(
    seed: int, bad_share: float = 0.0, series: int = 8, max_bytes: int = 100_000
) -> Iterator[Sample]:
    """Return records without end, neither with seasons nor with a drift; see `simulated`.

    Args:
        seed: Of everything.
        bad_share: The share of bad records, drawn by chance among all `bad_kinds`.
        series: How many.
        max_bytes: What is longer must be rejected: `records.max_bytes` of the settings.

    Raises:
        ValueError: There is no series, or the share is not within 0 and 1.

    >>> sample = next(records(seed=7))
    >>> sample.key, sample.kind, sample.value[:44]
    (b'economy-7-0', 'good', b'{"id":"economy-7-0-1990-01-0","month":"1990-')
    """
    return simulated(seed, Spoiler(seed, bad_share, max_bytes), series)


def simulated(
    seed: int,
    spoiler: Spoiler,
    series: int = 8,
    *,
    seasonality: float = 0.0,
    drift: float = 0.0,
) -> Iterator[Sample]:
    """Return records without end, the same for the same arguments.

    The series take turns, each in the order of its months; after forty years each begins a new
    history, into which the drift goes on. The `id` is `<series>-<month>-<n>`, with the seed in the
    name of the series and the record's number as n.

    Args:
        seed: Of the economy.
        spoiler: Spoils some.
        series: How many; each has a key of its own, so its records stay in order.
        seasonality: As `app.tools.producing.seasons.shift`.
        drift: As `app.tools.producing.seasons.shift`.

    Raises:
        ValueError: There is no series, or the seasonality or the drift is not finite.
    """
    if series < 1 or not (math.isfinite(seasonality) and math.isfinite(drift)):
        raise ValueError(
            f"{series} series with seasonality {seasonality} and drift {drift} can't be had"
        )
    return (
        spoiler.sample(name, record | {"id": f"{record['id']}{number}"})
        for number, (name, record) in enumerate(_good_records(seed, series, seasonality, drift))
    )


def _good_records(
    seed: int, series: int, seasonality: float, drift: float
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield key and record without end; the `id` still lacks its number."""
    names = [f"economy-{seed}-{number}" for number in range(series)]
    keys = [name.encode() for name in names]
    histories = max(1, _SIDE_BY_SIDE // series)
    block = 0
    while True:
        begins = _MONTHS * (block * histories + np.arange(histories * series) // series)
        moved = shift(begins, _MONTHS, seasonality, drift) if seasonality or drift else None
        past = simulate_many(histories * series, _MONTHS, (seed, block), shift=moved)
        block += 1
        by_history = past.features().reshape(histories, series, _MONTHS, len(FEATURES))
        for history in by_history:
            for month, rows in zip(past.months, np.swapaxes(history, 0, 1).tolist(), strict=True):
                for key, name, row in zip(keys, names, rows, strict=True):
                    identity = {"id": f"{name}-{month}-", "month": month}
                    yield key, identity | dict(zip(FEATURES, row, strict=True))
