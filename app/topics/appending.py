"""Append one message to the announcement topic, and be sure of it."""

from typing import Any

from confluent_kafka import KafkaException, Producer

from app.domain.errors import BrokerUnavailable
from app.topics import access


def append(
    config: dict[str, Any],
    topic: str,
    key: bytes,
    value: bytes,
    headers: list[tuple[str, bytes]],
    timeout_s: float = 30.0,
) -> tuple[int, int]:
    """Append a message; return its offset and append time once all replicas have it.

    Raises:
        BrokerUnavailable: It was not acknowledged in time. It may still have been appended:
            look at `python -m app announcements` before you try again.
    """
    reports: list[tuple[Any, Any]] = []
    needed = access.topic("WRITE", topic)
    producer = Producer(
        {
            "log_level": 0,  # what matters is raised
            **config,
            "acks": "all",
            "enable.idempotence": True,
            "delivery.timeout.ms": round(timeout_s * 1000),
            "linger.ms": 0,
        }
    )
    try:
        producer.produce(
            topic,
            value,
            key,
            partition=0,
            headers=headers,
            on_delivery=lambda error, message: reports.append((error, message)),
        )
        producer.flush(timeout_s + 1)
    except KafkaException as error:
        text = f"nothing was appended to {topic}: {error}"
        raise access.no_answer(text, error, needed) from error
    refusal, message = reports[0] if reports else ("no answer in time", None)
    if access.refused(refusal) is not None:
        raise access.denied([needed])
    if refusal is not None or message is None:
        raise BrokerUnavailable(
            f"what was appended to {topic} was not acknowledged: {refusal}; look at "
            "`python -m app announcements` before you try again"
        )
    return message.offset(), message.timestamp()[1]
