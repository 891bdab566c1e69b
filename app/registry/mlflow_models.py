"""The MLflow adapter: where trained models come from. The only importer of mlflow in `app`.

MLflow is imported when the adapter is made, not before: it takes seconds.
"""

import dataclasses
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from app.domain.errors import ModelError, ModelRefused, ModelUnavailable
from app.domain.records import FEATURES
from app.domain.scoring import Predict, score
from app.domain.secrets import without_passwords
from app.registry.brought_code import alone
from app.registry.mlflow_errors import unavailable
from app.registry.policy import Policy, require_inside

RETIRED = "ds_models.retired"
"""A tag of versions that must not be served again: who retired it, and why."""


@dataclass(frozen=True, slots=True)
class RegisteredVersion:
    """A model version as MLflow knows it.

    Attributes:
        uri: Where its artifact is, as MLflow reads it.
        retired: Who retired it, and why; None if nobody did.
    """

    name: str
    version: str
    uri: str
    run_id: str | None
    retired: str | None = None

    def require_not_retired(self) -> None:
        """Return if it may be served.

        Raises:
            ModelRefused: It may not any more.
        """
        if self.retired is not None:
            raise ModelRefused(
                f"{self.name} version {self.version} must not be served: {self.retired} (a tag in "
                f"MLflow, {RETIRED})"
            )


class MlflowModels:
    """Reads versions, artifacts and models. Thread-safe: it keeps no state of its own.

    Args:
        tracking_uri: The MLflow server.
        timeout_s: The longest that one request may take, in seconds. We try again ourselves, so
            MLflow's own retries, which block for minutes, are off.
        policy: What may be fetched and loaded.
    """

    def __init__(
        self, tracking_uri: str, timeout_s: float = 10.0, policy: Policy | None = None
    ) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(round(timeout_s)))
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # Else a server that keeps artifacts in a store would send us there for each file, to a host
        # which the policy has not seen, and which we may not even reach.
        os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
        import mlflow  # noqa: PLC0415 - takes seconds
        import mlflow.pyfunc  # noqa: PLC0415
        import mlflow.sklearn  # noqa: PLC0415 - or the first load pays for it

        self._mlflow = mlflow
        self._tracking_uri = tracking_uri
        self._policy = policy or Policy()
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

    def newest(self, name: str) -> RegisteredVersion | None:
        """Return the newest version of a registered model, None if it has none.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        client = self._mlflow.MlflowClient(self._tracking_uri)
        try:
            found = client.search_model_versions(
                f"name = '{name}'", max_results=1, order_by=["version_number DESC"]
            )
        except Exception as error:
            raise self._unavailable(name, error) from error
        return self.version(name, str(found[0].version)) if found else None

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
            name,
            str(found.version),
            f"models:/{name}/{version}",
            found.run_id,
            found.tags.get(RETIRED),
        )

    def fetch(self, uri: str, into: Path) -> Path:
        """Copy the artifact into the empty folder `into`; return the folder with its files.

        The policy is asked before anything but its MLmodel file is copied.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
            PolicyRefused: The policy does not allow it.
        """
        files = self.look_at(uri)
        try:
            # By the URI, MLflow would look it up again, and read it another way than here.
            return Path(files.download_artifacts("", str(into)))
        except Exception as error:
            raise self._unavailable(uri, error) from error

    def look_at(self, uri: str) -> Any:
        """Return the repository with the files of an artifact, if the policy allows them.

        Only its MLmodel file is read.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
            PolicyRefused: The policy does not allow it.
        """
        try:
            self._policy.require_uri(uri)
            files = self._repository(uri)
            self._require_allowed(uri, files)
        except ModelError:
            raise
        except Exception as error:
            raise self._unavailable(uri, error) from error
        return files

    def _require_allowed(self, uri: str, files: Any) -> None:
        self._policy.require_host(
            _location(files), default=urlsplit(self._tracking_uri).hostname or ""
        )
        self._policy.require_size(_listed_bytes(files, self._policy.max_artifact_bytes))
        if not any(PurePosixPath(file.path).name == "MLmodel" for file in _list(files)):
            raise ModelUnavailable(f"{uri} holds no MLmodel file")
        with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
            seen = Path(files.download_artifacts("MLmodel", folder)).parent
            self._allowed_metadata(seen)

    def _allowed_metadata(self, folder: Path) -> Any:
        """Return what the MLmodel file in `folder` says.

        Raises:
            PolicyRefused: The policy does not allow it.
            ModelRefused: It can't be read.
        """
        metadata = self._metadata(folder)
        self._policy.require_flavors(folder, metadata.flavors)
        require_inside(
            folder, [str((metadata.saved_input_example_info or {}).get("artifact_path", ""))]
        )
        return metadata

    def _repository(self, uri: str) -> Any:
        from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415

        return artifact_repository_registry.get_artifact_repository(
            uri, tracking_uri=self._tracking_uri
        )

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
            PolicyRefused: The policy does not allow it. Nothing of it was run.
            ModelRefused: It can't be loaded, or can't predict.
        """
        metadata = self._allowed_metadata(folder)
        self._policy.require_size(
            sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
        )
        self.features(folder)
        import pandas as pd  # noqa: PLC0415 - comes with mlflow

        try:
            with alone(folder, metadata.flavors["python_function"].get("code")):
                model = self._mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
            _predict_with_one_thread(_inside_of(model))
            example = metadata.load_input_example(str(folder))
        except ModelRefused:
            raise
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
        _require_one_number_per_row(predict)
        return predict

    def _metadata(self, folder: Path) -> Any:
        from mlflow.models import Model  # noqa: PLC0415

        try:
            metadata = Model.load(str(folder))
        except Exception as error:
            raise ModelRefused(f"its MLmodel file can't be read: {error}") from error
        for name in ("flavors", "saved_input_example_info"):
            if not isinstance(getattr(metadata, name) or {}, dict):
                raise ModelRefused(f"its MLmodel file can't be read: {name} has no names")
        return metadata

    def _unavailable(self, what: str, error: Exception) -> ModelUnavailable:
        return unavailable(what, error, self._tracking_uri)


def _inside_of(model: Any) -> Any:
    try:
        return model.get_raw_model()
    except NotImplementedError:  # a model class of somebody's own, which may hold estimators
        return vars(model.unwrap_python_model())


def _location(files: Any) -> str:
    """Return where the files of a repository are: a registered version's lie in another one."""
    while hasattr(files, "repo"):
        files = files.repo
    where: str = files.artifact_uri
    return where


def _list(files: Any, path: str | None = None) -> list[Any]:
    listed: list[Any] = files.list_artifacts(path)
    return listed


def _listed_bytes(files: Any, enough: int) -> int:
    """Return the bytes of all files of a repository, or of the first ones if they are enough."""
    total = 0
    folders: list[str | None] = [None]
    while folders and total <= enough:
        folder = folders.pop()
        for file in _list(files, folder):
            if file.path in {".", folder}:  # some stores list a folder in itself
                continue
            if file.is_dir:
                folders.append(file.path)
            else:
                total += file.file_size or 0
    return total


def _require_one_number_per_row(predict: Predict) -> None:
    """Return if a model answers each of several rows.

    Raises:
        ModelRefused: It doesn't: every batch would have to be cut into single records.
    """
    rows = 3
    try:
        shape = np.asarray(predict(np.ones((rows, len(FEATURES)))), dtype=np.float64).shape
    except Exception as error:
        raise ModelRefused(f"it can't predict {rows} records at once: {error}") from error
    if shape not in {(rows,), (rows, 1)}:
        raise ModelRefused(f"it returned shape {shape} for {rows} records")


def _first_cause(error: BaseException) -> BaseException:
    seen = {id(error)}
    while (behind := error.__cause__ or error.__context__) is not None and id(behind) not in seen:
        error = behind
        seen.add(id(error))
    return error


def _predict_with_one_thread(part: Any, seen: set[int] | None = None) -> None:
    """Make predictions repeatable: with more threads, sums depend on who comes first.

    Reaches every estimator inside an estimator or a dataclass: ensembles keep fitted copies of
    their parts.
    """
    seen = set() if seen is None else seen
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, dict):
        inside: Any = part.values()
    elif isinstance(part, (list, tuple)) or (isinstance(part, np.ndarray) and part.dtype == object):
        inside = part
    elif dataclasses.is_dataclass(part) and not isinstance(part, type):
        inside = [getattr(part, field.name, None) for field in dataclasses.fields(part)]
    elif hasattr(part, "get_params") and hasattr(part, "__dict__"):
        if hasattr(part, "n_jobs"):
            part.n_jobs = 1
        inside = vars(part).values()
    else:
        return
    for inner in inside:
        _predict_with_one_thread(inner, seen)
