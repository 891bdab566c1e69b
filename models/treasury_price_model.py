"""The model that training makes: a scikit-learn estimator, and what is known of its quality."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from app.domain.records import FEATURES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

Kind = Literal["linear", "forest"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model said of rows that it was not trained on.

    Attributes:
        features: Shape (rows, features), in the order of `FEATURES`.
        actual: The true prices, shape (rows,), in the currency of the data.
        predicted: The model's, likewise.
    """

    features: Floats
    actual: Floats
    predicted: Floats

    @property
    def metrics(self) -> dict[str, float]:
        """Return `rmse` and `mae`, in currency, and `r2`: the share of the variance explained."""
        errors = self.predicted - self.actual
        squares = float((errors**2).mean())
        variance = float(self.actual.var())
        return {
            "rmse": squares**0.5,
            "mae": float(abs(errors).mean()),
            "r2": 1.0 - squares / variance if variance else float("nan"),
        }


@dataclass(slots=True, eq=False)
class TreasuryPriceModel:
    """Predicts the price of a month from `FEATURES`.

    Predicts with one thread: with more, the last bits of a price depend on who comes first.

    Attributes:
        kind: `linear` is least squares, `forest` a random forest.
        seed: Of the forest; a linear model has no randomness.
        trees: Of the forest.
        depth: The most questions that a tree asks.
        estimator: The scikit-learn estimator: all that is registered and served.
        rows: How many rows it was fitted to.
        evaluation: On rows that were held out, once someone has set it.

    Raises:
        ValueError: There is no such kind.
    """

    kind: Kind = "forest"
    seed: int = 0
    trees: int = 100
    depth: int = 8
    estimator: Any = field(init=False, repr=False)
    rows: int = field(default=0, init=False)
    evaluation: Evaluation | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"there is no kind {self.kind!r}; there are {', '.join(get_args(Kind))}"
            )
        self.estimator = self._new_estimator()

    @property
    def parameters(self) -> dict[str, Any]:
        """Return what the model was made with."""
        made_with = {"kind": self.kind, "seed": self.seed, "rows": self.rows}
        of_forest = {"trees": self.trees, "depth": self.depth}
        return made_with | (of_forest if self.kind == "forest" else {})

    def fit(self, table: pd.DataFrame, prices: Floats) -> Self:
        """Learn from rows of `FEATURES` and the price of each; forget what was learnt before.

        Raises:
            ValueError: A column is missing, or the lengths differ.
        """
        self.estimator = self._new_estimator().fit(_columns(table), prices)
        self.rows, self.evaluation = len(table), None
        return self

    def predict(self, table: pd.DataFrame) -> Floats:
        """Return one price per row.

        Raises:
            ValueError: A column is missing, or the model was never fitted.
        """
        prices: Floats = self.estimator.predict(_columns(table))
        return prices

    def evaluate(self, table: pd.DataFrame, prices: Floats) -> Evaluation:
        """Predict rows whose price is known; keeps nothing.

        Raises:
            ValueError: As `predict`.
        """
        return Evaluation(_columns(table).to_numpy(), prices, self.predict(table))

    def _new_estimator(self) -> Any:
        # Slow to import, and not wanted by whoever only asks a script for its options.
        if self.kind == "linear":
            from sklearn.linear_model import LinearRegression  # noqa: PLC0415

            return LinearRegression(n_jobs=None)
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

        return RandomForestRegressor(
            n_estimators=self.trees, max_depth=self.depth, random_state=self.seed, n_jobs=None
        )


def table_of(features: Floats) -> pd.DataFrame:
    """Return features of shape (rows, features) as a table with the names of the columns."""
    import pandas as pd  # noqa: PLC0415 - as above

    return pd.DataFrame(features, columns=list(FEATURES))


def _columns(table: pd.DataFrame) -> pd.DataFrame:
    if missing := [name for name in FEATURES if name not in table.columns]:
        raise ValueError(f"the table has no column {', '.join(missing)}")
    return table[list(FEATURES)]
