"""An operator's word on the status topic of a real broker."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from app.domain.errors import BrokerUnavailable
from app.topics import reading, resumes, status
from app.topics.resumes import Resume, Resumes
from tests.harness.world import World, until

GROUP = "group"


@pytest.fixture
def waiting(world: World) -> Iterator[Resumes]:
    made = Resumes(world.client, world.settings.topics.status, GROUP)
    yield made
    made.close()


def say(world: World, group: str = GROUP) -> None:
    resumes.send(world.client, world.settings.topics.status, Resume(group, "fixed"))


def test_a_word_that_comes_while_it_waits_is_heard_once(world: World, waiting: Resumes) -> None:
    until(waiting.wait)  # a topic that was just made has no leader yet
    assert not waiting.came()
    say(world)
    until(waiting.came)
    assert not waiting.came()


def test_a_word_from_before_it_waited_does_not_count(world: World, waiting: Resumes) -> None:
    say(world)
    until(waiting.wait)  # a topic that was just made has no leader yet
    say(world, "another")
    assert not any(waiting.came() for _ in range(50))
    say(world)
    until(waiting.came)


def test_a_word_to_another_group_and_what_is_no_word_are_passed_over(
    world: World, waiting: Resumes
) -> None:
    until(waiting.wait)  # a topic that was just made has no leader yet
    say(world, "another")
    producer = Producer(world.client)
    for value in (b"no JSON", b"{}", None):
        producer.produce(world.settings.topics.status, value, f"resume:{GROUP}".encode())
    assert producer.flush(30) == 0
    assert not any(waiting.came() for _ in range(50))
    say(world)
    until(waiting.came)


def test_one_that_has_not_begun_to_wait_begins_when_it_is_asked(
    world: World, waiting: Resumes
) -> None:
    say(world)
    assert not waiting.came()  # it looks for the end of the topic

    def heard() -> bool:
        say(world)
        return waiting.came()

    until(heard)


def test_a_word_is_no_report_of_an_instance(world: World) -> None:
    say(world)
    assert status.newest(reading.read(world.client, world.settings.topics.status)) == []


def test_a_broker_that_is_away_is_told() -> None:
    nobody = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    with pytest.raises(BrokerUnavailable, match="did not take it"):
        resumes.send(nobody, "status", Resume(GROUP))
