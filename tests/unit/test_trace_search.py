"""How far the search for an answer reads."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from app.tools.inspecting.rows import Row
from app.tools.tracing.search import AnswerSearch
from app.topics.messages import Message
from app.topics.starts import Start

if TYPE_CHECKING:
    from app.topics.reading import TopicReader

Source = tuple[str, int, int]


class Answers:
    """A reader of an output topic: of each partition the sources of its messages.

    Attributes:
        asked: Where it was asked to begin.
        read: Partition and offset of what was read.
    """

    def __init__(self, *partitions: list[Source]) -> None:
        self._partitions = partitions
        self.asked: list[Start] = []
        self.read: list[tuple[int, int]] = []

    def offsets(self, start: Start) -> dict[int, int]:
        self.asked.append(start)
        return dict.fromkeys(range(len(self._partitions)), 0)

    def messages(
        self,
        first: Mapping[int, int],
        *,
        enough: Callable[[int], bool],
        stopped: Callable[[], bool],
        on_progress: Any,
    ) -> Iterator[Message]:
        for number in first:
            for offset in range(len(self._partitions[number])):
                if stopped():
                    return
                self.read.append((number, offset))
                yield Message(offset, 0, None, None, topic="answers", partition=number)
                if enough(number):
                    break

    def row_of(self, message: Message) -> Row:
        names = ("source_topic", "source_partition", "source_offset")
        source = self._partitions[message.partition][message.offset]
        fields = dict(zip(names, source, strict=True))
        return Row("answers", message.partition, message.offset, 0, None, "signal", fields)


def record(partition: int, offset: int, appended_ms: int = 5_000) -> Row:
    return Row("in", partition, offset, appended_ms, None, "record", {})


def of(partition: int, *offsets: int) -> list[Source]:
    return [("in", partition, offset) for offset in offsets]


def search(
    reader: Answers, *records: Row, to_end: bool = False, everywhere: bool = False
) -> AnswerSearch:
    made = AnswerSearch(records, 2, 1_000, to_end=to_end)
    look = made.everywhere if everywhere else made.where_they_belong
    look(cast("TopicReader", reader), reader.row_of, lambda _read, _of: None)
    return made


def places(found: AnswerSearch, one: Row) -> list[tuple[int, int]]:
    return [(row.partition, row.offset) for row in found.answers_of(one)]


def test_it_begins_before_the_oldest_record_by_as_much_as_clocks_may_differ() -> None:
    reader = Answers([], [])
    search(reader, record(0, 1, 9_000), record(0, 2, 5_000))
    assert reader.asked == [Start("time", 4_000)]


def test_it_ends_with_the_answer() -> None:
    reader = Answers(of(0, 6, 7, 8), [])
    assert places(search(reader, record(0, 7)), record(0, 7)) == [(0, 1)]
    assert reader.read == [(0, 0), (0, 1)]


def test_it_ends_where_later_records_are_answered() -> None:
    reader = Answers(of(0, 6, 8, 9, 10), [])
    found = search(reader, record(0, 7))
    assert found.lacks([record(0, 7)])
    assert reader.read == [(0, 0), (0, 1)]


def test_answers_of_other_inputs_and_partitions_end_nothing() -> None:
    reader = Answers([("other", 0, 99), ("in", 1, 99), ("in", 0, 7)], [])
    assert places(search(reader, record(0, 7)), record(0, 7)) == [(0, 2)]


def test_a_second_answer_is_looked_for_to_the_end() -> None:
    reader = Answers(of(0, 7, 8, 7, 9), [])
    assert places(search(reader, record(0, 7), to_end=True), record(0, 7)) == [(0, 0), (0, 2)]
    assert len(reader.read) == 4


def test_only_the_partition_of_a_record_is_read_then_all() -> None:
    reader = Answers(of(0, 5), of(0, 7))
    assert search(reader, record(0, 7)).lacks([record(0, 7)])
    assert reader.read == [(0, 0)]
    assert places(search(reader, record(0, 7), everywhere=True), record(0, 7)) == [(1, 0)]


def test_what_was_skipped_and_answered_later_is_found_in_the_end() -> None:
    reader = Answers(of(0, 6, 9, 10, 7, 8), [])
    assert search(reader, record(0, 7)).lacks([record(0, 7)])
    assert places(search(reader, record(0, 7), everywhere=True), record(0, 7)) == [(0, 3)]


def test_an_answer_that_is_read_twice_is_one() -> None:
    reader = Answers(of(0, 6, 7), [])
    made = AnswerSearch([record(0, 6), record(0, 9)], 2, 1_000, to_end=True)
    for look in (made.where_they_belong, made.everywhere):
        look(cast("TopicReader", reader), reader.row_of, lambda _read, _of: None)
    assert places(made, record(0, 6)) == [(0, 0)]


def test_on_a_topic_of_other_partitions_all_are_read_and_none_a_second_time() -> None:
    reader = Answers(of(1, 5), of(1, 9), of(0, 7))
    assert places(search(reader, record(0, 7)), record(0, 7)) == [(2, 0)]
    assert len(reader.read) == 3
    search(reader, record(0, 8), everywhere=True)
    assert len(reader.read) == 3


def test_each_of_several_records_gets_its_own() -> None:
    reader = Answers(of(0, 7, 8), of(1, 3))
    records = record(0, 8), record(1, 3), record(0, 7)
    found = search(reader, *records)
    assert [places(found, one) for one in records] == [[(0, 1)], [(1, 0)], [(0, 0)]]
