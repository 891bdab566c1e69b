"""The writer of redriven records on the real broker: all of a transaction or nothing, and one."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from app.domain.errors import BrokerUnavailable, TopicsError
from app.tools.redriving.writer import Outgoing, RedriveWriter
from app.topics import reading


class Place:
    """Two topics of the test's own, and what a `read_committed` reader sees of them."""

    def __init__(self, bootstrap_servers: str) -> None:
        unique = uuid.uuid4().hex[:8]
        self.client = {"bootstrap.servers": bootstrap_servers}
        self.records, self.marks = f"records-{unique}", f"marks-{unique}"
        self.admin = AdminClient(self.client)
        topics = [
            NewTopic(self.records, 4, 1, config={"max.message.bytes": "20000"}),
            NewTopic(self.marks, 1, 1),
        ]
        for future in self.admin.create_topics(topics, operation_timeout=30).values():
            future.result(30)

    def writer(self, bootstrap_servers: str | None = None, timeout_s: float = 30) -> RedriveWriter:
        return RedriveWriter(
            {"bootstrap.servers": bootstrap_servers} if bootstrap_servers else self.client,
            transactional_id=f"redrive-{self.records}",
            records_topic=self.records,
            partitions=4,
            marks_topic=self.marks,
            transaction_timeout_ms=10_000,
            timeout_s=timeout_s,
        )

    def visible(self) -> tuple[list[bytes], list[bytes]]:
        return (
            sorted(m.value or b"" for m in reading.read(self.client, self.records)),
            sorted(m.key or b"" for m in reading.read(self.client, self.marks)),
        )


@pytest.fixture
def place(bootstrap_servers: str) -> Iterator[Place]:
    made = Place(bootstrap_servers)
    yield made
    for future in made.admin.delete_topics([made.records, made.marks]).values():
        future.result(30)


def outgoing(name: str, partition: int = 1, value: bytes | None = None) -> Outgoing:
    body = name.encode()
    return Outgoing(
        partition, b"key", value or body, [("h", body)], body, json.dumps(name).encode()
    )


def test_records_and_marks_are_written_together(place: Place) -> None:
    writer = place.writer()
    writer.take_over()
    assert writer.write([outgoing("a"), outgoing("b", partition=3)])
    assert writer.write([outgoing("c")])
    assert place.visible() == ([b"a", b"b", b"c"], [b"a", b"b", b"c"])
    found = {m.value: m for m in reading.read(place.client, place.records)}
    assert (found[b"a"].partition, found[b"b"].partition) == (1, 3)
    assert (found[b"b"].key, found[b"b"].headers) == (b"key", (("h", b"b"),))


def test_a_partition_that_is_not_there_any_more_is_chosen_by_the_key(place: Place) -> None:
    writer = place.writer()
    writer.take_over()
    assert writer.write([outgoing("a", partition=4), outgoing("b", partition=9)])
    found = list(reading.read(place.client, place.records))
    assert [m.value for m in found] == [b"a", b"b"]
    assert len({m.partition for m in found}) == 1


def test_whoever_takes_over_fences_the_other_for_ever(place: Place) -> None:
    first, second = place.writer(), place.writer()
    first.take_over()
    assert first.write([outgoing("a")])
    second.take_over()
    assert not first.write([outgoing("b")])
    assert not first.write([outgoing("c")])
    assert second.write([outgoing("d")])
    assert place.visible() == ([b"a", b"d"], [b"a", b"d"])


def test_an_open_transaction_is_gone_when_another_has_taken_over(place: Place) -> None:
    first, second = place.writer(), place.writer()
    first.take_over()
    first._producer.begin_transaction()
    first._produce_all([outgoing("a"), outgoing("b", partition=2)])
    first._producer.flush(30)
    second.take_over()
    assert place.visible() == ([], [])  # at once: no reader waits for the time-out
    assert second.write([outgoing("c")])
    assert place.visible() == ([b"c"], [b"c"])


def test_what_a_topic_refuses_leaves_nothing_of_its_transaction(place: Place) -> None:
    writer = place.writer()
    writer.take_over()
    assert writer.write([outgoing("a")])
    random = b"".join(uuid.uuid4().bytes for _ in range(3_000))
    with pytest.raises(TopicsError, match=f"{place.records}: .*too large"):
        writer.write([outgoing("b", partition=2), outgoing("c", value=random)])
    assert place.visible() == ([b"a"], [b"a"])


def test_without_a_broker_it_is_told_in_time(place: Place, tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match="no transaction can be begun"):
        place.writer("127.0.0.1:9", timeout_s=1).take_over()
