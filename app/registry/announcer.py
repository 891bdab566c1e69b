"""The announcer: makes a version's serving plan and appends it to the announcement topic."""

import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.domain.digest import artifact_digest
from app.domain.errors import Refused
from app.domain.plans import Announcement, Plan, Staged, Unstaged
from app.registry.mlflow_models import MlflowModels
from app.topics import announcements, appending, reading


def prepare(
    models: MlflowModels,
    name: str,
    version: str,
    *,
    guard_ms: int,
    effective_from_ms: int | None = None,
    check: Callable[[Path], None] | None,
    why: str | None = None,
) -> Announcement:
    """Fetch the version's artifact, check it, and write its plan.

    Args:
        models: Where the artifact is.
        name: The registered model.
        version: Its version.
        guard_ms: Milliseconds between the append of the plan and its earliest effect.
        effective_from_ms: Unix milliseconds before which it has no effect.
        check: Raises if the model can't serve; None to take it unseen.
        why: Why it is announced, for people.

    Raises:
        ModelUnavailable: MLflow is away, or has no such version or artifact.
        PolicyRefused: The policy does not allow the version; asked whatever `check` is.
        ModelRefused: The model can't serve, or is retired.
    """
    registered = models.version(name, version)
    registered.require_not_retired()
    with tempfile.TemporaryDirectory(prefix="ds-models-") as folder:
        path = models.fetch(registered.uri, Path(folder))
        features = models.features(path)
        if check is not None:
            check(path)
        return Announcement(
            model_name=registered.name,
            model_version=registered.version,
            model_uri=registered.uri,
            digest=artifact_digest(path),
            features=features,
            guard_ms=guard_ms,
            event_id=str(uuid.uuid4()),
            run_id=registered.run_id,
            effective_from_ms=effective_from_ms,
            why=why,
        )


def announce(
    config: dict[str, Any], topic: str, announcement: Announcement, timeout_s: float = 30.0
) -> Plan:
    """Append the plan; return it with its offset and append time once all replicas have it.

    Raises:
        Refused: It names the plan that it replaces, and another came in between. It is on the
            topic, but no plan.
        BrokerUnavailable: It was not acknowledged in time. It may still have been appended:
            look at `python -m app announcements` before you announce again.
    """
    wire = announcements.encode(announcement)
    place = _append(config, topic, wire, announcement, "in force", timeout_s)
    return Plan(*place, announcement)


def stage(
    config: dict[str, Any], topic: str, announcement: Announcement, timeout_s: float = 30.0
) -> Staged:
    """Have all instances load the version of this plan, and keep it warm; as `announce`."""
    wire = announcements.encode_staged(announcement)
    place = _append(config, topic, wire, announcement, "staged", timeout_s)
    return Staged(*place, announcement)


def unstage(config: dict[str, Any], topic: str, unstaged: Unstaged) -> None:
    """Append that a version is staged no more. If it is not any more, that changes nothing.

    Raises:
        BrokerUnavailable: It was not acknowledged in time.
    """
    appending.append(config, topic, *announcements.encode_unstaged(unstaged))


def _append(
    config: dict[str, Any],
    topic: str,
    wire: announcements.Wire,
    announcement: Announcement,
    meant: str,
    timeout_s: float,
) -> tuple[int, int]:
    offset, appended_ms = appending.append(config, topic, *wire, timeout_s)
    if announcement.replaces is not None:
        messages = reading.read(config, topic)
        for entry in announcements.read_all(messages, announcement.model_name):
            if entry.offset == offset and isinstance(entry, announcements.Ignored):
                raise Refused(f"version {announcement.model_version} is not {meant}: {entry.why}")
    return offset, appended_ms
