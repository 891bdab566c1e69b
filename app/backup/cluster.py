"""What is asked of the cluster, and done there, besides reading and writing messages."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from app.domain.errors import BackupError, TopicsError
from app.topics.connection import answers_required
from app.topics.lag import committed_of

_COORDINATOR_STARTS = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
}
_LONGEST = "9223372036854775807"

HELD = {
    "message.timestamp.type": "CreateTime",  # times can be given; and `run` refuses the topic
    "message.timestamp.before.max.ms": _LONGEST,
    "message.timestamp.after.max.ms": _LONGEST,
    "cleanup.policy": "delete",
    "retention.ms": "-1",  # old messages stay until all is there
    "retention.bytes": "-1",
    "max.message.bytes": "104857600",
}
"""Settings of a topic while it is restored. One that has all of them is an interrupted restore."""

_T = TypeVar("_T")
Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that exists.

    Attributes:
        replication: Of its first partition.
        own_config: Its settings without the broker's defaults.
    """

    partitions: int
    replication: int
    own_config: dict[str, str]

    @property
    def is_half_restored(self) -> bool:
        """Say whether a restore was interrupted here."""
        return HELD.items() <= self.own_config.items()


class Cluster:
    """One Kafka cluster. Every method may raise BrokerUnavailable.

    Args:
        client: Configuration of a Kafka client.
        timeout_s: The longest that one question may take.
    """

    def __init__(self, client: Mapping[str, Any], timeout_s: float = 30.0) -> None:
        self._quiet = {"log_level": 0, **client, "error_cb": lambda _error: None}
        self._admin = AdminClient(self._quiet)
        self._timeout_s = timeout_s

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Return those of the topics that exist."""
        known = self._known()
        there = [name for name in names if name in known]
        with answers_required():
            configs = self._configs(ResourceType.TOPIC, there)
        return {
            name: Topic(
                len(known[name].partitions),
                len(known[name].partitions[0].replicas),
                {
                    setting: entry.value
                    for setting, entry in configs[name].items()
                    if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
                },
            )
            for name in there
        }

    def default_retention_ms(self) -> int:
        """Return how long a topic keeps messages that does not say it; -1 for ever."""
        with answers_required():
            broker = str(next(iter(self._admin.list_topics(timeout=self._timeout_s).brokers)))
            settings = self._configs(ResourceType.BROKER, [broker])[broker]
        for setting, factor in (("ms", 1), ("minutes", 60_000), ("hours", 3_600_000)):
            entry = settings.get(f"log.retention.{setting}")
            if entry is not None and entry.value is not None:
                return int(entry.value) * factor if int(entry.value) >= 0 else -1
        return 7 * 24 * 3_600_000

    def starts(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return the first offset of the log of each partition."""
        return self._offsets(places, OffsetSpec.earliest())

    def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return the end of the log of each partition, transactions or not."""
        return self._offsets(places, OffsetSpec.latest())

    def _offsets(self, places: Sequence[Place], spec: OffsetSpec) -> dict[Place, int]:
        with answers_required():
            asked = self._admin.list_offsets(
                {TopicPartition(*place): spec for place in places},
                request_timeout=self._timeout_s,
            )
            return {
                (place.topic, place.partition): future.result(self._timeout_s).offset
                for place, future in asked.items()
            }

    def create(
        self,
        name: str,
        partitions: int,
        replication: int,
        config: Mapping[str, str],
        *,
        only_check: bool = False,
    ) -> None:
        """Make a topic; return once it can be written. With `only_check` only raise as if.

        Raises:
            TopicsError: The cluster refuses it.
        """
        topic = NewTopic(name, partitions, replication, config=dict(config))
        try:
            asked = self._admin.create_topics([topic], validate_only=only_check)
            for future in asked.values():
                future.result(self._timeout_s)
        except KafkaException as error:
            raise TopicsError(f"{name} can't be created: {error.args[0].str()}") from error
        if only_check:
            return
        self.wait(lambda: self._is_usable(name), f"{name} was created, but can't be seen")

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics; return once they are gone."""
        if not names:
            return
        with answers_required():
            for future in self._admin.delete_topics(list(names)).values():
                future.result(self._timeout_s)
        self.wait(
            lambda: not self._known().keys() & set(names), f"{', '.join(names)} can't be deleted"
        )

    def configure(
        self, configs: Mapping[str, Mapping[str, str | None]], *, only_check: bool = False
    ) -> None:
        """Set settings of topics, all in one request; None takes one back to its default.

        Args:
            configs: By topic.
            only_check: Change nothing, but raise as if.

        Raises:
            TopicsError: The cluster refuses one.
        """
        if not configs:
            return
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(
                        setting,
                        value,
                        incremental_operation=AlterConfigOpType.DELETE
                        if value is None
                        else AlterConfigOpType.SET,
                    )
                    for setting, value in config.items()
                ],
            )
            for name, config in configs.items()
        ]
        try:
            asked = self._admin.incremental_alter_configs(resources, validate_only=only_check)
            for future in asked.values():
                future.result(self._timeout_s)
        except KafkaException as error:
            raise TopicsError(f"settings are refused: {error.args[0].str()}") from error

    def delete_before(self, starts: Mapping[Place, int]) -> None:
        """Delete the messages below an offset of each partition."""
        if not starts:
            return
        with answers_required():
            asked = self._admin.delete_records(
                [TopicPartition(*place, start) for place, start in starts.items()]
            )
            for future in asked.values():
                future.result(self._timeout_s)

    def members(self, group: str, topic: str) -> int:
        """Return how many live members a consumer group has, which reads the topic."""
        self.committed(group, topic, 1)  # there is a coordinator now: docs/decisions/0014
        return self._once_started(group, lambda: self._members_now(group))

    def _members_now(self, group: str) -> int:
        (future,) = self._admin.describe_consumer_groups([group]).values()
        try:
            found = future.result(self._timeout_s)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise
        return 0 if found.state == ConsumerGroupState.DEAD else len(found.members)

    def committed(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Return what the group has committed, of the partitions where it has."""
        return self._once_started(group, lambda: self._committed_now(group, topic, partitions))

    def _committed_now(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        with self._member(group) as member:
            return committed_of(member, topic, range(partitions), self._timeout_s)

    def _once_started(self, group: str, ask: Callable[[], _T]) -> _T:
        """Return what a group's coordinator answers, once it has started: in a new cluster."""

        def answer() -> tuple[_T] | None:
            with answers_required():
                try:
                    return (ask(),)
                except KafkaException as error:
                    if error.args[0].code() in _COORDINATOR_STARTS:
                        return None
                    raise

        return self.wait(answer, f"the coordinator of {group} still starts")[0]

    def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """Commit offsets of a group without members."""
        if not offsets:
            return
        with answers_required(), self._member(group) as member:
            committed_of(member, topic, [0], self._timeout_s)  # finds the group's coordinator
            places = [TopicPartition(topic, *place) for place in offsets.items()]
            for place in member.commit(offsets=places, asynchronous=False):
                if place.error is not None:
                    raise KafkaException(place.error)

    @contextmanager
    def _member(self, group: str) -> Iterator[Any]:
        # `AdminClient.list_consumer_group_offsets` of librdkafka 2.12.1 can end the process.
        consumer = Consumer({**self._quiet, "group.id": group, "enable.auto.commit": False})
        try:
            yield consumer
        finally:
            consumer.close()

    def _configs(self, kind: ResourceType, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        if not names:
            return {}
        asked = self._admin.describe_configs([ConfigResource(kind, name) for name in names])
        return {resource.name: future.result(self._timeout_s) for resource, future in asked.items()}

    def _known(self) -> dict[str, Any]:
        with answers_required():
            topics: dict[str, Any] = self._admin.list_topics(timeout=self._timeout_s).topics
        return topics

    def _is_usable(self, name: str) -> bool:
        topic = self._known().get(name)
        return topic is not None and all(p.leader >= 0 for p in topic.partitions.values())

    def wait(self, condition: Callable[[], _T | None], what: str) -> _T:
        """Poll until the condition gives neither None nor False; return what it gives.

        Raises:
            BackupError: It does not in time.
        """
        deadline = time.monotonic() + self._timeout_s
        while (found := condition()) is None or found is False:
            if time.monotonic() > deadline:
                raise BackupError(f"{what} after {self._timeout_s:.0f} s")
            time.sleep(0.05)
        return found
