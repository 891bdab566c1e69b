"""A plausible treasury economy, month by month: where the demo's and the training's data come from.

The price leans on its own past and on a fair value of the other three features:

- each point of interest takes 4 from the fair value;
- printing supports the price while inflation is low and eats it while inflation is high, an
  interaction that no straight line can follow;
- when money loses value faster than it earns interest, buyers leave: a threshold.

Everything is drawn from a stationary process whose features are bounded, so a long enough sample
covers whatever comes later.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.records import FEATURES

Floats = npt.NDArray[np.float64]

FIRST_YEAR = 1990
LAST_YEAR = 9999  # the last that `YYYY` can say
_YEAR = 12

_BURN_IN = 48  # months after which the start is forgotten: 0.94 ** 48 is 5 %
_MEMORY = np.array([[0.94], [0.94], [0.85]])  # of inflation, interest and printing, per month
_TYPICAL_VOLUME = 500.0
_PAST = 0.45  # the weight of last month's price
_SAMPLE_MONTHS = 480  # of each series of a sample: forty years


@dataclass(frozen=True, slots=True)
class History:
    """One series, or several side by side.

    Every array has the shape (months,) for one series, (series, months) for several.

    Attributes:
        months: `YYYY-MM`, shared by all series.
        treasury_print_volume: In billions of currency, about 200 to 1,250.
        interest_rate: Percent a year, about 0.3 to 8.
        inflation_rate: Percent a year, 0.2 to 8.2.
        previous_month_price: The price of the month before, of the same series.
        price: The truth, in currency, about 60 to 145.
    """

    months: list[str]
    treasury_print_volume: Floats
    interest_rate: Floats
    inflation_rate: Floats
    previous_month_price: Floats
    price: Floats

    def features(self) -> Floats:
        """Return the features as the last axis, in the order of `FEATURES`."""
        return np.stack([getattr(self, name) for name in FEATURES], axis=-1)


def simulate(months: int, seed: Any, noise: float = 0.5) -> History:
    """Return one series of so many months. Another seed gives another series.

    Raises:
        ValueError: As `simulate_many`.

    >>> history = simulate(months=14, seed=1)
    >>> history.months[0], history.months[-1], history.price.shape
    ('1990-01', '1991-02', (14,))
    >>> bool((history.previous_month_price[1:] == history.price[:-1]).all())
    True
    """
    many = simulate_many(1, months, seed, noise)
    return History(many.months, *(getattr(many, name)[0] for name in (*FEATURES, "price")))


def simulate_many(
    series: int, months: int, seed: Any, noise: float = 0.5, shift: Floats | None = None
) -> History:
    """Return independent series of the same economy, side by side.

    Args:
        series: How many.
        months: Of each, from January 1990.
        seed: Whatever `numpy.random.default_rng` takes; the same seed gives the same history.
        noise: Standard deviation of what the features don't explain of a price, in currency.
        shift: Added to the states of inflation, interest and printing, in standard deviations, of
            shape (months, 3, series). Features stay bounded and the price follows them as ever.

    Raises:
        ValueError: No months, or so many that the year has more than four digits.
    """
    names = _month_names(months)
    draws = np.random.default_rng(seed)
    steps = months + _BURN_IN
    inflation, interest, volume = _features(draws.standard_normal((steps, 3, series)), shift)
    fair = _fair_value(inflation, interest, volume)
    surprise = noise * draws.standard_normal((steps, series))
    prices = np.empty((steps + 1, series))
    prices[0] = fair[0]
    for month in range(steps):  # each price needs the one before it
        drawn = _PAST * prices[month] + (1 - _PAST) * fair[month] + surprise[month]
        prices[month + 1] = np.round(drawn, 2)

    kept = slice(_BURN_IN, None)
    return History(
        months=names,
        treasury_print_volume=volume[kept].T,
        interest_rate=interest[kept].T,
        inflation_rate=inflation[kept].T,
        previous_month_price=prices[:-1][kept].T,
        price=prices[1:][kept].T,
    )


def sample(rows: int, seed: Any, noise: float = 0.5) -> tuple[Floats, Floats]:
    """Return features of shape (rows, features) and prices of shape (rows,) to train on.

    The rows are those of as many series as it takes, one after the other in the order of their
    months, so the last rows are of months that the first ones have not seen.

    Raises:
        ValueError: No rows.
    """
    if rows < 1:
        raise ValueError(f"{rows} rows are none")
    history = simulate_many(-(-rows // _SAMPLE_MONTHS), min(rows, _SAMPLE_MONTHS), seed, noise)
    return history.features().reshape(-1, len(FEATURES))[:rows], history.price.reshape(-1)[:rows]


def _month_names(months: int) -> list[str]:
    longest = (LAST_YEAR - FIRST_YEAR + 1) * _YEAR
    if not 1 <= months <= longest:
        raise ValueError(f"{months} months are not within 1 and {longest}")
    return [f"{FIRST_YEAR + month // _YEAR:04d}-{month % _YEAR + 1:02d}" for month in range(months)]


def _features(shocks: Floats, shift: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Turn shocks of shape (months, 3, series) into inflation, interest and printing."""
    states = np.empty_like(shocks)
    states[0] = shocks[0]
    scaled = np.sqrt(1 - _MEMORY**2) * shocks  # so that every state has the variance 1
    for month in range(1, len(shocks)):
        states[month] = _MEMORY * states[month - 1] + scaled[month]
    if shift is not None:
        states += np.pad(shift, ((_BURN_IN, 0), (0, 0), (0, 0)), mode="edge")
    bounded = np.tanh(states / 1.3)
    # Rounded as a statistics office publishes them, before anything is computed from them.
    inflation = np.round(4.2 + 4.0 * bounded[:, 0], 2)
    interest = np.round(0.2 + 0.5 * inflation + 1.75 * (1 + bounded[:, 1]), 2)
    cheap_money = 0.04 * (4.0 - interest)  # more is printed while interest is low
    volume = np.round(_TYPICAL_VOLUME * np.exp(0.75 * bounded[:, 2] + cheap_money), 1)
    return inflation, interest, volume


def _fair_value(inflation: Floats, interest: Floats, volume: Floats) -> Floats:
    """Return what a price settles at if the three features stay as they are."""
    printing = np.log(volume / _TYPICAL_VOLUME)
    overheating = np.tanh((inflation - 4.2) / 1.5)
    flight = 1 / (1 + np.exp(4 * (interest - inflation)))  # near 1 where the real rate is negative
    fair: Floats = 108.0 - 4.0 * (interest - 4.0) - 26.0 * printing * overheating - 14.0 * flight
    return fair
