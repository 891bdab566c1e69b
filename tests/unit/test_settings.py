"""Settings: where a value may come from, which one wins, and what a mistake is told."""

from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from app.domain.errors import SettingsError
from app.domain.records import DEFAULT_RANGES
from app.settings import WELL_KNOWN, Settings, read, read_with_sources

KEYS = [
    (section, key)
    for section, part in Settings.model_fields.items()
    if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel)
    for key in part.annotation.model_fields
]
NAMES = [".".join(place) for place in KEYS]


SECURE = {
    "DS_MODELS_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
    "DS_MODELS_KAFKA__SSL_CERTIFICATE_FILE": __file__,
    "DS_MODELS_KAFKA__SSL_KEY_FILE": __file__,
    "DS_MODELS_KAFKA__SASL_MECHANISM": "PLAIN",
    "DS_MODELS_KAFKA__SASL_USERNAME": "u",
    "DS_MODELS_KAFKA__SASL_PASSWORD": "p",
}
"""What each of these settings makes no sense without."""


def variable(section: str, key: str) -> str:
    return f"DS_MODELS_{section}__{key}".upper()


class Folder:
    """A configuration folder, and settings read from it alone unless a test says more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> None:
        (self.path / name).write_text(text)

    def read(self, **environment: str) -> Settings:
        return read(environment, self.path)

    def complaint(self, **environment: str) -> str:
        with pytest.raises(SettingsError) as refused:
            self.read(**environment)
        return str(refused.value)


@pytest.fixture
def config(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# --- where values come from ---


def test_without_files_and_environment_all_is_default(config: Folder) -> None:
    assert config.read() == Settings()


def test_a_file_changes_what_it_names_and_nothing_else(config: Folder) -> None:
    config.write("a.toml", '[kafka]\nconsumer_group = "g"\n[stream]\nmax_batch = 50')
    found = config.read()
    assert (found.kafka.consumer_group, found.stream.max_batch) == ("g", 50)
    assert found.kafka.bootstrap_servers == Settings().kafka.bootstrap_servers


def test_files_are_read_in_the_order_of_their_names(config: Folder) -> None:
    config.write("b.toml", '[log]\nlevel = "error"')
    config.write("a.toml", '[log]\nlevel = "debug"\nformat = "json"')
    found = config.read()
    assert (found.log.level, found.log.format) == ("error", "json")


def test_the_environment_wins_over_files(config: Folder) -> None:
    config.write("a.toml", "[stream]\nmax_batch = 50\nlinger_ms = 7")
    found = config.read(DS_MODELS_STREAM__MAX_BATCH="60")
    assert (found.stream.max_batch, found.stream.linger_ms) == (60, 7)


@pytest.mark.parametrize(("name", "place"), list(WELL_KNOWN.items()))
def test_a_well_known_name_wins_over_files_and_our_own_name_over_it(
    config: Folder, name: str, place: tuple[str, str]
) -> None:
    def found(**environment: str) -> Any:
        section, key = place
        return getattr(getattr(config.read(**environment), section), key)

    config.write("a.toml", f'[{place[0]}]\n{place[1]} = "from-a-file"')
    assert found(**{name: "well-known"}) == "well-known"
    assert found(**{name: "well-known", variable(*place): "ours"}) == "ours"


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_a_well_known_name_that_is_empty_is_as_good_as_none(config: Folder, name: str) -> None:
    assert config.read(**{name: ""}) == Settings()


def test_variables_of_others_are_none_of_our_business(config: Folder) -> None:
    assert config.read(HOME="/root", KAFKA_HEAP_OPTS="-Xmx1g", DS_MODEL="x") == Settings()


def test_the_folder_can_be_named_in_the_environment(config: Folder) -> None:
    config.write("a.toml", '[log]\nlevel = "error"')
    assert read({"DS_MODELS_CONFIG": str(config.path)}).log.level == "error"


def test_a_named_folder_that_is_not_there_is_an_error(config: Folder) -> None:
    missing = str(config.path / "missing")
    with pytest.raises(SettingsError, match="missing is not there"):
        read({"DS_MODELS_CONFIG": missing})


def test_a_working_directory_without_a_config_folder_is_none(
    config: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.path)
    assert read({}) == Settings()


def text_of(key: str, value: Any, kind: Any) -> str:
    """A value that is not the default, as one writes it in the environment."""
    if key.endswith("_file"):
        return __file__
    if get_origin(kind) is dict:
        return '{"interest_rate": [0, 5]}'
    if get_origin(kind) is tuple:
        return "skops, pyfunc" if value == ("skops",) else "one, two"
    if get_args(kind) and isinstance(value, str):
        return str(next(choice for choice in get_args(kind) if choice != value))
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, float):
        return str(value * 1.5)
    return str(value + 1) if isinstance(value, int) else f"{value}-other" + "x" * 30


@pytest.mark.parametrize(("section", "key"), KEYS, ids=NAMES)
def test_every_setting_can_be_set_by_its_variable(config: Folder, section: str, key: str) -> None:
    default = getattr(getattr(Settings(), section), key)
    kind = type(getattr(Settings(), section)).model_fields[key].annotation
    secure = SECURE if key.startswith(("ssl", "sasl")) else {}
    found = config.read(**{**secure, variable(section, key): text_of(key, default, kind)})
    assert getattr(getattr(found, section), key) != default


# --- who gave a value ---


def test_each_value_names_all_that_gave_it_the_one_that_counts_last(config: Folder) -> None:
    config.write("a.toml", '[kafka]\nbootstrap_servers = "a"')
    config.write("b.toml", '[kafka]\nbootstrap_servers = "b"\nconsumer_group = "g"')
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "well-known",
        "DS_MODELS_KAFKA__BOOTSTRAP_SERVERS": "ours",
        "DS_MODELS_LOG__LEVEL": "error",
    }
    found, sources = read_with_sources(environment, config.path)
    assert found == config.read(**environment)
    named = {key: [(s.kind, s.name) for s in given] for key, given in sources.items()}
    a, b = str(config.path / "a.toml"), str(config.path / "b.toml")
    assert named == {
        ("kafka", "bootstrap_servers"): [
            ("file", a),
            ("file", b),
            ("environment", "KAFKA_BOOTSTRAP_SERVERS"),
            ("environment", "DS_MODELS_KAFKA__BOOTSTRAP_SERVERS"),
        ],
        ("kafka", "consumer_group"): [("file", b)],
        ("log", "level"): [("environment", "DS_MODELS_LOG__LEVEL")],
    }


# --- ranges of the features ---


def test_a_range_in_a_file_changes_that_feature_alone(config: Folder) -> None:
    config.write("a.toml", "[records.ranges]\ninterest_rate = [0, 20]")
    ranges = config.read().records.ranges
    assert ranges["interest_rate"] == (0.0, 20.0)
    assert {f: r for f, r in ranges.items() if f != "interest_rate"} == {
        feature: (bound.low, bound.high)
        for feature, bound in DEFAULT_RANGES.items()
        if feature != "interest_rate"
    }


def test_a_range_of_an_unknown_feature_suggests_the_right_one(config: Folder) -> None:
    config.write("a.toml", "[records.ranges]\ninterest_rates = [0, 20]")
    assert "records.ranges has no 'interest_rates'; did you mean 'interest_rate'?" in (
        config.complaint()
    )


@pytest.mark.parametrize("bounds", ["[20, 0]", "[nan, 1]", "[0]", '["low", "high"]', "5"])
def test_a_range_that_is_none_names_its_feature(config: Folder, bounds: str) -> None:
    config.write("a.toml", f"[records.ranges]\ninterest_rate = {bounds}")
    assert "records.ranges.interest_rate" in config.complaint()


# --- lists ---


def test_a_list_is_split_at_its_commas_in_the_environment_and_a_list_in_a_file(
    config: Folder,
) -> None:
    config.write("a.toml", '[policy]\nmodels = ["a", "b,c"]')
    found = config.read(DS_MODELS_POLICY__FLAVORS="skops, pyfunc").policy
    assert (found.flavors, found.models) == (("skops", "pyfunc"), ("a", "b,c"))


@pytest.mark.parametrize("text", ["", "skops,", "joblib"])
def test_a_flavor_that_there_is_not_is_refused(config: Folder, text: str) -> None:
    assert "policy.flavors" in config.complaint(DS_MODELS_POLICY__FLAVORS=text)


@pytest.mark.parametrize("text", ["0", "inf", "nan"])
def test_a_size_that_bounds_nothing_is_named(config: Folder, text: str) -> None:
    assert "policy.max_artifact_mb" in config.complaint(DS_MODELS_POLICY__MAX_ARTIFACT_MB=text)


# --- mistakes ---


def test_an_unknown_key_names_its_file_and_suggests_the_right_one(config: Folder) -> None:
    config.write("a.toml", "[stream]\nmax_batches = 50")
    assert config.complaint() == (
        f"{config.path / 'a.toml'}: [stream] has no 'max_batches'; did you mean 'max_batch'?"
    )


def test_an_unknown_section_suggests_the_right_one(config: Folder) -> None:
    config.write("a.toml", "[streams]\nmax_batch = 50")
    assert "the configuration has no 'streams'; did you mean 'stream'?" in config.complaint()


def test_an_unknown_variable_names_itself_and_suggests_the_right_key(config: Folder) -> None:
    assert config.complaint(DS_MODELS_KAFKA__BOOTSTRAP_SERVER="x") == (
        "DS_MODELS_KAFKA__BOOTSTRAP_SERVER: [kafka] has no 'bootstrap_server'; "
        "did you mean 'bootstrap_servers'?"
    )


def test_a_variable_with_one_underscore_too_few_is_an_error(config: Folder) -> None:
    assert "DS_MODELS_KAFKA_BOOTSTRAP_SERVERS" in config.complaint(
        DS_MODELS_KAFKA_BOOTSTRAP_SERVERS="x"
    )


def test_a_key_that_is_like_no_other_is_told_which_there_are(config: Folder) -> None:
    assert "[log] has no 'xyz'; there are level, format" in config.complaint(DS_MODELS_LOG__XYZ="1")


def test_a_key_outside_any_section_is_an_error(config: Folder) -> None:
    config.write("a.toml", "max_batch = 50")
    assert "max_batch stands outside any [section]" in config.complaint()


@pytest.mark.parametrize("text", ["[stream", "max_batch = ", "\x00"])
def test_a_file_that_is_no_toml_is_named(config: Folder, text: str) -> None:
    config.write("a.toml", text)
    assert str(config.path / "a.toml") in config.complaint()


def test_a_file_that_is_no_text_is_named(config: Folder) -> None:
    (config.path / "a.toml").write_bytes(b"\xff\xfe")
    assert str(config.path / "a.toml") in config.complaint()


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("DS_MODELS_STREAM__MAX_BATCH", "many", "stream.max_batch"),
        ("DS_MODELS_STREAM__MAX_BATCH", "1", "stream.max_batch"),
        ("DS_MODELS_STREAM__MAX_BATCH", "100001", "stream.max_batch"),
        ("DS_MODELS_STREAM__GUARANTEE", "at-most-once", "stream.guarantee"),
        ("DS_MODELS_STREAM__FENCE_TIMEOUT_S", "0", "stream.fence_timeout_s"),
        ("DS_MODELS_STREAM__FENCE_TIMEOUT_S", "nan", "stream.fence_timeout_s"),
        ("DS_MODELS_STREAM__LINGER_MS", "-1", "stream.linger_ms"),
        ("DS_MODELS_MODEL__KEPT", "0", "model.kept"),
        ("DS_MODELS_TOPICS__PARTITIONS", "2.5", "topics.partitions"),
        ("DS_MODELS_ANNOUNCEMENTS__GUARD_MS", "-1", "announcements.guard_ms"),
        ("DS_MODELS_KAFKA__SESSION_TIMEOUT_MS", "", "kafka.session_timeout_ms"),
        ("DS_MODELS_LOG__LEVEL", "INFO", "log.level"),
    ],
)
def test_a_wrong_value_names_its_key(config: Folder, name: str, value: str, key: str) -> None:
    assert config.complaint(**{name: value}).startswith(f"{key}: ")


def test_a_poll_interval_shorter_than_the_session_is_refused(config: Folder) -> None:
    """Kafka's client refuses to start with it, in words of its own."""
    assert "max_poll_interval_ms" in config.complaint(
        DS_MODELS_KAFKA__MAX_POLL_INTERVAL_MS="10000",
        DS_MODELS_KAFKA__SESSION_TIMEOUT_MS="45000",
    )


def test_two_topics_of_the_same_name_are_refused(config: Folder) -> None:
    """The stream would read what it writes."""
    assert "same name" in config.complaint(DS_MODELS_TOPICS__SIGNALS="treasury.data")


# --- what was read stays ---


@pytest.mark.parametrize(("section", "key"), KEYS, ids=NAMES)
def test_no_setting_can_be_changed(section: str, key: str) -> None:
    part = getattr(Settings(), section)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, key, getattr(part, key))


@pytest.mark.parametrize("section", Settings.model_fields)
def test_no_section_can_be_changed(section: str) -> None:
    found = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(found, section, getattr(found, section))


@pytest.mark.parametrize(("section", "key"), KEYS, ids=NAMES)
def test_every_setting_says_what_it_is(section: str, key: str) -> None:
    description = type(getattr(Settings(), section)).model_fields[key].description
    assert description
    assert description.endswith(".")


def test_the_configuration_that_is_shipped_can_be_read() -> None:
    read({}, Path(__file__).parents[2] / "config")
