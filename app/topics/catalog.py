"""Our topics: made with the settings that the promises need, and checked against them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from app.domain.errors import BrokerUnavailable, TopicsError
from app.topics import access
from app.topics.connection import answers_required

LOG_APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
ROOM_FOR_RECORDS = {"max.message.bytes": "<=1048588"}
ROOM_FOR_ANSWERS = {"max.message.bytes": ">=2097152"}
"""A dead letter is its record and headers more: an answer must fit where its record did."""
NEWEST_OF_EACH_KEY = {"cleanup.policy": "compact", "segment.ms": "<=3600000"}
"""Only closed segments are compacted, and `status` reads what is left."""
ALL_KEYS_KEPT = {"cleanup.policy": "compact"}
"""The newest message of each key is never deleted."""
KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic must be.

    Attributes:
        partitions: For a new topic; an existing one may have another number, unless `exact`.
        replication: For a new topic.
        required: Settings without which a promise breaks: a value, or `<=` or `>=` and a number.
        exact: Whether the number of partitions is itself a promise.
    """

    name: str
    partitions: int
    replication: int
    required: dict[str, str]
    exact: bool = False

    @property
    def config(self) -> dict[str, str]:
        """The settings that a new topic gets."""
        return {setting: needed.lstrip("<=>") for setting, needed in self.required.items()}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an existing topic, and its remedy."""

    topic: str
    setting: str
    found: str
    needed: str
    remedy: str

    def __str__(self) -> str:
        return (
            f"{self.topic}: {self.setting} is {self.found}, must be {self.needed}. "
            f"Remedy: {self.remedy}"
        )


class TopicCatalog:
    """Makes and checks topics on one cluster."""

    def __init__(self, config: dict[str, Any], timeout_s: float = 30.0) -> None:
        self._config = config
        self._admin = AdminClient({"log_level": 0, **config})  # what matters is raised
        self._timeout_s = timeout_s

    def partition_counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic that exists.

        Raises:
            BrokerUnavailable: The cluster doesn't answer in time.
        """
        with answers_required():
            topics = self._admin.list_topics(timeout=self._timeout_s).topics
        return {name: len(topic.partitions) for name, topic in topics.items()}

    def create(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that don't exist yet; return their names.

        Safe to call twice at once: a topic that another one creates meanwhile is not ours. Returns
        once all of them can be used: a broker knows of a new topic a moment later.

        Raises:
            TopicsError: The cluster refuses a topic.
            BrokerUnavailable: It doesn't answer in time, or does not allow it.
        """
        existing = self.partition_counts()
        missing = [spec for spec in specs if spec.name not in existing]
        if not missing:
            return []
        self._require_seen(missing)
        with answers_required():
            futures = self._admin.create_topics(
                [
                    NewTopic(spec.name, spec.partitions, spec.replication, config=spec.config)
                    for spec in missing
                ],
                operation_timeout=self._timeout_s,
            )
        created, lacking = [], []
        for name, future in futures.items():
            try:
                future.result()
                created.append(name)
            except KafkaException as error:
                if access.refused(error) is not None:
                    lacking.append(access.topic("CREATE", name))
                elif error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise TopicsError(f"{name} can't be created: {error.args[0].str()}") from error
        if lacking:
            raise access.denied(lacking)
        self._wait_for({spec.name for spec in missing})
        return created

    def _wait_for(self, names: set[str]) -> None:
        deadline = time.monotonic() + self._timeout_s
        while late := names - self._usable():
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"created, but not to be seen: {', '.join(sorted(late))}")
            time.sleep(0.05)

    def _usable(self) -> set[str]:
        """Return the topics of which every partition has a leader."""
        with answers_required():
            topics = self._admin.list_topics(timeout=self._timeout_s).topics
        return {
            name
            for name, topic in topics.items()
            if topic.partitions and all(p.leader >= 0 for p in topic.partitions.values())
        }

    def findings(self, specs: Sequence[TopicSpec]) -> list[Finding]:
        """Return what is wrong with the topics; nothing if all promises hold.

        Raises:
            BrokerUnavailable: The cluster doesn't answer in time.
        """
        counts = self.partition_counts()
        self._require_seen([spec for spec in specs if spec.name not in counts])
        found = []
        present = []
        for spec in specs:
            if spec.name not in counts:
                remedy = "python -m app topics create"
                found.append(Finding(spec.name, "topic", "missing", "there", remedy))
                continue
            present.append(spec)
            if spec.exact and counts[spec.name] != spec.partitions:
                remedy = (
                    "delete the topic and create it anew, with its messages copied in order "
                    "(their append times, and so the effective times of plans, begin anew)"
                )
                found.append(
                    Finding(
                        spec.name,
                        "partitions",
                        str(counts[spec.name]),
                        str(spec.partitions),
                        remedy,
                    )
                )
        return found + self._wrong_settings(present)

    def _require_seen(self, absent: Sequence[TopicSpec]) -> None:
        """Return if topics that the list has not are not there: it leaves out what is hidden."""
        names = [spec.name for spec in absent]
        with answers_required():
            hidden = access.not_seen(self._config, names, self._timeout_s) if names else []
        if hidden:
            raise access.denied([access.topic("DESCRIBE", name) for name in hidden])

    def _wrong_settings(self, specs: Sequence[TopicSpec]) -> list[Finding]:
        if not specs:
            return []
        futures = self._admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, spec.name) for spec in specs]
        )
        actual = {}
        for resource, future in futures.items():
            with answers_required(access.topic("DESCRIBE_CONFIGS", resource.name)):
                actual[resource.name] = future.result(timeout=self._timeout_s)
        return [
            Finding(
                spec.name,
                setting,
                actual[spec.name][setting].value,
                needed,
                f"kafka-configs.sh --bootstrap-server … --alter --topic {spec.name} "
                f"--add-config {setting}={spec.config[setting]}",
            )
            for spec in specs
            for setting, needed in spec.required.items()
            if not satisfies(actual[spec.name][setting].value, needed)
        ]


def satisfies(found: str, needed: str) -> bool:
    """Say whether a setting has a value that a `TopicSpec` requires."""
    if needed.startswith("<="):
        return int(found) <= int(needed[2:])
    if needed.startswith(">="):
        return int(found) >= int(needed[2:])
    return found == needed


def require(findings: Sequence[Finding]) -> None:
    """Return if there are no findings.

    Raises:
        TopicsError: There are; the message lists each with its remedy.
    """
    if findings:
        raise TopicsError("\n".join(map(str, findings)))
