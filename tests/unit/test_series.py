import re

import numpy as np
import pytest

from app.domain.records import DEFAULT_RANGES, FEATURES
from app.tools.producing.series import History, sample, simulate, simulate_many


def same(one: History, other: History) -> bool:
    return one.months == other.months and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in (*FEATURES, "price")
    )


def test_the_same_seed_gives_the_same_history() -> None:
    assert same(simulate(100, seed=5), simulate(100, seed=5))


def test_another_seed_gives_another_history() -> None:
    assert not same(simulate(100, seed=5), simulate(100, seed=6))


def test_series_side_by_side_differ() -> None:
    prices = simulate_many(3, 50, seed=1).price
    assert len(np.unique(prices, axis=0)) == 3


def test_the_previous_price_is_the_price_of_the_month_before() -> None:
    history = simulate_many(4, 200, seed=2)
    assert np.array_equal(history.previous_month_price[:, 1:], history.price[:, :-1])


def test_months_follow_each_other() -> None:
    months = simulate(26, seed=0).months
    assert months[:2] == ["1990-01", "1990-02"]
    assert months[11:13] == ["1990-12", "1991-01"]
    assert all(re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", month) for month in months)
    assert months == sorted(set(months))


@pytest.mark.parametrize("months", [0, -1, 100_000])
def test_a_number_of_months_that_no_calendar_has_is_refused(months: int) -> None:
    with pytest.raises(ValueError, match="months are not within"):
        simulate(months, seed=0)


def test_every_value_is_one_that_a_record_may_have() -> None:
    history = simulate_many(50, 480, seed=3)
    for name in FEATURES:
        values = getattr(history, name)
        assert np.isfinite(values).all()
        assert DEFAULT_RANGES[name].low <= values.min() <= values.max() <= DEFAULT_RANGES[name].high


def test_values_stay_plausible_and_positive() -> None:
    history = simulate_many(50, 480, seed=3)
    assert 150 < history.treasury_print_volume.min() < history.treasury_print_volume.max() < 1_500
    assert 0 < history.interest_rate.min() < history.interest_rate.max() < 10
    assert 0 < history.inflation_rate.min() < history.inflation_rate.max() < 10
    assert 40 < history.price.min() < history.price.max() < 160


def test_the_price_does_not_drift() -> None:
    price = simulate_many(50, 480, seed=4).price
    assert abs(price[:, :120].mean() - price[:, -120:].mean()) < 1.0


def test_a_training_sample_covers_what_comes_later() -> None:
    known, _ = sample(5_000, seed=0)
    later, _ = sample(5_000, seed=999)
    outside = (later < known.min(axis=0)) | (later > known.max(axis=0))
    assert outside.any(axis=1).mean() < 0.01


@pytest.mark.parametrize("rows", [1, 60, 480, 481, 1_000])
def test_a_sample_has_as_many_rows_as_were_asked_for(rows: int) -> None:
    features, prices = sample(rows, seed=0)
    assert features.shape == (rows, len(FEATURES))
    assert prices.shape == (rows,)


def test_features_stand_in_the_order_of_the_columns() -> None:
    history = simulate(10, seed=0)
    for column, name in enumerate(FEATURES):
        assert np.array_equal(history.features()[:, column], getattr(history, name))
