"""Seasons and drift: by how much the economy of `series` is moved on purpose, month by month."""

import numpy as np
import numpy.typing as npt

_YEAR = 12
_STRENGTHS = np.array([0.5, 0.0, 1.0])[:, None]  # interest has the season of inflation anyway
_PEAKS = np.array([4, 0, 11])[:, None]  # inflation in May, printing at the end of the year
_FURTHEST = 2.0  # beyond it, the bounded features would hardly vary any more


def shift(
    begins: npt.NDArray[np.int64], months: int, seasonality: float, drift: float
) -> npt.NDArray[np.float64]:
    """Return the shift of the states in standard deviations, of shape (months, 3, series).

    The three states are those of inflation, interest and printing.

    Args:
        begins: For each series how many months have passed since the drift began.
        months: Of each series.
        seasonality: The amplitude of the yearly cycle of printing; that of inflation is half of
            it, and interest follows inflation.
        drift: By how much all states rise in a year. They stay once they have moved by 2.

    >>> moved = shift(np.array([0, 480]), months=13, seasonality=0.0, drift=0.01)
    >>> moved.shape, moved[[0, 12], 2].round(2).tolist()
    ((13, 3, 2), [[0.0, 0.4], [0.01, 0.41]])
    """
    month = np.arange(months)[:, None, None]
    season = seasonality * _STRENGTHS * np.cos(2 * np.pi * (month - _PEAKS) / _YEAR)
    moved = np.clip(drift * (begins + month) / _YEAR, -_FURTHEST, _FURTHEST)
    both: npt.NDArray[np.float64] = season + moved
    return both
