"""The wire format of a plan: what is read back, and what is ignored and why."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.plans import NO_PLAN, Announcement, Plan, Void
from app.topics.announcements import Ignored, decode, encode, encode_void, newest_plan, read_all
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
    [
        PLAN,
        replace(PLAN, run_id=None, effective_from_ms=None),
        replace(PLAN, guard_ms=0),
        replace(PLAN, why="the new one is wrong by half: é"),
        replace(PLAN, replaces=5),
        replace(PLAN, replaces=NO_PLAN),
    ],
)
def test_what_is_encoded_is_read_back(announcement: Announcement) -> None:
    assert decode(message(announcement), "m") == Plan(7, 42, announcement)


VOID = Void(9, 42, "m", 7, "its artifact is gone", "event-9")


def void_message(void: Void = VOID, **changes: Any) -> Message:
    key, value, headers = encode_void(void)
    return replace(Message(void.offset, 42, key, value, tuple(headers)), **changes)


@pytest.mark.parametrize("void", [VOID, replace(VOID, even_if_last=True)])
def test_a_void_that_is_encoded_is_read_back(void: Void) -> None:
    assert decode(void_message(void), "m") == void


def test_a_void_is_a_cloud_event_of_a_type_of_its_own() -> None:
    key, value, headers = encode_void(VOID)
    assert key == b"m"
    assert dict(headers)["ce_type"] == b"ds-models.serving-plan.voided.v1"
    assert json.loads(value) == {
        "model_name": "m",
        "voided_offset": 7,
        "why": "its artifact is gone",
    }


def test_a_plan_counts_only_if_it_replaces_the_newest_or_does_not_say() -> None:
    def plan(offset: int, replaces: int | None) -> Message:
        return message(replace(PLAN, event_id=f"plan {offset}", replaces=replaces), offset=offset)

    entries = read_all(
        [
            plan(4, 2),  # of a plan that was deleted: nothing known came in between
            plan(5, NO_PLAN),
            plan(6, 4),
            plan(7, 4),  # at once with the one before
            plan(8, 7),  # of one that does not count
            plan(9, 6),
            void_message(replace(VOID, offset=10, voided_offset=9)),
            plan(11, 6),
            plan(12, 9),  # a void changes nothing
            plan(13, None),
            plan(14, 13),
        ],
        "m",
    )
    assert [e.offset for e in entries if isinstance(e, Plan)] == [4, 6, 9, 12, 13, 14]
    ignored = [e for e in entries if isinstance(e, Ignored)]
    assert {e.kind for e in ignored} == {"outrun"}
    assert ignored[0].why == "it replaces no plan, but the one at offset 4 had come before it"
    assert newest_plan(entries) == 14
    assert newest_plan(entries[1:2]) == NO_PLAN


def test_a_plan_without_a_reason_is_written_as_it_was_before_there_were_any() -> None:
    assert b"why" not in encode(PLAN)[1]
    assert b"replaces" not in encode(PLAN)[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [(b": 7", b": -1"), (b": 7", b': "7"'), (b"its artifact is gone", b""), (b"gone", b"\\ud800")],
)
def test_a_void_that_is_malformed_is_ignored(before: bytes, after: bytes) -> None:
    value = encode_void(VOID)[1]
    assert before in value
    ignored = decode(void_message(value=value.replace(before, after)), "m")
    assert isinstance(ignored, Ignored)
    assert ignored.kind == "malformed"


def test_a_void_of_another_model_is_foreign() -> None:
    ignored = decode(void_message(replace(VOID, model_name="other")), "m")
    assert isinstance(ignored, Ignored)
    assert ignored.kind == "foreign"


def test_a_void_counts_only_if_it_names_a_plan_that_stands() -> None:
    def plan(offset: int) -> Message:
        return message(replace(PLAN, event_id=f"plan {offset}"), offset=offset)

    def void(offset: int, voided: int, *, last: bool = False) -> Message:
        return void_message(
            replace(
                VOID, offset=offset, voided_offset=voided, event_id=f"{offset}", even_if_last=last
            )
        )

    entries = read_all(
        [
            void(0, 1),  # of what comes later
            plan(1),
            void(2, 1),  # of the last
            plan(3),
            void(4, 3),
            void(5, 3),  # again
            void(6, 4),  # of a void
            void(7, 5),  # of what was ignored
            void(8, 1, last=True),
            plan(9),
            void(10, 9),
        ],
        "m",
    )
    kinds = [e.kind if isinstance(e, Ignored) else type(e).__name__ for e in entries]
    invalid = "invalid_void"
    assert kinds == [
        *(invalid, "Plan", invalid, "Plan", "Void", invalid),
        *(invalid, invalid, "Void", "Plan", invalid),
    ]


def test_a_void_that_is_repeated_is_a_duplicate_and_no_plan_is_one_of_a_void() -> None:
    first, other = (replace(PLAN, event_id=name) for name in ("plan", "event-9"))
    entries = read_all(
        [
            message(first, offset=7),
            message(other, offset=8),
            void_message(),
            void_message(offset=10),
        ],
        "m",
    )
    assert [type(entry) for entry in entries] == [Plan, Plan, Void, Ignored]
    assert isinstance(entries[-1], Ignored)
    assert entries[-1].kind == "duplicate"


def test_a_plan_that_was_voided_does_not_come_back_by_being_repeated() -> None:
    other = message(replace(PLAN, event_id="other"), offset=3)
    entries = read_all([other, message(), void_message(), message(offset=10)], "m")
    assert isinstance(entries[-1], Ignored)
    assert entries[-1].kind == "duplicate"


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
