"""`config` and `config check` as commands, against the real broker and a real MLflow server."""

import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mlflow
import pytest

from app.bootstrap.parts import topic_specs
from app.topics.connection import client_config
from tests.harness.terminal import app, app_json
from tests.harness.world import MODEL, World

AWAY = "127.0.0.1:9"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_config_says_where_each_value_comes_from_and_masks_passwords(world: World) -> None:
    (Path(world.environment["DS_MODELS_CONFIG"]) / "a.toml").write_text("[stream]\nmax_batch = 50")
    changes = {
        "MLFLOW_TRACKING_URI": "http://me:very-secret@mlflow:5000",
        "DS_MODELS_STREAM__MAX_BATCH": "60",
    }
    code, rows = app_json(world.environment, "config", **changes)
    assert code == 0
    by_name = {row["setting"]: row for row in rows}
    assert by_name["stream.max_batch"]["value"] == 60
    assert by_name["stream.max_batch"]["name"] == "DS_MODELS_STREAM__MAX_BATCH"
    assert by_name["stream.max_batch"]["overrides"] == [f"{world.folder}/config/a.toml"]
    assert by_name["stream.linger_ms"]["source"] == "default"
    assert by_name["mlflow.tracking_uri"]["value"] == "http://me:***@mlflow:5000"
    shown = app(world.environment, "config", COLUMNS="200", **changes).stdout
    assert "DS_MODELS_STREAM__MAX_BATCH over" in shown
    assert "very-secret" not in shown + str(rows)


def test_an_unknown_setting_is_an_error_of_config_too(world: World) -> None:
    done = app(world.environment, "config", DS_MODELS_STREAM__MAX_BATHC="5")
    assert done.returncode == 2
    assert "did you mean 'max_batch'?" in done.stderr


def test_all_is_well_when_all_is_there(world: World, tracking_uri: str) -> None:
    client = mlflow.MlflowClient(tracking_uri)
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL)
    code, rows = app_json(world.environment, "config", "check", MLFLOW_TRACKING_URI=tracking_uri)
    assert (code, {row["status"] for row in rows}) == (0, {"good"}), rows
    assert len(rows) == len(topic_specs(world.settings)) + 6
    shown = app(world.environment, "config", "check", MLFLOW_TRACKING_URI=tracking_uri)
    assert "All is well." in shown.stdout


def test_the_files_of_the_newest_version_are_looked_at(
    world: World, tracking_uri: str, tmp_path: Path
) -> None:
    """A version whose folder is empty, then one whose files are there."""
    name = f"checked-{uuid.uuid4().hex[:8]}"
    changes = {"MLFLOW_TRACKING_URI": tracking_uri, "DS_MODELS_MODEL__NAME": name}
    client = mlflow.MlflowClient(tracking_uri)
    client.create_registered_model(name)

    def artifacts() -> dict[str, Any]:
        _, rows = app_json(world.environment, "config", "check", **changes)
        return next(row for row in rows if row["check"] == "model artifacts")

    assert artifacts()["detail"] == "no version is registered yet: nothing to look at"
    run = client.create_run("0")
    client.create_model_version(name, f"{run.info.artifact_uri}/nothing", run.info.run_id)
    empty = artifacts()
    assert empty["status"] == "wrong"
    assert "holds no MLmodel file" in empty["detail"]
    assert "artifact store" in empty["remedy"]


def test_everything_that_is_wrong_is_said_at_once(
    world: World, tracking_uri: str, taken_port: int, tmp_path: Path
) -> None:
    from confluent_kafka.admin import (  # noqa: PLC0415
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    (tmp_path / "file").touch()
    signals = world.settings.topics.signals
    change = ConfigEntry(
        "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.TOPIC, signals, incremental_configs=[change])
    admin = AdminClient(client_config(world.bootstrap_servers))
    for done in admin.incremental_alter_configs([resource]).values():
        done.result()
    changes = {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "DS_MODELS_MODEL__NAME": "nobody-registered-it",
        "DS_MODELS_MODEL__CACHE_DIR": str(tmp_path / "file" / "cache"),
        "DS_MODELS_HTTP__PORT": str(taken_port),
        "DS_MODELS_TOPICS__RECORDS": "not-there",
    }
    code, rows = app_json(world.environment, "config", "check", **changes)
    assert code == 8
    wrong = {row["check"]: row for row in rows if row["status"] == "wrong"}
    assert set(wrong) == {
        "topic not-there",
        f"topic {signals}",
        "registered model",
        "model cache",
        "operator port",
    }
    assert all(row["remedy"] for row in wrong.values())
    assert "message.timestamp.type is CreateTime" in wrong[f"topic {signals}"]["detail"]
    assert "topics create" in wrong["topic not-there"]["remedy"]
    assert "train_and_register_model" in wrong["registered model"]["remedy"]


def test_with_nobody_there_each_is_named_and_what_needs_it_is_unknown(world: World) -> None:
    changes = {"KAFKA_BOOTSTRAP_SERVERS": AWAY, "MLFLOW_TRACKING_URI": f"http://me:pw@{AWAY}"}
    with ThreadPoolExecutor() as pool:  # both wait for nobody
        asked = pool.submit(app_json, world.environment, "config", "check", **changes)
        shown = app(world.environment, "config", "check", **changes)
        code, rows = asked.result()
    status = {row["check"]: row["status"] for row in rows}
    assert code == 8
    assert (status["Kafka broker"], status["MLflow server"]) == ("wrong", "wrong")
    assert [s for check, s in status.items() if check.startswith("topic ")] == (
        ["unknown"] * len(topic_specs(world.settings))
    )
    assert (status["registered model"], status["model artifacts"]) == ("unknown", "unknown")
    assert status["operator port"] == "good"
    assert shown.returncode == 8
    assert "Wrong: Kafka broker, MLflow server." in shown.stdout
    assert "pw" not in shown.stdout + shown.stderr + str(rows)
