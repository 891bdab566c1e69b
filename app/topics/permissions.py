"""The least that Kafka must allow each kind of client of ours: the one table of it.

Whoever may READ or WRITE a topic may also DESCRIBE it, and who may READ a group may DESCRIBE it;
so those are not said again. WRITE on a topic allows an idempotent producer.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from app.topics.access import READER_GROUPS, Permission, Resource

Names = Mapping[str, str]
"""What `of` stands for, as the settings have it."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a role does with one resource.

    Attributes:
        of: A topic, as `[topics]` of the settings calls it; `group`, the consumer group;
            `readers`, all groups of clients that only read; `instances`, the transactional ids
            of instances, which begin with the group and `-`; `redrive`, the one of redrives; or
            `cluster`.
    """

    resource: Resource
    of: str
    operations: tuple[str, ...]

    @property
    def prefixed(self) -> bool:
        """Whether it is of all resources whose names begin so."""
        return self.of in {"readers", "instances"}


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of client: what it is for, and what it needs."""

    purpose: str
    needs: tuple[Need, ...]


def _topic(of: str, *operations: str) -> Need:
    return Need("topic", of, operations)


TOPICS = ("records", "signals", "dead_letters", "redriven", "announcements", "status")
_READERS = Need("group", "readers", ("DESCRIBE",))

ROLES: dict[str, Role] = {
    "stream": Role(
        "an instance: `run`",
        (
            _topic("records", "READ", "DESCRIBE_CONFIGS"),
            _topic("signals", "WRITE", "DESCRIBE_CONFIGS"),
            _topic("dead_letters", "WRITE", "DESCRIBE_CONFIGS"),
            _topic("redriven", "DESCRIBE", "DESCRIBE_CONFIGS"),
            _topic("announcements", "READ", "DESCRIBE_CONFIGS"),
            _topic("status", "READ", "WRITE", "DESCRIBE_CONFIGS"),
            Need("group", "group", ("READ",)),
            _READERS,
            Need("transactional-id", "instances", ("WRITE",)),
        ),
    ),
    "registry": Role(
        "the registry service, with its reconciler; `reconcile`, `announce`, `stage`, `promote`, "
        "`rollback`, `void`, and the training script",
        (
            _topic("announcements", "READ", "WRITE", "DESCRIBE_CONFIGS"),
            _topic("status", "READ"),
            _topic("dead_letters", "READ"),
            _topic("redriven", "READ"),
            _READERS,
        ),
    ),
    "producer": Role("who sends records: `produce`", (_topic("records", "WRITE"),)),
    "observer": Role(
        "who only looks: `status`, `inspect`, `trace`, `dead-letters`, `announcements`",
        (
            *(_topic(of, "READ") for of in TOPICS),
            Need("group", "group", ("DESCRIBE",)),
            _READERS,
        ),
    ),
    "operator": Role(
        "who mends it: `redrive`, `resume`",
        (
            _topic("records", "WRITE", "DESCRIBE_CONFIGS"),
            _topic("dead_letters", "READ", "DESCRIBE_CONFIGS"),
            _topic("redriven", "READ", "WRITE", "DESCRIBE_CONFIGS"),
            _topic("status", "READ", "WRITE"),
            _READERS,
            Need("transactional-id", "redrive", ("WRITE",)),
        ),
    ),
    "backup": Role(
        "who keeps copies: `backup`",
        (
            *(_topic(of, "READ", "DESCRIBE_CONFIGS") for of in TOPICS),
            Need("group", "group", ("DESCRIBE",)),
            _READERS,
        ),
    ),
    "admin": Role(
        "who sets it up: `topics create`, `topics check`, `topics acls --apply`",
        (
            *(_topic(of, "CREATE", "DESCRIBE", "DESCRIBE_CONFIGS") for of in TOPICS),
            Need("cluster", "cluster", ("ALTER",)),
        ),
    ),
}


def permissions(role: str, names: Names, of: Collection[str] | None = None) -> Iterator[Permission]:
    """Yield all that a role needs, in the order of the table; of these resources only, if said.

    >>> print(next(permissions("producer", {"records": "treasury.data"})))
    WRITE on topic treasury.data
    """
    wanted = [need for need in ROLES[role].needs if of is None or need.of in of]
    for need in wanted:
        for operation in need.operations:
            yield Permission(need.resource, names[need.of], operation, need.prefixed)


def names_of(topics: Mapping[str, str], group: str, redrive: str) -> Names:
    """Return the names of all resources.

    Args:
        topics: By their names in the settings.
        group: The consumer group.
        redrive: The transactional id of redrives.
    """
    return {
        **{of: topics[of] for of in TOPICS},
        "group": group,
        "readers": READER_GROUPS,
        "instances": f"{group}-",
        "redrive": redrive,
        "cluster": "kafka-cluster",
    }
