"""The loop that the stream is measured against: the best we can write with confluent-kafka alone.

Fast and, but for the commits, without a promise: it validates nothing, has no dead letters, never
swaps its model, and does not know what a rebalance is. What it writes is what the stream writes,
from the same bytes, with the same fetch settings and the same garbage collector.

    python -m tests.benchmarks.hand_written_loop OPTIONS     ends at SIGTERM
"""

import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import skops.io
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from threadpoolctl import threadpool_limits

from app.domain.records import FEATURES
from app.registry.trusted_types import TRUSTED_TYPES
from app.stream.garbage_collector import settle_garbage_collector
from app.stream.options import FETCH
from app.topics.records import Record
from app.topics.signals import Signal

_BATCH = 10_000
_LINGER_S = 0.01
_CHUNK = 2_500  # the first answers of a batch are on their way while the next are written

_decode = msgspec.json.Decoder(Record).decode
_encode_lines = msgspec.json.Encoder().encode_lines  # one call costs less than thousands


class Options(msgspec.Struct):
    """What the loop is told, as JSON on its command line; topics have equal partition counts."""

    bootstrap_servers: str
    group: str
    source: str
    target: str
    model_folder: str
    model_name: str
    model_version: str
    announcement_offset: int
    exactly_once: bool


class Loop:
    """Consume, decode, predict, encode, produce, commit; nothing overlaps but what librdkafka does.

    Args:
        options: As above.
        estimator: Of scikit-learn. Called with columns as they lie: an array of shape
            (records, features), in Fortran order.
    """

    def __init__(self, options: Options, estimator: Any) -> None:
        self._options = options
        self._predict = estimator.predict
        self._failed: list[Any] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": options.bootstrap_servers,
                "group.id": options.group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                **FETCH,
            }
        )
        self._producer = Producer(
            {
                "bootstrap.servers": options.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.report.only.error": True,
                **({"transactional.id": options.group} if options.exactly_once else {}),
            }
        )

    def run(self) -> None:
        """Answer records until SIGTERM.

        Raises:
            KafkaException: Whatever goes wrong; nothing is tried again.
        """
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
        if self._options.exactly_once:
            self._producer.init_transactions()
        self._consumer.subscribe([self._options.source])
        try:
            while not stopped:
                if messages := self._consumer.consume(_BATCH, _LINGER_S):
                    self._answer(messages)
        finally:
            self._consumer.close()

    def _answer(self, messages: list[Any]) -> None:
        records: list[Record] = []
        by_partition: dict[int, list[Any]] = {}
        for message in messages:
            if error := message.error():
                raise KafkaException(error)
            records.append(_decode(message.value()))
        prices = self._predict(_columns(records)).tolist()
        for message, record, price in zip(messages, records, prices, strict=True):
            by_partition.setdefault(message.partition(), []).append((message, record, price))
        if self._options.exactly_once:
            self._producer.begin_transaction()
        for partition, rows in by_partition.items():
            self._produce(partition, rows)
        self._commit(
            [
                TopicPartition(self._options.source, partition, rows[-1][0].offset() + 1)
                for partition, rows in by_partition.items()
            ]
        )

    def _produce(self, partition: int, rows: list[Any]) -> None:
        name, version = self._options.model_name, self._options.model_version
        plan, source = self._options.announcement_offset, self._options.source
        # Only without transactions must failures be listened for.
        report = {} if self._options.exactly_once else {"on_delivery": self._delivered}
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            lines = _encode_lines(
                [
                    Signal(
                        record.id,
                        record.month,
                        price,
                        name,
                        version,
                        plan,
                        source,
                        partition,
                        message.offset(),
                    )
                    for message, record, price in chunk
                ]
            )
            answers = [
                {"value": value, "key": message.key()}
                for value, (message, _, _) in zip(lines.splitlines(), chunk, strict=True)
            ]
            queued = self._producer.produce_batch(
                self._options.target, answers, partition, **report
            )
            assert queued == len(answers)  # the queue takes ten batches, and each is waited for

    def _commit(self, offsets: list[TopicPartition]) -> None:
        if self._options.exactly_once:
            group = self._consumer.consumer_group_metadata()
            self._producer.send_offsets_to_transaction(offsets, group)
            self._producer.commit_transaction()
        else:
            self._producer.flush()
            if self._failed:
                raise KafkaException(self._failed[0])
            self._consumer.commit(offsets=offsets, asynchronous=False)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._failed.append(error)


def _columns(records: list[Record]) -> Any:
    return np.array([[getattr(record, name) for record in records] for name in FEATURES]).T


def main() -> None:
    options = msgspec.json.decode(sys.argv[1], type=Options)
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    estimator = skops.io.load(
        Path(options.model_folder, "model.skops"), trusted=list(TRUSTED_TYPES)
    )
    settle_garbage_collector()
    with threadpool_limits(limits=1):
        Loop(options, estimator).run()


if __name__ == "__main__":
    main()
