"""Where reading begins, when the broker is asked for a time."""

from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from app.topics.starts import Start, offsets

_NEWER_THAN_ALL = -1


@dataclass
class Place:
    partition: int
    offset: int
    error: KafkaError | None = None


@dataclass
class Consumer:
    """Says where a time is."""

    places: list[Place]

    def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> list[Place]:
        assert [place.offset for place in asked] == [500] * len(self.places)
        return self.places


def test_a_time_that_is_newer_than_all_is_the_end() -> None:
    consumer = Consumer([Place(0, 12), Place(1, _NEWER_THAN_ALL)])
    bounds = {0: (3, 17), 1: (4, 18)}
    assert offsets(consumer, "t", Start("time", 500), bounds, 1.0) == {0: 12, 1: 18}


def test_a_partition_of_which_the_broker_does_not_say_it_is_not_taken_for_its_end() -> None:
    fault = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
    consumer = Consumer([Place(0, 12), Place(1, -1001, fault)])
    with pytest.raises(KafkaException):
        offsets(consumer, "t", Start("time", 500), {0: (3, 17), 1: (4, 18)}, 1.0)
