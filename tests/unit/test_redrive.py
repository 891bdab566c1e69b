"""What becomes of a dead letter: sent or skipped, and in which transaction."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from app.domain.records import Reason, Rejection
from app.tools.letters.chosen import LetterSelection, chosen
from app.tools.redriving.json_edits import Edits
from app.tools.redriving.judge import LONGEST, Judge, Outcome
from app.tools.redriving.redrive import Redrive
from app.tools.redriving.writer import Outgoing, RedriveWriter
from app.topics import dead_letters, redriven
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message
from app.topics.reading import Progress
from app.topics.records import RecordDecoder
from app.topics.redriven import Marks
from tests.harness.world import record

JUDGE = Judge(Edits(), RecordDecoder(), "records")
LETTER = DeadLetter(b"k", b"{}", "records", 3, 5, Rejection(Reason.MISSING_FIELD, "missing"))
GOOD = replace(LETTER, value=record(1))


@pytest.mark.parametrize(
    ("letter", "outcome"),
    [
        (GOOD, Outcome.VALID),
        (LETTER, Outcome.STILL_BAD),
        (replace(GOOD, value=None), Outcome.STILL_BAD),
        (replace(GOOD, source_topic="other"), Outcome.OTHER_TOPIC),
        (replace(GOOD, omitted=frozenset({"key"})), Outcome.OMITTED),
        (replace(GOOD, tries=2), Outcome.VALID),
        (replace(GOOD, tries=3), Outcome.TRIES_SPENT),
        (replace(GOOD, value=b"x" * LONGEST), Outcome.TOO_LONG),
        (replace(GOOD, value=b"x" * (LONGEST - 1)), Outcome.STILL_BAD),
        (None, Outcome.NO_LETTER),
    ],
)
def test_only_what_would_be_valid_is_sent(letter: DeadLetter | None, outcome: Outcome) -> None:
    judged = JUDGE.judge(letter)
    assert judged.outcome is outcome
    assert JUDGE.sends(judged) is (outcome is Outcome.VALID)
    assert bool(judged.why) is (outcome is not Outcome.VALID)


def test_the_schemas_name_every_reason_and_outcome() -> None:
    folder = Path(__file__).parents[2] / "docs" / "schemas"
    counted = json.loads((folder / "dead-letters.json").read_text())["properties"]["reasons"]
    assert counted["items"]["properties"]["reason"]["enum"] == list(Reason)
    said = json.loads((folder / "redrive.json").read_text())["properties"]
    assert list(said["outcomes"]["properties"]) == list(Outcome)
    assert said["still_bad"]["propertyNames"]["enum"] == list(Reason)
    of_a_sample = said["samples"]["items"]["properties"]
    assert of_a_sample["outcome"]["enum"] == list(Outcome)
    assert of_a_sample["reason"]["enum"] == [*Reason, None]


def test_what_would_be_refused_again_is_sent_on_demand_and_nothing_else_is() -> None:
    judge = replace(JUDGE, even_if_bad=True)
    assert judge.sends(judge.judge(LETTER))
    for skipped in (
        replace(GOOD, tries=3),
        replace(GOOD, omitted=frozenset({"value"})),
        replace(GOOD, source_topic="other"),
        replace(GOOD, value=b"x" * LONGEST),
        None,
    ):
        assert not judge.sends(judge.judge(skipped))


def test_the_edited_value_is_judged_and_what_can_not_be_edited_is_skipped() -> None:
    renamed = GOOD.value.replace(b'"interest_rate"', b'"rate"') if GOOD.value else b""
    judge = replace(JUDGE, edits=Edits(renames={"rate": "interest_rate"}), even_if_bad=True)
    judged = judge.judge(replace(GOOD, value=renamed))
    assert judged.outcome is Outcome.VALID
    assert judged.value is not None
    assert b'"interest_rate"' in judged.value
    assert judge.judge(replace(GOOD, value=b"[1]")).outcome is Outcome.NOT_EDITABLE
    assert not judge.sends(judge.judge(replace(GOOD, value=b"[1]")))


# --- the whole of it, with a writer that keeps what it is given ---


@dataclass
class Writer:
    """Fails, as if it were fenced, from a transaction on."""

    events: list[str]
    fenced_from: int = 10**9
    parts: list[Sequence[Outgoing]] = field(default_factory=list)

    def take_over(self) -> None:
        self.events.append("taken over")

    def write(self, records: Sequence[Outgoing]) -> bool:
        if len(self.parts) >= self.fenced_from:
            return False
        self.parts.append(records)
        return True


@dataclass
class Bench:
    """A topic of letters and its marks; both may change between the look and the writing."""

    messages: list[Message]
    judge: Judge = JUDGE
    marked: list[Message] = field(default_factory=list)
    writer: Writer = field(init=False)
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.writer = Writer(self.events)

    def redrive(self) -> Redrive:
        def letters(_told: Progress) -> Iterable[tuple[Message, DeadLetter | None]]:
            return chosen(list(self.messages), LetterSelection())

        def marks() -> Marks:
            self.events.append("marks read")
            made = [Message(0, 0, *redriven.encode(one, tries=1)) for one in self.marked]
            return Marks.of(made, "letters")

        return Redrive(
            "letters",
            "records",
            self.judge,
            letters,
            marks,
            lambda: cast("RedriveWriter", self.writer),
        )

    def sent(self) -> list[str]:
        found = []
        for part in self.writer.parts:
            found += [dict(one.headers)["ds_redriven_from"].decode() for one in part]
        return found


def message(offset: int, letter: DeadLetter = GOOD, partition: int = 0) -> Message:
    key, value, headers = dead_letters.encode(letter)
    return Message(offset, 1_000, key, value, headers, "letters", partition)


def nothing(_number: int, _of: int) -> None: ...


def test_letters_are_sent_with_their_key_and_partition_and_are_marked() -> None:
    bench = Bench([message(9, replace(GOOD, tries=1))])
    redrive = bench.redrive()
    written = redrive.write(redrive.preview(1, nothing), nothing, lambda: False)
    assert (written.sent, written.ended) == (1, "done")
    (sent,) = bench.writer.parts[0]
    assert (sent.key, sent.value, sent.partition) == (b"k", GOOD.value, 3)
    assert dict(sent.headers) == {"ds_redrive_tries": b"2", "ds_redriven_from": b"0:9"}
    assert (sent.mark_key, sent.mark_value) == (
        b"letters/0/9",
        b'{"appended_ms":1000,"tries":2}',
    )


def test_the_marks_that_count_are_read_after_the_writer_took_over() -> None:
    bench = Bench([message(0), message(1)])
    redrive = bench.redrive()
    seen = redrive.preview(1, nothing)
    bench.marked.append(bench.messages[0])  # by another redrive meanwhile
    assert redrive.write(seen, nothing, lambda: False).sent == 1
    assert bench.sent() == ["0:1"]
    assert bench.events == ["marks read", "taken over", "marks read"]


def test_a_letter_that_came_after_the_look_is_not_sent() -> None:
    bench = Bench([message(4)])
    redrive = bench.redrive()
    seen = redrive.preview(1, nothing)
    bench.messages += [message(5), message(0, partition=1)]
    redrive.write(seen, nothing, lambda: False)
    assert bench.sent() == ["0:4"]


def test_the_look_counts_each_letter_once() -> None:
    skipped = [LETTER, replace(GOOD, tries=3)]
    bench = Bench([message(n, letter) for n, letter in enumerate([GOOD, GOOD, GOOD, *skipped])])
    bench.marked.append(bench.messages[0])
    seen = bench.redrive().preview(1, nothing)
    assert (seen.matching, seen.already, seen.sent, seen.skipped) == (5, 1, 2, 2)
    assert seen.outcomes == {Outcome.VALID: 2, Outcome.STILL_BAD: 1, Outcome.TRIES_SPENT: 1}
    assert seen.refused == {Reason.MISSING_FIELD: 1}
    assert [one.message.offset for one in seen.samples[Outcome.VALID]] == [1]
    assert bench.writer.parts == []


def test_it_ends_with_what_was_sent_when_it_is_fenced_or_stopped() -> None:
    bench = Bench([message(n) for n in range(1_200)])
    bench.writer.fenced_from = 2
    redrive = bench.redrive()
    seen = redrive.preview(0, nothing)
    told: list[tuple[int, int]] = []
    written = redrive.write(seen, lambda *done: told.append(done), lambda: False)
    assert (written.sent, written.ended) == (1_000, "taken_over")
    assert told == [(500, 1_200), (1_000, 1_200)]
    stopped = redrive.write(seen, nothing, lambda: True)
    assert (stopped.sent, stopped.ended) == (0, "stopped")


def test_a_transaction_is_bounded_in_bytes() -> None:
    large = replace(GOOD, value=record(1, note="x" * 90_000))
    bench = Bench([message(n, large) for n in range(100)])
    redrive = bench.redrive()
    redrive.write(redrive.preview(0, nothing), nothing, lambda: False)
    sizes = [sum(len(one.value or b"") for one in part) for part in bench.writer.parts]
    assert len(sizes) == 3
    assert max(sizes) < 4_200_000
    assert len(bench.sent()) == len(set(bench.sent())) == 100
