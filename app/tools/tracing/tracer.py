"""Trace records on a cluster: find them, ask how far the group is, and look for their answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from app.domain.plans import Plan, Void
from app.tools.inspecting.rows import Decode, Row, row_of
from app.tools.tracing.search import AnswerSearch, place_of, record_at, records_with
from app.tools.tracing.trace import Trace, join_of
from app.topics.lag import committed
from app.topics.messages import Message
from app.topics.reading import Progress, TopicReader
from app.topics.starts import Start

Bar = Callable[[str], AbstractContextManager[Progress]]
"""Shows the progress of what it names."""


class Tracer:
    """Finds the way of records.

    Args:
        config: Of a Kafka client.
        records: The input topic.
        answers: The topics of signals and dead letters.
        group: The consumer group that answers.
        decoders: What reads each topic.
        entries: Reads all plans and voids.
        slack_ms: How much the brokers' clocks may differ.
        bar: Shows how much is read.
        to_end: Look for a second answer too.
    """

    def __init__(
        self,
        config: dict[str, Any],
        *,
        records: str,
        answers: Sequence[str],
        group: str,
        decoders: Mapping[str, Decode],
        entries: Callable[[], Sequence[Plan | Void]],
        slack_ms: int,
        bar: Bar,
        to_end: bool,
    ) -> None:
        self._config = config
        self._records = records
        self._answers = answers
        self._group = group
        self._decoders = decoders
        self._entries = entries
        self._slack_ms = slack_ms
        self._bar = bar
        self._to_end = to_end

    def traces(self, record: str, start: Start) -> list[Trace]:
        """Return the way of the record at a place, or of each record with an id.

        Args:
            record: `PARTITION:OFFSET`, or the id; an id that looks like a place is found if there
                is no record at that place.
            start: Where to begin to look for an id.

        Raises:
            BrokerUnavailable: Kafka does not answer.
            TopicsError: A topic is missing.
        """
        with TopicReader(self._config, self._records) as reader, self._bar(self._records) as told:
            partitions = len(reader.bounds)
            place = place_of(record, self._records)
            message = None if place is None else record_at(reader, place)
            rows = (
                records_with(reader, record, start, self._row, told)
                if message is None
                else [self._row(message)]
            )
        if not rows:
            return []
        # Before the answers are read: what the group is past then is answered by then.
        positions = committed(
            self._config, self._records, self._group, {row.partition for row in rows}
        )
        entries = self._entries()
        search = self._search(rows, partitions, positions)
        return [
            Trace(
                record=row,
                join=join_of(entries, row.appended_ms),
                answers=search.answers_of(row),
                group=self._group,
                committed=positions.get(row.partition),
            )
            for row in rows
        ]

    def _search(
        self, rows: Sequence[Row], partitions: int, positions: Mapping[int, int]
    ) -> AnswerSearch:
        search = AnswerSearch(rows, partitions, self._slack_ms, to_end=self._to_end)
        for topic in self._answers:
            with TopicReader(self._config, topic) as reader, self._bar(topic) as told:
                search.where_they_belong(reader, self._row, told)
        passed = [row for row in rows if row.offset < positions.get(row.partition, 0)]
        for topic in self._answers if search.lacks(passed) else ():
            with TopicReader(self._config, topic) as reader, self._bar(topic) as told:
                search.everywhere(reader, self._row, told)
        return search

    def _row(self, message: Message) -> Row:
        return row_of(message, self._decoders)
