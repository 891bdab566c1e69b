"""What Kafka's client and Quix Streams raise, turned into one of our errors, once."""

from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException
from quixstreams.exceptions import QuixException
from quixstreams.kafka.exceptions import BaseKafkaException, KafkaBrokerUnavailableError

from app.domain.errors import AccessDenied, BrokerUnavailable, DsModelsError, PartitionsLost
from app.topics.access import PAGE, refused

FOREIGN = (KafkaException, QuixException)

_FENCED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.PRODUCER_FENCED,
    KafkaError._FENCED,  # noqa: SLF001 - its public name, as all below
    KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
}
_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
}


def mapped(error: BaseException) -> DsModelsError:
    """Return our error for a foreign one; an error of ours inside it is found again."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, DsModelsError):
            return link
    if any(isinstance(link, KafkaBrokerUnavailableError) for link in chain):
        return BrokerUnavailable(str(error))
    causes = [cause for cause in map(_kafka_error, chain) if cause is not None]
    for cause in causes:
        if cause.code() in _FENCED or _is_replaced(cause):
            return PartitionsLost(
                f"the group has gone on without this instance ({cause.str()}); "
                "nothing of its batch was committed"
            )
    for cause in causes:
        if refused(cause) is not None:
            return AccessDenied(f"not authorized: {cause.str()} ({PAGE})")
    for cause in causes:
        if cause.code() in _AWAY:
            return BrokerUnavailable(_what_is_missed(cause))
    return DsModelsError(f"{type(error).__name__}: {error}")


def _what_is_missed(error: KafkaError) -> str:
    if error.code() == KafkaError._MSG_TIMED_OUT:  # noqa: SLF001
        return (
            "Kafka has not taken the answers in time: it is away or slow, or this instance stood "
            "still; their records are answered after a restart"
        )
    return f"Kafka does not answer: {error.str()}"


def _is_replaced(error: KafkaError) -> bool:
    """Say whether another instance of the same name has joined: the client tells it in words."""
    fatal: bool = error.code() == KafkaError._FATAL  # noqa: SLF001
    return fatal and "Static consumer fenced" in error.str()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that led to it, each once."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        link = pending.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            pending += [link.__cause__, link.__context__]


def _kafka_error(error: BaseException) -> KafkaError | None:
    if isinstance(error, BaseKafkaException):
        return error.error
    return next((a for a in error.args if isinstance(a, KafkaError)), None)
