"""What was announced."""

from app.bootstrap import parts
from app.domain.plans import Entry, Plan, Void
from app.settings import Settings
from app.topics import announcements, reading
from app.topics.announcements import Ignored


def announced(settings: Settings) -> list[Entry | Ignored]:
    """Read the whole announcement topic.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The topic is missing.
    """
    parts.require_broker(settings)
    messages = reading.read(parts.kafka(settings), settings.topics.announcements)
    return announcements.read_all(messages, settings.model.name)


def entries(settings: Settings) -> list[Entry]:
    """Read all that counts."""
    return [entry for entry in announced(settings) if not isinstance(entry, Ignored)]


def plans_and_voids(settings: Settings) -> list[Plan | Void]:
    """Read what decides which plan is in force."""
    return [entry for entry in entries(settings) if isinstance(entry, Plan | Void)]
