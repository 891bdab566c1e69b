"""Counting dead letters: which are chosen, how many of each reason, and what is shown of them."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from app.domain.records import Reason, Rejection
from app.tools.letters.chosen import LetterSelection, chosen
from app.tools.letters.counts import count
from app.tools.letters.screen import screen, show
from app.topics import dead_letters, redriven
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message
from app.topics.redriven import Marks

BAD = (Reason.NOT_JSON, Reason.EMPTY, Reason.MODEL_RAISED)


def letter(offset: int, reason: Reason = Reason.NOT_JSON, at: int = 5, said: str = "x") -> Message:
    rejection = Rejection(reason, said)
    key, value, headers = dead_letters.encode(
        DeadLetter(b"k", b"value", "records", 1, offset, rejection)
    )
    return Message(offset, at, key, value, headers, "letters", 0)


def taken(selection: LetterSelection, *messages: Message) -> list[int]:
    return [message.offset for message, _ in chosen(messages, selection)]


def test_letters_are_chosen_by_all_that_is_asked_for() -> None:
    messages = [letter(0, at=4), letter(1, Reason.EMPTY), letter(2), letter(3, at=6)]
    assert taken(LetterSelection(), *messages) == [0, 1, 2, 3]
    assert taken(LetterSelection(frozenset({Reason.NOT_JSON})), *messages) == [0, 2, 3]
    assert taken(LetterSelection(from_ms=5), *messages) == [1, 2, 3]
    assert taken(LetterSelection(until_ms=5), *messages) == [0]
    assert taken(LetterSelection(from_ms=5, until_ms=6), *messages) == [1, 2]
    assert taken(LetterSelection(partition=1), *messages) == []
    assert taken(LetterSelection(partition=0, offset=2), *messages) == [2]
    assert taken(LetterSelection(frozenset({Reason.EMPTY}), offset=2), *messages) == []


def test_what_is_no_letter_has_no_reason() -> None:
    noise = Message(0, 5, None, b"noise", (), "letters", 0)
    assert taken(LetterSelection(), noise) == [0]
    assert taken(LetterSelection(frozenset(Reason)), noise) == []


@given(
    st.lists(st.tuples(st.sampled_from(BAD), st.integers(0, 10**12), st.booleans())),
    st.integers(0, 4),
)
def test_counts_are_those_of_the_letters(
    made: list[tuple[Reason, int, bool]], samples: int
) -> None:
    messages = [letter(n, reason, at) for n, (reason, at, _) in enumerate(made)]
    sent = [message for message, (_, _, again) in zip(messages, made, strict=True) if again]
    marks = Marks.of(
        [Message(0, 0, *redriven.encode(message, tries=1)) for message in sent], "letters"
    )
    counts = count("letters", chosen(messages, LetterSelection()), marks, samples)
    assert (counts.count, counts.redriven) == (len(messages), len(sent))
    assert sum(bar.count for bar in counts.bars) == len(messages)
    assert {one.reason for one in counts.reasons} == {reason for reason, _, _ in made}
    for one in counts.reasons:
        of_it = [(at, n) for n, (reason, at, _) in enumerate(made) if reason is one.reason]
        assert (one.count, one.first_ms, one.last_ms) == (
            len(of_it),
            min(of_it)[0],
            max(of_it)[0],
        )
        assert one.redriven == sum(made[n][2] for _, n in of_it)
        newest = sorted(of_it, reverse=True)[:samples]
        assert [sample.message.offset for sample in one.newest] == [n for _, n in newest]
        assert [sample.redriven for sample in one.newest] == [made[n][2] for _, n in newest]
    assert [one.count for one in counts.reasons] == sorted(
        (one.count for one in counts.reasons), reverse=True
    )
    assert sum(map(counts.share, counts.reasons)) == pytest.approx(float(bool(messages)))


def test_what_a_letter_says_can_not_reach_the_terminal() -> None:
    output = io.StringIO()
    message = letter(0, said="\x1b[2J[red]\x07")
    counts = count("letters", chosen([message], LetterSelection()), Marks(), samples=1)
    show(Console(file=output, width=200), screen(counts))
    assert "\\x1b[2J[red]\\x07" in output.getvalue()


def test_messages_that_are_no_letters_are_told() -> None:
    output = io.StringIO()
    noise = Message(0, 5, None, b"noise", (), "letters", 0)
    counts = count("letters", chosen([noise], LetterSelection()), Marks(), samples=1)
    show(Console(file=output, width=200), screen(counts))
    assert "There is no such letter on letters." in output.getvalue()
    assert "1 message is no dead letter" in output.getvalue()
