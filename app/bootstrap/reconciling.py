"""What makes the announcement topic agree with the alias in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.bootstrap import announcing, history, parts, watching
from app.domain.plans import Entry, Plan, Staged
from app.registry.mlflow_models import MlflowModels
from app.registry.reconciler import Patience, Reconciler
from app.settings import Settings
from app.tools.watching.staging import reached, who_lacks


@dataclass(frozen=True)
class _World:
    settings: Settings
    models: MlflowModels

    def wanted(self) -> str | None:
        model = self.settings.model
        return (self.models.aliases(model.name) or {}).get(model.alias)

    def entries(self) -> Sequence[Entry]:
        return history.entries(self.settings)

    def lacking(self, staged: Staged) -> str | None:
        found = watching.staging_look(self.settings, staged.offset)()
        return None if reached(found) else who_lacks(found)

    def stage(self, version: str) -> Staged:
        model = self.settings.model
        why = f"the alias {model.alias} was moved to it"
        return announcing.stage(self.settings, model.name, version, why=why, check=True)

    def announce(self, staged: Staged) -> Plan:
        return announcing.announce_staged(self.settings, staged)

    def unstage(self, staged: Staged, why: str) -> None:
        announcing.unstage(self.settings, why, staged.offset)


def reconciler(settings: Settings) -> Reconciler:
    """Return what makes the topic agree with the alias, step by step. Takes seconds."""
    wanted = settings.reconciler
    return Reconciler(
        _World(settings, parts.models(settings)),
        Patience(wanted.load_timeout_s, wanted.on_timeout),
    )
