"""One instance of the stream."""

from pathlib import Path

from app.bootstrap import access, parts
from app.settings import Settings
from app.stream.hot_swap import ModelSource
from app.stream.options import StreamOptions
from app.stream.service import StreamService
from app.stream.workspace import own_folder
from app.topics import catalog


def stream_service(
    settings: Settings, source: ModelSource | None = None, address_file: Path | None = None
) -> StreamService:
    """Return an instance of the stream, ready to run; its models come from MLflow by default.

    Raises:
        BrokerUnavailable: Kafka is away, or does not allow all that an instance does.
        TopicsError: A topic is missing or breaks a promise.
    """
    access.require(settings, "stream")
    topics = parts.topic_catalog(settings)
    catalog.require(topics.findings(parts.topic_specs(settings)))
    options = StreamOptions(
        client=parts.kafka(settings),
        consumer_group=settings.kafka.consumer_group,
        model_name=settings.model.name,
        source_topic=settings.topics.records,
        signals_topic=settings.topics.signals,
        letters_topic=settings.topics.dead_letters,
        announcements_topic=settings.topics.announcements,
        status_topic=settings.topics.status,
        partitions=topics.partition_counts(),
        models_folder=own_folder(settings.model.cache_dir),
        guarantee=settings.stream.guarantee,
        max_batch=settings.stream.max_batch,
        linger_s=settings.stream.linger_ms / 1000,
        poll_timeout_s=settings.stream.poll_timeout_s,
        hold_retry_s=settings.stream.hold_retry_s,
        fence_timeout_s=settings.stream.fence_timeout_s,
        feed_stale_after_s=settings.stream.feed_stale_after_s,
        group_instance_id=settings.kafka.group_instance_id,
        session_timeout_ms=settings.kafka.session_timeout_ms,
        max_poll_interval_ms=settings.kafka.max_poll_interval_ms,
        transaction_timeout_ms=settings.kafka.transaction_timeout_ms,
        broker_timeout_s=settings.kafka.broker_timeout_s,
        breaker_share=settings.breaker.share,
        breaker_window=settings.breaker.window,
        http_host=settings.http.host,
        http_port=settings.http.port,
        http_address_file=address_file,
        models_kept=settings.model.kept,
        first_load_timeout_s=settings.model.first_load_timeout_s,
    )
    return StreamService(
        options,
        parts.decoder(settings),
        source or parts.models(settings),
        denied=lambda error: access.explained(settings, "stream", error),
    )
