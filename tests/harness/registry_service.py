"""The registry service as a process of its own, and artifacts to send it."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from app.bootstrap import serving_registry
from app.domain.records import FEATURES
from app.service.roles import Role
from app.settings import read
from tests.harness.instances import Instance
from tests.harness.world import until

_DAY_MS = 86_400_000


class RegistryService(Instance):
    """`python -m app registry`, listening.

    Args:
        environment: Its settings.
        folder: Of the test; its log is there.
        name: Of its log.
        module: What is run.
        options: More of the command line.
        port: Where; 0 for any that is free.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        name: str = "registry",
        module: str = "app",
        options: tuple[str, ...] = (),
        port: int = 0,
    ) -> None:
        address = folder / f"{name}.address"
        super().__init__(
            {"DS_MODELS_SERVICE__PORT": str(port), **environment},
            folder / f"{name}.log",
            module,
            ("registry", "--address-file", str(address), *options),
        )
        until(lambda: address.exists() or not self.running, 60, "the service")
        assert self.running, self.tail()
        self.address = address.read_text()

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=90)


def database_in(folder: Path) -> dict[str, str]:
    """Return the setting of a database in a folder."""
    return {"DS_MODELS_SERVICE__DATABASE_URL": f"sqlite:///{folder}/registry.db"}


def token(environment: Mapping[str, str], name: str, role: Role, lasts_ms: int = _DAY_MS) -> str:
    """Make a token."""
    _, text = serving_registry.create_token(read(environment), name, role, lasts_ms)
    return text


def artifact(folder: Path, slope: float = 1.0, **options: Any) -> Path:
    """Save a linear model as MLflow does; it multiplies the price before by `slope`."""
    import mlflow.sklearn  # noqa: PLC0415 - takes seconds
    from sklearn.linear_model import LinearRegression  # noqa: PLC0415

    rows = np.random.default_rng(1).uniform(1.0, 100.0, (50, len(FEATURES)))
    table = pd.DataFrame(rows, columns=FEATURES)
    model = LinearRegression().fit(table, slope * rows[:, 3])
    target = folder / f"model-{slope:g}"
    given = {"serialization_format": "skops", "pip_requirements": ["scikit-learn"], **options}
    mlflow.sklearn.save_model(
        model,
        target,
        signature=mlflow.models.infer_signature(table, model.predict(table)),
        input_example=table[:2],
        **given,
    )
    return target


def zipped(folder: Path) -> bytes:
    """Return a folder as a zip file."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return whole.getvalue()


def content_digest(body: bytes) -> dict[str, str]:
    """Return the header that says the digest of a body."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/zip"}
