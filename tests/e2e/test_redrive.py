"""`dead-letters` and `redrive` on the real broker: each letter is sent again once, for ever."""

import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from app.domain.records import Reason, Rejection
from app.topics import dead_letters, reading
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message
from tests.harness.instances import ROOT, Instance
from tests.harness.terminal import app, app_json
from tests.harness.world import World, record, until

WITH_RENAME = ("--rename", "rate=interest_rate")


def start(world: World, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "app", *arguments],
        env={**os.environ, **world.environment},
        cwd=ROOT,
        text=True,
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **streams,
        },
    )


def run(world: World, *arguments: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error."""
    done = app(world.environment, *arguments)
    return done.returncode, done.stdout, done.stderr


def asked(world: World, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run it with `--json`; return the exit code and what it says."""
    code, (said,) = app_json(world.environment, *arguments)
    return code, said


def renamed(number: int) -> bytes:
    """Return a record whose interest rate has another name."""
    return record(number).replace(b'"interest_rate"', b'"rate"')


def send_letters(
    world: World, values: Iterable[bytes | None], *, source: str | None = None, tries: int = 0
) -> None:
    """Append dead letters as the stream would write them."""
    topics = world.settings.topics
    for number, value in enumerate(values):
        letter = DeadLetter(
            b"series-%d" % (number % 16),
            value,
            source or topics.records,
            number % 4,
            number,
            Rejection(Reason.MISSING_FIELD, "interest_rate: the field is missing or null"),
            tries,
        )
        key, kept, headers = dead_letters.encode(letter)
        world.producer.produce(topics.dead_letters, kept, key, number % 4, headers=headers)
        if number % 1_000 == 0:
            world.producer.poll(0)
    assert world.producer.flush(30) == 0


def redriven(world: World) -> list[Message]:
    """Return the records that were letters, as a `read_committed` reader sees them."""
    found = reading.read(world.client, world.settings.topics.records)
    return [message for message in found if "ds_redriven_from" in dict(message.headers)]


def sources(world: World) -> Counter[str]:
    """Return how often each letter was sent."""
    return Counter(
        (dict(message.headers)["ds_redriven_from"] or b"").decode() for message in redriven(world)
    )


def letters(world: World) -> dict[str, Message]:
    return {
        f"{message.partition}:{message.offset}": message
        for message in reading.read(world.client, world.settings.topics.dead_letters)
    }


# --- dead-letters ---


def test_dead_letters_are_counted_by_reason_and_time_with_samples(world: World) -> None:
    code, none = asked(world, "dead-letters", "--samples", "3")
    assert (code, none["letters"], none["reasons"], none["histogram"]) == (0, 0, [], [])
    send_letters(world, [renamed(n) for n in range(20)])
    sent_ms = max(message.appended_ms for message in letters(world).values())
    until(lambda: round(time.time() * 1000) > sent_ms + 1, 30, "another millisecond")
    send_letters(world, [renamed(n) for n in range(20, 30)])
    world.producer.produce(world.settings.topics.dead_letters, b"noise")
    world.producer.flush(30)

    code, found = asked(world, "dead-letters", "--samples", "2")
    assert (code, found["letters"], found["no_letters"], found["redriven"]) == (0, 30, 1, 0)
    (reason,) = found["reasons"]
    assert (reason["reason"], reason["share"], len(reason["samples"])) == ("missing_field", 1.0, 2)
    assert sum(bar["letters"] for bar in found["histogram"]) == 30
    assert reason["samples"][0]["appended"] == reason["last"]
    assert '"rate"' in reason["samples"][0]["value_start"]

    _, later = asked(world, "dead-letters", "--from", reason["last"])
    assert 1 <= later["letters"] < 30
    _, earlier = asked(world, "dead-letters", "--until", reason["last"])
    assert earlier["letters"] == 30 - later["letters"]
    assert asked(world, "dead-letters", "--reason", "empty")[1]["letters"] == 0

    code, shown, _ = run(world, "dead-letters", "--samples", "1")
    assert code == 0
    assert "missing_field" in shown
    assert "1 message is no dead letter" in shown


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("dead-letters", "--from", "soon"), "'soon' is no time"),
        (("dead-letters", "--reason", "bad"), "'bad' is not one of"),
        (("redrive", "--dry-run", "--offset", "3"), "--offset needs --partition"),
        (("redrive", "--dry-run", "--rename", "rate"), "'rate' is not old=new"),
        (("redrive",), "nobody can be asked here"),
    ],
)
def test_what_can_not_be_meant_ends_with_2_and_nothing_is_sent(
    world: World, arguments: tuple[str, ...], why: str
) -> None:
    send_letters(world, [record(1)])
    code, _, err = run(world, *arguments)
    assert code == 2
    assert why in " ".join(err.replace("│", " ").split())
    assert redriven(world) == []


# --- redrive ---


def test_renamed_records_are_redriven_under_a_running_stream_and_each_gets_one_signal(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    done = threading.Event()
    sent = [0]

    def flow() -> None:
        while not done.is_set():
            world.send(record(n) for n in range(100))
            sent[0] += 100
            done.wait(0.05)

    sender = threading.Thread(target=flow)
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send([*(renamed(n) for n in range(1_000, 1_200)), b"hopeless"])
        world.wait_for_answers(201)
        sender.start()
        try:
            code, would = asked(world, "redrive", *WITH_RENAME, "--dry-run")
            assert (code, would["to_redrive"], would["redriven"]) == (8, 200, None)
            assert would["outcomes"]["not_editable"] == would["skipped"] == 1
            valid = next(one for one in would["samples"] if one["outcome"] == "valid")
            assert '"rate"' in valid["before_start"]
            assert '"interest_rate"' in valid["after_start"]
            assert redriven(world) == []

            code, did = asked(world, "redrive", *WITH_RENAME, "--reason", "missing_field", "--yes")
            assert (code, did["redriven"], did["ended"]) == (0, 200, "done")
            code, again = asked(
                world, "redrive", *WITH_RENAME, "--reason", "missing_field", "--yes"
            )
            assert (code, again["already_redriven"], again["redriven"]) == (0, 200, None)
            assert asked(world, "dead-letters")[1]["redriven"] == 200
        finally:
            done.set()
            sender.join()
        world.wait_for_answers(401 + sent[0])
        assert instance.stop() == 0
    found = world.assert_each_answered_once()
    ids = Counter(signal.id for _, signal in found.signals)
    assert [ids[f"r-{n}"] for n in range(1_000, 1_200)] == [1] * 200

    old = letters(world)
    for message in redriven(world):
        headers = dict(message.headers)
        letter = old[(headers["ds_redriven_from"] or b"").decode()]
        of = dead_letters.decode(letter.key, letter.value, letter.headers)
        assert headers["ds_redrive_tries"] == b"1"
        assert (message.key, message.partition) == (of.key, of.source_partition)
        assert message.value == (of.value or b"").replace(b'"rate"', b'"interest_rate"').replace(
            b", ", b","
        ).replace(b": ", b":")


def test_a_record_that_comes_back_counts_its_tries_until_they_are_spent(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    options = ("--even-if-bad", "--max-tries", "2", "--yes")
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.send([b"hopeless"])
        world.wait_for_answers(1)
        assert asked(world, "redrive", "--yes")[0] == 8
        for tries in (1, 2):
            code, did = asked(world, "redrive", *options)
            assert (code, did["redriven"]) == (8 if did["skipped"] else 0, 1)
            found = world.wait_for_answers(tries + 1)
            assert sorted(letter.tries for _, letter in found.letters) == list(range(tries + 1))
        code, spent = asked(world, "redrive", *options)
        assert (code, spent["outcomes"]["tries_spent"], spent["redriven"]) == (8, 1, None)
        assert instance.stop() == 0
    world.assert_each_answered_once()


def test_what_can_not_be_sent_is_skipped_and_the_exit_code_says_so(world: World) -> None:
    send_letters(world, [b"x" * 2_000_000, record(1)])
    send_letters(world, [record(2)], source="another")
    code, did = asked(world, "redrive", "--yes", "--even-if-bad")
    assert (code, did["redriven"], did["skipped"]) == (8, 1, 2)
    assert (did["outcomes"]["omitted"], did["outcomes"]["other_topic"]) == (1, 1)
    assert [message.value for message in redriven(world)] == [record(1)]
    code, shown, _ = run(world, "redrive", "--yes")
    assert code == 8
    assert "can't be redriven" in shown


def test_a_letter_is_chosen_by_its_place_and_time(world: World) -> None:
    send_letters(world, [record(n) for n in range(40)])
    assert asked(world, "redrive", "--partition", "2", "--offset", "3", "--yes")[0] == 0
    assert sources(world) == {"2:3": 1}
    last = max(message.appended_ms for message in letters(world).values())
    before = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(last / 1000 + 5))
    assert asked(world, "redrive", "--from", before, "--yes")[1]["matching"] == 0
    assert asked(world, "redrive", "--partition", "1", "--yes")[1]["redriven"] == 10
    assert sources(world) == {"2:3": 1} | {f"1:{n}": 1 for n in range(10)}


@pytest.mark.parametrize(
    ("answer", "code", "sent", "said"),
    [
        (b"n\n", 8, 0, "Nothing was sent."),
        (b"\n", 8, 0, "Nothing was sent."),
        (b"y\n", 0, 3, "3 records were sent"),
    ],
)
def test_on_a_terminal_it_asks_and_does_as_it_is_told(
    world: World, answer: bytes, code: int, sent: int, said: str
) -> None:
    send_letters(world, [record(n) for n in range(3)])
    ours, theirs = pty.openpty()
    process = start(world, "redrive", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while b"[y/N]" not in shown:
            shown += os.read(ours, 4_096)
        assert redriven(world) == []
        os.write(ours, answer)
        while True:
            try:
                shown += os.read(ours, 4_096)
            except OSError:  # its end is closed
                break
        assert process.wait(30) == code
    finally:
        process.kill()
        process.wait(30)
        os.close(ours)
    assert said in shown.decode()
    assert len(redriven(world)) == sent


# --- once for ever ---


class End:
    """The end of a topic as the broker knows it, transactions that are open included."""

    def __init__(self, world: World) -> None:
        self._topic = world.settings.topics.records
        self._consumer = Consumer(
            {**world.client, "group.id": "end", "isolation.level": "read_uncommitted"}
        )

    def __call__(self) -> int:
        places = [TopicPartition(self._topic, number) for number in range(4)]
        return sum(self._consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)


def wait_until_it_writes(process: subprocess.Popen[str], end: Callable[[], int]) -> None:
    before = end()
    until(lambda: end() > before or process.poll() is not None, 30, "that it writes")


def test_killed_ten_times_at_random_each_letter_is_redriven_once(world: World) -> None:
    seed = int(os.environ.get("KILL_SEED", random.SystemRandom().randrange(10_000)))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails
    chance = random.Random(seed)
    count = 20_000
    send_letters(world, (renamed(n) for n in range(count)))
    end, sent = End(world), []
    for _ in range(10):
        process = start(world, "redrive", *WITH_RENAME, "--yes", "--samples", "0")
        wait_until_it_writes(process, end)
        time.sleep(chance.uniform(0.0, 0.06))
        process.kill()
        process.communicate(timeout=30)
        sent.append(process.returncode)
    assert -signal.SIGKILL in sent
    before = asked(world, "dead-letters")[1]["redriven"]
    code, last = asked(world, "redrive", *WITH_RENAME, "--yes", "--samples", "0")
    print(f"{sent.count(-signal.SIGKILL)} were killed, with {before} sent")  # noqa: T201
    assert (code, last["already_redriven"] + (last["redriven"] or 0)) == (0, count)
    assert sources(world) == dict.fromkeys(letters(world), 1)


def test_two_at_once_send_each_letter_once(world: World) -> None:
    count = 20_000
    send_letters(world, (renamed(n) for n in range(count)))
    end = End(world)
    arguments = ("redrive", *WITH_RENAME, "--yes", "--samples", "0", "--json")
    first = start(world, *arguments)
    second = start(world, *arguments)
    wait_until_it_writes(first, end)
    third = start(world, *arguments)
    said = [json.loads(one.communicate(timeout=60)[0]) for one in (first, second, third)]
    codes = [one.returncode for one in (first, second, third)]
    assert 0 in codes
    assert sum(one["redriven"] or 0 for one in said) == count
    for code, one in zip(codes, said, strict=True):
        assert code == (8 if one["ended"] == "taken_over" else 0)
    assert sources(world) == dict.fromkeys(letters(world), 1)


def test_one_that_stood_still_does_not_go_on_where_another_went_on(world: World) -> None:
    count = 30_000
    send_letters(world, (renamed(n) for n in range(count)))
    end = End(world)
    first = start(world, "redrive", *WITH_RENAME, "--yes", "--samples", "0", "--json")
    wait_until_it_writes(first, end)
    first.send_signal(signal.SIGSTOP)
    code, second = asked(world, "redrive", *WITH_RENAME, "--yes", "--samples", "0")
    assert (code, second["ended"]) == (0, "done")
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, json.loads(out)["ended"]) == (8, "taken_over"), err
    assert "Traceback" not in err
    assert sources(world) == dict.fromkeys(letters(world), 1)


def test_ctrl_c_ends_it_behind_its_transaction(world: World) -> None:
    count = 30_000
    send_letters(world, (renamed(n) for n in range(count)))
    end = End(world)
    process = start(world, "redrive", *WITH_RENAME, "--yes", "--samples", "0", "--json")
    wait_until_it_writes(process, end)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    said = json.loads(out)
    assert (process.returncode, said["ended"]) == (8, "stopped"), err
    assert 0 < said["redriven"] < count
    assert len(redriven(world)) == said["redriven"]
