"""Answers: one message for each record, a signal for a price and a dead letter for a rejection."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plans import Announcement, Plan
from app.domain.records import FEATURES, Reason, Rejection
from app.stream.answers import Answers, answer
from app.stream.batches import JoinedBatch, MicroBatch, RecordBatch, ScoredBatch
from app.topics import dead_letters, signals
from app.topics.dead_letters import DeadLetter
from app.topics.records import Record
from app.topics.signals import Signal

BAD = Rejection(Reason.NOT_JSON, "the value is not valid JSON")


@dataclass(frozen=True)
class Message:
    """What is read of a message of the consumer."""

    at: int
    name: bytes | None = b"key"
    body: bytes | None = b"body"
    pairs: tuple[tuple[str, bytes | None], ...] | None = None

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> tuple[tuple[str, bytes | None], ...] | None:
        return self.pairs


def plan(version: str, offset: int) -> Plan:
    return Plan(offset, 0, Announcement("m", version, "uri", "digest", FEATURES, 0, version))


def batch(
    prices: list[float | Rejection],
    *,
    partition: int = 2,
    first: int = 100,
    messages: list[Message] | None = None,
    records: list[Record | None] | None = None,
    served: dict[Plan, list[int]] | None = None,
) -> ScoredBatch:
    """A batch of which each record has a price or a rejection."""
    messages = messages or [Message(first + at) for at in range(len(prices))]
    rejected = {at: price for at, price in enumerate(prices) if isinstance(price, Rejection)}
    records = records or [
        None if at in rejected else Record(1, 2, 3, 4, id=f"r-{at}", month="2024-05")
        for at in range(len(prices))
    ]
    decoded = RecordBatch(
        MicroBatch("treasury.data", partition, messages, 0.0),
        [0] * len(prices),
        records,
        rejected,
        np.zeros((len(prices), len(FEATURES))),
    )
    served = served or {plan("1", 0): list(range(len(prices)))}
    segments = [(one, np.array(rows, dtype=np.intp)) for one, rows in served.items()]
    numbers = np.array([nan if isinstance(p, Rejection) else p for p in prices])
    return ScoredBatch(JoinedBatch(decoded, segments), numbers, rejected)


def told(answers: Iterable[Answers]) -> list[Signal]:
    return [signals.decode(message["value"]) for part in answers for message in part.signals]


def letters(answers: Iterable[Answers]) -> list[DeadLetter]:
    return [dead_letters.decode(*letter) for part in answers for letter in part.letters]


def served_by(signal: Signal) -> tuple[str, int]:
    return signal.model_version, signal.announcement_offset


def test_a_signal_says_the_price_and_all_that_led_to_it() -> None:
    (signal,) = told(answer(batch([12.5], served={plan("7", 3): [0]})))
    assert signal == Signal(
        id="r-0",
        month="2024-05",
        predicted_price=12.5,
        model_name="m",
        model_version="7",
        announcement_offset=3,
        source_topic="treasury.data",
        source_partition=2,
        source_offset=100,
    )


def test_a_record_without_an_id_is_named_by_its_place() -> None:
    (signal,) = told(answer(batch([1.0], records=[Record(1, 2, 3, 4)])))
    assert (signal.id, signal.month) == ("treasury.data/2/100", None)


def test_a_signal_keeps_the_key_and_the_partition_of_its_record() -> None:
    messages = [Message(5, b"a"), Message(6, None), Message(7, b"")]
    (part,) = answer(batch([1.0, 2.0, 3.0], messages=messages))
    assert part.partition == 2
    assert [message["key"] for message in part.signals] == [b"a", None, b""]


def test_a_price_arrives_as_it_was_predicted_to_the_last_bit() -> None:
    price = 0.1 + 0.2
    (signal,) = told(answer(batch([price])))
    assert signal.predicted_price == price


def test_a_dead_letter_carries_the_records_own_bytes_and_the_reason() -> None:
    messages = [Message(9, b"\xff", b"\x00 no JSON")]
    (part,) = answer(batch([BAD], messages=messages))
    (letter,) = letters([part])
    assert (letter.key, letter.value, letter.rejection) == (b"\xff", b"\x00 no JSON", BAD)
    source = (letter.source_topic, letter.source_partition, letter.source_offset)
    assert (*source, part.partition) == ("treasury.data", 2, 9, 2)


def test_a_dead_letter_counts_on_how_often_its_record_was_redriven() -> None:
    again = Message(9, pairs=(("ds_redriven_from", b"0:1"), ("ds_redrive_tries", b"2")))
    (second,) = letters(answer(batch([BAD], messages=[again])))
    (first,) = letters(answer(batch([BAD])))
    assert (first.tries, second.tries) == (0, 2)


def test_a_null_stays_a_null_in_its_dead_letter() -> None:
    (letter,) = letters(answer(batch([BAD], messages=[Message(9, None, None)])))
    assert (letter.key, letter.value) == (None, None)


def test_rejected_records_leave_the_others_their_own_prices() -> None:
    answers = list(answer(batch([BAD, 1.0, BAD, 2.0, BAD])))
    assert [(s.source_offset, s.predicted_price) for s in told(answers)] == [(101, 1), (103, 2)]
    assert [letter.source_offset for letter in letters(answers)] == [100, 102, 104]


def test_a_long_batch_leaves_in_parts_and_keeps_its_order() -> None:
    answers = list(answer(batch([float(at) for at in range(6_000)])))
    assert [len(part.signals) for part in answers] == [2_500, 2_500, 1_000]
    assert [signal.predicted_price for signal in told(answers)] == list(range(6_000))


def test_text_with_line_breaks_of_every_kind_stays_in_its_own_signal() -> None:
    names = ["a\nb", "c\r\n", "\u2028\x0b\x0c\x1c\x85", '"\\n']
    records: list[Record | None] = [Record(1, 2, 3, 4, id=name) for name in names]
    found = told(answer(batch([1.0] * len(names), records=records)))
    assert [signal.id for signal in found] == names


def test_records_of_two_versions_in_turn_keep_their_order() -> None:
    served = {plan("1", 0): [0, 2, 4], plan("2", 9): [1, 3]}
    found = told(answer(batch([0.0, 1.0, 2.0, 3.0, 4.0], served=served)))
    assert [(s.source_offset, s.model_version, s.announcement_offset) for s in found] == [
        (100, "1", 0),
        (101, "2", 9),
        (102, "1", 0),
        (103, "2", 9),
        (104, "1", 0),
    ]


VERSIONS = [plan("1", 0), plan("2", 5), plan("3", 8)]
OUTCOMES = st.tuples(st.sampled_from(VERSIONS), st.floats(-1e9, 1e9) | st.just(BAD))


@given(st.lists(st.lists(OUTCOMES, min_size=1, max_size=12), max_size=4))
def test_each_record_has_one_answer_with_its_own_price_and_version_in_order(
    partitions: list[list[tuple[Plan, float | Rejection]]],
) -> None:
    batches = [
        batch(
            [price for _, price in outcomes],
            partition=partition,
            served={
                one: [at for at, (served, _) in enumerate(outcomes) if served is one]
                for one in VERSIONS
                if any(served is one for served, _ in outcomes)
            },
        )
        for partition, outcomes in enumerate(partitions)
    ]
    answers = [part for one in batches for part in answer(one)]
    expected: list[Any] = []
    rejected: list[Any] = []
    for partition, outcomes in enumerate(partitions):
        for at, (one, price) in enumerate(outcomes):
            if isinstance(price, Rejection):
                rejected.append((partition, 100 + at))
            else:
                version = one.announcement.model_version
                expected.append((partition, 100 + at, price, version, one.offset))
    assert [
        (s.source_partition, s.source_offset, s.predicted_price, *served_by(s))
        for s in told(answers)
    ] == expected
    found = letters(answers)
    assert [(one.source_partition, one.source_offset) for one in found] == rejected
