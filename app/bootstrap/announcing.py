"""What announces, rolls back and voids plans."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.bootstrap import access, history, parts
from app.bootstrap.clock import now_ms
from app.domain.errors import Refused
from app.domain.plans import Announcement, Plan, PlanTable, Staged, Unstaged, Void
from app.domain.rollback import Rollback, rollback_of
from app.registry import announcer
from app.registry.verify import verify
from app.settings import Settings
from app.tools.voiding import Voided, void_plan
from app.topics import announcements, appending, catalog
from app.topics.announcements import newest_plan


def announce_version(  # the arguments are those of the command
    settings: Settings,
    name: str,
    version: str,
    *,
    effective_from_ms: int | None = None,
    why: str | None = None,
    check: bool = True,
) -> Plan:
    """Verify a registered version and append its plan.

    Raises:
        Refused: Another plan came in between.
        ModelError: The version can't be had, or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    _require_announcement_topic(settings)
    announcement = _prepare(
        settings, name, version, effective_from_ms=effective_from_ms, why=why, check=check
    )
    newest = newest_plan(history.announced(settings))
    return announce_prepared(settings, replace(announcement, replaces=newest))


def stage(
    settings: Settings,
    name: str,
    version: str,
    *,
    why: str | None,
    check: bool,
    alias: str | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Staged:
    """Verify a registered version, and have all instances load it and keep it warm.

    Args:
        settings: Of the application.
        name: The registered model.
        version: Its version.
        why: For people.
        check: Load the model first, in a process of its own.
        alias: That asks for it; None if somebody does.
        stopped: Says that whoever asked for it is to end: that process is ended then.

    Raises:
        Refused: A plan came in between.
        ModelError: The version can't be had, or can't serve; or it was stopped.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    _require_announcement_topic(settings)
    newest = newest_plan(history.announced(settings))
    announcement = _prepare(settings, name, version, why=why, check=check, stopped=stopped)
    named = replace(announcement, replaces=newest, alias=alias)
    _require_still_there(settings, named)
    return announcer.stage(parts.kafka(settings), settings.topics.announcements, named)


def announce_staged(settings: Settings, staged: Staged, why: str | None = None) -> Plan:
    """Put in force what was staged, for the reason that it was staged for, or for another.

    Raises:
        Refused: A plan came since it was staged.
        ModelError: The version is gone, or retired.
        BrokerUnavailable: Kafka is away.
    """
    announced, unique = staged.announcement, str(uuid.uuid4())
    named = replace(announced, event_id=unique, why=announced.why if why is None else why)
    return announce_prepared(settings, named)


def unstage(settings: Settings, why: str, offset: int | None = None) -> int | None:
    """Have instances forget what is staged; return its offset, None if nothing is.

    Args:
        settings: Of the application.
        why: For people.
        offset: Only if this is staged.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing.
    """
    staged = PlanTable.of(history.entries(settings)).staged
    if staged is None or offset not in (None, staged.offset):
        return None
    end = Unstaged(-1, 0, settings.model.name, staged.offset, why, str(uuid.uuid4()))
    announcer.unstage(parts.kafka(settings), settings.topics.announcements, end)
    return staged.offset


def require_servable(settings: Settings, version: str, *, check: bool) -> str:
    """Return the version as MLflow calls it, if it is of our model and can be put in force.

    Args:
        settings: Of the application.
        version: Of our model.
        check: Load the model too, in a process of its own; else only its MLmodel file is read.

    Raises:
        ModelError: There is no such version, or it must not or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    _require_announcement_topic(settings)
    if check:
        prepared = _prepare(settings, settings.model.name, version, why=None, check=True)
        return prepared.model_version
    models = parts.models(settings)
    registered = models.version(settings.model.name, version)
    registered.require_not_retired()
    models.look_at(registered.uri)
    return registered.version


def plan_rollback(
    settings: Settings, *, why: str | None, check: bool, instead_of: str | None = None
) -> tuple[Rollback, Announcement]:
    """Find the version that was in force before the present one, and check that it can serve.

    Args:
        settings: Of the application.
        why: For people.
        check: Load the model first, in a process of its own.
        instead_of: Only if this version is in force; None for whichever is.

    Returns:
        What it would do, and the announcement that would do it.

    Raises:
        Refused: There is nothing to go back to, its files are not those that served, or another
            version is in force than was meant.
        ModelError: The version can't be had, or must not or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    _require_announcement_topic(settings)
    entries = history.entries(settings)
    rollback = rollback_of(PlanTable.of(entries), now_ms())
    present = rollback.present.announcement.model_version
    if instead_of not in (None, present):
        raise Refused(f"version {present} is in force, not {instead_of}: nothing is rolled back")
    served = rollback.target.announcement
    announcement = _prepare(settings, served.model_name, served.model_version, why=why, check=check)
    if announcement.digest != served.digest:
        raise Refused(
            f"the files of version {served.model_version} are not those that served: they have "
            f"{announcement.digest}, those had {served.digest}. If you trust them: python -m app "
            f"announce {served.model_name} {served.model_version}"
        )
    return rollback, replace(announcement, replaces=newest_plan(entries))


def announce_prepared(settings: Settings, announcement: Announcement) -> Plan:
    """Append a plan that was prepared.

    Raises:
        Refused: It names the plan that it replaces, and another came in between.
        ModelError: The version is gone, or retired.
        BrokerUnavailable: Kafka is away.
    """
    _require_still_there(settings, announcement)
    return announcer.announce(parts.kafka(settings), settings.topics.announcements, announcement)


def void(settings: Settings, offset: int, why: str, *, even_if_last: bool, dry_run: bool) -> Voided:
    """Void the plan at `offset`; with `dry_run` only say what that would change.

    Raises:
        Refused: It can't be voided.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """

    def append(wanted: Void) -> tuple[int, int]:
        message = announcements.encode_void(wanted)
        return appending.append(parts.kafka(settings), settings.topics.announcements, *message)

    _require_announcement_topic(settings)
    return void_plan(
        lambda: history.announced(settings),
        None if dry_run else append,
        model_name=settings.model.name,
        offset=offset,
        why=why,
        even_if_last=even_if_last,
    )


def _require_still_there(settings: Settings, announcement: Announcement) -> None:
    """Return if the version was neither deleted nor retired while it was prepared."""
    models = parts.models(settings)
    models.version(announcement.model_name, announcement.model_version).require_not_retired()


def _prepare(
    settings: Settings,
    name: str,
    version: str,
    *,
    effective_from_ms: int | None = None,
    why: str | None,
    check: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> Announcement:
    def verified(folder: Path) -> None:
        verify(folder, parts.policy(settings), stopped=stopped)

    return announcer.prepare(
        parts.models(settings),
        name,
        version,
        guard_ms=settings.announcements.guard_ms,
        effective_from_ms=effective_from_ms,
        check=verified if check else None,
        why=why,
    )


def _require_announcement_topic(settings: Settings) -> None:
    access.require(settings, "registry", ("announcements", "readers"))
    specs = [s for s in parts.topic_specs(settings) if s.name == settings.topics.announcements]
    catalog.require(parts.topic_catalog(settings).findings(specs))
