"""Two instances on the real broker: swaps, holds, bad input, comings and goings."""

import json
import shutil
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from app.domain.digest import artifact_digest
from app.domain.records import Reason
from app.tools.producing.simulated_records import records
from app.topics import announcements
from tests.harness import models
from tests.harness.instances import Instance
from tests.harness.world import MODEL, World, record, until

if TYPE_CHECKING:
    from app.tools.producing.samples import Sample


def both(world: World, tmp_path: Path) -> tuple[Instance, Instance]:
    return (
        Instance(world.environment, tmp_path / "a.log"),
        Instance(world.environment, tmp_path / "b.log"),
    )


def test_a_swap_under_flow_loses_nothing_and_switches_all_partitions_at_one_time(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    first, second = both(world, tmp_path)
    with first, second:
        first.wait_until_assigned()
        second.wait_until_assigned()
        sent = 0
        for step in range(40):
            if step == 10:
                plan = world.announce_folder("2")
            world.send(record(i) for i in range(100))
            sent += 100
            time.sleep(0.1)
        world.wait_for_answers(sent)
        assert not first.events("stream.holds") + second.events("stream.holds")
    found = world.assert_each_answered_once()
    inputs = world.inputs()
    for _, signal in found.signals:
        time_ms, _, _ = inputs[signal.source_partition, signal.source_offset]
        assert signal.model_version == ("1" if time_ms < plan.effective_ms else "2")


def test_without_a_model_records_wait_and_are_answered_by_the_first(
    world: World, tmp_path: Path
) -> None:
    first, second = both(world, tmp_path)
    with first, second:
        world.send(record(i) for i in range(500))
        for instance in (first, second):
            event = instance.wait_for_event("stream.holds")
            assert event["waits_for"] == "no version of the model has been announced"
        assert len(world.answers()) == 0
        world.announce_folder("1")
        world.wait_for_answers(500)
        first.wait_for_event("stream.resumed")
        second.wait_for_event("stream.resumed")
    world.assert_each_answered_once()


def test_a_corrupt_artifact_holds_its_records_and_once_restored_they_are_answered(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    first, second = both(world, tmp_path)
    with first, second:
        world.send(record(i) for i in range(100))
        world.wait_for_answers(100)
        good = models.save(tmp_path / "good", "2")
        served = tmp_path / "served"
        shutil.copytree(good, served)
        (served / "model.json").write_text((good / "model.json").read_text() + " ")
        plan = world.announce(models.announcement(MODEL, "2", served, digest=artifact_digest(good)))
        refused = first.wait_for_event("model.not_loaded")
        assert refused["error"] == "ModelRefused"
        assert "its files have sha256:" in refused["why"]
        until(lambda: time.time() * 1000 > plan.effective_ms + 200)
        world.send(record(i) for i in range(100))
        for instance in (first, second):
            instance.wait_until_it_holds("version 2 can't be loaded")
        assert len(world.answers()) == 100
        shutil.copy(good / "model.json", served / "model.json")
        found = world.wait_for_answers(200)
        assert Counter(s.model_version for _, s in found.signals) == {"1": 100, "2": 100}
    world.assert_each_answered_once()


def test_a_poisonous_record_becomes_a_dead_letter_alone(world: World, tmp_path: Path) -> None:
    folder = models.save(tmp_path / "artifacts", "1", poison=13.0)
    world.announce(models.announcement(MODEL, "1", folder))
    first, second = both(world, tmp_path)
    with first, second:
        world.send(record(i, interest_rate=13 if i in {70, 71, 333} else 1) for i in range(1000))
        found = world.wait_for_answers(1000)
    assert len(found.letters) == 3
    for _, letter in found.letters:
        assert letter.rejection.reason is Reason.MODEL_RAISED
        assert letter.rejection.message == "ArithmeticError: an interest rate of 13.0"
        assert json.loads(letter.value or b"")["interest_rate"] == 13
    world.assert_each_answered_once()


def test_every_kind_of_bad_input_becomes_a_dead_letter_with_its_reason(
    world: World, tmp_path: Path
) -> None:
    world.environment["DS_MODELS_BREAKER__WINDOW"] = "0"  # half of them are bad
    folder = models.save(tmp_path / "artifacts", "1")
    world.announce(models.announcement(MODEL, "1", folder))
    due = set(Reason) - {Reason.MODEL_RAISED, Reason.BAD_PREDICTION}
    samples: list[Sample] = []
    endless = records(5, 0.5)
    while not due <= {sample.reason for sample in samples}:
        samples += islice(endless, 500)
    first, second = both(world, tmp_path)
    with first, second:
        world.send((s.value for s in samples), key=lambda n: samples[n].key)
        found = world.wait_for_answers(len(samples))
    expected = Counter(s.reason for s in samples if s.reason is not None)
    assert Counter(letter.rejection.reason for _, letter in found.letters) == expected
    assert set(expected) == due
    world.assert_each_answered_once()


def test_bad_announcements_are_logged_counted_and_ignored(world: World, tmp_path: Path) -> None:
    folder = models.save(tmp_path / "artifacts", "1")
    good = models.announcement(MODEL, "1", folder, event_id="the-event")
    key, value, headers = announcements.encode(good)
    other = announcements.encode(models.announcement("another-model", "9", folder))
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send(record(i) for i in range(100))
        world.send_announcement(key, None, [])
        world.send_announcement(key, b"not json", headers)
        world.send_announcement(None, b"\xff\xfe", [])
        world.send_announcement(*other)
        world.announce(good)
        world.send_announcement(key, value, headers)  # a duplicate
        world.wait_for_answers(100)
        until(lambda: len(instance.events("announcement.ignored")) == 5)
        kinds = [event["kind"] for event in instance.events("announcement.ignored")]
        assert kinds == ["null", "malformed", "malformed", "foreign", "duplicate"]
    found = world.assert_each_answered_once()
    assert {s.announcement_offset for _, s in found.signals} == {4}


def test_instances_that_join_and_leave_under_flow_lose_and_double_nothing(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    sent = 0

    def send() -> int:
        world.send(record(i) for i in range(500))
        return sent + 500

    with Instance(world.environment, tmp_path / "a.log") as stays:
        sent = send()
        stays.wait_until_assigned()
        for number in range(3):
            with Instance(world.environment, tmp_path / f"b{number}.log") as comes:
                sent = send()
                comes.wait_until_assigned()
                sent = send()
                assert comes.stop() == 0
            sent = send()
        world.wait_for_answers(sent)
        assert stays.stop() == 0
    world.assert_each_answered_once()


def test_outputs_with_other_partition_counts_keep_keys_together_and_answer_each_once(
    world: World, tmp_path: Path
) -> None:
    environment = {
        **world.with_outputs("narrow"),
        "DS_MODELS_TOPICS__SIGNALS": world.environment["DS_MODELS_TOPICS__SIGNALS"] + "-3",
        "DS_MODELS_TOPICS__PARTITIONS": "3",
    }
    narrow = World.__new__(World)
    narrow.__dict__.update(world.__dict__, environment=environment, _collectors={})
    narrow.create_topics()
    world.announce_folder("1")
    with Instance(environment, tmp_path / "a.log"):
        world.send(record(i) for i in range(400))
        world.send((record(i) for i in range(100)), key=lambda _: None)
        found = narrow.wait_for_answers(500)
    assert set(found.places().values()) == {1}
    homes: dict[bytes | None, set[int]] = {}
    for partition, signal in found.signals:
        key = found.keys[signal.source_partition, signal.source_offset]
        homes.setdefault(key, set()).add(partition)
    assert all(len(partitions) == 1 for key, partitions in homes.items() if key is not None)


def test_records_that_were_small_only_when_compressed_are_answered_and_stop_nothing(
    world: World, tmp_path: Path
) -> None:
    """No topic of ours can take them as they are: the letter says what was left out."""
    world.announce_folder("1")
    world.producer = Producer(
        {**world.client, "compression.type": "gzip", "message.max.bytes": 10_000_000}
    )
    huge = [record(1, note="x" * 5_000_000), record(2), record(3)]
    keys = {0: b"k", 1: b"y" * 5_000_000, 2: b"k"}
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send(huge, key=lambda number: keys[number])
        found = world.wait_for_answers(3)
        assert instance.stop() == 0
    assert set(found.places().values()) == {1}
    assert [s.id for _, s in found.signals] == ["r-3"]
    assert {letter.rejection.reason for _, letter in found.letters} == {Reason.TOO_LARGE}
    assert {letter.value is None for _, letter in found.letters} == {True, False}
