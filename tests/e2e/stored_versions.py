"""Versions of the example model whose files are in a store: behind MLflow's server, or beside it.

The server serves artifacts from the store: its clients need no credential. An experiment that names
a place in the store itself has them read and write there: they do.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pytest
from mlflow import MlflowClient

from app.domain.plans import Announcement
from app.registry import announcer
from app.registry.mlflow_models import MlflowModels
from infrastructure.mlflow_server.server import MLflowServer
from tests.e2e.test_with_mlflow import MODEL, run_json, training_environment


class Store(Protocol):
    """A store of artifacts that runs."""

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to read and write there."""

    @property
    def credential(self) -> str | None:
        """What must not be shown, of that; None if it asks nobody who calls."""

    def uri(self, path: str) -> str:
        """Return a place there, as MLflow reads it."""


@dataclass(frozen=True)
class StoredVersions:
    """An MLflow server that serves from a store, and two versions whose files are there."""

    store: Store
    server: MLflowServer
    served: str
    direct: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.server.tracking_uri)

    def location(self, version: str) -> str:
        """Return where the files of a version are, as MLflow reads it."""
        return str(self.client.get_model_version_download_uri(MODEL, version))

    def announcement(self, version: str, guard_ms: int = 1000) -> Announcement:
        models = MlflowModels(self.server.tracking_uri)
        with _set(self.store.environment):
            return announcer.prepare(models, MODEL, version, guard_ms=guard_ms, check=None)

    def fetched(self, version: str, into: Path) -> Path:
        into.mkdir()
        models = MlflowModels(self.server.tracking_uri)
        with _set(self.store.environment):
            return models.fetch(f"models:/{MODEL}/{version}", into)


@contextlib.contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """Set them for this process, and not for the instances that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@contextlib.contextmanager
def stored_versions(store: Store, folder: Path) -> Iterator[StoredVersions]:
    """Have one version trained straight into the store, and upload it once more to the server."""
    served = MLflowServer(
        folder / "mlflow", owned=True, settings=store.environment, artifacts=store.uri("served")
    )
    with served as server:
        client = MlflowClient(server.tracking_uri)
        client.create_experiment("direct", store.uri("direct"))
        trained = run_json(
            training_environment(server.tracking_uri, folder)
            | {"DS_MODELS_MODEL__EXPERIMENT": "direct", **store.environment},
            "models/train_and_register_model.py",
            *("--kind", "linear", "--months", "100", "--no-announce"),
            *("--output", str(folder / "model.pkl")),
        )
        made = StoredVersions(store, server, "", str(trained["version"]))
        files = made.fetched(made.direct, folder / "files")
        (files / "note.txt").write_text("other bytes, another digest")
        run = client.create_run("0").info
        client.log_artifacts(run.run_id, str(files), "model")
        uploaded = client.create_model_version(MODEL, f"{run.artifact_uri}/model", run.run_id)
        yield replace(made, served=str(uploaded.version))
