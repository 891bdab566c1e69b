"""The broker away, and the announcements out of reach."""

from pathlib import Path

from confluent_kafka.admin import AdminClient

from infrastructure.kafka.broker import Broker
from tests.harness.instances import Instance
from tests.harness.world import World, record, until


def test_a_broker_that_crashes_under_flow_and_comes_back_costs_no_record(tmp_path: Path) -> None:
    with Broker(tmp_path / "kafka", owned=True) as broker:
        world = World(broker.bootstrap_servers, tmp_path)
        world.announce_folder("1")
        with Instance(world.environment, tmp_path / "a.log") as first:
            world.send(record(i) for i in range(5000))
            world.wait_for_answers(1)
            broker.kill()
            broker.start()
            world.send(record(i) for i in range(5000))
            world.wait_for_answers(10_000, timeout_s=120)
            assert first.stop() == 0
        world.assert_each_answered_once()


def test_an_instance_whose_announcements_are_gone_ends_with_4_and_says_so(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    environment = {**world.environment, "DS_MODELS_STREAM__FEED_STALE_AFTER_S": "5"}
    with Instance(environment, tmp_path / "a.log") as instance:
        instance.wait_until_assigned()
        world.send(record(i) for i in range(10))
        world.wait_for_answers(10)
        topic = world.settings.topics.announcements
        admin = AdminClient(world.client)  # its futures end with it
        admin.delete_topics([topic])[topic].result(30)
        until(lambda: not instance.running, what="its end")
        assert instance.exit_code == 4, instance.tail()
        assert "FeedError: the announcements could not be followed" in instance.tail(1)
