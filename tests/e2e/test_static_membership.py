"""Instances with names that they keep over a restart: `kafka.group_instance_id`."""

import signal
from pathlib import Path

from tests.harness.instances import Instance
from tests.harness.world import SOON_REPLACED, World, record, until


def named(world: World, name: str, log: Path) -> Instance:
    return Instance({**world.environment, "DS_MODELS_KAFKA__GROUP_INSTANCE_ID": name}, log)


def shares(instance: Instance) -> list[int]:
    """Return its partitions, if it has some but not all."""
    told = [event["partitions"] for event in instance.events("partitions.assigned")]
    return told[-1] if told and 0 < len(told[-1]) < 4 else []


def stands_still(instance: Instance) -> bool:
    status = Path(f"/proc/{instance._process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def test_a_named_instance_that_is_restarted_disturbs_no_other_one(
    world: World, tmp_path: Path
) -> None:
    world.environment["DS_MODELS_KAFKA__SESSION_TIMEOUT_MS"] = "30000"
    world.announce_folder("1")
    with (
        named(world, "one", tmp_path / "one.log") as one,
        named(world, "two", tmp_path / "two.log") as two,
    ):
        until(lambda: shares(one) and shares(two), what="both have their share")
        disturbed, had = len(one.events("partitions.revoked")), shares(two)
        assert two.stop() == 0
        world.send(record(i) for i in range(100))
        with named(world, "two", tmp_path / "two-again.log") as two_again:
            two_again.wait_until_assigned()
            world.wait_for_answers(100)
            assert shares(two_again) == had
            assert len(one.events("partitions.revoked")) == disturbed
            assert one.stop() == 0  # one of the two leads the group: that is as quiet
            world.send(record(i) for i in range(100))
            with named(world, "one", tmp_path / "one-again.log") as one_again:
                one_again.wait_until_assigned()
                world.wait_for_answers(200)
                assert not two_again.events("partitions.revoked")
    world.assert_each_answered_once()


def test_a_zombie_whose_name_another_one_has_taken_commits_nothing_and_ends(
    world: World, tmp_path: Path
) -> None:
    world.environment |= SOON_REPLACED
    world.announce_folder("1")
    world.environment["FAULT"] = "before_commit:1:stop"
    with named(world, "same", tmp_path / "a.log") as zombie:
        zombie.wait_until_assigned()
        world.send(record(i) for i in range(200))
        until(lambda: stands_still(zombie))
        del world.environment["FAULT"]
        with named(world, "same", tmp_path / "b.log") as second:
            second.wait_until_assigned()
            world.wait_for_answers(200)
            zombie.send(signal.SIGCONT)
            assert zombie.wait() == 6
            world.send(record(i) for i in range(200))
            world.wait_for_answers(400)
            assert second.running
    assert "the group has gone on without this instance" in zombie.tail()
    world.assert_each_answered_once()
