"""The right version: a function of the two topics alone, live and when they are run again."""

import random
import threading
import time
from pathlib import Path

import pytest

from tests.harness.instances import Instance
from tests.harness.world import Answers, World, record


def by_place(found: Answers) -> dict[tuple[int, int], tuple[str, ...]]:
    """Return version, announcement and outcome of each record."""
    outcomes = {
        (s.source_partition, s.source_offset): (s.model_version, str(s.announcement_offset), s.id)
        for _, s in found.signals
    }
    letters = {
        (d.source_partition, d.source_offset): ("letter", d.rejection.reason, d.rejection.message)
        for _, d in found.letters
    }
    return {**outcomes, **letters}


@pytest.mark.parametrize("seed", range(2))
def test_with_random_producers_and_announcements_each_record_gets_the_version_in_force(
    world: World, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    done = threading.Event()
    counts = [0, 0, 0]

    def produce(number: int) -> None:
        own = random.Random(seed * 10 + number)
        while not done.is_set():
            size = own.randrange(1, 80)
            world.send((record(i) for i in range(size)), partition=own.choice([None, 0, 1, 2, 3]))
            counts[number] += size
            done.wait(own.uniform(0, 0.05))

    producers = [threading.Thread(target=produce, args=(n,)) for n in range(3)]
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
    ):
        for producer in producers:
            producer.start()
        for version in range(1, 9):
            guard = chance.choice([1000, 1000, 1500, 3000])
            later = chance.choice(
                [None, None, round(time.time() * 1000) + chance.randrange(500, 5000)]
            )
            world.announce_folder(str(version), guard_ms=guard, effective_from_ms=later)
            time.sleep(chance.uniform(0.0, 2.0))
        time.sleep(5)
        done.set()
        for producer in producers:
            producer.join()
        world.wait_for_answers(sum(counts))
        assert [first.stop(), second.stop()] == [0, 0]
        late = first.events("plan.visible_late") + second.events("plan.visible_late")
        assert late == []
    found = world.assert_each_answered_once()
    assert len({s.model_version for _, s in found.signals}) > 2


def test_the_topics_run_again_give_the_same_version_and_outcome_for_each_record(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    with (
        Instance(world.environment, tmp_path / "a.log"),
        Instance(world.environment, tmp_path / "b.log"),
    ):
        sent = 0
        for version in ("2", "3"):
            world.announce_folder(version)
            for _ in range(10):
                world.send(
                    record(i, **({"month": "never"} if i % 17 == 0 else {}), interest_rate=i / 40)
                    for i in range(300)
                )
                sent += 300
                time.sleep(0.3)
        live = world.wait_for_answers(sent)
    world.assert_each_answered_once()

    again = world.with_outputs("replay")
    with Instance(again, tmp_path / "replay.log"):
        replayed = world.wait_for_answers(sent, environment=again)
        world.assert_each_answered_once(again)

    assert by_place(replayed) == by_place(live)
    assert len({s.model_version for _, s in live.signals}) == 3
    prices = {(s.source_partition, s.source_offset): s.predicted_price for _, s in replayed.signals}
    for _, signal in live.signals:
        place = (signal.source_partition, signal.source_offset)
        assert signal.predicted_price == pytest.approx(prices[place], rel=1e-9)
