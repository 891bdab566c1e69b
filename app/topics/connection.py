"""How every client of ours reaches Kafka: one place for what all of them share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.domain.errors import BrokerUnavailable


def client_config(bootstrap_servers: str, **options: Any) -> dict[str, Any]:
    """Return the configuration of a librdkafka client; `options` use `_` for `.`.

    >>> client_config("localhost:9092", group_id="g")
    {'bootstrap.servers': 'localhost:9092', 'group.id': 'g'}
    """
    return {"bootstrap.servers": bootstrap_servers} | {
        name.replace("_", "."): value for name, value in options.items()
    }


def require_broker(bootstrap_servers: str, timeout_s: float = 10.0) -> None:
    """Return once a broker answers.

    Raises:
        BrokerUnavailable: None did within `timeout_s` seconds.
    """
    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _error: None}
    try:
        AdminClient({**client_config(bootstrap_servers), **quiet}).list_topics(timeout=timeout_s)
    except KafkaException as error:
        raise BrokerUnavailable(
            f"no Kafka broker answers at {bootstrap_servers} ({error.args[0].str()}); "
            "start one (`make kafka-up`) or set KAFKA_BOOTSTRAP_SERVERS"
        ) from error


@contextmanager
def answers_required() -> Iterator[None]:
    """Raise what a client says of a broker that does not answer as BrokerUnavailable."""
    try:
        yield
    except KafkaException as error:
        raise BrokerUnavailable(f"Kafka does not answer: {error.args[0].str()}") from error
    except TimeoutError as error:
        raise BrokerUnavailable("Kafka does not answer in time") from error
