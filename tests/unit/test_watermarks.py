"""Asking for the ends of a partition, also while its leader is being chosen."""

from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from app.topics.watermarks import watermarks

NO_LEADER = KafkaError.NOT_LEADER_FOR_PARTITION
REFUSED = KafkaError.TOPIC_AUTHORIZATION_FAILED


@dataclass
class Consumer:
    """Answers with errors first, as many as there are."""

    errors: list[int] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        self.asked.append((place.topic, place.partition))
        if self.errors:
            raise KafkaException(KafkaError(self.errors.pop(0)))
        return 3, 17


def test_a_partition_whose_leader_is_being_chosen_is_asked_again() -> None:
    consumer = Consumer([NO_LEADER, KafkaError.LEADER_NOT_AVAILABLE])
    assert watermarks(consumer, "t", 2, 10.0) == (3, 17)
    assert consumer.asked == [("t", 2)] * 3


def test_another_error_is_raised_at_once() -> None:
    consumer = Consumer([REFUSED])
    with pytest.raises(KafkaException):
        watermarks(consumer, "t", 0, 10.0)
    assert len(consumer.asked) == 1


def test_a_leader_that_is_not_chosen_in_time_is_raised() -> None:
    consumer = Consumer([NO_LEADER] * 100)
    with pytest.raises(KafkaException):
        watermarks(consumer, "t", 0, 0.3)
    assert len(consumer.asked) > 1
