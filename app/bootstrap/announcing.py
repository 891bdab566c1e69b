"""What announces, rolls back and voids plans."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.bootstrap import history, parts
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
    return _append(settings, announcement, newest_plan(history.announced(settings)))


def stage(
    settings: Settings,
    name: str,
    version: str,
    *,
    why: str | None,
    check: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> Staged:
    """Verify a registered version, and have all instances load it and keep it warm.

    Args:
        settings: Of the application.
        name: The registered model.
        version: Its version.
        why: For people.
        check: Load the model first, in a process of its own.
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
    named = replace(announcement, replaces=newest)
    return announcer.stage(parts.kafka(settings), settings.topics.announcements, named)


def announce_staged(settings: Settings, staged: Staged) -> Plan:
    """Put in force what was staged.

    Raises:
        Refused: A plan came since it was staged.
        BrokerUnavailable: Kafka is away.
    """
    announcement = replace(staged.announcement, event_id=str(uuid.uuid4()))
    return announcer.announce(parts.kafka(settings), settings.topics.announcements, announcement)


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


def roll_back(
    settings: Settings, *, why: str | None, check: bool, dry_run: bool
) -> tuple[Rollback, Plan | None]:
    """Announce the version that was in force before the present one.

    Args:
        settings: Of the application.
        why: For people.
        check: Load the model first, in a process of its own.
        dry_run: Do all but announce.

    Returns:
        What it does, and the new plan; None if it was not announced.

    Raises:
        Refused: There is nothing to go back to, its files are not those that served, or another
            plan came in between.
        ModelError: The version can't be had, or can't serve.
        BrokerUnavailable: Kafka is away.
        TopicsError: The announcement topic is missing or breaks a promise.
    """
    _require_announcement_topic(settings)
    entries = history.entries(settings)
    table = PlanTable.of(entries)
    rollback = rollback_of(table, round(time.time() * 1000))
    served = rollback.target.announcement
    announcement = _prepare(settings, served.model_name, served.model_version, why=why, check=check)
    if announcement.digest != served.digest:
        raise Refused(
            f"the files of version {served.model_version} are not those that served: they have "
            f"{announcement.digest}, those had {served.digest}. If you trust them: python -m app "
            f"announce {served.model_name} {served.model_version}"
        )
    if dry_run:
        return rollback, None
    return rollback, _append(settings, announcement, newest_plan(entries))


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


def _append(settings: Settings, announcement: Announcement, replaces: int) -> Plan:
    named = replace(announcement, replaces=replaces)
    return announcer.announce(parts.kafka(settings), settings.topics.announcements, named)


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
    specs = [s for s in parts.topic_specs(settings) if s.name == settings.topics.announcements]
    catalog.require(parts.topic_catalog(settings).findings(specs))
