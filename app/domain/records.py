"""What comes in: a record of four features, or a rejection with a reason to act on."""

import enum
from dataclasses import dataclass

FEATURES = (
    "treasury_print_volume",
    "interest_rate",
    "inflation_rate",
    "previous_month_price",
)
"""The features of a record, in the order of the columns that a model is given."""


class Reason(enum.StrEnum):
    """Why a record became a dead letter: the code for programs, the comment for people."""

    EMPTY = "empty"  # the value is null or has no bytes
    TOO_LARGE = "too_large"  # the value has more bytes than `records.max_bytes`
    WRONG_ENCODING = "wrong_encoding"  # the bytes are not UTF-8
    NOT_JSON = "not_json"  # the text is not one JSON document
    NOT_AN_OBJECT = "not_an_object"  # the document is an array, a string, a number, …
    MISSING_FIELD = "missing_field"  # a feature is absent or null
    WRONG_TYPE = "wrong_type"  # a feature is no number; `id` or `month` is no text
    NOT_FINITE = "not_finite"  # a feature is NaN or infinite, in any spelling
    OUT_OF_RANGE = "out_of_range"  # a feature is outside its range in the settings
    MALFORMED_MONTH = "malformed_month"  # `month` is not YYYY-MM
    MODEL_RAISED = "model_raised"  # the model raised an exception for this row alone
    BAD_PREDICTION = "bad_prediction"  # the model did not return one finite number for it


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one record can't be answered with a signal.

    Attributes:
        reason: The documented code.
        message: One sentence for a person; it names the field where there is one.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a feature may have, both ends included.

    >>> Range(-100, 1000).holds(4.25)
    True
    """

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Say whether `value` lies in the range; NaN never does."""
        return self.low <= value <= self.high


_VOLUME_OR_PRICE = Range(0.0, 1e15)
_RATE = Range(-100.0, 1000.0)

DEFAULT_RANGES = {
    "treasury_print_volume": _VOLUME_OR_PRICE,
    "interest_rate": _RATE,
    "inflation_rate": _RATE,
    "previous_month_price": _VOLUME_OR_PRICE,
}
"""Wide enough for real history: rates in percent, volume and price in their currency."""
