"""One round of one contestant: run it, wait for its last commit, check and time its answers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaException, TopicPartition

from app.topics import reading, signals
from tests.benchmarks.course import PARTITIONS, Lane
from tests.benchmarks.hand_written_loop import Options
from tests.harness.instances import Instance
from tests.harness.world import until

Contestant = Literal["loop", "stream"]
CONTESTANTS: tuple[Contestant, ...] = ("loop", "stream")

_SLOWEST = 1_000  # records a second, else the contestant hangs
_START_S = 120


@dataclass(frozen=True, slots=True)
class Finish:
    """What a contestant answered, each record once.

    Attributes:
        rate: Answers a second, from the append of the first to the append of the last.
        prices: Of each partition, by the offset of the record.
    """

    rate: float
    prices: dict[int, npt.NDArray[np.float64]]


def run(
    contestant: Contestant, lane: Lane, records: int, log: Path, on_progress: Callable[[int], None]
) -> Finish:
    """Let a contestant answer the whole input.

    Raises:
        AssertionError: It ended, hung, or did not answer each record once with a signal.
    """
    with start(contestant, lane, log) as instance:
        wait_until_committed(lane, records, instance, on_progress)
        assert instance.stop() == 0, instance.tail()
    return check(lane, records)


def start(contestant: Contestant, lane: Lane, log: Path) -> Instance:
    """Start a contestant in a process of its own."""
    if contestant == "stream":
        return Instance(lane.environment, log, module="app", arguments=("run",))
    found, announced = lane.settings, lane.entry.plan.announcement
    options = Options(
        bootstrap_servers=found.kafka.bootstrap_servers,
        group=found.kafka.consumer_group,
        source=found.topics.records,
        target=found.topics.signals,
        model_folder=str(lane.entry.folder),
        model_name=announced.model_name,
        model_version=announced.model_version,
        announcement_offset=lane.entry.plan.offset,
        exactly_once=lane.guarantee == "exactly-once",
    )
    return Instance(
        lane.environment,
        log,
        module="tests.benchmarks.hand_written_loop",
        arguments=(msgspec.json.encode(options).decode(),),
    )


def wait_until_committed(
    lane: Lane,
    records: int,
    instance: Instance,
    on_progress: Callable[[int], None] = lambda _records: None,
) -> None:
    """Block until the group has committed the whole input.

    Raises:
        AssertionError: The contestant ended, or hangs.
    """
    kafka = lane.settings.kafka
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": kafka.consumer_group,  # asked about; never joined
            "isolation.level": "read_uncommitted",  # or the question waits for transactions
        }
    )
    places = [TopicPartition(lane.settings.topics.records, p) for p in range(PARTITIONS)]

    def all_committed() -> bool:
        assert instance.running, f"it ended with {instance.exit_code}:\n{instance.tail()}"
        try:
            found = consumer.committed(places, timeout=30)
        except KafkaException:
            return False  # no coordinator of the group yet; if there never is one, time will tell
        committed: int = sum(max(0, place.offset) for place in found)  # negative if there is none
        on_progress(committed)
        return committed >= records

    try:
        until(all_committed, _START_S + records / _SLOWEST, "the last commit")
    finally:
        consumer.close()


def check(lane: Lane, records: int) -> Finish:
    """Read all answers as a `read_committed` reader does.

    Raises:
        AssertionError: A record has no signal, or two, or a dead letter, or the answers came too
            close together to be timed.
    """
    client = {"bootstrap.servers": lane.settings.kafka.bootstrap_servers}
    topics = lane.settings.topics
    letter = next(reading.read(client, topics.dead_letters, limit=1), None)
    assert letter is None, f"a dead letter: {letter}"
    prices: dict[int, dict[int, float]] = {partition: {} for partition in range(PARTITIONS)}
    times: set[int] = set()
    answers = 0
    for message in reading.read(client, topics.signals):
        assert message.value is not None
        signal = signals.decode(message.value)
        prices[signal.source_partition][signal.source_offset] = signal.predicted_price
        times.add(message.appended_ms)
        answers += 1
    answered = sum(map(len, prices.values()))
    assert (answers, answered) == (records, records), (
        f"{records} records, {answers} signals, for {answered} different records"
    )
    assert len(times) > 1, "too few records to be timed"
    return Finish(
        rate=records * 1000 / (max(times) - min(times)),
        prices={partition: _by_offset(of) for partition, of in prices.items()},
    )


def assert_same_prices(one: Finish, other: Finish) -> None:
    """Raise AssertionError unless both gave each record the same price, within 1e-9 of it."""
    for partition, prices in one.prices.items():
        np.testing.assert_allclose(prices, other.prices[partition], rtol=1e-9, atol=0)


def _by_offset(prices: dict[int, float]) -> npt.NDArray[np.float64]:
    return np.array([prices[offset] for offset in sorted(prices)])
