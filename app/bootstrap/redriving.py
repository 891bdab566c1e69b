"""What counts dead letters and sends them again."""

import threading
import time
from collections.abc import Callable
from typing import Any

from app.bootstrap import access, parts
from app.domain.times import instant
from app.settings import Settings
from app.tools.letters.chosen import LetterSelection, chosen
from app.tools.letters.counts import LetterCounts, as_dict, count
from app.tools.redriving.json_edits import Edits
from app.tools.redriving.judge import Judge
from app.tools.redriving.redrive import Chosen, Redrive
from app.tools.redriving.writer import RedriveWriter
from app.topics import catalog, reading, redriven
from app.topics.reading import Progress
from app.topics.redriven import Marks
from app.topics.starts import EARLIEST, Start


def letter_counts(
    settings: Settings,
    selection: LetterSelection,
    samples: int,
    on_progress: Progress,
    stopped: Callable[[], bool] = lambda: False,
) -> LetterCounts:
    """Count the dead letters that are selected, and those of them that were redriven.

    Args:
        settings: Of the application.
        selection: Which letters.
        samples: The most letters to keep of each reason.
        on_progress: Told a few times a second.
        stopped: Asked between messages; once it says so, only what was read is counted.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing.
    """
    parts.require_broker(settings)
    letters = _letters(settings, selection, on_progress, stopped)
    marks = _marks(settings, _start(selection.from_ms), stopped)
    return count(settings.topics.dead_letters, letters, marks, samples)


def recent_letters(
    settings: Settings, minutes: int, now_ms: int, patience_s: float
) -> dict[str, Any]:
    """Count the dead letters of so many minutes before `now_ms`, at bounded cost.

    What is older is not read, and after `patience_s` seconds no more is.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing.
    """
    since, ends = now_ms - minutes * 60_000, time.monotonic() + patience_s
    late = threading.Event()

    def stopped() -> bool:
        if time.monotonic() > ends:
            late.set()
        return late.is_set()

    selection = LetterSelection(from_ms=since)
    counts = as_dict(letter_counts(settings, selection, 0, lambda _read, _of: None, stopped))
    times = {"at": instant(now_ms), "since": instant(since)}
    return {**counts, **times, "complete": not late.is_set()}


def redrive(
    settings: Settings,
    selection: LetterSelection,
    edits: Edits,
    *,
    max_tries: int,
    even_if_bad: bool,
) -> Redrive:
    """Return what sends the dead letters that are selected again.

    Raises:
        BrokerUnavailable: Kafka is away, or does not allow all of it.
        TopicsError: A topic is missing or breaks a promise.
    """
    access.require(settings, "operator", ("records", "dead_letters", "redriven", "readers"))
    topics, client, found = settings.topics, parts.kafka(settings), parts.topic_catalog(settings)
    names = (topics.records, topics.dead_letters, topics.redriven)
    catalog.require(found.findings([s for s in parts.topic_specs(settings) if s.name in names]))
    partitions = found.partition_counts()[topics.records]
    return Redrive(
        letters_topic=topics.dead_letters,
        records_topic=topics.records,
        judge=Judge(edits, parts.decoder(settings), topics.records, max_tries, even_if_bad),
        letters=lambda on_progress: _letters(settings, selection, on_progress),
        marks=lambda: _marks(settings),
        writer=lambda: RedriveWriter(
            client,
            transactional_id=redriven.transactional_id(topics.dead_letters),
            records_topic=topics.records,
            partitions=partitions,
            marks_topic=topics.redriven,
            transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        ),
    )


def _letters(
    settings: Settings,
    selection: LetterSelection,
    on_progress: Progress,
    stopped: Callable[[], bool] = lambda: False,
) -> Chosen:
    messages = reading.read(
        parts.kafka(settings),
        settings.topics.dead_letters,
        start=_start(selection.from_ms),
        stopped=stopped,
        on_progress=on_progress,
    )
    return chosen(messages, selection)


def _marks(
    settings: Settings, start: Start = EARLIEST, stopped: Callable[[], bool] = lambda: False
) -> Marks:
    messages = reading.read(
        parts.kafka(settings), settings.topics.redriven, start=start, stopped=stopped
    )
    return redriven.Marks.of(messages, settings.topics.dead_letters)


def _start(from_ms: int | None) -> Start:
    """Return where to begin; a letter's mark is always later than the letter."""
    return EARLIEST if from_ms is None else Start("time", from_ms)
