"""Exactly once where it is hard: killed at named points, killed at random, under load."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.harness.instances import Instance
from tests.harness.world import SOON_REPLACED, World, record


@pytest.mark.parametrize("point", ["after_add", "after_produce", "before_commit"])
def test_killed_again_and_again_at_a_named_point_each_record_is_answered_once(
    world: World, tmp_path: Path, point: str
) -> None:
    world.announce_folder("1")
    sent = 0
    for call in (1, 3, 7):
        # Small batches, so that earlier ones are committed and later ones are not.
        environment = {
            **world.environment,
            "FAULT": f"{point}:{call}:kill",
            "DS_MODELS_STREAM__MAX_BATCH": "50",
            **SOON_REPLACED,
        }
        world.send(record(i) for i in range(sent, sent + 1000))
        sent += 1000
        with Instance(environment, tmp_path / f"killed-{call}.log") as instance:
            assert instance.wait() == -signal.SIGKILL
    with Instance(world.environment | SOON_REPLACED, tmp_path / "last.log") as instance:
        world.wait_for_answers(sent)
        assert instance.stop() == 0
    world.assert_each_answered_once()


def test_two_instances_killed_at_random_under_load_answer_each_record_once(
    world: World, tmp_path: Path
) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10_000)))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    world.environment |= SOON_REPLACED
    world.announce_folder("1")
    sent, done = [0], threading.Event()

    def flow() -> None:
        while not done.is_set():
            world.send(record(i, interest_rate="no" if i % 97 == 0 else 4.5) for i in range(200))
            sent[0] += 200
            done.wait(0.05)

    sender = threading.Thread(target=flow)
    instances = [Instance(world.environment, tmp_path / f"{i}-0.log") for i in range(2)]
    try:
        sender.start()
        for kill in range(1, 7):
            time.sleep(chance.uniform(0.5, 3.0))  # before and after a victim was replaced
            if kill == 4:
                world.announce_folder("2")
            victim = chance.randrange(2)
            instances[victim].kill()
            instances[victim] = Instance(world.environment, tmp_path / f"{victim}-{kill}.log")
        done.set()
        sender.join()
        world.wait_for_answers(sent[0], timeout_s=90)
        for instance in instances:  # the last one may have been started a moment ago
            instance.wait_for_event("operator_port.listens")
        assert [instance.stop() for instance in instances] == [0, 0]
    finally:
        done.set()
        for instance in instances:
            instance.kill()
    found = world.assert_each_answered_once()
    assert {s.model_version for _, s in found.signals} == {"1", "2"}
