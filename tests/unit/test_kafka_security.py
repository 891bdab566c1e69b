"""How clients are let in and what they may do: settings, secrets, and the words of errors."""

import ast
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from quixstreams.kafka.exceptions import KafkaConsumerException

from app.bootstrap import access, parts
from app.domain.errors import AccessDenied, BrokerUnavailable, SettingsError
from app.settings import Settings, read
from app.stream.failures import mapped
from app.tools.settings.in_force import rows
from app.topics.access import Permission, no_answer, topic
from app.topics.permissions import ROLES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "kafka-security.md"
SECRET = "hunter2-hunter2"  # noqa: S105 - of a test
KAFKA = "DS_MODELS_KAFKA__"
LOGIN = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "u", "SASL_PASSWORD": SECRET}
REFUSALS = [
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
]


def given(**keys: str) -> Settings:
    return read({f"{KAFKA}{key}": value for key, value in keys.items()}, ROOT / "config")


# --- settings ---


def test_one_block_of_settings_is_what_every_client_gets() -> None:
    found = given(
        SECURITY_PROTOCOL="SASL_SSL",
        SSL_CA_FILE=__file__,
        SSL_CERTIFICATE_FILE=__file__,
        SSL_KEY_FILE=__file__,
        SSL_KEY_PASSWORD="k",  # noqa: S106
        **LOGIN,
    )
    assert parts.kafka(found) == {
        "bootstrap.servers": "localhost:9092",
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": __file__,
        "ssl.certificate.location": __file__,
        "ssl.key.location": __file__,
        "ssl.key.password": "k",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": SECRET,
    }


def test_without_it_nothing_is_said_of_security() -> None:
    assert parts.kafka(Settings()) == {"bootstrap.servers": "localhost:9092"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (LOGIN, "sasl_mechanism is set, but security_protocol PLAINTEXT has no login"),
        ({"SSL_CA_FILE": __file__}, "ssl_ca_file is set, but security_protocol PLAINTEXT has no"),
        ({"SECURITY_PROTOCOL": "SSL", **LOGIN}, "choose one with SASL in its name"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "needs sasl_mechanism too"),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **LOGIN, "SASL_PASSWORD": ""},
            "needs sasl_password too",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_CERTIFICATE_FILE": __file__},
            "ssl_certificate_file is set, but ssl_key_file is not",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_KEY_FILE": __file__},
            "ssl_key_file is set, but ssl_certificate_file is not",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_KEY_PASSWORD": SECRET},
            "ssl_key_password is set, but ssl_key_file is not",
        ),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_CA_FILE": "nowhere.pem"},
            "ssl_ca_file: there is no file nowhere.pem",
        ),
        ({"SECURITY_PROTOCOL": "TLS"}, "kafka.security_protocol: "),
    ],
)
def test_what_does_not_belong_together_is_named_and_no_secret_is(
    keys: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        given(**keys)
    assert said in str(refused.value)
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


# --- secrets ---


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_may_stand_in_a_file(tmp_path: Path, end: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(f" {SECRET}{end}".encode())
    keys = {**LOGIN, "SASL_PASSWORD_FILE": str(file), "SECURITY_PROTOCOL": "SASL_PLAINTEXT"}
    del keys["SASL_PASSWORD"]
    assert given(**keys).kafka.sasl_password == f" {SECRET}"


def test_a_file_of_settings_may_name_the_file_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET * 3)
    (tmp_path / "a.toml").write_text(f'[service]\nwebhook_secret_file = "{tmp_path / "secret"}"')
    assert read({}, tmp_path).service.webhook_secret == SECRET * 3


def test_a_file_that_is_not_there_is_named_with_who_named_it() -> None:
    with pytest.raises(SettingsError) as refused:
        given(SASL_PASSWORD_FILE="nowhere")  # noqa: S106
    assert str(refused.value) == (
        f"{KAFKA}SASL_PASSWORD_FILE: kafka.sasl_password_file: nowhere can't be read: "
        "No such file or directory"
    )


def test_only_a_secret_may_stand_in_a_file() -> None:
    with pytest.raises(SettingsError, match="has no 'consumer_group_file'"):
        given(CONSUMER_GROUP_FILE=__file__)


def test_no_secret_is_shown() -> None:
    found = given(SECURITY_PROTOCOL="SASL_SSL", **LOGIN)
    shown = {row["setting"]: row["value"] for row in rows(found.model_dump(mode="json"), {})}
    assert (shown["kafka.sasl_username"], shown["kafka.sasl_password"]) == ("u", "***")
    assert SECRET not in f"{found!r} {found} {shown}"


# --- every client ---


def test_no_client_is_made_around_the_one_place_for_it() -> None:
    """None can be made without naming the brokers, and that is done in one file."""
    naming = {
        str(path.relative_to(ROOT))
        for folder in ("app", "models")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Dict) and any(map(_names_brokers, node.keys)))
        or (isinstance(node, ast.keyword) and node.arg == "bootstrap_servers")
    }
    assert naming == {"app/topics/connection.py"}


def _names_brokers(node: ast.expr | None) -> bool:
    names = {"bootstrap.servers", "metadata.broker.list"}
    return isinstance(node, ast.Constant) and node.value in names


# --- what is not allowed ---


@pytest.mark.parametrize("code", REFUSALS)
def test_what_kafka_does_not_allow_ends_as_a_broker_that_does_not_let_us(code: int) -> None:
    error = no_answer("away", KafkaException(KafkaError(code)), topic("WRITE", "t"))
    assert isinstance(error, AccessDenied)
    assert "this user needs WRITE on topic t" in str(error)
    assert isinstance(mapped(KafkaConsumerException(KafkaError(code))), AccessDenied)


def test_of_what_was_needed_the_refused_kind_is_named() -> None:
    needed = topic("READ", "t"), Permission("group", "g", "READ")
    error = no_answer("", KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), *needed)
    assert "needs READ on group g (" in str(error)


def test_a_broker_that_is_away_is_no_refusal() -> None:
    error = no_answer("away", KafkaError(KafkaError._TRANSPORT), topic("READ", "t"))
    assert (type(error), str(error)) == (BrokerUnavailable, "away")


# --- the page ---


@pytest.mark.parametrize("role", ROLES)
def test_the_table_of_the_page_is_the_one_that_is_granted(role: str) -> None:
    there = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{role}` |")]
    assert there == [f"| `{role}` | {row} |" for row in (ROLES[role].purpose, *_rows(role))]


def _rows(role: str) -> list[str]:
    """Return what the page says of each resource, with the default settings."""
    by_resource: dict[str, list[str]] = {}
    for one in access.needed(Settings(), role):
        place = f"{one.resource} `{one.name}{'*' if one.prefixed else ''}`"
        by_resource.setdefault(place, []).append(one.operation)
    return [f"{place} | {', '.join(operations)}" for place, operations in by_resource.items()]
