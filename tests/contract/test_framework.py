"""What Quix Streams leaves open, on the real broker: these fail when it changes underneath."""

import signal
import time
from pathlib import Path

import pytest

from app.stream.answers import Answers
from app.stream.micro_batches import MicroBatchApplication
from app.stream.transaction_output import TransactionOutput
from app.topics import reading
from tests.harness import models
from tests.harness.instances import Instance
from tests.harness.world import MODEL, SOON_REPLACED, World, record, until


def with_fault(world: World, fault: str, **changes: str) -> dict[str, str]:
    return {**world.environment, "FAULT": fault, **changes}


def test_back_pressure_on_several_partitions_loses_and_reorders_nothing(
    world: World, tmp_path: Path
) -> None:
    world.send(record(i) for i in range(2000))
    with Instance(world.environment, tmp_path / "a.log") as instance:
        instance.wait_for_event("stream.holds")
        world.send(record(i) for i in range(500))
        world.send((record(i) for i in range(100)), partition=2)
        world.announce_folder("1")
        world.wait_for_answers(2600)
        assert instance.stop() == 0
    world.assert_each_answered_once()


@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
def test_a_hold_that_begins_in_the_middle_of_a_partition_resumes_at_its_first_record(
    world: World, tmp_path: Path, guarantee: str
) -> None:
    environment = {**world.environment, "DS_MODELS_STREAM__GUARANTEE": guarantee}
    world.announce_folder("1")
    with Instance(environment, tmp_path / "a.log") as instance:
        world.send(record(i) for i in range(40))
        world.wait_for_answers(40)
        folder = models.save(tmp_path / "served", "2")
        plan = models.announcement(MODEL, "2", folder)
        hidden = folder.rename(tmp_path / "hidden")
        due = world.announce(plan)
        instance.wait_for_event("model.not_loaded")
        until(lambda: time.time() * 1000 > due.effective_ms + 100)
        world.send(record(i) for i in range(400))
        instance.wait_for_event("stream.holds")
        assert len(world.answers()) == 40
        hidden.rename(folder)
        world.wait_for_answers(440)
        assert instance.stop() == 0
    world.assert_each_answered_once()


def test_partitions_that_are_assigned_again_while_a_hold_has_paused_them_are_read_on(
    world: World, tmp_path: Path
) -> None:
    """Kafka's client keeps the pause over an assignment, and Quix forgets that it paused."""
    world.environment["DS_MODELS_STREAM__HOLD_RETRY_S"] = "5"  # paused nearly all of the time
    world.send(record(i) for i in range(400))
    with Instance(world.environment, tmp_path / "a.log") as first:
        first.wait_for_event("stream.holds")
        with Instance(world.environment, tmp_path / "b.log") as second:
            second.wait_until_assigned()
            world.announce_folder("1")
            world.wait_for_answers(400)
            assert [first.stop(), second.stop()] == [0, 0]
    world.assert_each_answered_once()


def test_a_zombie_that_wakes_with_a_batch_in_hand_drops_it(world: World, tmp_path: Path) -> None:
    world.environment |= SOON_REPLACED  # well before its commits go on
    world.announce_folder("1")
    world.send(record(i) for i in range(20))
    with Instance(with_fault(world, "instead_of_commit:1:stop"), tmp_path / "zombie.log") as zombie:
        zombie.wait_until_assigned()
        with Instance(world.environment, tmp_path / "other.log") as other:
            other.wait_until_assigned()  # after the session time-out
            world.wait_for_answers(20)
            zombie.send(signal.SIGCONT)
            zombie.wait_for_event("partitions.lost")
            zombie.wait_until_assigned(2)
            world.send(record(i) for i in range(20))
            world.wait_for_answers(40)
            time.sleep(9)  # until the zombie's commits go on
            world.send(record(i) for i in range(20))
            world.wait_for_answers(60)
            assert other.stop() == 0
        assert zombie.stop() == 0
    world.assert_each_answered_once()


@pytest.mark.parametrize(
    ("point", "transaction_ms"),
    [
        ("after_add:1", 5_000),
        ("after_produce:1", 30_000),  # what stands in its queue must not time out meanwhile
        ("before_commit:1", 5_000),  # the next owner waits for the end of its transaction
    ],
)
def test_a_zombie_that_wakes_in_its_commit_is_refused(
    world: World, tmp_path: Path, point: str, transaction_ms: int
) -> None:
    world.environment |= SOON_REPLACED
    world.environment["DS_MODELS_KAFKA__TRANSACTION_TIMEOUT_MS"] = str(transaction_ms)
    world.announce_folder("1")
    world.send(record(i) for i in range(20))
    with Instance(with_fault(world, f"{point}:stop"), tmp_path / "zombie.log") as zombie:
        zombie.wait_until_assigned()
        with Instance(world.environment, tmp_path / "other.log") as other:
            other.wait_until_assigned()
            until(lambda: sum(world.committed().values()) == 20)
            zombie.send(signal.SIGCONT)
            assert zombie.wait() == 6, zombie.tail()
            world.send(record(i) for i in range(20))
            world.wait_for_answers(40)
            assert other.stop() == 0
    world.assert_each_answered_once()


@pytest.mark.parametrize("slow_model", [False, True], ids=["quick", "slower_than_the_budget"])
def test_a_revocation_in_the_middle_of_a_batch_drops_it_and_the_next_owner_answers(
    world: World, tmp_path: Path, slow_model: bool
) -> None:
    """With a slow model, a flush in Quix's abandoned thread would produce into a later batch."""
    folder = models.save(tmp_path / "served", "1", slow_s=4.0 if slow_model else 0.0)
    world.announce(models.announcement(MODEL, "1", folder))
    world.send(record(i) for i in range(200))
    changes = {"DS_MODELS_KAFKA__MAX_POLL_INTERVAL_MS": "10000"} if slow_model else {}
    with Instance(
        with_fault(world, "instead_of_commit:1:nothing", **changes), tmp_path / "first.log"
    ) as first:
        first.wait_until_assigned()
        with Instance(world.environment, tmp_path / "second.log") as second:
            second.wait_until_assigned()
            first.wait_for_event("partitions.revoked")
            world.send(record(i) for i in range(200))
            world.wait_for_answers(400)
            assert second.stop() == 0
        assert first.stop() == 0
    world.assert_each_answered_once()


def test_an_error_of_the_consumer_among_messages_ends_the_app_and_answers_nothing_of_them(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    world.send(record(i) for i in range(100))
    with Instance(with_fault(world, "in_poll:1:error"), tmp_path / "a.log") as instance:
        assert instance.wait() == 1, instance.tail()
    assert len(world.answers()) == 0
    with Instance(world.environment, tmp_path / "b.log"):
        world.wait_for_answers(100)
    world.assert_each_answered_once()


@pytest.mark.parametrize("point", ["after_add:1", "after_produce:2", "before_commit:2"])
def test_an_exception_inside_a_batch_ends_the_app_and_the_next_one_answers(
    world: World, tmp_path: Path, point: str
) -> None:
    world.announce_folder("1")
    environment = with_fault(world, f"{point}:raise", DS_MODELS_STREAM__MAX_BATCH="100")
    world.send(record(i) for i in range(1000))
    with Instance(environment, tmp_path / "a.log") as instance:
        assert instance.wait() == 1, instance.tail()
    with Instance(world.environment, tmp_path / "b.log"):
        world.wait_for_answers(1000)
    world.assert_each_answered_once()


def test_a_stop_under_flow_commits_what_it_answered_and_leaves(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    world.send(record(i) for i in range(20_000))
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.wait_for_answers(1)
        started = time.monotonic()
        assert instance.stop() == 0
        assert time.monotonic() - started < 10
    with Instance(world.environment, tmp_path / "b.log"):
        world.wait_for_answers(20_000)
    world.assert_each_answered_once()


def test_a_stop_during_a_hold_is_clean(world: World, tmp_path: Path) -> None:
    world.send([record(1)])
    with Instance(world.environment, tmp_path / "a.log") as instance:
        instance.wait_for_event("stream.holds")
        started = time.monotonic()
        assert instance.stop() == 0
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("queue", [50, 1000], ids=["as_it_is", "smaller_than_we_think"])
def test_a_full_producer_queue_blocks_and_loses_nothing(world: World, queue: int) -> None:
    topics = world.settings.topics
    application = MicroBatchApplication(
        max_batch=10,
        linger_s=0.01,
        before_poll=lambda: None,
        drop_batch=lambda: None,
        broker_address=world.bootstrap_servers,
        consumer_group="full-queue",
        loglevel=None,
        producer_extra_config={"queue.buffering.max.messages": 50, "linger.ms": 100},
    )
    output = TransactionOutput(
        application,
        source_topic=topics.records,
        signals_topic=topics.signals,
        letters_topic=topics.dead_letters,
        partitions={topics.records: 4, topics.signals: 4, topics.dead_letters: 4},
        queue=queue,
    )
    messages = [{"value": b"%d" % i, "key": None} for i in range(3000)]
    output.send(Answers(2, messages, []))
    application._producer.flush()
    found = list(reading.read(world.client, topics.signals))
    values = [m.value or b"" for m in found]
    assert sorted(values) == sorted(b"%d" % i for i in range(3000))
    assert values == [b"%d" % i for i in range(3000)] or queue > 50
    assert {m.partition for m in found} == {2}
