"""What counts dead letters and sends them again."""

from app.bootstrap import parts
from app.settings import Settings
from app.tools.letters.chosen import LetterSelection, chosen
from app.tools.letters.counts import LetterCounts, count
from app.tools.redriving.json_edits import Edits
from app.tools.redriving.judge import Judge
from app.tools.redriving.redrive import Chosen, Redrive
from app.tools.redriving.writer import RedriveWriter
from app.topics import catalog, connection, reading, redriven
from app.topics.reading import Progress
from app.topics.redriven import Marks
from app.topics.starts import EARLIEST, Start


def letter_counts(
    settings: Settings, selection: LetterSelection, samples: int, on_progress: Progress
) -> LetterCounts:
    """Count the dead letters that are selected, and those of them that were redriven.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing.
    """
    connection.require_broker(settings.kafka.bootstrap_servers)
    letters = _letters(settings, selection, on_progress)
    return count(settings.topics.dead_letters, letters, _marks(settings), samples)


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
        BrokerUnavailable: Kafka is away.
        TopicsError: A topic is missing or breaks a promise.
    """
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


def _letters(settings: Settings, selection: LetterSelection, on_progress: Progress) -> Chosen:
    start = EARLIEST if selection.from_ms is None else Start("time", selection.from_ms)
    topic = settings.topics.dead_letters
    messages = reading.read(parts.kafka(settings), topic, start=start, on_progress=on_progress)
    return chosen(messages, selection)


def _marks(settings: Settings) -> Marks:
    messages = reading.read(parts.kafka(settings), settings.topics.redriven)
    return redriven.Marks.of(messages, settings.topics.dead_letters)
