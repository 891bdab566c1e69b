"""A model source that needs no MLflow: artifacts are small JSON files in a folder.

It serves the tests that are about the stream and not about models, and passes the same contract
suite as the real adapter (tests/contract/test_model_sources.py).
"""

import json
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.digest import artifact_digest
from app.domain.errors import ModelRefused, ModelUnavailable
from app.domain.plans import Announcement
from app.domain.records import FEATURES
from app.domain.scoring import Predict

PRICE_PER_VERSION = 1000.0


class FolderModels:
    """A `ModelSource` whose artifact is `model.json`: a constant, weights, and faults on demand."""

    def fetch(self, uri: str, into: Path) -> Path:
        source = Path(uri)
        if not source.is_dir():
            raise ModelUnavailable(f"{uri} is not there")
        target = into / "model"
        shutil.copytree(source, target)
        return target

    def load(self, folder: Path) -> Predict:
        try:
            document = json.loads((folder / "model.json").read_text())
            constant, weights = document["constant"], np.array(document["weights"], dtype=float)
        except (OSError, ValueError, KeyError) as error:
            raise ModelRefused(f"the artifact can't be loaded: {error}") from error
        poison, slow_s = document.get("poison"), document.get("slow_s", 0.0)

        def predict(rows: npt.NDArray[np.float64]) -> Any:
            if poison is not None and (rows[:, 1] == poison).any():
                raise ArithmeticError(f"an interest rate of {poison}")
            time.sleep(slow_s if len(rows) > 1 else 0.0)
            return constant + rows @ weights

        predict(np.ones((1, len(FEATURES))))
        return predict


def save(
    parent: Path,
    version: str,
    *,
    weights: Sequence[float] = (0.0, 0.0, 0.0, 1.0),
    poison: float | None = None,
    slow_s: float = 0.0,
) -> Path:
    """Write an artifact whose prices are 1,000 times the version, plus the weighted features."""
    folder = parent / f"version-{version}"
    folder.mkdir(parents=True)
    document = {
        "constant": PRICE_PER_VERSION * int(version),
        "weights": list(weights),
        "poison": poison,
        "slow_s": slow_s,
    }
    (folder / "model.json").write_text(json.dumps(document))
    return folder


def announcement(
    name: str, version: str, folder: Path, guard_ms: int = 1000, **changes: Any
) -> Announcement:
    """Return the plan of an artifact that `save` wrote."""
    return Announcement(
        model_name=name,
        model_version=version,
        model_uri=str(folder),
        digest=changes.pop("digest", None) or artifact_digest(folder),
        features=FEATURES,
        guard_ms=guard_ms,
        event_id=changes.pop("event_id", None) or str(uuid.uuid4()),
        **changes,
    )
