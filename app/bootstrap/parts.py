"""What the others are made of: clients, topics, the reader of records, MLflow's models."""

from typing import TYPE_CHECKING, Any

from app.domain.records import Range
from app.registry.policy import Policy
from app.settings import Settings
from app.topics import catalog, connection
from app.topics.records import RecordDecoder

if TYPE_CHECKING:
    from app.registry.mlflow_models import MlflowModels


def kafka(settings: Settings) -> dict[str, Any]:
    """Return what every Kafka client is configured with."""
    given = settings.kafka
    security = connection.Security(
        protocol=given.security_protocol,
        ca_file=given.ssl_ca_file,
        certificate_file=given.ssl_certificate_file,
        key_file=given.ssl_key_file,
        key_password=given.ssl_key_password,
        mechanism=given.sasl_mechanism,
        username=given.sasl_username,
        password=given.sasl_password,
    )
    return connection.client_config(given.bootstrap_servers, security)


def require_broker(settings: Settings, timeout_s: float = 10.0) -> None:
    """Return once a broker answers.

    Raises:
        SettingsError: A certificate or a key can't be used.
        BrokerUnavailable: None answers in time, or it does not let us in.
    """
    connection.require_broker(kafka(settings), timeout_s)


def topic_specs(settings: Settings) -> list[catalog.TopicSpec]:
    """Return what our topics must be."""
    topics = settings.topics
    stamped = catalog.LOG_APPEND_TIME
    answers = {**stamped, **catalog.ROOM_FOR_ANSWERS}

    def spec(name: str, required: dict[str, str]) -> catalog.TopicSpec:
        return catalog.TopicSpec(name, topics.partitions, topics.replication, required)

    return [
        catalog.TopicSpec(
            topics.announcements,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.KEPT_FOR_EVER},
            exact=True,
        ),
        catalog.TopicSpec(
            topics.status,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.NEWEST_OF_EACH_KEY},
            exact=True,
        ),
        catalog.TopicSpec(
            topics.redriven,
            partitions=1,
            replication=topics.replication,
            required={**stamped, **catalog.ALL_KEYS_KEPT},
        ),
        spec(topics.records, {**stamped, **catalog.ROOM_FOR_RECORDS}),
        spec(topics.signals, answers),
        spec(topics.dead_letters, answers),
    ]


def topic_catalog(settings: Settings) -> catalog.TopicCatalog:
    """Return the cluster's topics.

    Raises:
        BrokerUnavailable: No broker answers.
    """
    require_broker(settings)
    return catalog.TopicCatalog(kafka(settings))


def create_topics(settings: Settings) -> list[str]:
    """Make our topics that are missing; return their names.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: It refuses one.
    """
    return topic_catalog(settings).create(topic_specs(settings))


def decoder(settings: Settings) -> RecordDecoder:
    """Return what reads records, with the ranges of the settings."""
    ranges = {feature: Range(*bounds) for feature, bounds in settings.records.ranges.items()}
    return RecordDecoder(ranges, settings.records.max_bytes)


def models(settings: Settings) -> "MlflowModels":
    """Return MLflow's models. Takes seconds: it imports MLflow."""
    from app.registry.mlflow_models import MlflowModels  # noqa: PLC0415 - not for who only looks

    return MlflowModels(settings.mlflow.tracking_uri, settings.mlflow.timeout_s, policy(settings))


def policy(settings: Settings) -> Policy:
    """Return the policy on what is loaded."""
    wanted = settings.policy
    return Policy(
        flavors=wanted.flavors,
        code_paths=wanted.code_paths,
        models=wanted.models,
        uri_schemes=wanted.uri_schemes,
        uri_hosts=wanted.uri_hosts,
        max_artifact_bytes=round(wanted.max_artifact_mb * 1_000_000),
    )
