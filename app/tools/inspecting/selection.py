"""Which messages of a topic are shown: from where, how many, and those that pass the filter."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from app.tools.inspecting.filters import Filter
from app.tools.inspecting.rows import Row
from app.topics.messages import Message
from app.topics.reading import Progress, TopicReader
from app.topics.starts import EARLIEST, Start

NEWEST = 10
"""How many `latest` shows if nothing else is said."""

_WINDOW = 100  # offsets before the end that are read first, to find the newest messages
_WIDER = 8  # times as many, when too few of them were wanted


@dataclass(frozen=True, slots=True)
class Selection:
    """What is wanted of a topic.

    Attributes:
        start: Where to begin; `latest` without `follow` means the newest `limit`.
        limit: The most rows. Without `follow` it takes the first ones by time, over all
            partitions, and those are in the order of time; else rows are as they come.
        follow: Go on with what is still to come.
        filter: Which rows.
        from_beginning: Read the topic from its beginning, whatever is shown of it: what a message
            means depends on those before it.
    """

    start: Start = EARLIEST
    limit: int | None = None
    follow: bool = False
    filter: Filter = field(default_factory=Filter)
    from_beginning: bool = False

    @property
    def ends_before_it_shows(self) -> bool:
        """Whether the first row comes when all are read."""
        return not self.follow and (self.limit is not None or self.start.kind == "latest")


def select(
    reader: TopicReader,
    wanted: Selection,
    row_of: Callable[[Message], Row],
    on_progress: Progress = lambda _read, _of: None,
) -> Iterator[Row]:
    """Yield the rows that are wanted; reads no more of the topic than it has to.

    Raises:
        BrokerUnavailable: No broker answers any more.
    """
    if wanted.follow:
        yield from islice(_matching(reader, wanted, row_of, on_progress), wanted.limit)
    elif wanted.start.kind == "latest":
        yield from _newest(reader, wanted, wanted.limit or NEWEST, row_of, on_progress)
    elif wanted.limit is not None:
        yield from _first(reader, wanted, wanted.limit, row_of, on_progress)
    else:
        yield from _matching(reader, wanted, row_of, on_progress)


def _matching(
    reader: TopicReader,
    wanted: Selection,
    row_of: Callable[[Message], Row],
    on_progress: Progress,
    enough: Callable[[int], bool] = lambda _partition: False,
) -> Iterator[Row]:
    """Yield the rows from the start that pass the filter, as they come."""
    shown_from = reader.offsets(wanted.start)
    begin = reader.offsets(EARLIEST) if wanted.from_beginning else shown_from
    covers, wants = wanted.start.covers, wanted.filter.wants
    everything = wanted.filter.wants_all
    for message in reader.messages(
        begin, follow=wanted.follow, enough=enough, on_progress=on_progress
    ):
        row = row_of(message)
        if (
            message.offset >= shown_from[message.partition]
            and covers(message)
            and (everything or wants(row))
        ):
            yield row


def _first(
    reader: TopicReader,
    wanted: Selection,
    limit: int,
    row_of: Callable[[Message], Row],
    on_progress: Progress,
) -> list[Row]:
    """Return the first rows by time: no partition has more of them than `limit`."""
    found: Counter[int] = Counter()
    rows: list[Row] = []
    for row in _matching(
        reader, wanted, row_of, on_progress, lambda partition: found[partition] >= limit
    ):
        found[row.partition] += 1
        rows.append(row)
    return sorted(rows, key=_time)[:limit]


def _newest(
    reader: TopicReader,
    wanted: Selection,
    limit: int,
    row_of: Callable[[Message], Row],
    on_progress: Progress,
) -> list[Row]:
    """Return the newest rows, in the order of time.

    Offsets say little about how many messages there are: transactions leave gaps, and a filter
    does. So the window before the end grows, in each partition until it has enough, is read, or
    what is left of it is older than enough rows of others.
    """
    newest: dict[int, deque[Row]] = {}
    oldest_ms: dict[int, int] = {}  # of all messages of the window, by partition
    lacking = set(reader.bounds)
    window = max(_WINDOW, 2 * limit)
    while lacking:
        begin = reader.offsets(EARLIEST if wanted.from_beginning else Start("back", window))
        for number in lacking:
            newest[number] = deque(maxlen=limit)
            oldest_ms.pop(number, None)
        for message in reader.messages(
            {number: begin[number] for number in lacking}, on_progress=on_progress
        ):
            oldest_ms.setdefault(message.partition, message.appended_ms)
            row = row_of(message)
            if wanted.filter.wants(row):
                newest[row.partition].append(row)
        enough_ms = _oldest_of(newest.values(), limit)
        lacking = {
            number
            for number in lacking
            if len(newest[number]) < limit
            and begin[number] > reader.bounds[number][0]
            and oldest_ms.get(number, enough_ms) >= enough_ms
        }
        window *= _WIDER
    return sorted(chain.from_iterable(newest.values()), key=_time)[-limit:]


def _oldest_of(newest: Iterable[Iterable[Row]], limit: int) -> float:
    """Return the time of the oldest of the newest `limit` rows, in Unix milliseconds."""
    times = sorted((row.appended_ms for row in chain.from_iterable(newest)), reverse=True)
    return times[limit - 1] if len(times) >= limit else -math.inf


def _time(row: Row) -> tuple[int, int, int]:
    return row.appended_ms, row.partition, row.offset
