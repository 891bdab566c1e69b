"""All settings, frozen, read once by the command line: defaults, `config/*.toml`, environment.

Every setting is `[section] key` in a file and `DS_MODELS_SECTION__KEY` in the environment, which
wins. Three also have the names that everybody knows: `KAFKA_BOOTSTRAP_SERVERS`,
`KAFKA_CONSUMER_GROUP` and `MLFLOW_TRACKING_URI`. A secret, which is a field without `repr`, may
stand in a file that `key_file` names. An unknown key is an error.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.domain.errors import SettingsError
from app.domain.records import DEFAULT_RANGES, FEATURES

PREFIX = "DS_MODELS_"
WELL_KNOWN = {
    "KAFKA_BOOTSTRAP_SERVERS": ("kafka", "bootstrap_servers"),
    "KAFKA_CONSUMER_GROUP": ("kafka", "consumer_group"),
    "MLFLOW_TRACKING_URI": ("mlflow", "tracking_uri"),
}
CONFIG_FOLDER = "DS_MODELS_CONFIG"
_SECRET_LENGTH = 32
_IN_FILE = "_file"

_Seconds = Annotated[float, Field(gt=0)]
_Count = Annotated[int, Field(ge=1)]
_Texts = tuple[Annotated[str, Field(min_length=1)], ...]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _split(given: Any, lists: tuple[str, ...]) -> Any:
    if not isinstance(given, dict):
        return given
    return {
        key: [part.strip() for part in value.split(",")]
        if key in lists and isinstance(value, str)
        else value
        for key, value in given.items()
    }


class Kafka(_Section):
    """The broker, and how this instance is a member of its group."""

    bootstrap_servers: str = Field("localhost:9092", description="Brokers, comma-separated.")
    consumer_group: str = Field(
        "treasury-predictions", description="Instances of one group share the partitions."
    )
    group_instance_id: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,200}$",
        description="A name that an instance keeps over its restarts, and that no other has: back "
        "within the session time-out, it goes on with its partitions and nobody else's are "
        "reassigned (`--workers N` adds `-1` to `-N`). Empty: a restart reassigns all.",
    )
    session_timeout_ms: int = Field(
        45_000, ge=1_000, description="A silent instance is replaced after this time."
    )
    max_poll_interval_ms: int = Field(
        300_000, ge=10_000, description="An instance that does not poll for so long leaves."
    )
    transaction_timeout_ms: int = Field(
        15_000,
        ge=1_000,
        description="A killed instance's open transaction delays readers for at most so long. An "
        "instance whose answers the broker doesn't take for so long ends with exit code 5.",
    )
    broker_timeout_s: _Seconds = Field(
        120.0, description="Without any broker for so long, the instance ends."
    )

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="With or without TLS, with or without a login."
    )
    ssl_ca_file: str = Field(
        "",
        description="PEM file of the authorities that may sign the broker's certificate; without "
        "it, those that the system trusts.",
    )
    ssl_certificate_file: str = Field(
        "", description="PEM file of our own certificate, where the broker wants one (mutual TLS)."
    )
    ssl_key_file: str = Field("", description="PEM file of its private key.")
    ssl_key_password: str = Field("", repr=False, description="Of that key, if it has one.")
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "", description="How one logs in; `SCRAM-SHA-512` is the best of them."
    )
    sasl_username: str = Field("", description="Who logs in.")
    sasl_password: str = Field("", repr=False, description="Of that user.")

    @model_validator(mode="after")
    def _check_security(self) -> "Kafka":
        """See that what is given belongs together, and that its files are there."""
        tls = {
            key: getattr(self, key)
            for key in ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file", "ssl_key_password")
        }
        login = {
            key: getattr(self, key) for key in ("sasl_mechanism", "sasl_username", "sasl_password")
        }
        for those, of, word in ((tls, "SSL", "TLS"), (login, "SASL", "a login")):
            given = [key for key, value in those.items() if value]
            if given and of not in self.security_protocol:
                raise ValueError(
                    f"{given[0]} is set, but security_protocol {self.security_protocol} has no "
                    f"{word.removeprefix('a ')}; choose one with {of} in its name"
                )
        if "SASL" in self.security_protocol and (lacking := [k for k, v in login.items() if not v]):
            raise ValueError(f"security_protocol {self.security_protocol} needs {lacking[0]} too")
        for one, other in (
            ("ssl_certificate_file", "ssl_key_file"),
            ("ssl_key_file", "ssl_certificate_file"),
            ("ssl_key_password", "ssl_key_file"),
        ):
            if tls[one] and not tls[other]:
                raise ValueError(f"{one} is set, but {other} is not; set both or none")
        for key in ("ssl_ca_file", "ssl_certificate_file", "ssl_key_file"):
            if tls[key] and not Path(tls[key]).is_file():
                raise ValueError(f"{key}: there is no file {tls[key]}")
        return self

    @model_validator(mode="after")
    def _check_times(self) -> "Kafka":
        if self.max_poll_interval_ms < self.session_timeout_ms:
            raise ValueError("max_poll_interval_ms is shorter than session_timeout_ms")
        return self


class Mlflow(_Section):
    """The model registry."""

    tracking_uri: str = Field("http://127.0.0.1:5000", description="The MLflow server.")
    timeout_s: _Seconds = Field(10.0, description="The longest that one request may take.")


class Model(_Section):
    """The one model that this application serves."""

    name: str = Field("treasury-price-model", description="Its registered name.")
    alias: str = Field("champion", description="The alias that names the version to serve.")
    experiment: str = Field("treasury-price", description="The experiment that training logs to.")
    cache_dir: Path = Field(Path(".local/models"), description="Where artifacts are fetched to.")
    kept: _Count = Field(4, description="How many versions stay loaded.")
    first_load_timeout_s: _Seconds = Field(
        60.0, description="How long a starting instance loads before it joins the group."
    )

    @model_validator(mode="after")
    def _check_alias(self) -> "Model":
        if not re.fullmatch(r"(?!latest$|[vV]\d+$)[\w-]{1,255}", self.alias, re.ASCII):
            raise ValueError(f"alias {self.alias!r}: MLflow takes no such name for an alias")
        return self


class Policy(_Section):
    """What may be loaded. The defaults trust nobody who can write to the registry."""

    flavors: tuple[Literal["skops", "pickle", "pyfunc"], ...] = Field(
        ("skops",), description="`pickle` and `pyfunc` run code that comes with the model."
    )
    code_paths: bool = Field(
        False, description="Whether a model may bring Python files (MLflow's `code_paths`)."
    )
    models: _Texts = Field(
        ("*",), description="Patterns for the registered name in the URI of an announcement."
    )
    uri_schemes: _Texts = Field(
        ("models",), description="Of the URI of an announcement; a path has `file`."
    )
    uri_hosts: _Texts = Field(
        ("*",), description="Patterns for the host or bucket that files are fetched from."
    )
    max_artifact_mb: float = Field(
        1_000.0,
        gt=0,
        allow_inf_nan=False,
        description="The most that all files of a model may have together.",
    )

    @model_validator(mode="before")
    @classmethod
    def _split_texts(cls, given: Any) -> Any:
        """Split what comes from the environment at its commas."""
        return _split(given, ("flavors", "models", "uri_schemes", "uri_hosts"))


class Announcements(_Section):
    """How plans are announced."""

    guard_ms: int = Field(
        1_000,
        ge=0,
        le=86_400_000,
        description="Between the append of a plan and its earliest effect.",
    )


class Reconciler(_Section):
    """How a moved alias comes into force (`python -m app reconcile`)."""

    every_s: _Seconds = Field(5.0, description="How often MLflow is asked where the alias is.")
    load_timeout_s: _Seconds = Field(
        120.0, description="How long live instances may take to load a version."
    )
    on_timeout: Literal["give_up", "announce"] = Field(
        "give_up", description="What is done if one has not loaded it by then."
    )


class Topics(_Section):
    """Names, and what a new topic gets."""

    records: str = Field("treasury.data", description="Input.")
    signals: str = Field("signals.topic", description="Predictions.")
    dead_letters: str = Field(
        "treasury.data.dead-letters", description="What could not be predicted, and why."
    )
    redriven: str = Field(
        "treasury.data.redriven",
        description="Which dead letters were sent again; compacted, one partition.",
    )
    announcements: str = Field(
        "model.registry", description="Serving plans; one partition, kept for ever."
    )
    status: str = Field("model.status", description="What each instance says of itself; compacted.")
    partitions: _Count = Field(4, description="Of the records, signals and dead letters.")
    replication: _Count = Field(1, description="Of all topics; 3 in production.")

    @model_validator(mode="after")
    def _check_names(self) -> "Topics":
        names = [
            self.records,
            self.signals,
            self.dead_letters,
            self.redriven,
            self.announcements,
            self.status,
        ]
        if len(set(names)) < len(names):
            raise ValueError("two of the topics have the same name")
        return self


class Stream(_Section):
    """The stream itself."""

    guarantee: Literal["exactly-once", "at-least-once"] = Field(
        "exactly-once", description="What a crash may do: nothing, or repeat answers."
    )
    max_batch: int = Field(
        10_000, ge=2, le=100_000, description="The most records of one transaction."
    )
    linger_ms: float = Field(
        10.0, ge=0, description="How long a batch is collected after its first record."
    )
    poll_timeout_s: _Seconds = Field(0.1, description="How long to wait for a first record.")
    hold_retry_s: _Seconds = Field(0.25, description="How often records that wait are tried again.")
    fence_timeout_s: _Seconds = Field(
        1.0, description="How long a batch waits for the announcements before it is held."
    )
    feed_stale_after_s: _Seconds = Field(
        60.0, description="Without the announcements for so long, the instance ends."
    )


class Breaker(_Section):
    """When to hold the stream because too much of its input can't be predicted."""

    share: float = Field(
        0.5, gt=0, le=1, description="The share of dead letters that opens the circuit breaker."
    )
    window: int = Field(
        1_000, ge=0, description="Among at least so many of the newest records; 0 turns it off."
    )


class Records(_Section):
    """What a record may be; anything else becomes a dead letter."""

    max_bytes: int = Field(100_000, ge=1, le=1_000_000, description="The longest value.")
    ranges: dict[str, tuple[float, float]] = Field(
        default_factory=lambda: {f: (r.low, r.high) for f, r in DEFAULT_RANGES.items()},
        description="Lowest and highest value of each feature.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_ranges(cls, given: Any) -> Any:
        ranges = given.get("ranges") if isinstance(given, dict) else None
        if isinstance(ranges, str):  # from the environment: a JSON object
            ranges = json.loads(ranges)
        if isinstance(ranges, dict):
            defaults = {f: (r.low, r.high) for f, r in DEFAULT_RANGES.items()}
            given = {**given, "ranges": {**defaults, **ranges}}
        return given

    @model_validator(mode="after")
    def _check_ranges(self) -> "Records":
        for feature, (low, high) in self.ranges.items():
            if feature not in FEATURES:
                raise ValueError(_unknown("records.ranges", feature, FEATURES))
            if not low <= high:
                raise ValueError(f"records.ranges.{feature}: {low} is above {high}")
        return self


class Http(_Section):
    """Where an instance shows its metrics and its health."""

    host: str = Field("127.0.0.1", description="The address; `0.0.0.0` in a container.")
    port: int = Field(0, ge=0, le=65_535, description="0 takes any free port, and logs it.")


class Service(_Section):
    """The registry service, `python -m app registry`."""

    host: str = Field("127.0.0.1", description="The address; `0.0.0.0` in a container.")
    port: int = Field(8_080, ge=0, le=65_535, description="0 takes any free port, and logs it.")
    database_url: str = Field(
        "sqlite:///.local/registry.db",
        min_length=1,
        repr=False,
        description="Where tokens, audit records and idempotency keys are kept: "
        "`sqlite:///FILE`, or `postgresql+psycopg://USER:PASSWORD@HOST/NAME`. It may be the "
        "database of the MLflow server: the names of our tables begin with `ds_models_`.",
    )
    max_body_mb: float = Field(
        10.0, gt=0, description="The largest body of a request, but for an artifact."
    )
    max_upload_mb: float = Field(
        1_000.0,
        gt=0,
        description="The largest artifact as it is sent; `policy.max_artifact_mb` is of its files.",
    )
    body_timeout_s: _Seconds = Field(600.0, description="How long a body may be on its way.")
    max_rows: _Count = Field(10_000, description="The most rows of one request to predict.")
    load_timeout_s: _Seconds = Field(
        60.0, description="How long a request to predict waits for its version to be loaded."
    )
    requests_per_s: float = Field(
        50.0, gt=0, description="The rate that each token may keep up, in each process."
    )
    burst: _Count = Field(100, description="How many requests may come at once before that.")
    wrong_tokens_per_min: _Count = Field(
        20, description="How many wrong tokens an address may send before it is told to wait."
    )
    idempotency_hours: float = Field(
        24.0, gt=0, description="How long the answer to an `Idempotency-Key` is kept."
    )
    reconcile: bool = Field(
        True,
        description="Whether it puts in force what the alias names, as `python -m app reconcile`.",
    )
    webhook_secret: str = Field(
        "",
        repr=False,
        description="What MLflow signs its webhooks with, at least 32 characters; without it they "
        "are not taken.",
    )
    cors_origins: _Texts = Field(
        (), description="Origins whose pages may call the service, as `https://ui.example`."
    )

    @model_validator(mode="before")
    @classmethod
    def _split_texts(cls, given: Any) -> Any:
        """Split what comes from the environment at its commas."""
        return _split(given, ("cors_origins",))

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, given: str) -> str:
        if given and (len(given) < _SECRET_LENGTH or given != given.strip()):
            raise ValueError(
                f"it needs at least {_SECRET_LENGTH} characters, none of them a space around it; "
                "`openssl rand -hex 32` makes one"
            )
        return given


class Log(_Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least severe event that is written."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`auto` is console on a terminal, else one JSON object a line."
    )


class Settings(_Section):
    """All sections."""

    kafka: Kafka = Kafka()
    mlflow: Mlflow = Mlflow()
    model: Model = Model()
    policy: Policy = Policy()
    announcements: Announcements = Announcements()
    reconciler: Reconciler = Reconciler()
    topics: Topics = Topics()
    stream: Stream = Stream()
    breaker: Breaker = Breaker()
    records: Records = Records()
    http: Http = Http()
    service: Service = Service()
    log: Log = Log()


@dataclass(frozen=True, slots=True)
class Source:
    """Who gave a value.

    Attributes:
        kind: What it is.
        name: The path of the file, or the name of the variable.
    """

    kind: Literal["file", "environment"]
    name: str

    def __str__(self) -> str:
        return self.name


Sources = Mapping[tuple[str, str], list[Source]]
"""Who gave a value, by section and key: the one that counts last. Nobody: it is the default."""


def read(environment: Mapping[str, str] = os.environ, folder: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        environment: Usually the process's.
        folder: With the `*.toml` files, read in the order of their names; else
            `DS_MODELS_CONFIG`, else `config` in the working directory if it is there.

    Raises:
        SettingsError: A key is unknown (the message suggests the right one) or a value is wrong.
    """
    return read_with_sources(environment, folder)[0]


def read_with_sources(
    environment: Mapping[str, str] = os.environ, folder: Path | None = None
) -> tuple[Settings, Sources]:
    """Read the settings as `read` does, and say who gave each value.

    Raises:
        SettingsError: As `read`.
    """
    values: dict[str, dict[str, Any]] = {}
    sources: dict[tuple[str, str], list[Source]] = {}
    for source, section, given_key, given_value in _given(environment, folder):
        key, value = _from_file(source, section, given_key, given_value)
        _check(source, section, key)
        values.setdefault(section, {})[key] = value
        sources.setdefault((section, key), []).append(source)
    try:
        return Settings.model_validate(values), sources
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{where}: {what}") from error


_Given = Iterator[tuple[Source, str, str, Any]]


def _given(environment: Mapping[str, str], folder: Path | None) -> _Given:
    """Yield source, section, key and value of everything that is set, the weakest first."""
    named = folder or (Path(environment[CONFIG_FOLDER]) if CONFIG_FOLDER in environment else None)
    if named is not None and not named.is_dir():
        raise SettingsError(f"the configuration folder {named} is not there")
    for path in sorted((named or Path("config")).glob("*.toml")):
        yield from _of_file(path)
    for name, (section, key) in WELL_KNOWN.items():
        if environment.get(name):
            yield Source("environment", name), section, key, environment[name]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name != CONFIG_FOLDER:
            section, _, key = name.removeprefix(PREFIX).lower().partition("__")
            yield Source("environment", name), section, key, environment[name]


def _of_file(path: Path) -> _Given:
    try:
        document = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    for section, keys in document.items():
        if not isinstance(keys, dict):
            raise SettingsError(f"{path}: {section} stands outside any [section]")
        for key, value in keys.items():
            yield Source("file", str(path)), section, key, value


def _from_file(source: Source, section: str, key: str, value: Any) -> tuple[str, Any]:
    """Return key and value of a secret whose file is given; of anything else, as it is."""
    if not key.endswith(_IN_FILE) or key.removesuffix(_IN_FILE) not in _secrets(section):
        return key, value
    try:
        return key.removesuffix(_IN_FILE), Path(value).read_text().rstrip("\r\n")
    except (OSError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{source}: {section}.{key}: {value} can't be read: {why}") from error


def _secrets(section: str) -> set[str]:
    """Return the keys of a section that must not be shown."""
    known = Settings.model_fields.get(section)
    kind = None if known is None else known.annotation
    fields = {} if kind is None else kind.model_fields
    return {key for key, field in fields.items() if not field.repr}


def _check(source: Source, section: str, key: str) -> None:
    sections = Settings.model_fields
    if section not in sections:
        raise SettingsError(f"{source}: {_unknown('the configuration', section, sections)}")
    kind = sections[section].annotation
    if kind is not None and key not in kind.model_fields:
        raise SettingsError(f"{source}: {_unknown(f'[{section}]', key, kind.model_fields)}")


def _unknown(where: str, key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
    return f"{where} has no {key!r}; {hint}"
