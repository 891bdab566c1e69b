"""Edits of a JSON object: what is named is changed, all else keeps its bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tools.redriving.json_edits import Edits, NotEditable

NAMES = st.sampled_from(["rate", "interest_rate", "id", "é", 'quo"te', "a\\b", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(NAMES, VALUES)
RENAMES = st.dictionaries(NAMES, NAMES, max_size=3).filter(
    lambda pairs: len(set(pairs.values())) == len(pairs)
)


def edited(edits: Edits, value: bytes | None) -> bytes:
    after = edits.apply(value)
    assert isinstance(after, bytes), after
    return after


def naive(
    document: dict[str, Any], renames: dict[str, str], sets: dict[str, Any], drops: frozenset[str]
) -> dict[str, Any] | None:
    """The edits on a parsed document; None if two fields have the same name then."""
    kept = [(renames.get(n, n), v) for n, v in document.items() if n not in drops]
    result: dict[str, Any] = {}
    for name, value in kept:
        if result.get(name) is not None and value is not None:
            return None
        if value is not None or name not in result:
            result[name] = value
    return result | sets


@given(OBJECTS, RENAMES, st.dictionaries(NAMES, VALUES, max_size=2), st.frozensets(NAMES))
def test_edits_do_what_they_do_to_a_parsed_document(
    document: dict[str, Any], renames: dict[str, str], sets: dict[str, Any], drops: frozenset[str]
) -> None:
    drops -= renames.keys()
    edits = Edits(drops, renames, {name: json.dumps(value) for name, value in sets.items()})
    after = edits.apply(json.dumps(document, indent=1).encode())
    expected = naive(document, renames, sets, drops)
    if expected is None:
        assert isinstance(after, NotEditable)
        assert "there are two fields" in after.why
    else:
        assert isinstance(after, bytes)
        assert json.loads(after) == expected


@given(st.binary() | st.none() | st.text().map(str.encode), RENAMES)
def test_no_value_makes_them_raise(value: bytes | None, renames: dict[str, str]) -> None:
    assert isinstance(Edits(renames=renames).apply(value), bytes | NotEditable)


@given(OBJECTS)
def test_a_value_that_no_edit_changes_is_returned_as_it_is(document: dict[str, Any]) -> None:
    value = json.dumps(document, indent=3).encode()
    edits = Edits(drops=frozenset({"not there"}), renames={"nor this": "new"})
    assert edits.apply(value) is value


@given(OBJECTS, RENAMES)
def test_a_rename_and_its_opposite_give_the_document_back(
    document: dict[str, Any], renames: dict[str, str]
) -> None:
    there = Edits(renames=renames).apply(json.dumps(document).encode())
    if isinstance(there, bytes) and not set(renames.values()) & (document.keys() - renames.keys()):
        back = {new: old for old, new in renames.items() if old in document}
        assert json.loads(edited(Edits(renames=back), there)) == document


@pytest.mark.parametrize(
    "content",
    ["1.50", "1e999", "NaN", "-Infinity", "9" * 5000, '"caf\\u00e9 é"', "[1,  2]", '{"a": {}}'],
)
def test_what_is_not_named_keeps_its_bytes(content: str) -> None:
    value = f'{{"rate": 4, "é" : {content} , "x":true}}'.encode()
    expected = f'{{"interest_rate":4,"é":{content},"x":true}}'.encode()
    assert edited(Edits(renames={"rate": "interest_rate"}), value) == expected


def test_fields_are_dropped_then_renamed_all_at_once_then_set() -> None:
    edits = Edits.parse(["a=b", "b=a"], ["c=3", "d=4"], ["c"])
    assert json.loads(edited(edits, b'{"a":1,"b":2,"c":0}')) == {"b": 1, "a": 2, "c": 3, "d": 4}
    replaces = Edits.parse(["rate=interest_rate"], [], ["interest_rate"])
    assert edited(replaces, b'{"interest_rate":"?","rate":4}') == b'{"interest_rate":4}'


def test_a_rename_never_overwrites_a_value() -> None:
    edits = Edits(renames={"rate": "interest_rate"})
    both = edits.apply(b'{"interest_rate":1,"rate":4}')
    assert both == NotEditable("there are two fields for 'interest_rate'")
    assert edited(edits, b'{"interest_rate":null,"rate":4}') == b'{"interest_rate":4}'
    assert edited(edits, b'{"rate":null,"interest_rate":4}') == b'{"interest_rate":4}'


def test_of_a_name_that_is_there_twice_the_last_counts() -> None:
    assert edited(Edits(renames={"a": "b"}), b'{"a":1,"a":2}') == b'{"b":2}'


@pytest.mark.parametrize(
    "value", [None, b"", b"null", b"[1]", b"{]", b"\xff", b'"a"', b"{}{}", b"[" * 100_000]
)
def test_what_is_no_object_is_not_editable(value: bytes | None) -> None:
    after = Edits(drops=frozenset("x")).apply(value)
    assert isinstance(after, NotEditable)
    assert after.why.startswith("it is no JSON object")


@pytest.mark.parametrize(
    ("written", "content"),
    [
        *(("4.5", 4.5), ("2024-05", "2024-05"), ('"17"', "17"), ("true", True), ("", "")),
        *(("null", None), ("NaN", "NaN"), (" 1 ", 1), ("a=b", "a=b"), ("[1", "[1")),
        ("\udcff", "\udcff"),
    ],
)
def test_a_value_is_json_where_it_can_be_read_as_such_else_text(
    written: str, content: object
) -> None:
    edits = Edits.parse([], [f"x={written}"], [])
    assert json.loads(edited(edits, b"{}")) == {"x": content}


@pytest.mark.parametrize(
    ("renames", "sets", "drops", "why"),
    [
        (["rate"], [], [], "'rate' is not old=new"),
        (["rate="], [], [], "'rate=' is not old=new"),
        (["=rate"], [], [], "'=rate' is not old=new"),
        ([], ["rate"], [], "'rate' is not field=value"),
        (["a=b", "a=c"], [], [], "'a' is there twice"),
        ([], ["a=1", "a=2"], [], "'a' is there twice"),
        (["a=c", "b=c"], [], [], "to the same name"),
        (["a=b"], [], ["a"], "both dropped and renamed"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    renames: list[str], sets: list[str], drops: list[str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Edits.parse(renames, sets, drops)
