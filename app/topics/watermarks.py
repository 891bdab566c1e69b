"""Where a partition begins and ends, also in the moment in which its leader is being chosen."""

import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

_PASSES = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_PAUSE_S = 0.1


def watermarks(consumer: Any, topic: str, partition: int, timeout_s: float) -> tuple[int, int]:
    """Return the first offset, and the one after the last; asks the broker.

    A topic that was made a moment ago has no leader that its brokers agree on, so this asks again.

    Raises:
        KafkaException: No answer in time, or another one.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            left_s = max(0.1, deadline - time.monotonic())
            first, end = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=left_s
            )
        except KafkaException as error:
            if error.args[0].code() not in _PASSES or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return first, end
