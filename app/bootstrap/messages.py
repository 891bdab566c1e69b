"""What reads topics for people."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from app.bootstrap import history, parts
from app.settings import Settings
from app.tools.inspecting.rows import Decode, Row, decoders, row_of
from app.tools.inspecting.selection import Selection, select
from app.tools.tracing.tracer import Bar, Tracer
from app.topics.reading import Progress, TopicReader


def topic_decoders(settings: Settings) -> dict[str, Decode]:
    """Return what reads each of our topics, for people."""
    names = settings.topics
    return decoders(
        records=names.records,
        signals=names.signals,
        dead_letters=names.dead_letters,
        announcements=names.announcements,
        status=names.status,
        record_decoder=parts.decoder(settings),
        model_name=settings.model.name,
    )


def topic_rows(
    settings: Settings,
    topic: str,
    wanted: Selection,
    partitions: Collection[int] | None,
    on_progress: Progress,
) -> Iterator[Row]:
    """Yield what is wanted of a topic.

    Args:
        settings: Of the application.
        topic: Any.
        wanted: Of its messages.
        partitions: Only these; None for all.
        on_progress: Told how much is read.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: There is no such topic or partition.
    """
    parts.require_broker(settings)
    known = topic_decoders(settings)
    if topic == settings.topics.announcements:
        wanted = replace(wanted, from_beginning=True)  # what voids and repetitions refer to
    with TopicReader(parts.kafka(settings), topic, partitions=partitions) as reader:
        yield from select(reader, wanted, lambda message: row_of(message, known), on_progress)


def tracer(settings: Settings, bar: Bar, *, to_end: bool) -> Tracer:
    """Return what finds the way of a record.

    Args:
        settings: Of the application.
        bar: Shows how much is read.
        to_end: Look for a second answer too.

    Raises:
        BrokerUnavailable: Kafka is away.
    """
    topics = settings.topics
    parts.require_broker(settings)
    return Tracer(
        parts.kafka(settings),
        records=topics.records,
        answers=(topics.signals, topics.dead_letters),
        group=settings.kafka.consumer_group,
        decoders=topic_decoders(settings),
        entries=lambda: history.plans_and_voids(settings),
        slack_ms=settings.announcements.guard_ms,
        bar=bar,
        to_end=to_end,
    )
