"""Which messages `inspect` shows, against the whole topic in plain Python."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tools.inspecting import selection
from app.tools.inspecting.filters import Filter
from app.tools.inspecting.rows import Row, row_of
from app.tools.inspecting.selection import Selection, select
from app.topics import starts
from app.topics.messages import Message
from app.topics.starts import LATEST, Start

if TYPE_CHECKING:
    from app.topics.reading import TopicReader


class Topic:
    """A reader of messages that are given; it keeps from where each partition was read."""

    def __init__(self, *messages: Message, ends: Mapping[int, int]) -> None:
        self._messages = messages
        self.bounds = {number: (0, end) for number, end in ends.items()}
        self.begun: dict[int, list[int]] = {number: [] for number in ends}

    def offsets(self, start: Start) -> dict[int, int]:
        assert start.kind != "time"  # that one asks the broker
        return starts.offsets(None, "t", start, self.bounds, 0.0)

    def messages(
        self,
        first: Mapping[int, int],
        *,
        enough: Callable[[int], bool] = lambda _: False,
        on_progress: Any,
        follow: bool = False,
    ) -> Iterator[Message]:
        for number, at in first.items():
            self.begun[number].append(at)
        done: set[int] = set()
        for message in self._messages:
            number = message.partition
            there = follow or message.offset < self.bounds[number][1]
            if there and number not in done and number in first and message.offset >= first[number]:
                yield message
                if enough(number):
                    done.add(number)

    def shows(self, wanted: Selection) -> list[Row]:
        reader = cast("TopicReader", self)
        return list(select(reader, wanted, lambda message: row_of(message, {})))


def message(partition: int, offset: int, time_ms: int, key: bytes | None = None) -> Message:
    return Message(offset, time_ms, key, b"", topic="t", partition=partition)


@st.composite
def topics(draw: st.DrawFn) -> Topic:
    """Two partitions with gaps between offsets, each in the order of its times."""
    messages: list[Message] = []
    ends = {}
    for number in range(2):
        offset, time_ms = 0, 0
        steps = st.tuples(st.integers(0, 40), st.integers(0, 3), st.booleans())
        for gap, wait, keyed in draw(st.lists(steps, max_size=25)):
            offset, time_ms = offset + gap, time_ms + wait
            messages.append(message(number, offset, time_ms, b"k" if keyed else None))
            offset += 1
        ends[number] = offset + draw(st.integers(0, 40))
    return Topic(*messages, ends=ends)


def by_time(topic: Topic, keys: list[bytes]) -> list[tuple[int, int, int]]:
    wanted = [one for one in topic._messages if not keys or one.key in keys]
    return sorted((one.appended_ms, one.partition, one.offset) for one in wanted)


def places(rows: list[Row]) -> list[tuple[int, int, int]]:
    return [(row.appended_ms, row.partition, row.offset) for row in rows]


@given(topics(), st.integers(1, 8), st.sampled_from([[], [b"k"]]))
def test_the_first_are_the_first_of_all_by_time(
    topic: Topic, limit: int, keys: list[bytes]
) -> None:
    shown = topic.shows(Selection(limit=limit, filter=Filter(keys=keys)))
    assert places(shown) == by_time(topic, keys)[:limit]


@given(topics(), st.integers(1, 8), st.sampled_from([[], [b"k"]]))
def test_the_latest_are_the_last_of_all_by_time(
    topic: Topic, limit: int, keys: list[bytes]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_WINDOW", 3)
        patch.setattr(selection, "_WIDER", 2)
        shown = topic.shows(Selection(LATEST, limit, filter=Filter(keys=keys)))
    assert places(shown) == by_time(topic, keys)[-limit:]


def test_a_partition_whose_rest_is_older_than_enough_of_others_is_read_no_further() -> None:
    old = [message(0, offset, offset) for offset in range(10_000)]
    new = [message(1, offset, offset, b"k") for offset in range(10_000)]
    topic = Topic(*old, *new, ends={0: 10_000, 1: 10_000})
    shown = topic.shows(Selection(LATEST, 5, filter=Filter(keys=[b"k"])))
    assert [row.offset for row in shown] == list(range(9_995, 10_000))
    assert topic.begun == {0: [9_900], 1: [9_900]}


def test_what_depends_on_all_before_it_is_read_from_the_beginning() -> None:
    topic = Topic(*(message(0, offset, offset) for offset in range(9)), ends={0: 9})
    wanted = Selection(Start("offset", 7), from_beginning=True)
    assert [row.offset for row in topic.shows(wanted)] == [7, 8]
    assert topic.begun == {0: [0]}
    wanted = Selection(LATEST, 2, from_beginning=True)
    assert [row.offset for row in topic.shows(wanted)] == [7, 8]
    assert topic.begun == {0: [0, 0]}


def test_following_what_depends_on_all_before_it_shows_only_what_is_still_to_come() -> None:
    topic = Topic(*(message(0, offset, offset) for offset in range(9)), ends={0: 7})
    wanted = Selection(LATEST, follow=True, from_beginning=True)
    assert [row.offset for row in topic.shows(wanted)] == [7, 8]
    assert topic.begun == {0: [0]}


def test_the_first_of_a_partition_are_enough() -> None:
    topic = Topic(*(message(0, offset, offset) for offset in range(9)), ends={0: 9})
    read: list[int] = []

    def noting(one: Message) -> Row:
        read.append(one.offset)
        return row_of(one, {})

    assert len(list(select(cast("TopicReader", topic), Selection(limit=2), noting))) == 2
    assert read == [0, 1]
