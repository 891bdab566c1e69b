"""Predict for whoever asks: decoded, scored and refused by the same code as the stream."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from app.domain.errors import ModelUnavailable, PolicyRefused
from app.domain.plans import Announcement, Plan, PlanTable
from app.domain.records import Rejection
from app.domain.scoring import Predict, score
from app.registry.mlflow_catalog import VersionFacts
from app.stream.decode import feature_columns
from app.telemetry.metrics import HoldReason
from app.topics.records import Record, RecordDecoder


class Versions(Protocol):
    """Loaded versions, as the stream has them."""

    def wait_for(self, announcement: Announcement, timeout_s: float) -> bool:
        """Block until it is loaded or was tried once; True if it is loaded."""

    def get(self, announcement: Announcement) -> Predict | None:
        """Return it if it is loaded."""

    def why_not(self, announcement: Announcement) -> str:
        """Say why it is not loaded."""

    def reason_why_not(self, announcement: Announcement) -> HoldReason:
        """Say the same for programs."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to rows, in their order.

    Attributes:
        version: Which predicted.
        plan_offset: Of the plan in force; None if the version was named.
        records: None where a row is no record.
        prices: In the currency of the training data; NaN where rejected.
        rejected: Why there is no price, by index.
    """

    version: str
    plan_offset: int | None
    records: Sequence[Record | None]
    prices: npt.NDArray[np.float64]
    rejected: dict[int, Rejection]


class Predictor:
    """Predicts rows by the version in force, or by one that is named. Thread-safe.

    Args:
        decoder: As the stream's.
        versions: What is loaded.
        in_force: The plan that is in force now for a model, None if none is.
        prepare: Makes the plan of a version that is named: its model, its number, and when it was
            made, in Unix milliseconds.
        load_timeout_s: How long to wait for a version, in seconds.
    """

    def __init__(
        self,
        decoder: RecordDecoder,
        versions: Versions,
        in_force: Callable[[str], Plan | None],
        prepare: Callable[[str, str, int], Announcement],
        load_timeout_s: float,
    ) -> None:
        self._decoder = decoder
        self._versions = versions
        self._in_force = in_force
        self._prepare = prepare
        self._load_timeout_s = load_timeout_s
        self._decoding = threading.Lock()

    def predict(
        self, model: str, named: VersionFacts | None, rows: Sequence[bytes]
    ) -> Predictions | None:
        """Predict each row, which is what the value of a Kafka message would be.

        Args:
            model: The registered model.
            named: A version of it; None for the one in force.
            rows: JSON, each.

        Returns:
            The answers; None if no version is in force.

        Raises:
            ModelUnavailable: The version is not loaded now.
            PolicyRefused: It must not be.
            BrokerUnavailable: Nobody can say what is in force.
        """
        plan = self._in_force(model) if named is None else None
        if plan is not None:
            announcement, offset = plan.announcement, plan.offset
        elif named is not None:
            announcement = self._prepare(model, named.version, named.created_ms)
            offset = None
        else:
            return None
        predict = self._loaded(announcement)
        with self._decoding:
            records, rejected = self._decoder.decode_all(rows)
        good = [at for at in range(len(rows)) if at not in rejected]
        prices = np.full(len(rows), np.nan)
        scores = score(predict, feature_columns(records, bool(rejected))[good])
        prices[good] = scores.prices
        rejected |= {good[at]: why for at, why in scores.rejected.items()}
        return Predictions(announcement.model_version, offset, records, prices, rejected)

    def _loaded(self, announcement: Announcement) -> Predict:
        self._versions.wait_for(announcement, self._load_timeout_s)
        predict = self._versions.get(announcement)
        if predict is None:
            why = self._versions.why_not(announcement)
            if self._versions.reason_why_not(announcement) == "refused_by_policy":
                raise PolicyRefused(why)
            raise ModelUnavailable(why)
        return predict


class RecentPlans:
    """The table of plans, read again when it could miss one that is in force.

    A plan takes effect no sooner than its guard after its append. So a table that was read within
    the guard holds whatever is in force; only a void can be missed for so long.

    Args:
        read: The table as it is now.
        guard_s: Of whoever announces, in seconds.
        clock_ms: Unix milliseconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], PlanTable],
        guard_s: float,
        clock_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._fresh_s = guard_s / 2
        self._clock_ms = clock_ms
        self._clock = clock
        self._lock = threading.Lock()
        self._table: tuple[float, PlanTable] | None = None

    def in_force(self) -> Plan | None:
        """Return the plan in force now.

        Raises:
            BrokerUnavailable: Kafka is away.
            TopicsError: The announcement topic is missing.
        """
        with self._lock:
            began = self._clock()
            if self._table is None or began - self._table[0] >= self._fresh_s:
                self._table = (began, self._read())
            return self._table[1].at(self._clock_ms())
