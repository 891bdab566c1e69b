"""What several end-to-end tests share."""

from dataclasses import dataclass

import pytest

from tests.e2e.test_with_mlflow import run_json, training_environment


@dataclass(frozen=True)
class Trained:
    """Two versions of the example model, registered and announced nowhere."""

    linear: str
    forest: str


@pytest.fixture(scope="session")
def trained(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train them once: it takes seconds."""
    folder = tmp_path_factory.mktemp("trained")
    environment = training_environment(tracking_uri, folder)

    def train(kind: str) -> str:
        made = run_json(
            environment,
            "models/train_and_register_model.py",
            *("--kind", kind, "--months", "500", "--output", str(folder / f"{kind}.pkl")),
            "--no-announce",
        )
        return str(made["version"])

    return Trained(train("linear"), train("forest"))
