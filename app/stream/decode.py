"""First step of the stream: messages to records, and to rejections where there is no record."""

from collections.abc import Callable, Iterable
from itertools import chain
from math import nan
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from app.domain.records import FEATURES
from app.stream.batches import MicroBatch, RecordBatch
from app.topics.records import Record, RecordDecoder

log = structlog.get_logger()
_LOG_APPEND_TIME = 2
_NO_RECORD = (nan,) * len(FEATURES)
_features = attrgetter(*FEATURES)


def decoding(decoder: RecordDecoder) -> Callable[[MicroBatch], RecordBatch]:
    """Return the step. It never raises for what a message contains."""

    def decode(batch: MicroBatch) -> RecordBatch:
        messages = batch.messages
        stamps = [message.timestamp() for message in messages]
        if stamps[0][0] != _LOG_APPEND_TIME:
            log.warning(
                "record.not_append_time",
                topic=batch.topic,
                partition=batch.partition,
                offset=messages[0].offset(),
                meaning="which version it gets may differ when it is replayed",
            )
        records, rejected = decoder.decode_all([message.value() for message in messages])
        times = [ms for _, ms in stamps]
        return RecordBatch(
            batch, times, records, rejected, feature_columns(records, bool(rejected))
        )

    return decode


def feature_columns(records: list[Record | None], some_missing: bool) -> npt.NDArray[np.float64]:
    """Return what a model is given: shape (records, features), NaN where there is no record."""
    rows: Iterable[Any] = map(_features, records)
    if some_missing:
        rows = (_NO_RECORD if record is None else _features(record) for record in records)
    count = len(records) * len(FEATURES)
    return np.fromiter(chain.from_iterable(rows), np.float64, count).reshape(-1, len(FEATURES))
