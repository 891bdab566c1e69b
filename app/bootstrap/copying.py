"""What makes backups and restores them."""

from pathlib import Path

from app.backup import making
from app.backup.manifest import Manifest
from app.backup.restoring import Restorer, Where
from app.backup.roles import ROLES
from app.bootstrap import access, parts
from app.bootstrap.clock import now_ms
from app.domain.times import instant
from app.settings import Settings


def back_up(settings: Settings, folder: Path, progress: making.Progress) -> Manifest:
    """Write a backup of our topics and the group's offsets into a new folder.

    Raises:
        BackupError: It can't be made.
        TopicsError: A topic is missing.
        BrokerUnavailable: Kafka is away, or does not allow all of it.
    """
    access.require(settings, "backup")
    what = making.What(
        topics={role: getattr(settings.topics, role.name) for role in ROLES},
        group=settings.kafka.consumer_group,
        model=settings.model.name,
        guarantee=settings.stream.guarantee,
    )
    return making.back_up(parts.kafka(settings), what, folder, lambda: instant(now_ms()), progress)


def restorer(settings: Settings, progress: making.Progress) -> Restorer:
    """Return what restores backups to the topics and the group of the settings.

    Raises:
        BrokerUnavailable: Kafka is away.
    """
    parts.require_broker(settings)
    specs = {spec.name: spec for spec in parts.topic_specs(settings)}
    topics = {role.name: specs[getattr(settings.topics, role.name)] for role in ROLES}
    return Restorer(parts.kafka(settings), Where(topics, settings.kafka.consumer_group), progress)
