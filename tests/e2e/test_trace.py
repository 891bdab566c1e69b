"""`trace` on a real broker: records that wait, are answered, rejected, answered twice, or gone."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from app import settings
from app.bootstrap import parts
from app.topics.signals import Signal
from tests.harness.instances import Instance
from tests.harness.terminal import app, app_json
from tests.harness.world import World, record, until


def traces(world: World, what: str, *options: str, **changes: str) -> list[dict[str, Any]]:
    code, found = app_json(world.environment, "trace", what, *options, **changes)
    assert code == (0 if found else 8)
    return found


def the_trace(world: World, what: str, *options: str, **changes: str) -> dict[str, Any]:
    (found,) = traces(world, what, *options, **changes)
    return found


def signal_of(world: World, partition: int, offset: int, price: float = 1.0) -> bytes:
    source = world.settings.topics.records
    return msgspec.json.encode(Signal("r", None, price, "m", "1", 0, source, partition, offset))


def answer(world: World, value: bytes, partition: int, topic: str | None = None) -> None:
    """Write a signal by hand."""
    topic = topic or world.settings.topics.signals
    world.producer.produce(topic, value, b"k", partition)
    assert world.producer.flush(30) == 0


def commit(world: World, partition: int, offset: int) -> None:
    """Set the group's position by hand."""
    group = world.settings.kafka.consumer_group
    member = Consumer({**world.client, "group.id": group})
    place = TopicPartition(world.settings.topics.records, partition, offset)
    member.commit(offsets=[place], asynchronous=False)
    member.close()


def test_a_record_is_traced_from_before_its_plan_to_its_answer(
    world: World, tmp_path: Path
) -> None:
    world.send(record(number) for number in range(8))
    early = the_trace(world, "r-6")
    assert (early["record"]["partition"], early["record"]["offset"]) == (2, 1)
    assert (early["state"], early["rule"], early["plan"]) == ("waiting", "no_plan", None)
    assert (early["committed"], early["answers"]) == (None, [])

    first = world.announce_folder("1")
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.wait_for_answers(8)
        answered = the_trace(world, "r-6")
        assert (answered["state"], answered["rule"]) == ("answered", "first_plan")
        assert answered["plan"]["offset"] == first.offset
        assert answered["committed"] > 1
        (signal,) = answered["answers"]
        assert (signal["kind"], signal["by_plan"], signal["partition"]) == ("signal", True, 2)
        assert signal["predicted_price"] == 1006.0
        assert signal["latency_ms"] >= 0

        second = world.announce_folder("2", guard_ms=0)
        world.send([record(1, id="twin")], partition=0)
        world.send([record(2, id="twin"), b'{"id": "spoilt"}'], partition=3)
        world.wait_for_answers(11)
        twins = traces(world, "twin")
        assert [one["record"]["partition"] for one in twins] == [0, 3]
        assert [one["answers"][0]["predicted_price"] for one in twins] == [2001.0, 2002.0]
        for one in twins:
            assert (one["rule"], one["plan"]["offset"]) == ("highest_offset", second.offset)
            assert one["later"] is None
        assert the_trace(world, "r-6")["later"]["offset"] == second.offset

        spoilt = the_trace(world, "spoilt")
        (letter,) = spoilt["answers"]
        assert (letter["kind"], letter["reason"]) == ("dead letter", "missing_field")
        assert letter["by_plan"] is None
        assert spoilt["record"]["rejected"] == "missing_field"
        place = f"{spoilt['record']['partition']}/{spoilt['record']['offset']}"
        assert the_trace(world, place) == spoilt
        assert the_trace(world, place.replace("/", ":")) == spoilt
        assert the_trace(world, f"{world.settings.topics.records}/{place}") == spoilt

        reports = app_json(world.environment, "inspect", world.settings.topics.status)[1]
        assert {one["kind"] for one in reports} == {"report"}
        assert reports[-1]["in_force"]["version"] == "2"
        assert instance.stop() == 0
    left = app_json(world.environment, "inspect", world.settings.topics.status)[1]
    assert left[-1]["kind"] == "left"

    world.send([record(9, id="late")], partition=2)
    late = the_trace(world, "late")
    assert (late["state"], late["committed"]) == ("waiting", late["record"]["offset"])
    screen = app(world.environment, "trace", "late").stdout
    assert "not answered yet" in screen
    screen = app(world.environment, "trace", "twin").stdout
    assert screen.count("answer  signal") == 2
    assert f"version 2, offset {second.offset}" in screen


def test_what_is_not_there_ends_with_8(world: World) -> None:
    world.send([record(0)], partition=0)
    for what in (
        "nobody",
        "0/1",
        "0/999",
        "0:1",
        "99/0",
        "99:0",
        f"{world.settings.topics.records}/0/1",
    ):
        assert traces(world, what) == []
    run = app(world.environment, "trace", "nobody")
    assert run.returncode == 8
    assert "no record with this id" in run.stdout


def test_the_place_of_a_marker_is_no_record(world: World) -> None:
    producer = Producer({**world.client, "transactional.id": world.settings.topics.records})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(world.settings.topics.records, record(0), b"k", 0)
    producer.commit_transaction(30)
    until(lambda: traces(world, "0/0"))  # the broker writes the marker after its answer
    world.send([record(1)], partition=0)
    assert the_trace(world, "0/0")["record"]["id"] == "r-0"
    assert traces(world, "0/1") == []
    assert the_trace(world, "0/2")["record"]["id"] == "r-1"


def test_an_id_is_found_however_it_is_written_and_also_if_it_looks_like_a_place(
    world: World,
) -> None:
    world.send([b'{"id": "\\u0061\\/b"}', record(1, id="7/7"), record(2, id="été")], partition=1)
    assert the_trace(world, "a/b")["record"]["offset"] == 0
    assert the_trace(world, "7/7")["record"]["offset"] == 1
    assert the_trace(world, "été")["record"]["offset"] == 2
    assert the_trace(world, "1/2")["record"]["id"] == "été"


def test_the_search_for_an_id_begins_where_it_is_told(world: World) -> None:
    world.send([record(0, id="twin"), record(1, id="twin"), record(2)], partition=0)
    assert [one["record"]["offset"] for one in traces(world, "twin")] == [0, 1]
    assert the_trace(world, "twin", "--from", "1")["record"]["offset"] == 1
    assert traces(world, "twin", "--from", "2999-01-01") == []


@pytest.mark.parametrize("where", ["latest", "yesterday"])
def test_a_start_where_no_record_can_be_is_refused(world: World, where: str) -> None:
    done = app(world.environment, "trace", "r-0", "--from", where)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--from" in done.stderr


def test_a_second_answer_is_found_if_it_is_looked_for(world: World) -> None:
    world.send([record(0), record(1)], partition=1)
    answer(world, signal_of(world, 1, 0, 1.0), 1)
    answer(world, signal_of(world, 1, 1), 1)
    answer(world, signal_of(world, 1, 0, 2.0), 1)
    answer(world, b"noise", 1)
    assert len(the_trace(world, "1/0")["answers"]) == 1
    both = the_trace(world, "1/0", "--to-end")["answers"]
    assert [one["predicted_price"] for one in both] == [1.0, 2.0]


def test_an_answer_of_another_input_is_none(world: World) -> None:
    world.send([record(0)], partition=1)
    source = b'"%s"' % world.settings.topics.records.encode()
    answer(world, signal_of(world, 1, 0).replace(source, b'"elsewhere"'), 1)
    assert the_trace(world, "1/0")["state"] == "waiting"


def test_a_record_that_the_group_is_past_without_an_answer_is_gone(world: World) -> None:
    world.send([record(0)], partition=1)
    commit(world, 1, 1)
    assert the_trace(world, "1/0")["state"] == "gone"


def test_an_answer_in_another_partition_is_found_once_the_group_is_past_the_record(
    world: World,
) -> None:
    world.send([record(0)], partition=1)
    answer(world, signal_of(world, 1, 0), 3)
    commit(world, 1, 1)
    assert the_trace(world, "1/0")["answers"][0]["partition"] == 3


def test_answers_on_a_topic_with_other_partitions_are_found(world: World) -> None:
    environment = {
        **world.environment,
        "DS_MODELS_TOPICS__SIGNALS": f"{world.settings.topics.signals}-few",
        "DS_MODELS_TOPICS__PARTITIONS": "2",
    }
    few = settings.read(environment)
    parts.topic_catalog(few).create(parts.topic_specs(few))
    world.send([record(0)], partition=3)
    answer(world, signal_of(world, 3, 0), 0, few.topics.signals)
    found = the_trace(world, "3/0", **environment)
    assert found["answers"][0]["topic"] == few.topics.signals


def test_an_answer_of_an_open_transaction_is_not_there_yet(world: World) -> None:
    world.send([record(0)], partition=0)
    producer = Producer({**world.client, "transactional.id": world.settings.topics.records})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(world.settings.topics.signals, signal_of(world, 0, 0), b"k", 0)
    assert producer.flush(30) == 0
    assert the_trace(world, "r-0")["state"] == "waiting"
    producer.commit_transaction(30)
    assert the_trace(world, "r-0")["state"] == "answered"
