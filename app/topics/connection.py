"""How every client of ours reaches Kafka: one place for what all of them share."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from app.domain.errors import AccessDenied, BrokerUnavailable, SettingsError
from app.topics.access import PAGE, Permission, no_answer

_LOOK_S = 0.5  # how often it is asked why no broker answers


@dataclass(frozen=True, slots=True)
class Security:
    """How a client shows who it is, and knows the broker; `[kafka]` of the settings says more.

    Attributes:
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        ca_file: Certificates of the authorities that are trusted; without it, the system's.
        certificate_file: Of the client, for mutual TLS.
        key_file: Its private key.
        key_password: Of that file.
        mechanism: Of SASL.
        username: For SASL.
        password: For SASL.
    """

    protocol: str = "PLAINTEXT"
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)

    def config(self) -> dict[str, str]:
        """Return it for a librdkafka client.

        >>> Security(protocol="SSL", ca_file="ca.pem").config()
        {'security.protocol': 'SSL', 'ssl.ca.location': 'ca.pem'}
        """
        if self.protocol == "PLAINTEXT":
            return {}
        given = {"security.protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            given |= {
                "ssl.ca.location": self.ca_file,
                "ssl.certificate.location": self.certificate_file,
                "ssl.key.location": self.key_file,
                "ssl.key.password": self.key_password,
            }
        if self.protocol.startswith("SASL"):
            given |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return {name: value for name, value in given.items() if value}


def client_config(
    bootstrap_servers: str, security: Security | None = None, **options: Any
) -> dict[str, Any]:
    """Return the configuration of a librdkafka client; `options` use `_` for `.`.

    >>> client_config("localhost:9092", group_id="g")
    {'bootstrap.servers': 'localhost:9092', 'group.id': 'g'}
    """
    return {
        "bootstrap.servers": bootstrap_servers,
        **(security or Security()).config(),
        **{name.replace("_", "."): value for name, value in options.items()},
    }


def require_broker(config: Mapping[str, Any], timeout_s: float = 10.0) -> None:
    """Return once a broker answers.

    Raises:
        SettingsError: A certificate or a key can't be used.
        AccessDenied: It does not let this client in; raised at once.
        BrokerUnavailable: None answered within `timeout_s` seconds.
    """
    servers = config["bootstrap.servers"]
    said: list[KafkaError] = []
    quiet = {"log_level": 0, "error_cb": said.append}
    try:
        client = AdminClient({**config, **quiet})
    except KafkaException as error:
        raise SettingsError(
            f"[kafka]: no client can be made of these settings: {error.args[0].str()}"
        ) from error
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            client.list_topics(timeout=min(_LOOK_S, timeout_s))
        except KafkaException as error:
            client.poll(0)
            if (why := _why_not_let_in(said)) is not None:
                raise AccessDenied(f"{servers} does not let us in: {why} ({PAGE})") from error
            if time.monotonic() > deadline:
                raise BrokerUnavailable(
                    f"no Kafka broker answers at {servers} ({error.args[0].str()}); start one "
                    "(`make kafka-up`), set KAFKA_BOOTSTRAP_SERVERS, or, if it speaks TLS or not, "
                    "kafka.security_protocol"
                ) from error
        else:
            return


def _why_not_let_in(said: list[KafkaError]) -> str | None:
    """Return what is wrong with who we are, or with who the broker is, if it is that."""
    for error in said:
        text = error.str()
        if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - its public name
            return (
                "it refuses kafka.sasl_username, kafka.sasl_password or kafka.sasl_mechanism: "
                f"{_told(text)}"
            )
        if "certificate verify failed" in text:
            return (
                "its certificate is not of an authority in kafka.ssl_ca_file, or is of another "
                f"host: {_told(text)}"
            )
        if "alert" in text and "SSL" in text:
            return (
                "it refuses the certificate of kafka.ssl_certificate_file, or wants one: "
                f"{_told(text)}"
            )
        if error.code() == KafkaError._SSL:  # noqa: SLF001 - its public name
            return f"TLS fails, see kafka.security_protocol: {_told(text)}"
    return None


def _told(text: str) -> str:
    """Return what the client says, without the address before it and the timing after it.

    >>> _told("sasl_ssl://127.0.0.1:9/bootstrap: SASL authentication error: No (after 3ms in …)")
    'SASL authentication error: No'
    """
    return text.partition("/bootstrap: ")[2].partition(" (after ")[0] or text


@contextmanager
def answers_required(*needed: Permission) -> Iterator[None]:
    """Raise what a client says of a broker that does not answer as BrokerUnavailable.

    Args:
        needed: What must be allowed for what is asked.
    """
    try:
        yield
    except KafkaException as error:
        text = f"Kafka does not answer: {error.args[0].str()}"
        raise no_answer(text, error, *needed) from error
    except TimeoutError as error:
        raise BrokerUnavailable("Kafka does not answer in time") from error
