"""The last step: each record is answered once, by its own version, or the whole batch waits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quixstreams.sinks import SinkBackpressureError
from structlog.testing import capture_logs

from app.domain.plans import Announcement, Plan, PlanTable
from app.domain.records import FEATURES
from app.domain.scoring import Predict
from app.stream.answers import Answers
from app.stream.batches import Hold, JoinedBatch, MicroBatch
from app.stream.decode import decoding
from app.stream.prediction_sink import PredictionSink
from app.telemetry.metrics import HoldReason
from app.topics import dead_letters, signals
from app.topics.dead_letters import DeadLetter
from app.topics.records import RecordDecoder
from app.topics.signals import Signal
from tests.harness.world import naive_plan, record

POISON = 13.0
GOOD, NOT_JSON, POISONED = "good", "not JSON", "poisoned"

NO_PLAN = Hold("no_plan", "no version of the model has been announced")


@dataclass(frozen=True)
class Message:
    """A message of the consumer, with the broker's append time."""

    at: int
    time_ms: int
    body: bytes | None

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, self.time_ms

    def key(self) -> bytes:
        return b"key-%d" % self.at

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> None:
        return None


@dataclass
class Loaded:
    """Model versions that are there; each counts its calls.

    A price is 1,000 times the version and the record's previous price.
    """

    versions: set[str] = field(default_factory=set)
    calls: list[tuple[str, int]] = field(default_factory=list)
    reason: str = "its artifact is away"
    code: HoldReason = "model_not_loaded"

    def get(self, announcement: Announcement) -> Predict | None:
        version = announcement.model_version
        if version not in self.versions:
            return None

        def predict(rows: Any) -> Any:
            self.calls.append((version, len(rows)))
            if (rows[:, FEATURES.index("interest_rate")] == POISON).any():
                raise ArithmeticError("poison")
            return 1000.0 * int(version) + rows[:, FEATURES.index("previous_month_price")]

        return predict

    def why_not(self, announcement: Announcement) -> str:
        return f"version {announcement.model_version}: {self.reason}"

    def reason_why_not(self, announcement: Announcement) -> HoldReason:
        return self.code


@dataclass
class Sent:
    """An output that keeps what it is given."""

    answers: list[Answers] = field(default_factory=list)

    def send(self, answers: Answers) -> None:
        self.answers.append(answers)

    @property
    def signals(self) -> list[Signal]:
        return [
            signals.decode(message["value"])
            for answers in self.answers
            for message in answers.signals
        ]

    @property
    def letters(self) -> list[DeadLetter]:
        return [dead_letters.decode(*letter) for sent in self.answers for letter in sent.letters]


def plan(offset: int, appended_ms: int, guard_ms: int = 0) -> Plan:
    version = str(offset + 1)
    announcement = Announcement("m", version, "uri", "digest", FEATURES, guard_ms, version)
    return Plan(offset, appended_ms, announcement)


def value(number: int, kind: str) -> bytes | None:
    if kind == NOT_JSON:
        return b"no JSON"
    return record(number, interest_rate=POISON if kind == POISONED else 4.5)


class Bench:
    """A sink, and the steps before it."""

    def __init__(self, *plans: Plan, loaded: Sequence[str] = ()) -> None:
        self.models = Loaded(set(loaded))
        self.output = Sent()
        self.answered: list[int] = []
        self.sink = PredictionSink(self.models, self.output, self.answered.append, retry_s=0.5)
        self.table = PlanTable.of(plans)
        self._decode = decoding(RecordDecoder())

    def add(
        self,
        times_ms: Sequence[int],
        kinds: Sequence[str] = (),
        *,
        partition: int = 0,
        first: int = 0,
        waits_for: Hold | None = None,
    ) -> None:
        """Add a batch of records with these append times; all are good unless `kinds` are given."""
        messages = [
            Message(first + at, time_ms, value(first + at, kinds[at] if kinds else GOOD))
            for at, time_ms in enumerate(times_ms)
        ]
        decoded = self._decode(MicroBatch("records", partition, messages, 0.0))
        segments = [] if waits_for else self.table.segments(decoded.appended_ms)
        self.sink.add(JoinedBatch(decoded, segments, waits_for))

    def hold(self) -> None:
        with pytest.raises(SinkBackpressureError):
            self.sink.flush()

    def versions(self) -> list[tuple[int, int, str]]:
        return [(s.source_partition, s.source_offset, s.model_version) for s in self.output.signals]


def holds(logs: Any) -> list[str]:
    return [log["event"] for log in logs if log["event"].startswith("stream.")]


# --- answering ---


def test_records_of_two_versions_in_one_batch_get_each_its_own() -> None:
    bench = Bench(plan(0, 0), plan(1, 100), loaded=["1", "2"])
    bench.add([98, 99, 100, 101])
    bench.sink.flush()
    assert bench.versions() == [(0, 0, "1"), (0, 1, "1"), (0, 2, "2"), (0, 3, "2")]
    assert [s.predicted_price for s in bench.output.signals] == [1000, 1001, 2002, 2003]


def test_append_times_that_go_back_and_forth_get_the_version_of_each_in_the_order_of_offsets() -> (
    None
):
    bench = Bench(plan(0, 0), plan(1, 100), loaded=["1", "2"])
    bench.add([100, 99, 101, 98])
    bench.sink.flush()
    assert bench.versions() == [(0, 0, "2"), (0, 1, "1"), (0, 2, "2"), (0, 3, "1")]
    assert [s.predicted_price for s in bench.output.signals] == [2000, 1001, 2002, 1003]


def test_a_version_predicts_once_for_all_partitions() -> None:
    bench = Bench(plan(0, 0), plan(1, 100), loaded=["1", "2"])
    for partition in range(3):
        bench.add([50, 150, 60], partition=partition)
    bench.sink.flush()
    assert sorted(bench.models.calls) == [("1", 6), ("2", 3)]
    assert len(bench.versions()) == 9


def test_two_batches_of_one_partition_are_answered_in_their_order() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2])
    bench.add([3], partition=1)
    bench.add([4, 5], first=2)
    bench.sink.flush()
    assert [at for partition, at, _ in bench.versions() if partition == 0] == [0, 1, 2, 3]


def test_the_latest_append_time_of_a_batch_is_told_once_it_is_answered() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([5, 90, 7])
    bench.add([40], partition=1)
    assert bench.answered == []
    bench.sink.flush()
    assert bench.answered == [90]


def test_what_was_answered_is_not_answered_again() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1])
    bench.sink.flush()
    bench.sink.flush()
    assert len(bench.output.answers) == 1
    assert bench.answered == [1]


# --- rejecting ---


def test_rejections_of_decoder_and_model_are_letters_in_the_order_of_the_input() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2, 3, 4, 5], [POISONED, NOT_JSON, GOOD, POISONED, NOT_JSON])
    bench.sink.flush()
    assert bench.versions() == [(0, 2, "1")]
    assert [(one.source_offset, one.rejection.reason.value) for one in bench.output.letters] == [
        (0, "model_raised"),
        (1, "not_json"),
        (3, "model_raised"),
        (4, "not_json"),
    ]


def test_a_model_that_raises_in_one_partition_costs_another_nothing() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2], [GOOD, POISONED], partition=0)
    bench.add([1, 2], [GOOD, GOOD], partition=1)
    bench.sink.flush()
    assert bench.versions() == [(0, 0, "1"), (1, 0, "1"), (1, 1, "1")]
    assert [(one.source_partition, one.source_offset) for one in bench.output.letters] == [(0, 1)]


def test_a_model_sees_no_record_that_the_decoder_rejected() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2, 3], [NOT_JSON, GOOD, NOT_JSON])
    bench.sink.flush()
    assert bench.models.calls == [("1", 1)]


def test_a_batch_of_rejections_alone_calls_no_model() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2], [NOT_JSON, NOT_JSON])
    bench.sink.flush()
    assert bench.models.calls == []
    assert len(bench.output.letters) == 2


# --- holding ---


def test_a_missing_version_holds_the_batch_before_anything_is_sent() -> None:
    bench = Bench(plan(0, 0), plan(1, 100), loaded=["1"])
    bench.add([1], partition=0)
    bench.add([1, 200], partition=1)
    with pytest.raises(SinkBackpressureError) as held:
        bench.sink.flush()
    assert held.value.retry_after == 0.5
    assert (bench.output.answers, bench.models.calls, bench.answered) == ([], [], [])
    assert bench.sink.holds == Hold("model_not_loaded", "version 2: its artifact is away")


def test_a_batch_that_is_not_joined_yet_holds_all_partitions() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1], partition=0)
    bench.add([1], partition=1, waits_for=NO_PLAN)
    bench.hold()
    assert bench.output.answers == []
    assert bench.sink.holds == NO_PLAN


def test_an_open_breaker_hears_an_operator_also_while_a_version_is_missing() -> None:
    bench = Bench(plan(0, 0))
    broken = Hold("too_many_dead_letters", "2 of 2")
    asked: list[tuple[int, int]] = []

    def breaks(records: int, letters: int) -> Hold | None:
        asked.append((records, letters))
        return broken if len(asked) == 1 else None

    bench.sink = PredictionSink(bench.models, bench.output, bench.answered.append, breaks=breaks)
    bench.add([1, 2, 3], [NOT_JSON, NOT_JSON, GOOD])
    bench.hold()
    assert bench.sink.holds == broken
    bench.add([1, 2, 3], [NOT_JSON, NOT_JSON, GOOD])
    bench.hold()
    assert bench.sink.holds == Hold("model_not_loaded", "version 1: its artifact is away")
    assert asked == [(3, 2), (3, 2)]


def test_a_sink_that_holds_is_empty_for_its_records_come_again() -> None:
    bench = Bench(plan(0, 0))
    bench.add([1, 2])
    bench.hold()
    bench.models.versions.add("1")
    bench.add([1, 2])
    bench.sink.flush()
    assert bench.versions() == [(0, 0, "1"), (0, 1, "1")]


@pytest.mark.parametrize("forget", ["clear", "on_paused"])
def test_a_batch_that_is_dropped_is_not_answered(forget: str) -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    bench.add([1, 2])
    getattr(bench.sink, forget)()
    bench.sink.flush()
    assert bench.output.answers == []


def test_all_missing_versions_are_asked_for_at_once() -> None:
    """Or they would be loaded one hold after the other."""
    bench = Bench(plan(0, 0), plan(1, 100), plan(2, 200))
    asked: list[str] = []
    get = bench.models.get

    def asking(announcement: Announcement) -> Predict | None:
        asked.append(announcement.model_version)
        return get(announcement)

    bench.models.get = asking  # type: ignore[method-assign]
    bench.add([1, 150, 250])
    bench.hold()
    assert sorted(asked) == ["1", "2", "3"]


def test_a_hold_is_logged_once_and_its_end_once() -> None:
    bench = Bench(plan(0, 0))
    with capture_logs() as logs:
        for _turn in range(3):
            bench.add([1])
            bench.hold()
        bench.models.versions.add("1")
        for _turn in range(3):
            bench.add([1])
            bench.sink.flush()
    assert holds(logs) == ["stream.holds", "stream.resumed"]
    assert logs[0]["waits_for"] == logs[1]["waited_for"] == "version 1: its artifact is away"
    assert bench.sink.holds is None


def test_a_hold_that_goes_on_for_another_reason_is_logged_again() -> None:
    bench = Bench(plan(0, 0))
    with capture_logs() as logs:
        for reason in ("away", "away", "corrupt"):
            bench.models.reason = reason
            bench.add([1])
            bench.hold()
    assert [log["waits_for"] for log in logs] == ["version 1: away", "version 1: corrupt"]


def test_a_stream_that_never_held_logs_nothing() -> None:
    bench = Bench(plan(0, 0), loaded=["1"])
    with capture_logs() as logs:
        bench.sink.flush()
        bench.add([1])
        bench.sink.flush()
    assert holds(logs) == []


# --- any batch ---

TIMES = st.integers(0, 60)
RECORDS = st.lists(
    st.tuples(TIMES, st.sampled_from([GOOD, GOOD, NOT_JSON, POISONED])), min_size=1, max_size=10
)


@given(
    plans=st.lists(st.tuples(TIMES, st.integers(0, 20)), min_size=1, max_size=5),
    batches=st.lists(st.tuples(st.integers(0, 2), RECORDS), min_size=1, max_size=5),
)
def test_each_record_has_one_answer_in_order_by_the_version_of_the_naive_join(
    plans: list[tuple[int, int]], batches: list[tuple[int, list[tuple[int, str]]]]
) -> None:
    table = [plan(offset, at, guard) for offset, (at, guard) in enumerate(plans)]
    bench = Bench(*table, loaded=[one.announcement.model_version for one in table])
    ends = [0, 0, 0]
    expected_signals: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    expected_letters: dict[int, list[Any]] = {0: [], 1: [], 2: []}
    for partition, records in batches:
        first = ends[partition]
        bench.add(
            [t for t, _ in records], [k for _, k in records], partition=partition, first=first
        )
        ends[partition] += len(records)
        for at, (time_ms, kind) in enumerate(records, start=first):
            if kind == GOOD:
                version = naive_plan(table, time_ms).announcement.model_version
                price = 1000.0 * int(version) + at
                expected_signals[partition].append((at, version, price))
            else:
                reason = "not_json" if kind == NOT_JSON else "model_raised"
                expected_letters[partition].append((at, reason, value(at, kind)))
    bench.sink.flush()
    for partition in range(3):
        assert [
            (s.source_offset, s.model_version, s.predicted_price)
            for s in bench.output.signals
            if s.source_partition == partition
        ] == expected_signals[partition]
        assert [
            (one.source_offset, one.rejection.reason.value, one.value)
            for one in bench.output.letters
            if one.source_partition == partition
        ] == expected_letters[partition]


@given(
    missing=st.sets(st.sampled_from(["1", "2", "3"])),
    times=st.lists(TIMES, min_size=1, max_size=10),
)
def test_a_batch_is_held_exactly_if_a_version_that_it_needs_is_missing(
    missing: set[str], times: list[int]
) -> None:
    table = [plan(0, 0), plan(1, 20), plan(2, 40)]
    bench = Bench(*table, loaded=sorted({"1", "2", "3"} - missing))
    needed = {naive_plan(table, time_ms).announcement.model_version for time_ms in times}
    bench.add(times)
    if needed & missing:
        bench.hold()
    else:
        bench.sink.flush()
    assert len(bench.output.signals) == (0 if needed & missing else len(times))
