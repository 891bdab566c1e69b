"""One scoring code: a poisonous row costs its neighbours nothing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import Reason
from app.domain.scoring import score


def rows(values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([[value, 0.0, 0.0, 0.0] for value in values]).reshape(len(values), 4)


@given(st.lists(st.booleans(), max_size=60))
def test_only_the_rows_that_raise_alone_are_rejected(poisonous: list[bool]) -> None:
    def model(batch: Any) -> Any:
        if (batch[:, 0] < 0).any():
            raise ArithmeticError("negative")
        return batch[:, 0] * 2

    scores = score(model, rows([-1.0 if bad else float(i) for i, bad in enumerate(poisonous)]))
    assert set(scores.rejected) == {i for i, bad in enumerate(poisonous) if bad}
    good = [i for i, bad in enumerate(poisonous) if not bad]
    assert scores.prices[good].tolist() == [2.0 * i for i in good]


def test_a_clean_batch_is_one_call() -> None:
    calls: list[int] = []

    def model(batch: Any) -> Any:
        calls.append(len(batch))
        return batch[:, 0]

    score(model, rows([1.0] * 1000))
    assert calls == [1000]


def test_one_poisonous_row_costs_calls_logarithmic_in_the_batch() -> None:
    calls: list[int] = []

    def model(batch: Any) -> Any:
        calls.append(len(batch))
        if (batch[:, 0] < 0).any():
            raise ArithmeticError("negative")
        return batch[:, 0]

    score(model, rows([1.0] * 700 + [-1.0] + [1.0] * 323))
    assert len(calls) <= 2 * 10 + 1


@pytest.mark.parametrize("returned", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_rejected_alone(returned: float) -> None:
    scores = score(lambda batch: np.where(batch[:, 0] < 0, returned, 1.0), rows([1.0, -1.0, 2.0]))
    assert list(scores.rejected) == [1]
    assert scores.rejected[1].reason is Reason.BAD_PREDICTION


@pytest.mark.parametrize(
    "model",
    [
        lambda batch: np.ones((len(batch), 2)),
        lambda batch: np.ones(len(batch) + 1),
        lambda batch: ["a"] * len(batch),
        lambda batch: None,
        lambda batch: 5.0,
    ],
)
def test_anything_but_one_number_per_row_is_a_bad_prediction(model: Any) -> None:
    scores = score(model, rows([1.0, 2.0]))
    assert {r.reason for r in scores.rejected.values()} == {Reason.BAD_PREDICTION}
    assert set(scores.rejected) == {0, 1}


def test_a_column_of_predictions_is_one_number_per_row() -> None:
    assert score(lambda batch: batch[:, :1], rows([3.0])).prices.tolist() == [3.0]


def test_a_model_that_raises_names_its_exception() -> None:
    def model(_batch: Any) -> Any:
        raise KeyError("column")

    rejection = score(model, rows([1.0])).rejected[0]
    assert rejection.reason is Reason.MODEL_RAISED
    assert rejection.message == "KeyError: 'column'"


def test_running_out_of_memory_is_not_the_records_fault() -> None:
    def model(_batch: Any) -> Any:
        raise MemoryError

    with pytest.raises(MemoryError):
        score(model, rows([1.0]))


def test_no_rows_are_no_call() -> None:
    assert len(score(lambda _batch: pytest.fail("called"), rows([])).prices) == 0
