"""Predict for a batch: the one scoring code, of the stream and of whoever asks for a row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.records import Reason, Rejection

Predict = Callable[[npt.NDArray[np.float64]], Any]
"""A loaded model: features of shape (rows, features) to one number per row. May raise."""


@dataclass(slots=True)
class Scores:
    """What a model said of a batch.

    Attributes:
        prices: Shape (rows,), in the currency of the training data; meaningless where rejected.
        rejected: The rows without a price, by index.
    """

    prices: npt.NDArray[np.float64]
    rejected: dict[int, Rejection] = field(default_factory=dict)


def score(predict: Predict, rows: npt.NDArray[np.float64]) -> Scores:
    """Predict all rows at once; find the rows that can't be predicted by halving the batch.

    A row is rejected only if the model fails for it *alone*, so one poisonous row costs its
    neighbours nothing, and about 2·log2(rows) more calls.

    Args:
        predict: The model.
        rows: Shape (rows, features), finite.

    Raises:
        MemoryError: That is our fault and not the row's.

    >>> import numpy as np
    >>> scores = score(lambda x: 1 / x[:, 0], np.array([[1.0], [0.0], [4.0]]))
    >>> scores.prices[[0, 2]].tolist(), scores.rejected[1].reason.value
    ([1.0, 0.25], 'bad_prediction')
    """
    scores = Scores(np.full(len(rows), np.nan))
    pending = [(0, len(rows))] if len(rows) else []
    while pending:
        start, end = pending.pop()
        try:
            with np.errstate(all="ignore"):  # what is not finite is rejected below
                prices = _one_number_per_row(predict(rows[start:end]), end - start)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - any failure of foreign model code is data
            if end - start > 1:
                middle = (start + end) // 2
                pending += [(middle, end), (start, middle)]
            else:
                scores.rejected[start] = _rejection(error)
            continue
        scores.prices[start:end] = prices
    for row in np.flatnonzero(~np.isfinite(scores.prices)).tolist():
        scores.rejected.setdefault(
            row,
            Rejection(Reason.BAD_PREDICTION, f"the model returned {scores.prices[row]}"),
        )
    return scores


class _BadPrediction(Exception):
    """The model returned something that is not one number per row."""


def _one_number_per_row(returned: Any, rows: int) -> npt.NDArray[np.float64]:
    try:
        prices = np.asarray(returned, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _BadPrediction(f"the model returned {type(returned).__name__}: {error}") from error
    if prices.shape not in {(rows,), (rows, 1)}:
        raise _BadPrediction(f"the model returned shape {prices.shape} for {rows} row(s)")
    return prices.reshape(rows)


def _rejection(error: Exception) -> Rejection:
    if isinstance(error, _BadPrediction):
        return Rejection(Reason.BAD_PREDICTION, str(error))
    return Rejection(Reason.MODEL_RAISED, f"{type(error).__name__}: {error}"[:1000])
