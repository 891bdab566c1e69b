"""What travels through the stream: the records of one partition, as lists and columns."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.plans import Plan
from app.domain.records import Rejection
from app.telemetry.metrics import HoldReason
from app.topics.records import Record


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Consecutive messages of one partition, as polled.

    Attributes:
        polled_at: Monotonic seconds; every message was appended before.
    """

    topic: str
    partition: int
    messages: list[Any]
    polled_at: float


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The same, decoded. All sequences have one entry per message, in the input's order.

    Attributes:
        appended_ms: The append time of each message, in Unix milliseconds.
        outcomes: A record, or the reason why there is none.
        records: None where there is no record.
        rejected: Why there is none, by index.
        features: Shape (messages, features); a row of NaN where there is no record.
    """

    source: MicroBatch
    appended_ms: list[int]
    records: list[Record | None]
    rejected: dict[int, Rejection]
    features: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why records wait: the reason for programs, and a sentence for people."""

    reason: HoldReason
    why: str


@dataclass(frozen=True, slots=True)
class JoinedBatch:
    """The same, each record with the plan in force for it.

    Attributes:
        segments: For each plan the indices of its records; together they are each index once.
        waits_for: Why the records can't be joined yet, None if they are.
    """

    decoded: RecordBatch
    segments: list[tuple[Plan, npt.NDArray[np.intp]]]
    waits_for: Hold | None = None


@dataclass(frozen=True, slots=True)
class ScoredBatch:
    """The same, predicted: each message has a price or is rejected.

    Attributes:
        prices: In the currency of the training data; NaN where rejected.
        rejected: By the decoder or the model, by index.
    """

    joined: JoinedBatch
    prices: npt.NDArray[np.float64]
    rejected: dict[int, Rejection]
