"""Find a record by its id or place, and what answered it, without reading more than it takes."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from app.tools.inspecting.filters import id_of
from app.tools.inspecting.rows import Row
from app.topics.messages import Message
from app.topics.reading import Progress, TopicReader
from app.topics.starts import Start

Place = tuple[int, int]
"""Partition and offset of a record."""

_PLACE = re.compile(r"(?:(?P<topic>.+)/)?(?P<partition>[0-9]{1,9})[:/](?P<offset>[0-9]{1,18})")


def place_of(text: str, topic: str) -> Place | None:
    """Read a place as it is typed, or as the id of an answer has it; None if it is none.

    >>> [place_of(text, "treasury.data") for text in ("3:1033", "3/1033", "treasury.data/3/1033")]
    [(3, 1033), (3, 1033), (3, 1033)]
    >>> place_of("other.topic/3/1033", "treasury.data"), place_of("UST-2024-05", "treasury.data")
    (None, None)
    """
    found = _PLACE.fullmatch(text)
    if found is None or found["topic"] not in {None, topic}:
        return None
    return int(found["partition"]), int(found["offset"])


def record_at(reader: TopicReader, place: Place) -> Message | None:
    """Return the record at a place; None if there is none: never, no more, or only a marker."""
    partition, offset = place
    low, high = reader.bounds.get(partition, (0, 0))
    if low <= offset < high:
        for message in reader.messages({partition: offset}):
            return message if message.offset == offset else None
    return None


def records_with(
    reader: TopicReader,
    record_id: str,
    start: Start,
    row_of: Callable[[Message], Row],
    on_progress: Progress,
) -> list[Row]:
    """Return all records with an id, in the order of their append times."""
    needle = record_id.encode("utf-8", "surrogateescape")
    found = []
    for message in reader.messages(reader.offsets(start), on_progress=on_progress):
        value = message.value or b""
        if needle in value or b"\\" in value:  # it may be written with escapes
            row = row_of(message)
            if start.covers(message) and id_of(row) == record_id:
                found.append(row)
    return sorted(found, key=lambda row: (row.appended_ms, row.partition, row.offset))


class AnswerSearch:
    """Looks for the answers of some records on an output topic.

    An answer is appended after its record; with as many partitions as the input it has the
    partition of its record, and a partition is in the order of the records.

    Args:
        records: Whose answers.
        source_partitions: How many the input has.
        slack_ms: How much the brokers' clocks may differ.
        to_end: Look for a second answer too: read to the end.
    """

    def __init__(
        self, records: Collection[Row], source_partitions: int, slack_ms: int, *, to_end: bool
    ) -> None:
        self._topic = next(iter(records)).topic
        self._lacking = {(row.partition, row.offset) for row in records}
        self._wanted = frozenset(self._lacking)
        self._source_partitions = source_partitions
        self._since = Start("time", min(row.appended_ms for row in records) - slack_ms)
        self._to_end = to_end
        self._found: dict[Place, dict[tuple[str, int, int], Row]] = defaultdict(dict)

    def lacks(self, records: Iterable[Row]) -> bool:
        """Say whether no answer of one of these is found yet."""
        return any((row.partition, row.offset) in self._lacking for row in records)

    def answers_of(self, record: Row) -> tuple[Row, ...]:
        """Return the answers of a record that were found, in the order of their append times."""
        answers = self._found.get((record.partition, record.offset), {})
        return tuple(sorted(answers.values(), key=lambda row: row.appended_ms))

    def where_they_belong(
        self, reader: TopicReader, row_of: Callable[[Message], Row], on_progress: Progress
    ) -> None:
        """Look where answers are now written to."""
        begin = reader.offsets(self._since)
        if len(begin) != self._source_partitions:
            self._look(reader, begin, row_of, on_progress, lambda _partition: False)
            return
        last = dict(sorted(self._wanted))
        reached = dict.fromkeys(last, -1)

        def note(message: Message) -> Row:
            row = row_of(message)
            if row.fields.get("source_topic") == self._topic:
                partition = row.fields["source_partition"]
                if partition == message.partition:
                    reached[partition] = row.fields["source_offset"]
            return row

        self._look(
            reader,
            {number: begin[number] for number in last if number in begin},
            note,
            on_progress,
            lambda partition: not self._to_end and reached[partition] > last[partition],
        )

    def everywhere(
        self, reader: TopicReader, row_of: Callable[[Message], Row], on_progress: Progress
    ) -> None:
        """Look in all partitions to their ends.

        There were fewer or more when it was answered, or the group was set forth and back again,
        so that later records were answered first.
        """
        begin = reader.offsets(self._since)
        if len(begin) == self._source_partitions:  # else this was done
            self._look(reader, begin, row_of, on_progress, lambda _partition: False)

    def _look(
        self,
        reader: TopicReader,
        begin: dict[int, int],
        row_of: Callable[[Message], Row],
        on_progress: Progress,
        enough: Callable[[int], bool],
    ) -> None:
        def done() -> bool:
            return not self._to_end and not self._lacking

        for message in reader.messages(begin, enough=enough, stopped=done, on_progress=on_progress):
            row = row_of(message)
            fields = row.fields
            if fields.get("source_topic") != self._topic:
                continue
            place = (fields["source_partition"], fields["source_offset"])
            if place in self._wanted:
                self._found[place][row.topic, row.partition, row.offset] = row
                self._lacking.discard(place)
