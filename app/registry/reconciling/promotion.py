"""A promotion seen through: the alias has moved, and this waits until the topic follows or won't.

It does what a reconciler does, and beside any number of them: nobody else need run.
"""

from collections.abc import Callable

from app.domain.errors import BrokerUnavailable, ModelUnavailable, Refused
from app.domain.plans import Plan, Unstaged
from app.domain.reconciling import Action, Rest, Unstage
from app.registry.reconciling.reconciler import Reconciler
from app.registry.reconciling.world import Patience, World

_LOOK_S = 0.5


def see_through(
    world: World,
    version: str,
    patience: Patience,
    wait: Callable[[float], bool],
) -> Plan:
    """Reconcile until the newest plan names the version that the alias was just moved to.

    Args:
        world: What is looked at and changed.
        version: That the alias names.
        patience: With instances that don't load it.
        wait: Waits so many seconds; True if it is too late to go on after a failure.

    Returns:
        The plan.

    Raises:
        Refused: It was given up, or the alias was moved elsewhere meanwhile; the message says why.
        DsModelsError: MLflow or Kafka were away for too long.
    """
    reconciler = Reconciler(world, patience, moved=True, only=version)
    while True:
        try:
            action: Action = reconciler.step()
        except Refused as error:
            if reconciler.wanted != version:
                raise
            action = Rest(str(error), waits=True)
        except (BrokerUnavailable, ModelUnavailable) as error:
            if wait(_LOOK_S):
                raise
            action = Rest(str(error), waits=True)
        if isinstance(action, Unstage):
            raise Refused(action.why)
        if isinstance(action, Rest):
            if action.agrees:
                return _plan_of(version, world)
            if not action.waits:
                raise Refused(_why_given_up(world) or action.why)
        wait(_LOOK_S)


def _plan_of(version: str, world: World) -> Plan:
    plans = [one for one in world.entries() if isinstance(one, Plan)]
    return [one for one in plans if one.announcement.model_version == version][-1]


def _why_given_up(world: World) -> str | None:
    """Return what another reconciler said when it gave up what is staged last."""
    entries = world.entries()
    last = entries[-1] if entries else None
    return last.why if isinstance(last, Unstaged) else None
