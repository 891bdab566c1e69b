"""What Kafka must allow a client: what is missing is named, whoever finds it out."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from app.domain.errors import AccessDenied, BrokerUnavailable

PAGE = "docs/kafka-security.md"
READER_GROUPS = "ds-models-"
"""The group of each client that reads without being a member begins so; Kafka wants one."""

Resource = Literal["topic", "group", "transactional-id", "cluster"]
_REFUSED: dict[int, Resource] = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional-id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}
_LOOK_S = 0.3  # how often a client is asked whether it was refused
_NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_EXCEPTION)  # or can't be


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One thing that one may do with a resource, or with all whose names begin so.

    >>> print(Permission("topic", "signals.topic", "WRITE"))
    WRITE on topic signals.topic
    >>> print(Permission("group", "ds-models-", "DESCRIBE", prefixed=True))
    DESCRIBE on group ds-models-*
    """

    resource: Resource
    name: str
    operation: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.resource} {self.name}{'*' if self.prefixed else ''}"


def topic(operation: str, name: str) -> Permission:
    """Return what one may do with one topic."""
    return Permission("topic", name, operation)


READ_AS_NOBODY = Permission("group", READER_GROUPS, "DESCRIBE", prefixed=True)
"""What every reader needs for the group that it has and is no member of."""


def refused(error: object) -> Resource | None:
    """Return on which kind of resource something was not allowed; None if that is not the error."""
    given = error.args[0] if isinstance(error, KafkaException) else error
    return _REFUSED.get(given.code()) if isinstance(given, KafkaError) else None


def denied(needed: Iterable[Permission]) -> AccessDenied:
    """Return the error that names what is missing."""
    names = ", ".join(map(str, needed))
    return AccessDenied(f"not authorized: this user needs {names} ({PAGE})")


def no_answer(
    text: str, error: KafkaException | KafkaError, *needed: Permission
) -> BrokerUnavailable:
    """Return our error for one that Kafka's client raised.

    Args:
        text: What to say if it is not that something was not allowed.
        error: What it raised.
        needed: What must be allowed for what it did; those of the resource are named.
    """
    resource = refused(error)
    if resource is None:
        return BrokerUnavailable(text)
    if not needed:
        return AccessDenied(f"not authorized: {text} ({PAGE})")
    return denied([one for one in needed if one.resource == resource] or needed)


def not_seen(config: Mapping[str, Any], topics: Iterable[str], timeout_s: float) -> list[str]:
    """Return those topics that this client may not even see, whether they are there or not.

    A list of topics leaves them out.

    Raises:
        KafkaException: Kafka does not say.
    """
    found = _allowed(_client(config), list(topics), timeout_s)
    return [name for name, operations in found.items() if operations is None]


def missing(
    config: Mapping[str, Any], needed: Iterable[Permission], timeout_s: float = 10.0
) -> list[Permission]:
    """Return what this client is not allowed, of what the broker says of itself.

    That is topics which are there, and whether a group may be asked about; of a prefix, it asks for
    one group that has it.

    Raises:
        KafkaException: Kafka does not say.
    """
    wanted = list(needed)
    of_topics = [one for one in wanted if one.resource == "topic"]
    allowed = _allowed(_client(config), list({one.name: None for one in of_topics}), timeout_s)
    lacking = [
        one
        for one in of_topics
        if one.name in allowed and not _is_among(one.operation, allowed[one.name])
    ]
    groups = [one for one in wanted if one.resource == "group"]
    return lacking + [one for one in groups if not _may_ask(config, one, timeout_s)]


def allow(
    config: Mapping[str, Any],
    principal: str,
    wanted: Iterable[Permission],
    timeout_s: float = 10.0,
) -> None:
    """Have Kafka allow somebody what is wanted, from any host; what it allows already stays.

    Raises:
        AccessDenied: This client may not do that.
        BrokerUnavailable: Kafka refuses it otherwise, has no authorizer, or is away.
    """
    client = _client(config)  # its futures end with it
    asked = client.create_acls([binding(principal, one) for one in wanted])
    for future in asked.values():
        try:
            future.result(timeout_s)
        except KafkaException as error:
            text = f"Kafka takes no ACL: {error.args[0].str()}"
            needed = Permission("cluster", "kafka-cluster", "ALTER")
            raise no_answer(text, error, needed) from error


def binding(principal: str, permission: Permission) -> AclBinding:
    """Return a permission as Kafka's client has it."""
    kind = ResourceType.BROKER if permission.resource == "cluster" else None
    return AclBinding(
        kind or ResourceType[permission.resource.upper().replace("-", "_")],
        permission.name,
        ResourcePatternType.PREFIXED if permission.prefixed else ResourcePatternType.LITERAL,
        principal,
        "*",
        AclOperation[permission.operation],
        AclPermissionType.ALLOW,
    )


def _client(config: Mapping[str, Any]) -> Any:
    return AdminClient({"log_level": 0, **config})  # what matters is raised


def _allowed(client: Any, topics: list[str], timeout_s: float) -> dict[str, set[str] | None]:
    """Return what may be done with each topic that is there; None if it may not be seen."""
    if not topics:
        return {}
    asked = client.describe_topics(
        TopicCollection(topics), include_authorized_operations=True, request_timeout=timeout_s
    )
    allowed: dict[str, set[str] | None] = {}
    for name, future in asked.items():
        try:
            found = future.result(timeout_s).authorized_operations or ()
        except KafkaException as error:
            if refused(error) is not None:
                allowed[name] = None
            elif error.args[0].code() not in _NOT_THERE:
                raise
        else:
            allowed[name] = {operation.name for operation in found}
    return allowed


def _is_among(operation: str, allowed: set[str] | None) -> bool:
    """Say whether it is allowed; of a topic that is hidden, what would show it is not."""
    if allowed is None:
        return operation not in {"READ", "WRITE", "DESCRIBE"}
    return operation in allowed


def _may_ask(config: Mapping[str, Any], group: Permission, timeout_s: float) -> bool:
    """Say whether this client may ask how far a group is.

    As a consumer: the same questions of an `AdminClient` of librdkafka 2.12.1 can end the process
    with a segmentation fault. A consumer is told as a message that it may not.
    """
    name = f"{group.name}reader" if group.prefixed else group.name
    consumer = Consumer({"log_level": 0, **config, "group.id": name, "enable.auto.commit": False})
    deadline = time.monotonic() + timeout_s
    try:
        consumer.assign([])  # else it does not poll
        while True:
            try:
                consumer.committed([TopicPartition("any", 0)], timeout=_LOOK_S)
            except KafkaException:
                told = consumer.poll(0)
                if told is not None and refused(told.error()) is not None:
                    return False
                if time.monotonic() > deadline:
                    raise
            else:
                return True
    finally:
        consumer.close()
