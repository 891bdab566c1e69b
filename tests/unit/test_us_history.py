"""The derived columns of the history in tests/data are what its note says."""

import csv
from pathlib import Path

import pytest

HISTORY = Path(__file__).parents[1] / "data" / "us-2019-2023.csv"
DEBT = {2018: 21_974, 2019: 23_201, 2020: 27_748, 2021: 29_617, 2022: 31_420, 2023: 34_001}
YIELD_BEFORE = 2.83
COUPON, HALF_YEARS = 2.5, 20


def price(percent: float) -> float:
    factor = 1 / (1 + percent / 200)
    coupons = sum(COUPON / 2 * factor**half_year for half_year in range(1, HALF_YEARS + 1))
    return coupons + 100 * factor**HALF_YEARS


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with HISTORY.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_its_months_are_those_of_five_years(rows: list[dict[str, str]]) -> None:
    assert [row["observation_date"] for row in rows] == [
        f"{year}-{month:02d}-01" for year in range(2019, 2024) for month in range(1, 13)
    ]


def test_the_price_is_that_of_the_yield_of_the_month_before(rows: list[dict[str, str]]) -> None:
    yields = [YIELD_BEFORE, *(float(row["GS10"]) for row in rows[:-1])]
    assert [float(row["PRICE_BEFORE"]) for row in rows] == [
        pytest.approx(price(percent), abs=0.005001) for percent in yields
    ]


def test_the_growth_of_the_debt_is_spread_over_its_year(rows: list[dict[str, str]]) -> None:
    for row in rows:
        year = int(row["observation_date"][:4])
        growth = (DEBT[year] - DEBT[year - 1]) / 12
        assert float(row["DEBT_GROWTH"]) == pytest.approx(growth, abs=0.005001)
