"""Which rows `inspect` shows, told by what they say."""

from typing import Any

import pytest

from app.tools.inspecting.filters import Filter, id_in, id_of
from app.tools.inspecting.rows import Row

SOURCE: dict[str, Any] = {"source_topic": "records", "source_partition": 2, "source_offset": 17}


def row(kind: str, key: bytes | None = b"k", **fields: Any) -> Row:
    return Row("records", 1, 5, 1_700_000_000_123, key, kind, fields)


SIGNAL = row("signal", id="a", model_version="2", **SOURCE)
LETTER = row("dead letter", reason="empty", value=None, **SOURCE)
GOOD = row("record", id="a", month=None)
NAMELESS = row("record", id=None)
BAD = row("record", rejected="missing_field", value=b'{"id": "b"}')
IGNORED = row("announcement", ignored="foreign", value=b"")
REPORT = row("report", in_force={"model": "m", "version": "2", "offset": 1}, reason=None)
IDLE = row("report", in_force=None, reason="no_plan")
ALL = [SIGNAL, LETTER, GOOD, NAMELESS, BAD, IGNORED, REPORT, IDLE]


def wanted(**asked: Any) -> list[Row]:
    return [one for one in ALL if Filter(**asked).wants(one)]


def test_without_a_filter_all_are_wanted() -> None:
    assert wanted() == ALL
    assert Filter().wants_all
    some = [Filter(keys=[b"x"]), Filter(ids="x"), Filter(versions="x"), Filter(reasons="x")]
    assert not any(one.wants_all for one in some)


def test_a_version_is_that_of_an_answer_or_of_what_an_instance_serves() -> None:
    assert wanted(versions=["2"]) == [SIGNAL, REPORT]
    assert wanted(versions=["3"]) == []


def test_a_reason_is_that_of_a_letter_a_bad_record_an_ignored_plan_or_a_hold() -> None:
    assert wanted(reasons=["empty"]) == [LETTER]
    assert wanted(reasons=["missing_field", "foreign"]) == [BAD, IGNORED]
    assert wanted(reasons=["no_plan"]) == [IDLE]


def test_an_id_is_that_of_a_record_and_of_its_answer() -> None:
    assert wanted(ids=["a"]) == [SIGNAL, GOOD]
    assert wanted(ids=["b"]) == [BAD]


def test_what_has_no_id_is_named_by_the_place_of_its_record() -> None:
    assert wanted(ids=["records/1/5"]) == [NAMELESS]
    assert wanted(ids=["records/2/17"]) == [LETTER]


def test_an_empty_id_is_none() -> None:
    assert id_of(row("record", id="")) == "records/1/5"


def test_a_key_is_told_by_its_bytes_and_an_empty_one_is_that_of_a_message_without() -> None:
    keyless = row("raw", None)
    assert Filter(keys=[b"k", b"l"]).wants(GOOD)
    assert not Filter(keys=[b"l"]).wants(GOOD)
    assert Filter(keys=[b""]).wants(keyless)


def test_a_row_must_pass_every_filter() -> None:
    assert wanted(ids=["a"], versions=["2"], keys=[b"k"]) == [SIGNAL]
    assert wanted(ids=["a"], versions=["2"], keys=[b"l"]) == []
    assert wanted(ids=["a"], reasons=["empty"]) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'{"id": "x"}', "x"),
        (b'{"id": "x", "interest_rate": NaN}', "x"),
        (b'{"id": "x", "note": "\xff"}', "x"),
        (b'{"id": "\\u0078"}', "x"),
        (b'{"id": 17}', None),
        (b'{"id": null}', None),
        (b'[{"id": "x"}]', None),
        (b'{"id": "x"', None),
        (b"[" * 100_000, None),
        (b"", None),
        (None, None),
    ],
)
def test_the_id_of_a_bad_record_is_read_where_it_can_be(
    value: bytes | None, found: str | None
) -> None:
    assert id_in(value) == found
