"""What is a record and what is not: every reason, its message, and laws for any bytes."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.records import DEFAULT_RANGES, FEATURES, Range, Reason, Rejection
from app.topics.records import Record, RecordDecoder

GOOD = dict(zip(FEATURES, (1e6, 4.5, 2.0, 101.25), strict=True))


def decode(value: bytes | None, **options: Any) -> Record | Rejection:
    return RecordDecoder(**options).decode(value)


def encoded(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(field: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != field}).encode()


REJECTED = [
    (None, Reason.EMPTY, "null"),
    (b"", Reason.EMPTY, "empty"),
    (b"  ", Reason.NOT_JSON, "JSON"),
    (b"hello", Reason.NOT_JSON, "JSON"),
    (b'{"interest_rate": 1', Reason.NOT_JSON, "JSON"),
    (encoded() + b"{}", Reason.NOT_JSON, "JSON"),
    (b"[" * 50_000, Reason.NOT_JSON, "JSON"),
    (encoded(note=math.nan), Reason.NOT_JSON, "JSON"),
    (b"\xef\xbb\xbf" + encoded(), Reason.NOT_JSON, "JSON"),
    (b"[1, 2]", Reason.NOT_AN_OBJECT, "an array"),
    (b"null", Reason.NOT_AN_OBJECT, "null"),
    (b'"text"', Reason.NOT_AN_OBJECT, "text"),
    (b"12", Reason.NOT_AN_OBJECT, "a number"),
    (b"true", Reason.NOT_AN_OBJECT, "a boolean"),
    (b"\xff\xfe{}", Reason.WRONG_ENCODING, "byte 0"),
    (encoded(note="@").replace(b"@", b"\xe9"), Reason.WRONG_ENCODING, "UTF-8"),
    (json.dumps(GOOD).encode("utf-16"), Reason.WRONG_ENCODING, "UTF-8"),
    *((without(f), Reason.MISSING_FIELD, f) for f in FEATURES),
    *((encoded(**{f: None}), Reason.MISSING_FIELD, f) for f in FEATURES),
    (encoded(interest_rate=True), Reason.WRONG_TYPE, "interest_rate: expected a number, got a b"),
    (encoded(interest_rate="4.5"), Reason.WRONG_TYPE, "interest_rate: expected a number, got text"),
    (encoded(interest_rate=[1]), Reason.WRONG_TYPE, "interest_rate"),
    (encoded(interest_rate={}), Reason.WRONG_TYPE, "interest_rate"),
    (encoded(id=7), Reason.WRONG_TYPE, "id: expected text"),
    (encoded(month=202401), Reason.WRONG_TYPE, "month: expected text"),
    *(
        (encoded(inflation_rate=value), Reason.NOT_FINITE, "inflation_rate")
        for value in (
            *(math.nan, math.inf, -math.inf),
            *("NaN", "nan", "Infinity", "-infinity", "+inf", "∞", "1.#INF", " NaN "),
        )
    ),
    (encoded(inflation_rate=7).replace(b" 7,", b" 1e999,"), Reason.NOT_FINITE, "inflation_rate"),
    (encoded(inflation_rate=10**500), Reason.NOT_FINITE, "inflation_rate"),
    (encoded(interest_rate=1000.1), Reason.OUT_OF_RANGE, "interest_rate: 1000.1"),
    (encoded(inflation_rate=-100.5), Reason.OUT_OF_RANGE, "inflation_rate"),
    (encoded(treasury_print_volume=-1), Reason.OUT_OF_RANGE, "treasury_print_volume"),
    (encoded(previous_month_price=-0.01), Reason.OUT_OF_RANGE, "previous_month_price"),
    (encoded(previous_month_price=10**300), Reason.OUT_OF_RANGE, "previous_month_price"),
    *(
        (encoded(month=month), Reason.MALFORMED_MONTH, "YYYY-MM")
        for month in ("2024-13", "2024-00", "2024-1", "24-01", "2024-01-01", "", "２０２４-01")
    ),
    (encoded(note="x" * 100_000), Reason.TOO_LARGE, "100000"),
]


@pytest.mark.parametrize(("value", "reason", "says"), REJECTED)
def test_bad_input_is_rejected_with_its_reason(
    value: bytes | None, reason: Reason, says: str
) -> None:
    outcome = decode(value)
    assert isinstance(outcome, Rejection), outcome
    assert (outcome.reason, says in outcome.message) == (reason, True), outcome


def test_every_reason_that_decoding_can_give_is_shown_above() -> None:
    of_models = {Reason.MODEL_RAISED, Reason.BAD_PREDICTION}
    assert {reason for _, reason, _ in REJECTED} == set(Reason) - of_models


@pytest.mark.parametrize(
    "value",
    [
        encoded(),
        encoded(id="UST-1", month="2024-02"),
        encoded(id=None, month=None),
        encoded(note={"any": ["thing", 1, None]}),
        encoded(interest_rate=-100, inflation_rate=1000),
        encoded(treasury_print_volume=0, previous_month_price=0),
        encoded(id="Zürich 年"),
        json.dumps({**GOOD, "id": "Zürich"}, ensure_ascii=False).encode(),
        b" \n" + encoded() + b"\n",
    ],
)
def test_good_input_is_a_record(value: bytes) -> None:
    assert isinstance(decode(value), Record)


def test_integers_are_numbers() -> None:
    record = decode(encoded(interest_rate=5))
    assert isinstance(record, Record)
    assert record.interest_rate == 5.0


def test_of_a_doubled_field_the_last_counts() -> None:
    record = decode(encoded()[:-1] + b', "interest_rate": 9.0}')
    assert isinstance(record, Record)
    assert record.interest_rate == 9.0


def test_ranges_and_size_are_settings() -> None:
    narrow = {**DEFAULT_RANGES, "interest_rate": Range(0, 4)}
    assert isinstance(decode(encoded(), ranges=narrow), Rejection)
    assert isinstance(decode(encoded(), max_bytes=10), Rejection)


def test_each_value_of_a_batch_has_its_own_outcome_in_order() -> None:
    records, rejected = RecordDecoder().decode_all([encoded(), b"{", None, encoded(id="b")])
    assert [record is not None for record in records] == [True, False, False, True]
    assert {at: rejection.reason for at, rejection in rejected.items()} == {
        1: Reason.NOT_JSON,
        2: Reason.EMPTY,
    }


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    assert isinstance(decode(value), Record | Rejection)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([*FEATURES, "id", "month", "other"])


@given(st.dictionaries(FIELDS, JSON))
def test_a_record_is_exactly_what_the_rules_say(changes: dict[str, Any]) -> None:
    document = {**GOOD, **changes}
    outcome = decode(json.dumps(document).encode())
    numbers = [document[name] for name in FEATURES]
    good = (
        all(
            type(n) in (int, float) and DEFAULT_RANGES[f].holds(n)
            for f, n in zip(FEATURES, numbers, strict=True)
        )
        and isinstance(document.get("id"), str | None)
        and document.get("month") is None  # no text that Hypothesis draws is a month
        and not _holds_what_json_has_not(document)
    )
    assert isinstance(outcome, Record) == good, (document, outcome)
    if isinstance(outcome, Record):
        assert [getattr(outcome, name) for name in FEATURES] == [float(n) for n in numbers]


def _holds_what_json_has_not(value: Any) -> bool:
    """NaN and infinities, and halves of surrogate pairs."""
    if isinstance(value, dict):
        return any(map(_holds_what_json_has_not, [*value, *value.values()]))
    if isinstance(value, list):
        return any(map(_holds_what_json_has_not, value))
    if isinstance(value, str):
        return any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, float) and not math.isfinite(value)
