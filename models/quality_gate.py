"""The rule that decides whether a model may take the place of the one in force. Pure.

`docs/quality-gate.md` says it in words, and why it is so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from app.tools.producing.series import simulate_many

if TYPE_CHECKING:
    import numpy.typing as npt

    from app.tools.producing.series import History

    Floats = npt.NDArray[np.float64]

Verdict = Literal["passed", "failed", "unchanged"]

MONTHS = 480
"""Of each history that is held out: as many as training has of each of its own."""

_HELD_OUT = (0, 1)  # no `--seed` of training, and no stream of `produce`, ends in these words
_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Rule:
    """How much worse is not worse.

    Attributes:
        tolerance: The share by which the error may be above that of the version in force.
        confidence: How sure that must be, above 0.5 and below 1.
    """

    tolerance: float = 0.05
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the prices of one model are, on the rows that it answered.

    Attributes:
        rmse: In currency; NaN if it answered none.
        mae: Likewise.
        unanswered: Rows for which it raised, or gave no finite number.
    """

    rmse: float
    mae: float
    unanswered: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rule says of a candidate.

    Attributes:
        why: In one sentence.
        candidate: Of the version that is judged.
        in_force: Of the version that it would replace; None if there is none.
        naive: Of the forecast that the price stays as it was.
        ratio: The candidate's RMSE over that of what it was compared with, on the same rows. None
            if it was not compared.
        at_most: What the ratio is not above, with the confidence of the rule.
        allowed: What that must not be above.
    """

    verdict: Verdict
    why: str
    candidate: Quality
    in_force: Quality | None
    naive: Quality
    ratio: float | None = None
    at_most: float | None = None
    allowed: float | None = None


def hold_out(histories: int, seed: int) -> History:
    """Return histories of which no training has seen a month, nor a month beside one.

    Training draws its histories by a seed of one word; these are drawn by three.

    Args:
        histories: How many, of `MONTHS` each.
        seed: The same one, the same histories.
    """
    return simulate_many(histories, MONTHS, (seed, *_HELD_OUT))


def judge(held_out: History, candidate: Floats, in_force: Floats | None, rule: Rule) -> Judgement:
    """Apply the rule.

    Args:
        held_out: With the true prices, of shape (histories, months).
        candidate: Its prices, of the same shape; not finite where it gave none.
        in_force: Likewise, of the version in force; None if there is none. If it gave no price at
            all, the candidate is compared with the naive forecast, as where there is none.
        rule: The limits.
    """
    actual = held_out.price
    naive = held_out.previous_month_price
    compared = in_force is not None and bool(np.isfinite(in_force).any())
    opponent = in_force if in_force is not None and compared else naive
    qualities = (
        _quality(actual, candidate),
        None if in_force is None else _quality(actual, in_force),
        _quality(actual, naive),
    )
    if missing := qualities[0].unanswered:
        why = f"it gives no finite price for {missing:,} of {actual.size:,} rows"
        return Judgement("failed", why, *qualities)
    if np.array_equal(candidate, opponent):
        why = "it gives the same price for every row"
        return Judgement("unchanged", why, *qualities)
    allowed = 1.0 + rule.tolerance if compared else 1.0
    squares = _squares_of_each_history(actual, candidate, opponent)
    ratio = float(_ratios(squares.sum(axis=1)))
    at_most = _upper_end(squares, rule.confidence)
    passed = at_most <= allowed
    than = "that of the version in force" if compared else "that of a price that stays as it was"
    why = (
        f"its RMSE is {ratio:.3f} times {than}, with {rule.confidence:.0%} confidence at most "
        f"{at_most:.3f} times; the rule allows {allowed:.3f}"
    )
    return Judgement("passed" if passed else "failed", why, *qualities, ratio, at_most, allowed)


def _quality(actual: Floats, predicted: Floats) -> Quality:
    answered = np.isfinite(predicted)
    errors = (predicted - actual)[answered]
    missing = actual.size - errors.size
    if not errors.size:
        return Quality(float("nan"), float("nan"), missing)
    return Quality(float((errors**2).mean() ** 0.5), float(abs(errors).mean()), missing)


def _squares_of_each_history(actual: Floats, candidate: Floats, opponent: Floats) -> Floats:
    """Return sums of squared errors of both, of shape (2, histories), on rows both answered."""
    errors = np.where(np.isfinite(opponent), np.stack([candidate, opponent]) - actual, 0.0)
    squares: Floats = (errors**2).sum(axis=-1)
    return squares


def _upper_end(squares: Floats, confidence: float) -> float:
    """Return the upper end of the one-sided bootstrap interval of the ratio of RMSEs.

    Whole histories are drawn, both models together: the errors of neighbouring months are alike,
    and so are those of two models for the same month.
    """
    histories = squares.shape[1]
    equally = np.full(histories, 1 / histories)
    drawn = np.random.default_rng(0).multinomial(histories, equally, size=_RESAMPLES)
    return float(np.quantile(_ratios(squares @ drawn.T), confidence, method="higher"))


def _ratios(squares: Floats) -> Floats:
    """Return the ratio of two RMSEs; of two that are 0 it is 1."""
    mine, others = squares
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = np.where((mine == 0) & (others == 0), 1.0, np.sqrt(mine / others))
    return ratios
