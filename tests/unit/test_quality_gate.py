"""The rule of the quality gate, on prices that are made up."""

import numpy as np
import numpy.typing as npt
import pytest

from app.tools.producing.series import sample
from models.quality_gate import MONTHS, Judgement, Rule, hold_out, judge

Floats = npt.NDArray[np.float64]

HELD_OUT = hold_out(20, seed=3)
NOISE = np.random.default_rng(1).standard_normal(HELD_OUT.price.shape)
OTHER = np.random.default_rng(2).standard_normal(HELD_OUT.price.shape)


def prices(error: float, noise: Floats = NOISE) -> Floats:
    """Prices whose RMSE is about `error`."""
    predicted: Floats = HELD_OUT.price + error * noise
    return predicted


def judged(candidate: Floats, in_force: Floats | None, **limits: float) -> Judgement:
    return judge(HELD_OUT, candidate, in_force, Rule(**limits))


def test_a_better_one_passes_and_a_worse_one_fails_with_both_errors_in_the_reason() -> None:
    better = judged(prices(1.0), prices(2.0, OTHER))
    assert better.verdict == "passed"
    assert better.ratio == pytest.approx(0.5, rel=0.02)
    worse = judged(prices(2.0), prices(1.0, OTHER))
    assert worse.verdict == "failed"
    assert worse.why.startswith(f"its RMSE is {worse.ratio:.3f} times that of the version in force")
    assert "the rule allows 1.050" in worse.why


def test_it_passes_only_if_it_is_within_the_tolerance_with_the_confidence_of_the_rule() -> None:
    candidate, in_force = prices(1.02), prices(1.0, OTHER)
    found = judged(candidate, in_force, tolerance=0.1)
    assert found.verdict == "passed"
    assert found.ratio is not None
    assert found.at_most is not None
    between = (found.ratio + found.at_most) / 2 - 1
    assert judged(candidate, in_force, tolerance=between).verdict == "failed"
    assert judged(candidate, in_force, tolerance=between, confidence=0.5).verdict == "passed"


def test_one_price_that_is_missing_or_not_finite_is_enough_to_fail() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        candidate = prices(0.1)
        candidate[3, 7] = bad
        found = judged(candidate, prices(2.0))
        assert (found.verdict, found.candidate.unanswered) == ("failed", 1)
        assert "no finite price for 1 of 9,600 rows" in found.why


def test_the_same_prices_are_unchanged() -> None:
    assert judged(prices(1.0), prices(1.0)).verdict == "unchanged"


def test_the_first_one_must_be_better_than_a_price_that_stays_as_it_was() -> None:
    naive = judged(prices(1.0), None)
    assert (naive.verdict, naive.in_force) == ("passed", None)
    assert judged(prices(naive.naive.rmse * 1.02), None).verdict == "failed"
    constant = np.full_like(HELD_OUT.price, HELD_OUT.price.mean())
    assert judged(constant, None).verdict == "failed"


def test_rows_that_the_one_in_force_does_not_answer_count_for_neither() -> None:
    in_force = prices(1.0, OTHER)
    in_force[:, ::2] = np.nan
    candidate = prices(1.0)
    candidate[:, ::2] += 100
    found = judged(candidate, in_force)
    assert found.verdict == "passed"
    assert found.in_force is not None
    assert found.in_force.unanswered == HELD_OUT.price.size // 2
    none_at_all = np.full_like(in_force, np.nan)
    assert judged(prices(1.0), none_at_all).verdict == "passed"
    assert judged(prices(9.0), none_at_all).verdict == "failed"


def test_two_without_any_error_are_unchanged_and_one_with_any_is_worse_than_none() -> None:
    assert judged(prices(0.0), prices(0.0)).verdict == "unchanged"
    assert judged(prices(0.001), prices(0.0)).verdict == "failed"


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_no_training_draws_a_row_that_is_held_out_whatever_its_seed(seed: int) -> None:
    held_out = {tuple(row) for row in hold_out(10, 3).features().reshape(-1, 4)}
    trained_on, _ = sample(10 * MONTHS, seed)
    assert not held_out & {tuple(row) for row in trained_on}


def test_the_same_seed_holds_out_the_same_rows_and_another_one_others() -> None:
    assert (hold_out(2, 1).price == hold_out(2, 1).price).all()
    assert (hold_out(2, 1).price != hold_out(2, 2).price).any()
