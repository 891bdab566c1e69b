"""Quix Streams one micro-batch at a time: what must hold while the group rebalances."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition

from app.stream.micro_batches import MicroBatchApplication

TOPIC = "treasury.data"


@dataclass(frozen=True)
class Message:
    """What is read of a message of the consumer before the topology sees it."""

    number: int
    at: int

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at


@dataclass
class Consumer:
    """A group member whose generation and messages the test says."""

    first: Message | None = None
    rest: list[Message] = field(default_factory=list)
    owns: list[int] = field(default_factory=list)
    commits: dict[int, int] = field(default_factory=dict)
    refusal: KafkaError | None = None
    generation: str = "generation 1"
    while_consuming: Callable[[], None] = lambda: None
    sought: list[tuple[int, int]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)

    def poll(self, _timeout: float) -> Message | None:
        return self.first

    def consume(self, _count: int, timeout: float) -> list[Message]:
        self.while_consuming()
        return self.rest

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.resumed += [tp.partition for tp in partitions]

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition(TOPIC, number) for number in self.owns]

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[Any]:
        return [
            Committed(tp.partition, self.commits[tp.partition], self.refusal) for tp in partitions
        ]

    def seek(self, to: TopicPartition) -> None:
        self.sought.append((to.partition, to.offset))

    def consumer_group_metadata(self) -> str:
        return self.generation


@dataclass(frozen=True)
class Committed:
    partition: int
    offset: int
    error: KafkaError | None
    topic: str = TOPIC


@pytest.fixture
def application(tmp_path: Path) -> MicroBatchApplication:
    """An application that has not met its broker yet."""
    return MicroBatchApplication(
        max_batch=10,
        linger_s=0.0,
        before_poll=lambda: None,
        drop_batch=lambda: None,
        broker_address="127.0.0.1:1",
        consumer_group="group",
        state_dir=tmp_path,
        use_changelog_topics=False,
        loglevel=None,
    )


def with_consumer(application: MicroBatchApplication, consumer: Consumer) -> None:
    application._consumer = consumer  # type: ignore[assignment]


def rebalanced(application: MicroBatchApplication) -> Callable[[], None]:
    """What a rebalance does to the application, inside of a call of the consumer."""

    def rebalance() -> None:
        application._rebalances += 1

    return rebalance


def handed_over(application: MicroBatchApplication) -> list[Any]:
    """Poll once; return what reached the topology."""
    rows: list[Any] = []

    def topology(value: Any, *_: Any) -> None:
        rows.append(value)

    application._process_message({TOPIC: topology})
    return rows


def test_messages_that_came_with_a_rebalance_are_read_again_from_what_is_committed(
    application: MicroBatchApplication,
) -> None:
    consumer = Consumer(
        first=Message(0, 7),
        rest=[Message(1, 40), Message(2, 5)],
        owns=[0, 2, 3],  # partition 1 has gone
        commits={0: 6, 2: -1001},  # of partition 2 nothing is committed yet
        while_consuming=rebalanced(application),
    )
    with_consumer(application, consumer)
    assert handed_over(application) == []
    assert consumer.sought == [(0, 6), (2, OFFSET_BEGINNING)]


def test_a_partition_whose_committed_offset_is_not_told_is_not_read_from_its_beginning(
    application: MicroBatchApplication,
) -> None:
    consumer = Consumer(
        first=Message(0, 7),
        owns=[0],
        commits={0: -1001},
        refusal=KafkaError(KafkaError.NOT_COORDINATOR),
        while_consuming=rebalanced(application),
    )
    with_consumer(application, consumer)
    with pytest.raises(KafkaException):
        handed_over(application)
    assert consumer.sought == []


def test_offsets_are_committed_under_the_generation_of_the_assignment(
    application: MicroBatchApplication,
) -> None:
    """A client that has lost its session may have forgotten its generation, or have a new one."""
    pinned = application._consumer.consumer_group_metadata
    consumer = Consumer(generation="generation 1")
    with_consumer(application, consumer)
    application._on_assign(None, [])
    consumer.generation = "none at all"
    assert pinned() == "generation 1"
    application._on_assign(None, [])
    assert pinned() == "none at all"


def test_an_application_that_is_stopped_before_it_runs_polls_nothing(
    application: MicroBatchApplication,
) -> None:
    consumer = Consumer(first=Message(0, 7))
    with_consumer(application, consumer)
    application.stop()
    assert handed_over(application) == []
    assert not application._run_tracker.running
