"""What was announced."""

from app.bootstrap import parts
from app.settings import Settings
from app.topics import announcements, connection, reading
from app.topics.announcements import Entry, Ignored


def announced(settings: Settings) -> list[Entry | Ignored]:
    """Read the whole announcement topic.

    Raises:
        BrokerUnavailable: Kafka is away.
        TopicsError: The topic is missing.
    """
    connection.require_broker(settings.kafka.bootstrap_servers)
    messages = reading.read(parts.kafka(settings), settings.topics.announcements)
    return announcements.read_all(messages, settings.model.name)


def entries(settings: Settings) -> list[Entry]:
    """Read all plans and the voids that count."""
    return [entry for entry in announced(settings) if not isinstance(entry, Ignored)]
