"""Marks of letters that were sent again, and the count of tries that goes on with a record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import Reason, Rejection
from app.topics import dead_letters, redriven
from app.topics.dead_letters import TRIES, DeadLetter, tries_in
from app.topics.messages import Message
from app.topics.redriven import Marks


def letter(offset: int = 7, partition: int = 2, appended_ms: int = 1_000) -> Message:
    return Message(offset, appended_ms, b"k", b"v", (), "letters", partition)


def mark(of: Message, **changes: bytes | None) -> Message:
    key, value = redriven.encode(of, tries=1)
    return Message(**{"offset": 0, "appended_ms": 2_000, "key": key, "value": value, **changes})  # type: ignore[arg-type]


def test_a_letter_with_a_mark_was_sent_and_no_other_was() -> None:
    marks = Marks.of([mark(letter())], "letters")
    assert letter() in marks
    assert letter(offset=8) not in marks
    assert letter(partition=3) not in marks


def test_a_mark_is_not_of_a_letter_that_stands_there_since_the_topic_was_made_anew() -> None:
    assert letter(appended_ms=1_001) not in Marks.of([mark(letter())], "letters")


def test_marks_of_letters_of_another_topic_do_not_count() -> None:
    assert letter() not in Marks.of([mark(letter())], "other/letters")


def test_a_null_takes_a_mark_back_and_the_newest_counts() -> None:
    gone = mark(letter(), value=None)
    assert letter() not in Marks.of([mark(letter()), gone], "letters")
    assert letter() in Marks.of([gone, mark(letter())], "letters")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((None, b"{}"), (b"\xff", b"{}"), (b"letters/2", b"{}"), (b"letters/a/7", b"{}")),
        *((b"letters/2/7", b"{}"), (b"letters/2/7", b"no JSON"), (b"letters/2/x", None)),
    ],
)
def test_what_is_no_mark_is_passed_over(key: bytes | None, value: bytes | None) -> None:
    noise = mark(letter(), key=key, value=value)
    marks = Marks.of([noise, mark(letter(8)), noise], "letters")
    assert letter() not in marks
    assert letter(8) in marks


def test_a_record_that_is_sent_again_counts_its_tries_and_names_its_letter() -> None:
    pairs = redriven.headers(letter(), tries=2)
    assert dict(pairs) == {"ds_redrive_tries": b"2", "ds_redriven_from": b"2:7"}
    assert tries_in(pairs) == 2


@given(st.lists(st.tuples(st.sampled_from([TRIES, "other"]), st.none() | st.binary())))
def test_no_header_makes_the_count_raise(pairs: list[tuple[str, bytes | None]]) -> None:
    assert tries_in(pairs) >= 0


@pytest.mark.parametrize("text", [b"", b"-1", b"1.0", b"x", b"9" * 10, "²".encode(), None])
def test_a_count_that_we_did_not_write_is_none(text: bytes | None) -> None:
    assert tries_in([(TRIES, text)]) == 0


@given(st.integers(0, 9), st.binary() | st.none())
def test_a_letter_carries_the_count_on(tries: int, value: bytes | None) -> None:
    rejection = Rejection(Reason.NOT_JSON, "it is not")
    sent = DeadLetter(b"k", value, "records", 1, 5, rejection, tries)
    assert dead_letters.decode(*dead_letters.encode(sent)) == sent


@pytest.mark.parametrize("text", [b"-1", b"9" * 19, b"9" * 5_000, b"x", b""])
@pytest.mark.parametrize("name", ["ds_source_partition", "ds_source_offset"])
def test_a_letter_whose_record_stands_nowhere_is_none(name: str, text: bytes) -> None:
    sent = DeadLetter(b"k", b"v", "records", 1, 5, Rejection(Reason.EMPTY, "empty"))
    pairs = {**dict(dead_letters.headers(sent)), name: text}
    with pytest.raises(ValueError, match=r"no place|invalid literal|limit"):
        dead_letters.decode(b"k", b"v", pairs.items())


@pytest.mark.parametrize(
    ("key", "value", "omitted"),
    [
        (b"k", b"v" * (dead_letters.ROOM + 1), {"value"}),
        (b"k" * (dead_letters.ROOM + 1), b"v", {"key"}),
        (b"k" * (dead_letters.ROOM + 1), b"v" * (dead_letters.ROOM + 1), {"key", "value"}),
        (b"k", None, set()),
    ],
    ids=["value", "key", "both", "neither"],
)
def test_a_letter_that_is_read_back_says_what_was_left_out(
    key: bytes, value: bytes | None, omitted: set[str]
) -> None:
    sent = DeadLetter(key, value, "records", 1, 5, Rejection(Reason.TOO_LARGE, "too large"))
    assert dead_letters.decode(*dead_letters.encode(sent)).omitted == omitted
