"""Resumes: an operator's word on the status topic that instances which stopped by themselves go on.

The key names the group, so that the newest word of each is kept; it counts only for instances that
wait for it when it comes.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from app.domain.errors import BrokerUnavailable
from app.topics import access
from app.topics.watermarks import watermarks

log = structlog.get_logger()

_ASK_S = 5.0


class Resume(msgspec.Struct, frozen=True):
    """The word: for which consumer group, and why, if that was said."""

    group: str
    why: str | None = None


decode = msgspec.json.Decoder(Resume).decode
"""Bytes to a resume. Raises ValueError."""


def key_of(group: str) -> bytes:
    """Return the key of the word for a group."""
    return f"resume:{group}".encode()


def send(config: Mapping[str, Any], topic: str, resume: Resume) -> None:
    """Say it.

    Raises:
        BrokerUnavailable: It may not have been taken; say it again.
    """
    producer = Producer({"log_level": 0, **config, "acks": "all", "message.timeout.ms": 10_000})
    refusals: list[Any] = []
    producer.produce(
        topic,
        msgspec.json.encode(resume),
        key_of(resume.group),
        0,
        on_delivery=lambda error, _message: refusals.append(error),
    )
    producer.flush(15)
    refusal = refusals[0] if refusals else "no answer in time"
    if access.refused(refusal) is not None:
        raise access.denied([access.topic("WRITE", topic)])
    if refusal is not None:
        raise BrokerUnavailable(f"{topic} did not take it: {refusal}")


class Resumes:
    """Waits for the word, from a moment on.

    Args:
        config: Of a Kafka client.
        topic: The status topic.
        group: Whose word counts.
    """

    def __init__(self, config: Mapping[str, Any], topic: str, group: str) -> None:
        self._config = config
        self._topic = topic
        self._group = group
        self._consumer: Any = None

    def wait(self) -> bool:
        """Wait from now on: what was said before does not count. False if no broker answers."""
        self.close()
        consumer = Consumer(
            {
                **self._config,
                "group.id": f"{access.READER_GROUPS}resumes",  # required; nothing is committed
                "enable.auto.commit": False,
            }
        )
        try:
            _, end = watermarks(consumer, self._topic, 0, _ASK_S)
            consumer.assign([TopicPartition(self._topic, 0, end)])
        except KafkaException as error:  # it waits from the next try on
            log.warning("resumes.not_followed", error=error.args[0].str())
            consumer.close()
            return False
        self._consumer = consumer
        return True

    def came(self) -> bool:
        """Say whether the word has come since. Does not block while a broker answers."""
        if self._consumer is None:
            self.wait()
            return False
        for message in self._consumer.consume(1_000, timeout=0.01):
            if message.error() is None and message.key() == key_of(self._group):
                with suppress(msgspec.MsgspecError):
                    resume = decode(message.value() or b"")
                    log.warning("resume.heard", why=resume.why)
                    self.close()
                    return True
        return False

    def close(self) -> None:
        """Wait no longer."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
