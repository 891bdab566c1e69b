"""What makes the announcement topic agree with the alias in MLflow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.bootstrap import announcing, history, parts, watching
from app.domain.plans import Entry, Plan, Staged
from app.domain.promoting import is_new, why_of
from app.registry.mlflow_alias import MlflowAlias
from app.registry.reconciling.reconciler import Reconciler
from app.registry.reconciling.state import Reported
from app.registry.reconciling.world import Patience
from app.settings import Settings
from app.tools.watching.staging import Progress, reached, who_lacks


@dataclass(frozen=True)
class RealWorld:
    """MLflow and Kafka, as a reconciler sees them.

    Attributes:
        settings: Of the application.
        alias: That names the version to serve.
        verify: Whether a version is loaded once, in a process of its own, before it is staged.
        on_progress: Told how far each live instance is, at each look.
        stopped: Says that it is to end, also in the middle of verifying a version.
    """

    settings: Settings
    alias: MlflowAlias
    verify: bool = True
    on_progress: Callable[[Sequence[Progress]], None] = lambda _found: None
    stopped: Callable[[], bool] = lambda: False
    _looks: dict[int, Callable[[], list[Progress]]] = field(default_factory=dict)

    def wanted(self) -> str | None:
        """Return the version that the alias names."""
        return self.alias.version()

    def entries(self) -> Sequence[Entry]:
        """Return all that counts on the announcement topic."""
        return history.entries(self.settings)

    def is_asked_anew(self, version: str, entries: Sequence[Entry]) -> bool:
        """Say whether a version was promoted since the topic told of it last."""
        return is_new(self.alias.said_of(version), entries)

    def lacking(self, staged: Staged) -> str | None:
        """Say which live instances have not loaded it, and why."""
        if staged.offset not in self._looks:
            self._looks.clear()
            self._looks[staged.offset] = watching.staging_look(self.settings, staged)
        found = self._looks[staged.offset]()
        self.on_progress(found)
        return None if reached(found) else who_lacks(found)

    def stage(self, version: str) -> Staged:
        """Verify a version and stage it."""
        moved = f"the alias {self.alias.name} was moved to it"
        said = why_of(self.alias.said_of(version), moved, self.entries())
        return announcing.stage(
            self.settings,
            self.settings.model.name,
            version,
            why=said,
            check=self.verify,
            alias=self.alias.name,
            stopped=self.stopped,
        )

    def announce(self, staged: Staged) -> Plan:
        """Put in force what is staged."""
        announced = staged.announcement
        otherwise = announced.why or f"the alias {self.alias.name} was moved to it"
        said = self.alias.said_of(announced.model_version)
        why = why_of(said, otherwise, self.entries())
        return announcing.announce_staged(self.settings, staged, why)

    def unstage(self, staged: Staged, why: str) -> None:
        """End what is staged."""
        announcing.unstage(self.settings, why, staged.offset)


def alias(settings: Settings) -> MlflowAlias:
    """Return the alias that names the version to serve. Takes seconds: it imports MLflow."""
    models, wanted = parts.models(settings), settings.model
    return MlflowAlias(models, settings.mlflow.tracking_uri, wanted.name, wanted.alias)


def reconciler(
    settings: Settings,
    stopped: Callable[[], bool] = lambda: False,
    reported: Reported | None = None,
) -> Reconciler:
    """Return what makes the topic agree with the alias, step by step. Takes seconds.

    Args:
        settings: Of the application.
        stopped: Says that it is to end, also in the middle of verifying a version.
        reported: Told what it sees and does.
    """
    wanted = settings.reconciler
    return Reconciler(
        RealWorld(settings, alias(settings), stopped=stopped),
        Patience(wanted.load_timeout_s, wanted.on_timeout),
        reported=reported,
    )
