"""What Kafka must allow each role of ours, and what it does not."""

from collections.abc import Collection, Sequence

from app.bootstrap import parts
from app.domain.errors import AccessDenied, DsModelsError
from app.settings import Settings
from app.topics import permissions, redriven
from app.topics.access import Permission, allow, denied, missing
from app.topics.connection import answers_required


def needed(settings: Settings, role: str, of: Collection[str] | None = None) -> list[Permission]:
    """Return the least that a role needs, with the names that the settings have.

    Args:
        settings: Of the application.
        role: One of `app.topics.permissions.ROLES`.
        of: Only these resources, as that table calls them.
    """
    topics = settings.topics.model_dump()
    redrive = redriven.transactional_id(settings.topics.dead_letters)
    names = permissions.names_of(topics, settings.kafka.consumer_group, redrive)
    return list(permissions.permissions(role, names, of))


def require(
    settings: Settings, role: str, of: Collection[str] | None = None, timeout_s: float = 10.0
) -> None:
    """Return if Kafka allows all that a role needs of topics and groups; or of some of them.

    So that what is needed only now and then is not found to be missing only then. It says nothing
    of transactions: those are begun at once. A topic that is not there yet is passed over.

    Raises:
        AccessDenied: It does not; all that is missing is named.
        BrokerUnavailable: Kafka is away.
    """
    parts.require_broker(settings, timeout_s)
    if lacking := _missing(settings, needed(settings, role, of)):
        raise denied(lacking)


def grant(settings: Settings, principal: str, wanted: Sequence[Permission]) -> None:
    """Have Kafka allow somebody what is wanted, from any host. Takes nothing away.

    Raises:
        AccessDenied: This client may not do that.
        BrokerUnavailable: Kafka is away.
    """
    parts.require_broker(settings)
    allow(parts.kafka(settings), principal, wanted)


def explained(settings: Settings, role: str, error: AccessDenied) -> DsModelsError:
    """Return the error that names what a role was not allowed; the given one if Kafka won't say."""
    wanted = needed(settings, role)
    try:
        lacking = _missing(settings, wanted)
    except DsModelsError:
        return error
    for word, resource in (("Transactional", "transactional-id"), ("Group", "group")):
        if not lacking and f"{word} " in str(error):
            lacking = [one for one in wanted if one.resource == resource]
    return denied(lacking) if lacking else error


def _missing(settings: Settings, wanted: Sequence[Permission]) -> list[Permission]:
    with answers_required():
        return missing(parts.kafka(settings), wanted)
