"""The same model as MLflow's `PythonModel`: it runs whatever Python is pickled with it."""

import contextlib
import copy
import sys
from collections.abc import Iterator

import cloudpickle
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from models import treasury_price_model
from models.treasury_price_model import TreasuryPriceModel


class TreasuryPricePyfunc(PythonModel):
    """A table with the columns `FEATURES` to one price per row."""

    def __init__(self, model: TreasuryPriceModel) -> None:
        self.model = model

    def predict(  # type: ignore[override]  # without a context, as MLflow documents
        self, model_input: pd.DataFrame
    ) -> npt.NDArray[np.float64]:
        """Return one price per row.

        Raises:
            ValueError: A column is missing.
        """
        return self.model.predict(model_input)


@contextlib.contextmanager
def pickled_with_its_code(model: TreasuryPriceModel) -> Iterator[TreasuryPricePyfunc]:
    """Give the model as a `PythonModel`; inside, its classes are pickled whole and not by name.

    So whoever serves it needs no module of ours, and each version runs its own code.
    """
    served = copy.copy(model)
    served.evaluation = None  # for whoever trains
    ours = (sys.modules[__name__], treasury_price_model)
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield TreasuryPricePyfunc(served)
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)
