"""What MLflow knows of models and their versions, and the ways to add one and to take one away.

Nothing here loads a model: of an artifact only its MLmodel file is read.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.domain.digest import artifact_digest
from app.domain.errors import ModelRefused, PolicyRefused
from app.registry.mlflow_errors import Absent, asked, code
from app.registry.mlflow_models import RETIRED, MlflowModels
from app.registry.policy import Policy

UPLOADED_BY = "ds_models.uploaded_by"
WHY = "ds_models.why"
REQUEST = "ds_models.request"
_DIGESTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A registered model.

    Attributes:
        aliases: The version of each alias.
    """

    name: str
    description: str
    created_ms: int
    updated_ms: int
    aliases: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version of a registered model.

    Attributes:
        created_by: Who registered it, as far as MLflow or its tags know.
        why: Why it was uploaded, if it was and somebody said so.
        aliases: Those that point to it; of a version in a list they are not known.
    """

    name: str
    version: str
    description: str
    created_ms: int
    created_by: str | None
    why: str | None
    status: str
    run_id: str | None
    tags: Mapping[str, str]
    aliases: tuple[str, ...]

    @property
    def retired(self) -> str | None:
        """Who retired it, when and why; None if nobody did."""
        return self.tags.get(RETIRED)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What training logged."""

    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    user: str | None


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and the token of the next one; None if it was the last."""

    items: list[T]
    next_token: str | None


class MlflowCatalog:
    """Reads and changes the registry. Thread-safe.

    Args:
        models: How artifacts are fetched.
        tracking_uri: The MLflow server.
        policy: What may be registered.
        experiment: Where the runs of uploads go.
    """

    def __init__(
        self, models: MlflowModels, tracking_uri: str, policy: Policy, experiment: str
    ) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        import mlflow  # noqa: PLC0415 - takes seconds

        self._mlflow = mlflow
        self._models = models
        self._tracking_uri = tracking_uri
        self._policy = policy
        self._experiment = experiment
        self._client = mlflow.MlflowClient(tracking_uri)
        self._digests: dict[tuple[str, str, int], str] = {}
        self._lock = threading.Lock()

    def models(self, limit: int, token: str | None) -> Page[ModelFacts]:
        """Return registered models by name.

        Raises:
            ValueError: The token is none that was returned before.
            ModelUnavailable: MLflow is away.
        """
        with self._asked("the registered models"):
            found = self._client.search_registered_models(
                max_results=limit, order_by=["name ASC"], page_token=token
            )
        return Page([_model(one) for one in found], found.token or None)

    def model(self, name: str) -> ModelFacts | None:
        """Return a registered model, None if there is none of this name.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        with suppress(Absent), self._asked(name):
            return _model(self._client.get_registered_model(name))
        return None

    def versions(self, name: str, limit: int, token: str | None) -> Page[VersionFacts]:
        """Return versions of a model, the newest first.

        Raises:
            ValueError: The token is none that was returned before.
            ModelUnavailable: MLflow is away.
        """
        with self._asked(name):
            found = self._client.search_model_versions(
                _equals("name", name),
                max_results=limit,
                order_by=["version_number DESC"],
                page_token=token,
            )
        return Page([_version(one, ()) for one in found], found.token or None)

    def version(self, name: str, version: str) -> VersionFacts | None:
        """Return a version with its aliases, None if there is none.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        with suppress(Absent), self._asked(f"{name} version {version}"):
            found = self._client.get_model_version(name, version)
            return _version(found, tuple(sorted(found.aliases)))
        return None

    def run(self, run_id: str | None) -> RunFacts:
        """Return what a training run logged; nothing if there is no such run.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        with suppress(Absent), self._asked("the training run"):
            if run_id:
                run = self._client.get_run(run_id)
                return RunFacts(
                    dict(run.data.metrics), dict(run.data.params), run.info.user_id or None
                )
        return RunFacts({}, {}, None)

    def signature(self, name: str, version: str) -> dict[str, Any] | None:
        """Return what a version takes and gives, as MLflow writes it; None if it does not say.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
        """
        with self._asked(f"{name} version {version}"):
            info = self._mlflow.models.get_model_info(f"models:/{name}/{version}")
        if info.signature is None:
            return None
        return {
            part: None if written is None else json.loads(written)
            for part, written in info.signature.to_dict().items()
        }

    def digest(self, facts: VersionFacts) -> str:
        """Return the digest of a version's files; the first time of each fetches them.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
            PolicyRefused: The policy does not allow fetching it.
        """
        key = (facts.name, facts.version, facts.created_ms)
        known = self._digests.get(key)
        if known is None:
            with self.fetched(facts.name, facts.version) as folder:
                known = artifact_digest(folder)
            with self._lock:
                if len(self._digests) >= _DIGESTS_KEPT:
                    self._digests.clear()
                self._digests[key] = known
        return known

    @contextmanager
    def fetched(self, name: str, version: str) -> Iterator[Path]:
        """Have a version's files in a folder, until the end of the block.

        Raises:
            ModelUnavailable: MLflow or the artifact is out of reach.
            PolicyRefused: The policy does not allow fetching it.
        """
        with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
            yield self._models.fetch(f"models:/{name}/{version}", Path(folder))

    def require_allowed(self, name: str, folder: Path) -> None:
        """Return if a folder holds a model that may be registered under a name. Loads nothing.

        Raises:
            PolicyRefused: The policy does not allow it.
            ModelRefused: It holds no MLmodel file, or its columns are none of ours.
        """
        if not (folder / "MLmodel").is_file():
            raise ModelRefused("there is no MLmodel file at the top of the artifact")
        self._policy.require_uri(f"models:/{name}/1")
        self._policy.require_size(
            sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
        )
        try:
            flavors = self._mlflow.models.Model.load(str(folder)).flavors
            self._policy.require_flavors(folder, flavors)
        except PolicyRefused:
            raise
        except Exception as error:
            said = type(error).__name__
            raise ModelRefused(f"its MLmodel file can't be read: {said}") from error
        self._models.features(folder)

    def register(
        self,
        name: str,
        folder: Path,
        tags: Mapping[str, str],
        request: str,
        still_wanted: Callable[[], bool],
    ) -> str | None:
        """Register the files of a folder as the next version of a model, once for each request.

        Args:
            name: Of the model; it is made if there is none.
            folder: With the artifact.
            tags: Of the version.
            request: If there is a version of this request, that is returned.
            still_wanted: Asked at last, before the version is made.

        Returns:
            The version; None if it is not wanted any more.

        Raises:
            ModelUnavailable: MLflow is away. What was uploaded until then is of no version.
        """
        with self._asked(f"registering a version of {name}"):
            if made := self._made_by(name, request):
                return made[0]
            run = self._client.create_run(
                self._experiment_id(), run_name=f"upload of {name}", tags=dict(tags)
            )
            self._client.log_artifacts(run.info.run_id, str(folder), "model")
            self._client.set_terminated(run.info.run_id)
            if not still_wanted():
                return None
            self._make_model(name)
            version = self._client.create_model_version(
                name,
                source=f"{run.info.artifact_uri}/model",
                run_id=run.info.run_id,
                tags={**tags, REQUEST: request},
                await_creation_for=0,  # the files are there
            )
            first, *others = self._made_by(name, request)
            if str(version.version) in others:  # another service did the same meanwhile
                self._client.delete_model_version(name, version.version)
            return first

    def delete(self, name: str, version: str) -> bool:
        """Take a version out of the registry; False if there is none. Its files stay in MLflow.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        with suppress(Absent), self._asked(f"{name} version {version}"):
            self._client.delete_model_version(name, version)
            return True
        return False

    def retire(self, name: str, version: str, text: str | None) -> bool:
        """Have a version never served again, or with None take that back; False if there is none.

        Args:
            name: Of the model.
            version: Of it.
            text: Who retires it, and why.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        with suppress(Absent), self._asked(f"{name} version {version}"):
            if text is not None:
                self._client.set_model_version_tag(name, version, RETIRED, text)
            elif RETIRED in self._client.get_model_version(name, version).tags:
                self._client.delete_model_version_tag(name, version, RETIRED)
            return True
        return False

    def _made_by(self, name: str, request: str) -> list[str]:
        query = f"{_equals('name', name)} AND {_equals(f'tags.`{REQUEST}`', request)}"
        found = self._client.search_model_versions(query, order_by=["version_number ASC"])
        return [str(one.version) for one in found]

    def _make_model(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except Exception as error:
            if code(error) != "RESOURCE_ALREADY_EXISTS":
                raise

    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(self._experiment))
        except Exception as error:
            if code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._experiment_id()  # it was made just now

    def _asked(self, what: str) -> AbstractContextManager[None]:
        return asked(what, self._tracking_uri)


def _equals(field: str, value: str) -> str:
    if "'" in value:
        raise ValueError(f"{value!r} has a quote, which MLflow can't search for")
    return f"{field} = '{value}'"


def _model(found: Any) -> ModelFacts:
    return ModelFacts(
        found.name,
        found.description or "",
        found.creation_timestamp,
        found.last_updated_timestamp,
        {alias: str(version) for alias, version in sorted(found.aliases.items())},
    )


def _version(found: Any, aliases: tuple[str, ...]) -> VersionFacts:
    tags = dict(found.tags)
    return VersionFacts(
        name=found.name,
        version=str(found.version),
        description=found.description or "",
        created_ms=found.creation_timestamp,
        created_by=tags.get(UPLOADED_BY) or found.user_id or None,
        why=tags.get(WHY),
        status=str(found.status),
        run_id=found.run_id or None,
        tags=tags,
        aliases=aliases,
    )
