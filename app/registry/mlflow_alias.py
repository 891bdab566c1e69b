"""The alias in MLflow that names the version to serve."""

from app.domain.errors import ModelUnavailable
from app.registry.mlflow_errors import Absent, asked
from app.registry.mlflow_models import MlflowModels

PROMOTED = "ds_models.promoted"
"""A tag of a version: who moved the alias to it last, when and why."""


class MlflowAlias:
    """Reads and moves one alias of one model. Takes seconds to make: it imports MLflow.

    MLflow has no compare-and-swap of aliases: of two who move it at once, one is last.

    Args:
        models: Of the same MLflow server.
        tracking_uri: That server.
        model: The registered name.
        alias: As `champion`.
    """

    def __init__(self, models: MlflowModels, tracking_uri: str, model: str, alias: str) -> None:
        import mlflow  # noqa: PLC0415 - takes seconds

        self._models = models
        self._client = mlflow.MlflowClient(tracking_uri)
        self._tracking_uri = tracking_uri
        self._model = model
        self.name = alias

    def version(self) -> str | None:
        """Return the version that it names, None if there is no such alias or model.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        return (self._models.aliases(self._model) or {}).get(self.name)

    def move(self, version: str, said: str) -> None:
        """Have it name a version that is there.

        Args:
            version: Of the model.
            said: Who moves it, when and why: a tag of the version, written first.

        Raises:
            ModelUnavailable: MLflow is away, or has no such version.
        """
        client, there = self._client, (self._model, version)
        try:
            with asked(f"{self._model} version {version}", self._tracking_uri):
                client.set_model_version_tag(*there, PROMOTED, said)
                client.set_registered_model_alias(self._model, self.name, version)
        except Absent as error:
            raise ModelUnavailable(f"MLflow has no version {version} of {self._model}") from error

    def move_back(self, version: str, said: str, before: str | None) -> bool:
        """Have it name what it named before, if nobody has moved it since.

        Args:
            version: That it was moved to.
            said: Who moved it there, when and why.
            before: The version that it named before, None if there was no such alias.

        Returns:
            Whether it did.

        Raises:
            ModelUnavailable: MLflow is away, or the version before is gone.
        """
        if self.version() != version or self.said_of(version) != said:
            return False
        try:
            with asked(self._model, self._tracking_uri):
                if before is None:
                    self._client.delete_registered_model_alias(self._model, self.name)
                else:
                    self._client.set_registered_model_alias(self._model, self.name, before)
        except Absent as error:
            raise ModelUnavailable(f"MLflow has no version {before} of {self._model}") from error
        return True

    def said_of(self, version: str) -> str | None:
        """Return who moved it to a version last, when and why, as far as it was said.

        Raises:
            ModelUnavailable: MLflow is away.
        """
        try:
            with asked(f"{self._model} version {version}", self._tracking_uri):
                return self._tag(version, PROMOTED)
        except Absent:
            return None

    def _tag(self, version: str, name: str) -> str | None:
        found: str | None = self._client.get_model_version(self._model, version).tags.get(name)
        return found
