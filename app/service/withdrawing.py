"""Taking a version out of use, so that nobody puts it in force at the same moment."""

import time
from collections.abc import Sequence

from app.domain.errors import Refused
from app.domain.in_use import uses_of
from app.domain.plans import Entry
from app.registry.mlflow_catalog import VersionFacts
from app.service.parts import Parts

_ANNOUNCED_WITHIN_S = 1.0


def retire(parts: Parts, facts: VersionFacts, said: str, *, forced: bool = False) -> None:
    """Have a version never served again, unless it is needed.

    Whoever announces looks last for this mark, and then appends: so it is set first, and the topic
    read once such an announcement must be on it.

    Args:
        parts: Of the service.
        facts: The version.
        said: Who retires it, when and why.
        forced: Also if it is needed.

    Raises:
        Refused: It is needed; the message says for what. It is not retired, unless it was before.
        ModelUnavailable: MLflow is away.
        BrokerUnavailable: Kafka is away.
    """
    if forced:
        parts.catalog.retire(facts.name, facts.version, said)
        time.sleep(_ANNOUNCED_WITHIN_S)
        return
    _require_unused(parts, facts.name, facts.version)
    unused = False
    parts.catalog.retire(facts.name, facts.version, said)
    try:
        time.sleep(_ANNOUNCED_WITHIN_S)
        _require_unused(parts, facts.name, facts.version)
        unused = True
    finally:
        if not unused:
            parts.catalog.retire(facts.name, facts.version, facts.retired)


def _require_unused(parts: Parts, name: str, version: str) -> None:
    facts = parts.catalog.version(name, version)
    aliases = () if facts is None else facts.aliases
    uses = uses_of(version, entries_of(parts, name), round(time.time() * 1000), aliases)
    if uses:
        raise Refused(f"version {version} of {name} is needed: {'; '.join(uses)}")


def entries_of(parts: Parts, model: str) -> Sequence[Entry]:
    """Return all that counts on the topic of a model: there is none but of ours."""
    return parts.entries() if model == parts.serving.model else ()
