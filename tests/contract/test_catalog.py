"""Our topics on the real broker: made once, and checked against what the promises need."""

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from app import settings
from app.bootstrap import parts
from app.domain.errors import BrokerUnavailable, TopicsError
from app.topics.catalog import Finding, TopicCatalog, TopicSpec, require
from tests.harness.world import until

KINDS = ("records", "signals", "dead_letters", "announcements", "status", "redriven")


class Cluster:
    """The real one, with topic names of the test's own."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.client = {"bootstrap.servers": bootstrap_servers}
        unique = uuid.uuid4().hex[:8]
        self.names = {kind: f"{kind}-{unique}" for kind in KINDS}
        self.settings = settings.Settings.model_validate(
            {"kafka": {"bootstrap_servers": bootstrap_servers}, "topics": self.names}
        )
        self.specs = parts.topic_specs(self.settings)
        self.catalog = TopicCatalog(self.client)
        self.admin = AdminClient(self.client)

    def create(
        self, kind: str, config: Mapping[str, str] | None = None, *, partitions: int | None = None
    ) -> None:
        """Make one of the topics as the product would, but for the changes."""
        (spec,) = [spec for spec in self.specs if spec.name == self.names[kind]]
        topic = NewTopic(
            spec.name, partitions or spec.partitions, 1, config={**spec.config, **(config or {})}
        )
        for future in self.admin.create_topics([topic], operation_timeout=30).values():
            future.result(30)
        # A broker knows of it a moment later.
        until(lambda: spec.name in self.catalog.partition_counts(), 30)

    def create_the_others(self) -> None:
        self.catalog.create(self.specs)

    def configured(self, kind: str, setting: str) -> str:
        resource = ConfigResource(ResourceType.TOPIC, self.names[kind])
        (future,) = self.admin.describe_configs([resource]).values()
        return str(future.result(30)[setting].value)

    def alter(self, topic: str, setting: str, value: str) -> None:
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        (future,) = self.admin.incremental_alter_configs([resource]).values()
        future.result(30)

    def delete(self) -> None:
        there = [n for n in self.names.values() if n in self.catalog.partition_counts()]
        for future in (self.admin.delete_topics(there) if there else {}).values():
            future.result(30)


@pytest.fixture
def cluster(bootstrap_servers: str) -> Iterator[Cluster]:
    made = Cluster(bootstrap_servers)
    yield made
    made.delete()


def one(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


# --- making them ---


def test_what_is_missing_is_made_and_keeps_every_promise(cluster: Cluster) -> None:
    assert sorted(cluster.catalog.create(cluster.specs)) == sorted(cluster.names.values())
    assert cluster.catalog.findings(cluster.specs) == []


def test_registry_status_and_redriven_get_one_partition_and_the_others_as_many_as_are_set(
    cluster: Cluster,
) -> None:
    cluster.catalog.create(cluster.specs)
    counts = cluster.catalog.partition_counts()
    assert [counts[cluster.names[kind]] for kind in KINDS] == [4, 4, 4, 1, 1, 1]


def test_making_them_again_makes_and_changes_nothing(cluster: Cluster) -> None:
    cluster.create("records", {"message.timestamp.type": "CreateTime"})
    assert cluster.names["records"] not in cluster.catalog.create(cluster.specs)
    assert cluster.catalog.create(cluster.specs) == []
    assert cluster.configured("records", "message.timestamp.type") == "CreateTime"


def test_whoever_makes_them_at_the_same_time_makes_each_once(cluster: Cluster) -> None:
    makers = 4
    together = Barrier(makers)

    def make(_number: int) -> list[str]:
        catalog = TopicCatalog(cluster.client)
        catalog.partition_counts()  # connects
        together.wait(30)
        return catalog.create(cluster.specs)

    with ThreadPoolExecutor(makers) as pool:
        made = [name for names in pool.map(make, range(makers)) for name in names]
    assert sorted(made) == sorted(cluster.names.values())


def test_a_name_that_the_cluster_refuses_is_told(cluster: Cluster) -> None:
    spec = TopicSpec("no good name", 1, 1, {})
    with pytest.raises(TopicsError, match="no good name can't be created"):
        cluster.catalog.create([spec])


def test_more_replicas_than_there_are_brokers_are_told(cluster: Cluster) -> None:
    spec = TopicSpec(cluster.names["records"], 1, 99, {})
    with pytest.raises(TopicsError, match=r"can't be created.*replication"):
        cluster.catalog.create([spec])


# --- checking them ---


@pytest.mark.parametrize(
    ("kind", "setting", "value", "needed"),
    [
        *((kind, "message.timestamp.type", "CreateTime", "LogAppendTime") for kind in KINDS),
        ("announcements", "cleanup.policy", "compact", "delete"),
        ("announcements", "cleanup.policy", "compact,delete", "delete"),
        ("announcements", "retention.ms", "604800000", "-1"),
        ("announcements", "retention.bytes", "1000000", "-1"),
        ("dead_letters", "max.message.bytes", "1048588", ">=2097152"),
        ("redriven", "cleanup.policy", "delete", "compact"),
        ("signals", "max.message.bytes", "1048588", ">=2097152"),
        ("records", "max.message.bytes", "4194304", "<=1048588"),
    ],
)
def test_a_setting_that_breaks_a_promise_is_found_and_its_remedy_works(
    cluster: Cluster, kind: str, setting: str, value: str, needed: str
) -> None:
    cluster.create(kind, {setting: value})
    cluster.create_the_others()
    finding = one(cluster.catalog.findings(cluster.specs))
    assert (finding.topic, finding.setting) == (cluster.names[kind], setting)
    assert (finding.found, finding.needed) == (value, needed)

    remedy = re.search(
        r"kafka-configs\S* .*--alter --topic (\S+) --add-config (\S+)=(\S+)$", str(finding)
    )
    assert remedy is not None
    cluster.alter(*remedy.groups())
    until(lambda: cluster.catalog.findings(cluster.specs) == [], 30, "no findings")


def test_a_registry_of_two_partitions_is_found(cluster: Cluster) -> None:
    """Plans have one order only in one partition."""
    cluster.create("announcements", partitions=2)
    cluster.create_the_others()
    finding = one(cluster.catalog.findings(cluster.specs))
    assert (finding.topic, finding.setting) == (cluster.names["announcements"], "partitions")
    assert (finding.found, finding.needed) == ("2", "1")
    assert "create it anew" in finding.remedy


@pytest.mark.parametrize("kind", ["records", "signals", "dead_letters"])
def test_another_number_of_partitions_is_no_finding_elsewhere(cluster: Cluster, kind: str) -> None:
    cluster.create(kind, partitions=7)
    cluster.create_the_others()
    assert cluster.catalog.findings(cluster.specs) == []


def test_every_missing_topic_is_found_with_the_command_that_makes_it(cluster: Cluster) -> None:
    cluster.create("records")
    findings = cluster.catalog.findings(cluster.specs)
    assert sorted(f.topic for f in findings) == sorted(
        cluster.names[kind] for kind in KINDS if kind != "records"
    )
    assert {(f.setting, f.found, f.remedy) for f in findings} == {
        ("topic", "missing", "python -m app topics create")
    }


def test_all_that_is_wrong_is_found_at_once(cluster: Cluster) -> None:
    cluster.create(
        "announcements",
        {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime"},
        partitions=2,
    )
    cluster.create("dead_letters", {"max.message.bytes": "1000"})
    cluster.create("signals")
    cluster.create("status", {"cleanup.policy": "delete"})
    cluster.create("redriven")
    found = {(f.topic, f.setting) for f in cluster.catalog.findings(cluster.specs)}
    names = cluster.names
    assert found == {
        (names["records"], "topic"),
        (names["announcements"], "partitions"),
        (names["announcements"], "cleanup.policy"),
        (names["announcements"], "message.timestamp.type"),
        (names["dead_letters"], "max.message.bytes"),
        (names["status"], "cleanup.policy"),
    }


def test_whoever_requires_them_is_told_all_findings_and_their_remedies(cluster: Cluster) -> None:
    cluster.create("announcements", {"retention.ms": "1000"})
    findings = cluster.catalog.findings(cluster.specs)
    with pytest.raises(TopicsError) as refused:
        require(findings)
    for finding in findings:
        assert f"{finding.topic}: {finding.setting} is {finding.found}" in str(refused.value)
        assert finding.remedy in str(refused.value)


def test_topics_that_keep_every_promise_are_all_that_is_required(cluster: Cluster) -> None:
    cluster.create_the_others()
    require(cluster.catalog.findings(cluster.specs))


# --- a cluster that is away ---


@pytest.mark.parametrize("ask", ["partition_counts", "create", "findings"])
def test_a_cluster_that_is_away_is_unavailable_in_time(cluster: Cluster, ask: str) -> None:
    away: dict[str, Any] = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
    catalog = TopicCatalog(away, timeout_s=1.0)
    arguments = [] if ask == "partition_counts" else [cluster.specs]
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        getattr(catalog, ask)(*arguments)
    assert time.monotonic() - started < 10
