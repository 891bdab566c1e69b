"""Reading between two offsets on the real broker: whole, or an error that says why not."""

import pytest
from confluent_kafka import Consumer, Producer

from app.backup import snapshot
from app.backup.cluster import Cluster
from app.backup.snapshot import Span
from app.domain.errors import BackupError
from tests.harness.world import World


@pytest.fixture
def topic(world: World) -> str:
    return world.settings.topics.records


def offsets(world: World, topic: str, span: Span, timeout_s: float = 30.0) -> list[int]:
    read = snapshot.read(world.client, topic, {0: span}, timeout_s)
    return [entry.offset for _, entry, readable in read if readable]


def test_a_transaction_that_stays_open_below_the_end_is_an_error_and_no_end(
    world: World, topic: str
) -> None:
    producer = Producer({**world.client, "transactional.id": topic})
    producer.init_transactions(30)
    world.send([b"1"], partition=0)
    producer.begin_transaction()
    producer.produce(topic, b"2", partition=0)
    producer.flush(30)
    world.send([b"3"], partition=0)
    with pytest.raises(BackupError, match="in the partitions 0: a transaction stays open"):
        offsets(world, topic, Span(0, 3), timeout_s=2.0)
    assert offsets(world, topic, Span(0, 1)) == [0]
    producer.commit_transaction(30)
    assert offsets(world, topic, Span(0, 3)) == [0, 1, 2]


def test_what_comes_after_the_end_is_not_read(world: World, topic: str) -> None:
    world.send([b"x"] * 50, partition=0)
    assert offsets(world, topic, Span(10, 20)) == list(range(10, 20))
    assert offsets(world, topic, Span(20, 20)) == []


def test_what_was_deleted_meanwhile_is_an_error_and_no_gap(world: World, topic: str) -> None:
    world.send([b"x"] * 50, partition=0)
    Cluster(world.client).delete_before({(topic, 0): 30})
    with pytest.raises(BackupError, match="deleted messages"):
        offsets(world, topic, Span(10, 50))


def test_the_span_of_a_log_counts_what_is_not_committed(world: World, topic: str) -> None:
    producer = Producer({**world.client, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"1", partition=1)
    producer.flush(30)
    consumer = Consumer({**world.client, "group.id": "x", "isolation.level": "read_uncommitted"})
    found = snapshot.spans(consumer, topic, 2)
    consumer.close()
    producer.abort_transaction(30)
    assert found == {0: Span(0, 0), 1: Span(0, 1)}
