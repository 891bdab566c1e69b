"""The MLflow adapter: where trained models come from. The only importer of mlflow in `app`.

MLflow is imported when the adapter is made, not before: it takes seconds.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.domain.errors import ModelRefused, ModelUnavailable
from app.domain.records import FEATURES
from app.domain.scoring import Predict, score
from app.domain.secrets import without_passwords
from app.registry.trusted_types import TRUSTED_TYPES


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A model version as MLflow knows it."""

    name: str
    version: str
    uri: str
    run_id: str | None


class MlflowModels:
    """Reads versions, artifacts and models. Thread-safe: it keeps no state of its own.

    Args:
        tracking_uri: The MLflow server.
        timeout_s: The longest that one request may take, in seconds. We try again ourselves, so
            MLflow's own retries, which block for minutes, are off.
    """

    def __init__(self, tracking_uri: str, timeout_s: float = 10.0) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(round(timeout_s)))
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        import mlflow  # noqa: PLC0415 - takes seconds
        import mlflow.pyfunc  # noqa: PLC0415
        import mlflow.sklearn  # noqa: PLC0415 - or the first load pays for it

        self._mlflow = mlflow
        self._tracking_uri = tracking_uri
        mlflow.set_tracking_uri(tracking_uri)

    def require_answer(self) -> None:
        """Return if the registry answers.

        Raises:
            ModelUnavailable: It doesn't.
        """
        try:
            self._mlflow.MlflowClient(self._tracking_uri).search_registered_models(max_results=1)
        except Exception as error:
            cause = _first_cause(error)
            if isinstance(cause, OSError):  # what stands around it is long
                where = without_passwords(self._tracking_uri)
                raise ModelUnavailable(f"MLflow does not answer at {where}: {cause}") from error
            raise self._unavailable("the registry", error) from error

    def aliases(self, name: str) -> dict[str, str] | None:
        """Return the version of each alias of a registered model; None if there is no such model.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        try:
            found = self._mlflow.MlflowClient(self._tracking_uri).get_registered_model(name)
        except Exception as error:
            if getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise self._unavailable(name, error) from error
        return {alias: str(version) for alias, version in found.aliases.items()}

    def version(self, name: str, version: str) -> RegisteredVersion:
        """Look a version up.

        Raises:
            ModelUnavailable: MLflow is away, or has no such version.
        """
        try:
            found = self._mlflow.MlflowClient(self._tracking_uri).get_model_version(name, version)
        except Exception as error:
            raise self._unavailable(f"{name} version {version}", error) from error
        return RegisteredVersion(
            name, str(found.version), f"models:/{name}/{version}", found.run_id
        )

    def fetch(self, uri: str, into: Path) -> Path:
        """Copy the artifact into the empty folder `into`; return the folder with its files.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
        """
        try:
            path = self._mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=str(into), tracking_uri=self._tracking_uri
            )
        except Exception as error:
            raise self._unavailable(uri, error) from error
        if not Path(path, "MLmodel").is_file():
            raise ModelUnavailable(f"{uri} holds no MLmodel file")
        return Path(path)

    def features(self, folder: Path) -> tuple[str, ...]:
        """Return the columns that the model in `folder` needs, without loading it.

        Raises:
            ModelRefused: It has no signature, or needs columns that records don't have.
        """
        signature = self._metadata(folder).signature
        if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
            raise ModelRefused("the model has no signature that names its columns")
        names = tuple(signature.inputs.required_input_names())
        if unknown := sorted(set(names) - set(FEATURES)):
            raise ModelRefused(
                f"the model needs {', '.join(unknown)}; records have {', '.join(FEATURES)}"
            )
        return names

    def load(self, folder: Path) -> Predict:
        """Load the artifact in `folder` and predict its input example once.

        Raises:
            ModelRefused: It can't be loaded, or must not be.
        """
        metadata = self._metadata(folder)
        _refuse_untrusted(folder, metadata.flavors)
        self.features(folder)
        import pandas as pd  # noqa: PLC0415 - comes with mlflow

        try:
            model = self._mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
            _predict_with_one_thread(model.get_raw_model())
            example = metadata.load_input_example(str(folder))
        except Exception as error:
            raise ModelRefused(f"it can't be loaded: {type(error).__name__}: {error}") from error

        def predict(rows: npt.NDArray[np.float64]) -> Any:
            return model.predict(pd.DataFrame(rows, columns=FEATURES))

        try:
            if example is not None:
                model.predict(example)
        except Exception as error:
            raise ModelRefused(f"it can't predict its own example: {error}") from error
        for rejection in score(predict, np.ones((1, len(FEATURES)))).rejected.values():
            raise ModelRefused(f"it can't predict a record: {rejection.message}")
        return predict

    def _metadata(self, folder: Path) -> Any:
        from mlflow.models import Model  # noqa: PLC0415

        try:
            return Model.load(str(folder))
        except Exception as error:
            raise ModelRefused(f"its MLmodel file can't be read: {error}") from error

    def _unavailable(self, what: str, error: Exception) -> ModelUnavailable:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        said = f"{what}: {reason[:300]} (MLflow at {self._tracking_uri})"
        return ModelUnavailable(without_passwords(said))


def _refuse_untrusted(folder: Path, flavors: dict[str, Any]) -> None:
    """Return if the files can be loaded without running what they bring along.

    MLflow loads by what the pyfunc flavor says, so that is what counts; and the list of trusted
    types that an artifact carries is what its writer wished for: it counts only as far as ours has
    the same.

    Raises:
        ModelRefused: They can't.
    """
    pyfunc, sklearn = flavors.get("python_function") or {}, flavors.get("sklearn") or {}
    if pyfunc.get("code") or sklearn.get("code"):
        raise ModelRefused(
            "it brings code of its own (code_paths): a second version would run the first one's"
        )
    if (
        pyfunc.get("loader_module") != "mlflow.sklearn"
        or sklearn.get("serialization_format") != "skops"
    ):
        raise ModelRefused("it is not a scikit-learn model in the skops format")
    for path in (pyfunc.get("model_path"), sklearn.get("pickled_model"), pyfunc.get("data")):
        if path is not None and not (folder / path).resolve().is_relative_to(folder.resolve()):
            raise ModelRefused(f"its file {path} lies outside of the artifact")
    if foreign := sorted(set(sklearn.get("skops_trusted_types") or ()) - set(TRUSTED_TYPES)):
        raise ModelRefused(f"it wants types that we don't trust: {', '.join(foreign)}")


def _first_cause(error: BaseException) -> BaseException:
    seen = {id(error)}
    while (behind := error.__cause__ or error.__context__) is not None and id(behind) not in seen:
        error = behind
        seen.add(id(error))
    return error


def _predict_with_one_thread(part: Any, seen: set[int] | None = None) -> None:
    """Make predictions repeatable: with more threads, sums depend on who comes first.

    Reaches every estimator inside an estimator: ensembles keep fitted copies of their parts.
    """
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, dict):
        inside: Any = part.values()
    elif isinstance(part, (list, tuple)) or (isinstance(part, np.ndarray) and part.dtype == object):
        inside = part
    elif hasattr(part, "get_params") and hasattr(part, "__dict__"):
        if hasattr(part, "n_jobs"):
            part.n_jobs = 1
        inside = vars(part).values()
    else:
        return
    for inner in inside:
        _predict_with_one_thread(inner, seen)
