"""`inspect` on a real broker: from where, how many, which, and all of it in one summary."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from app.domain.records import Reason, Rejection
from app.topics import dead_letters
from app.topics.signals import Signal
from tests.harness.terminal import ROOT, app, app_json
from tests.harness.world import World, record, until


def rows(world: World, topic: str, *options: str) -> list[dict[str, Any]]:
    code, found = app_json(world.environment, "inspect", topic, *options)
    assert code == 0
    return found


def ids(world: World, *options: str) -> list[str]:
    found = rows(world, world.settings.topics.records, *options)
    return [one.get("id") or one["rejected"] for one in found]


def write(world: World, topic: str, value: bytes | None, partition: int = 0, **more: Any) -> None:
    world.producer.produce(topic, value, partition=partition, **more)
    assert world.producer.flush(30) == 0


def write_signal(world: World, number: int, price: float, version: str) -> None:
    source = world.settings.topics.records
    made = Signal(f"r-{number}", None, price, "m", version, 0, source, 0, number)
    topic = world.settings.topics.signals
    write(world, topic, msgspec.json.encode(made), number % 4, key=b"k")


def write_letter(world: World, number: int, reason: Reason) -> None:
    source = world.settings.topics.records
    letter = dead_letters.DeadLetter(b"k", b"x", source, 0, number, Rejection(reason, "so"))
    headers = dead_letters.headers(letter)
    write(world, world.settings.topics.dead_letters, b"x", headers=headers, key=b"k")


def next_millisecond() -> Callable[[], bool]:
    now = time.time_ns() // 1_000_000
    return lambda: time.time_ns() // 1_000_000 > now


@pytest.fixture
def ten(world: World) -> World:
    """Ten records, each of a millisecond of its own: each partition of four has its share."""

    def key(number: int) -> Callable[[int], bytes]:
        return lambda _: b"k-%d" % (number % 3)

    for number in range(10):
        world.send([record(number)], partition=number % 4, key=key(number))
        until(next_millisecond())
    return world


def test_the_first_messages_by_time_are_those_of_all_partitions(ten: World) -> None:
    assert sorted(ids(ten)) == [f"r-{number}" for number in range(10)]
    assert ids(ten, "--max", "5") == ["r-0", "r-1", "r-2", "r-3", "r-4"]
    assert ids(ten, "--max", "99") == [f"r-{number}" for number in range(10)]


def test_the_latest_are_the_newest_of_all_partitions(ten: World) -> None:
    assert ids(ten, "--from", "latest", "--max", "3") == ["r-7", "r-8", "r-9"]
    ten.send([record(10)], partition=0)
    assert ids(ten, "--from", "latest") == [f"r-{number}" for number in range(1, 11)]


def test_the_latest_are_found_behind_the_markers_of_transactions(ten: World) -> None:
    topic = ten.settings.topics.records
    producer = Producer({**ten.client, "transactional.id": topic})
    producer.init_transactions(30)
    for number in range(250):  # more offsets than are read at first, with nothing to see
        producer.begin_transaction()
        producer.produce(topic, record(100 + number), b"k", 3)
        assert producer.flush(30) == 0
        producer.abort_transaction(30)
    assert ids(ten, "--from", "latest", "--partition", "3", "--max", "2") == ["r-3", "r-7"]


def test_an_offset_is_that_of_each_partition(ten: World) -> None:
    assert sorted(ids(ten, "--from", "2")) == ["r-8", "r-9"]
    assert ids(ten, "--from", "1", "--partition", "3") == ["r-7"]
    assert ids(ten, "--from", "99") == []


def test_a_time_begins_with_the_first_message_that_is_not_before_it(ten: World) -> None:
    found = rows(ten, ten.settings.topics.records, "--max", "10")
    sixth = found[6]["appended"]
    later = [f"r-{number}" for number in range(6, 10)]
    assert ids(ten, "--from", sixth, "--max", "10") == later
    assert ids(ten, "--from", sixth.removesuffix("Z"), "--max", "10") == later  # UTC too
    assert ids(ten, "--from", "2999-01-01") == []
    assert len(ids(ten, "--from", "1999-01-01T00:00:00+02:00")) == 10


def test_filters_take_any_of_their_values_and_all_must_hold(ten: World) -> None:
    ten.send([b"", b'{"id": "bad"}'], partition=0)
    assert sorted(ids(ten, "--id", "r-3", "--id", "r-4")) == ["r-3", "r-4"]
    assert sorted(ids(ten, "--key", "k-0")) == ["r-0", "r-3", "r-6", "r-9"]
    assert ids(ten, "--key", "k-0", "--partition", "1") == ["r-9"]
    assert ids(ten, "--reason", "empty", "--reason", "missing_field") == ["empty", "missing_field"]
    assert ids(ten, "--key", "k-0", "--from", "latest", "--max", "2") == ["r-6", "r-9"]
    assert ids(ten, "--key", "k-0", "--max", "2") == ["r-0", "r-3"]
    assert ids(ten, "--id", "nobody") == []
    topic = ten.settings.topics.records
    nothing = app(ten.environment, "inspect", topic, "--id", "nobody")
    assert (nothing.returncode, nothing.stdout.strip()) == (0, "There is no such message.")


def test_a_version_is_a_filter_of_signals(world: World) -> None:
    for number, version in enumerate("1221"):
        write_signal(world, number, 1.0, version)
    found = rows(world, world.settings.topics.signals, "--model-version", "2")
    assert sorted(one["id"] for one in found) == ["r-1", "r-2"]


def test_a_summary_has_counts_rates_and_prices(world: World) -> None:
    for number in range(20):
        write_signal(world, number, float(number), "1" if number < 15 else "2")
    topic = world.settings.topics.signals
    (found,) = rows(world, topic, "--summary")
    assert (found["messages"], found["kinds"]) == (20, {"signal": 20})
    assert found["versions"] == {"1": 15, "2": 5}
    assert found["partitions"] == {"0": 5, "1": 5, "2": 5, "3": 5}
    assert found["price"]["quantiles"]["100"] == 19.0
    (part,) = rows(world, topic, "--summary", "--model-version", "2")
    assert (part["messages"], part["price"]["quantiles"]["0"]) == (5, 15.0)
    (last,) = rows(world, topic, "--summary", "--from", "latest", "--max", "1")
    assert last["price"]["quantiles"]["0"] == 19.0

    letters = world.settings.topics.dead_letters
    for number, reason in enumerate([Reason.EMPTY, Reason.NOT_JSON, Reason.EMPTY]):
        write_letter(world, number, reason)
    (found,) = rows(world, letters, "--summary")
    assert (found["reasons"], found["price"]) == ({"empty": 2, "not_json": 1}, None)
    assert rows(world, world.settings.topics.records, "--summary")[0]["messages"] == 0


def test_a_summary_is_drawn_with_what_the_terminal_has(world: World) -> None:
    for number in range(20):
        write_signal(world, number, float(number), "1")
    arguments = ("inspect", world.settings.topics.signals, "--summary")
    drawn = app(world.environment, *arguments, PYTHONIOENCODING="utf-8").stdout
    assert "█" in drawn
    plain = app(world.environment, *arguments, PYTHONIOENCODING="ascii")
    assert plain.returncode == 0
    assert "###" in plain.stdout
    assert plain.stdout.isascii()


def test_what_a_terminal_has_no_character_for_does_not_end_the_command(world: World) -> None:
    world.send([record(0, id="žluť")])
    topic = world.settings.topics.records
    run = app(world.environment, "inspect", topic, PYTHONIOENCODING="ascii")
    assert run.returncode == 0
    assert "?lu?" in run.stdout


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["no-such-topic"], 3, "there is no topic no-such-topic"),
        (["TOPIC", "--partition", "9"], 3, "has no partition 9"),
        (["TOPIC", "--from", "yesterday"], 2, "is not an offset, a time"),
        (["TOPIC", "--summary", "--follow"], 2, "a summary needs an end"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    world: World, options: list[str], code: int, said: str
) -> None:
    typed = [world.settings.topics.records if one == "TOPIC" else one for one in options]
    run = app(world.environment, "inspect", *typed)
    assert run.returncode == code
    assert said in " ".join(run.stderr.replace("│", " ").split())


class Following:
    """`inspect --follow --json`, as a process of its own."""

    def __init__(self, world: World, *options: str) -> None:
        topic = world.settings.topics.records
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "inspect", topic, "--follow", "--json", *options],
            env={**os.environ, **world.environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> tuple[int, list[str], str]:
        """Wait for its end; return its exit code, the lines not taken yet, and its errors."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output.splitlines(), errors


def test_following_goes_on_with_what_comes_until_it_is_told_to_end(world: World) -> None:
    world.send([record(0)], partition=0)
    following = Following(world)
    assert following.next()["id"] == "r-0"
    world.send([record(1)], partition=2)
    assert following.next()["id"] == "r-1"
    following.process.send_signal(signal.SIGINT)
    assert following.end() == (0, [], "")


def test_following_from_the_latest_shows_only_what_is_still_to_come(world: World) -> None:
    world.send((record(number) for number in range(8)), partition=1)
    following = Following(world, "--from", "latest", "--max", "3")
    sent = 8

    def ended() -> bool:
        nonlocal sent
        world.send([record(sent)], partition=1)
        sent += 1
        return following.process.poll() is not None

    until(ended)
    code, lines, errors = following.end()
    assert (code, errors) == (0, "")
    offsets = [json.loads(line)["offset"] for line in lines]
    assert offsets == list(range(offsets[0], offsets[0] + 3))
    assert offsets[0] >= 8


def test_following_from_a_time_leaves_out_what_is_before_it(world: World) -> None:
    world.send([record(0)], partition=1)
    later = datetime.fromtimestamp(datetime.now(UTC).timestamp() + 3, UTC).isoformat()
    following = Following(world, "--from", later, "--max", "1")

    def ended() -> bool:
        world.send([record(1)], partition=1)
        return following.process.poll() is not None

    until(ended)
    _, (line,), _ = following.end()
    assert datetime.fromisoformat(json.loads(line)["appended"]) >= datetime.fromisoformat(later)


def test_who_waits_at_a_terminal_sees_how_far_it_is_and_a_program_does_not(world: World) -> None:
    world.send(record(number) for number in range(25_000))
    topic = world.settings.topics.records
    terminal, its_end = os.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "app", "inspect", topic, "--summary", "--json"],
        env={**os.environ, **world.environment, "TERM": "xterm"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its_end,
    )
    os.close(its_end)
    shown = b""
    with suppress(OSError), open(terminal, "rb", buffering=0) as screen:  # noqa: PTH123 - no path
        while part := screen.read(4_096):  # until nobody has its other end
            shown += part
    output, _ = running.communicate(timeout=60)
    assert json.loads(output)["messages"] == 25_000
    assert b"/25000" in shown
    quiet = app(world.environment, "inspect", topic, "--summary")
    assert quiet.stderr == ""
