"""What promotes a version and rolls back: it moves the alias, and a reconciler does the rest."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

from app.bootstrap import announcing, history, reconciling
from app.bootstrap.clock import now_ms
from app.domain.errors import Refused
from app.domain.plans import Plan, PlanTable, Void, last_plan
from app.domain.promoting import Promoted, said_of
from app.domain.reconciling import OnTimeout
from app.domain.rollback import Rollback
from app.domain.times import instant
from app.registry.reconciling.promotion import see_through
from app.registry.reconciling.world import Patience
from app.settings import Settings
from app.tools.watching.staging import Progress
from app.topics.announcements import newest_plan

Show = Callable[[Sequence[Progress]], None]
_TAKEN_BACK_S = 20.0


def promote(
    settings: Settings,
    version: str,
    *,
    who: str,
    why: str | None,
    check: bool,
) -> Promoted:
    """Move the alias to a version; whatever reconciles puts it in force.

    Args:
        settings: Of the application.
        version: Of our model.
        who: Moves it.
        why: For people.
        check: Load the model first, in a process of its own.

    Raises:
        Refused: Its newest plan is voided, or is still to come.
        ModelError: There is no such version, or it must not or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    name = announcing.require_servable(settings, version, check=check)
    _require_no_other_way(settings, name)
    return _move(settings, name, "promoted", who, why)


def put_in_force(
    settings: Settings,
    promoted: Promoted,
    timeout_s: float,
    on_timeout: OnTimeout,
    on_progress: Show = lambda _found: None,
) -> Plan:
    """Wait until a version is announced that the alias was moved to, doing what is needed.

    Args:
        settings: Of the application.
        promoted: What was moved.
        timeout_s: How long live instances may take to load it.
        on_timeout: What is done then.
        on_progress: Told how far each live instance is.

    Raises:
        Refused: It was given up, or the alias was moved elsewhere meanwhile.
        ModelError: The version must not or can't serve.
        BrokerUnavailable: Kafka was away for as long.
    """
    deadline = time.monotonic() + timeout_s

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return time.monotonic() > deadline

    world = reconciling.RealWorld(
        settings, reconciling.alias(settings), verify=False, on_progress=on_progress
    )
    patience = Patience(timeout_s, on_timeout)
    return see_through(world, promoted.version, patience, wait)


def move_back(settings: Settings, promoted: Promoted) -> bool:
    """Move the alias to where it was, if nobody has moved it since; return whether it was so.

    Raises:
        ModelUnavailable: MLflow is away, or the version before is gone: it is where it was moved.
    """
    alias = reconciling.alias(settings)
    return alias.move_back(promoted.version, promoted.said, promoted.before)


def tidy_after(settings: Settings, promoted: Promoted, why: str) -> None:
    """Have the topic as it was before a promotion whose alias was moved back.

    What was staged for it is staged no more, and if it was announced at the last moment, the
    version before it is announced again.

    Raises:
        DsModelsError: MLflow or Kafka are away. Whatever reconciles does it later.
    """
    staged = PlanTable.of(history.entries(settings)).staged
    if staged is not None and staged.announcement.model_version == promoted.version:
        announcing.unstage(settings, why, staged.offset)
    if promoted.before is not None and _newest_version(settings) == promoted.version:
        again = Promoted(promoted.model, promoted.alias, promoted.before, None, why)
        put_in_force(settings, again, _TAKEN_BACK_S, "announce")


def roll_back(
    settings: Settings,
    *,
    who: str,
    why: str | None,
    check: bool,
    timeout_s: float | None,
    instead_of: str | None = None,
) -> tuple[Rollback, Promoted, Plan | None]:
    """Move the alias to the version that was in force before the present one.

    Args:
        settings: Of the application.
        who: Rolls back.
        why: For people.
        check: Load the model first, in a process of its own.
        timeout_s: Put it in force too: how long live instances may take to load it before it is
            announced all the same. None leaves that to whatever reconciles.
        instead_of: Only if this version is in force; None for whichever is.

    Returns:
        What it does, the alias that was moved, and the new plan if it was put in force here.

    Raises:
        Refused: There is nothing to go back to, its files are not those that served, another
            version is in force than was meant, or a plan came while the version was verified.
        ModelError: The version can't be had, or must not or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    rollback, announcement = announcing.plan_rollback(
        settings, why=why, check=check, instead_of=instead_of
    )
    version = rollback.target.announcement.model_version
    newest = newest_plan(history.entries(settings))
    if newest != announcement.replaces:
        raise Refused(
            f"another plan came meanwhile, at offset {newest}: look at `python -m app "
            "announcements`, and roll back if you still want to"
        )
    promoted = _move(settings, version, "rolled back", who, why)
    if _newest_version(settings) == version:  # it is still to come, and so no move brings it
        return rollback, promoted, announcing.announce_prepared(settings, announcement)
    if timeout_s is None:
        return rollback, promoted, None
    return rollback, promoted, put_in_force(settings, promoted, timeout_s, "announce")


def _move(
    settings: Settings,
    version: str,
    verb: Literal["promoted", "rolled back"],
    who: str,
    why: str | None,
) -> Promoted:
    alias = reconciling.alias(settings)
    said, before = said_of(verb, who, now_ms(), why), alias.version()
    alias.move(version, said)
    return Promoted(settings.model.name, alias.name, version, before, said)


def _require_no_other_way(settings: Settings, version: str) -> None:
    """Return if moving the alias to a version is what puts it in force."""
    entries = history.entries(settings)
    newest = last_plan(entries)
    if newest is None or newest.announcement.model_version != version:
        return
    command = f"python -m app announce {settings.model.name} {version}"
    if newest.offset in {one.voided_offset for one in entries if isinstance(one, Void)}:
        raise Refused(
            f"version {version} was announced at offset {newest.offset} and voided since: if it "
            f"can serve now, {command}"
        )
    if (newest.announcement.effective_from_ms or 0) > now_ms():
        raise Refused(
            f"version {version} is announced at offset {newest.offset} for "
            f"{instant(newest.effective_ms)}: if it is to be in force now, {command}"
        )


def _newest_version(settings: Settings) -> str | None:
    newest = last_plan(history.entries(settings))
    return None if newest is None else newest.announcement.model_version
