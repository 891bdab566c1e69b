"""The wire format of a plan: what is read back, and what is ignored and why."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plans import Announcement, Plan
from app.topics.announcements import Ignored, decode, encode, read_all
from app.topics.messages import Message

PLAN = Announcement(
    model_name="m",
    model_version="3",
    model_uri="models:/m/3",
    digest="sha256:" + "0a" * 32,
    features=("a", "b"),
    guard_ms=1000,
    event_id="event-1",
    run_id="run",
    effective_from_ms=1_700_000_000_123,
)


def message(announcement: Announcement = PLAN, offset: int = 7, **changes: Any) -> Message:
    key, value, headers = encode(announcement)
    return replace(Message(offset, 42, key, value, tuple(headers)), **changes)


@pytest.mark.parametrize(
    "announcement",
    [PLAN, replace(PLAN, run_id=None, effective_from_ms=None), replace(PLAN, guard_ms=0)],
)
def test_what_is_encoded_is_read_back(announcement: Announcement) -> None:
    assert decode(message(announcement), "m") == Plan(7, 42, announcement)


def test_it_is_a_cloud_event_in_binary_mode_keyed_by_the_model() -> None:
    key, _, headers = encode(PLAN)
    found = dict(headers)
    assert key == b"m"
    assert found["ce_specversion"] == b"1.0"
    assert found["ce_type"] == b"ds-models.serving-plan.announced.v1"
    assert found["ce_id"] == b"event-1"
    assert found["content-type"] == b"application/json"


def changed(before: bytes, after: bytes) -> bytes:
    _, value, _ = encode(PLAN)
    assert before in value
    return value.replace(before, after)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (message(value=None), "null"),
        (message(value=b""), "malformed"),
        (message(value=b"\xff\x00"), "malformed"),
        (message(value=b"[]"), "malformed"),
        (message(headers=()), "malformed"),
        (message(headers=(("ce_type", None),)), "malformed"),
        (message(headers=(("ce_type", b"\xff"),)), "malformed"),
        (message(key=b"other"), "malformed"),
        (message(key=b"\xff"), "malformed"),
        (message(value=changed(b"sha256:0a", b"sha256:zz")), "malformed"),
        (message(value=changed(b'"guard_ms": 1000', b'"guard_ms": -1')), "malformed"),
        (message(value=changed(b'"guard_ms": 1000', b'"guard_ms": "1 s"')), "malformed"),
        (message(value=changed(b'"3"', b'""')), "malformed"),
        (message(value=changed(b'["a", "b"]', b"[]")), "malformed"),
        (message(value=changed(b'"3"', b'"3\\ud800"')), "malformed"),
        (message(value=changed(b"models:/m/3", b"models:/m/3\\ud800")), "malformed"),
        (message(value=changed(b"20.123000Z", b"20")), "malformed"),
        (message(replace(PLAN, model_name="other")), "foreign"),
        (
            message(headers=(*message().headers[:2], ("ce_type", b"x"), *message().headers[3:])),
            "foreign",
        ),
    ],
)
def test_what_is_no_plan_of_ours_is_ignored_with_its_kind(bad: Message, kind: str) -> None:
    ignored = decode(bad, "m")
    assert isinstance(ignored, Ignored)
    assert (ignored.kind, ignored.offset) == (kind, 7)
    assert ignored.why


def test_unknown_fields_are_ignored_so_that_the_schema_can_grow() -> None:
    grown = message(value=changed(b'"guard_ms"', b'"added_later": 1, "guard_ms"'))
    assert isinstance(decode(grown, "m"), Plan)


def test_the_same_event_twice_is_a_duplicate_the_second_time() -> None:
    first, second, other = read_all(
        [message(offset=1), message(offset=2), message(replace(PLAN, event_id="e2"), offset=3)],
        "m",
    )
    assert isinstance(first, Plan)
    assert isinstance(second, Ignored)
    assert (second.kind, "offset 1" in second.why) == ("duplicate", True)
    assert isinstance(other, Plan)


@given(
    st.binary() | st.none(),
    st.binary() | st.none(),
    st.lists(st.tuples(st.sampled_from(["ce_type", "ce_id", "ce_time", "x"]), st.binary())),
)
def test_no_message_makes_it_raise(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    assert isinstance(decode(Message(0, 0, key, value, headers), "m"), Ignored)
