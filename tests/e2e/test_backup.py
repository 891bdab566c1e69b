"""`backup` and `restore` on a real broker: under flow, killed, refused, and with odd logs."""

import copy
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from app.backup import data_files, manifest
from app.backup.cluster import Cluster, Place
from app.backup.making import Progress
from app.backup.manifest import Manifest
from app.backup.rewriter import Rewriter
from app.bootstrap import copying
from app.domain.errors import BackupError
from app.topics import reading, signals
from infrastructure.kafka.broker import Broker
from tests.harness.instances import ROOT, Instance
from tests.harness.world import SOON_REPLACED, World, record, until

SCHEMAS = ROOT / "docs" / "schemas"
ROLES = ("redriven", "records", "signals", "dead_letters", "announcements")
Held = tuple[int, int, int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


def run(
    world: World, *arguments: str, module: str = "app", limit: int | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    def small_files() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments],
        env={**os.environ, **world.environment, "COLUMNS": "200", **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=small_files,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def killed_after(world: World, point: str, *arguments: str) -> None:
    done = run(world, *arguments, module="tests.harness.killed_command", KILL_AFTER=point)
    assert done.returncode == -signal.SIGKILL, done.stderr


def said(done: subprocess.CompletedProcess[str], schema: str, code: int = 0) -> dict[str, Any]:
    """Return what a command printed with `--json`, which must be as its schema says."""
    assert done.returncode == code, done.stderr
    (line,) = done.stdout.splitlines()
    row: dict[str, Any] = json.loads(line)
    jsonschema.validate(row, json.loads((SCHEMAS / schema).read_text()))
    return row


def beside(world: World) -> World:
    """Return a world of new names on the same broker, of which nothing is made."""
    other, suffix = copy.copy(world), uuid.uuid4().hex[:6]
    names = [f"DS_MODELS_TOPICS__{role.upper()}" for role in (*ROLES, "status")]
    other.environment = {
        **world.environment,
        **{n: f"{world.environment[n]}-{suffix}" for n in ("KAFKA_CONSUMER_GROUP", *names)},
    }
    other._collectors = {}
    return other


def topic(world: World, role: str) -> str:
    return str(getattr(world.settings.topics, role))


def held(world: World, role: str) -> list[Held]:
    """Return all that a reader sees of a topic."""
    return sorted(
        (m.partition, m.offset, m.appended_ms, m.key, m.value, tuple(m.headers))
        for m in reading.read(world.client, topic(world, role))
    )


def log(world: World, role: str) -> list[tuple[int, int]]:
    """Return where the log of each partition starts and ends."""
    consumer = Consumer({**world.client, "group.id": "looks"})
    name = topic(world, role)
    count = len(consumer.list_topics(timeout=10).topics[name].partitions)
    found = [
        consumer.get_watermark_offsets(TopicPartition(name, number), timeout=10)
        for number in range(count)
    ]
    consumer.close()
    return found


def delete_before(world: World, partition: int, offset: int) -> None:
    Cluster(world.client).delete_before({(topic(world, "records"), partition): offset})


def exists(world: World, role: str) -> bool:
    return topic(world, role) in AdminClient(world.client).list_topics(timeout=10).topics


def versions(world: World) -> set[str]:
    """Return the versions that have answered until now."""
    found = reading.read(world.client, topic(world, "signals"))
    return {signals.decode(message.value or b"").model_version for message in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "monday"


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest, which must be as its schema says."""
    document = json.loads((folder / manifest.NAME).read_text())
    jsonschema.validate(
        document, json.loads((SCHEMAS / "files" / "backup-manifest.json").read_text())
    )
    return manifest.read(folder)


def unanswered(row: dict[str, Any]) -> int:
    """Return how many records waited, as `backup --json` says it."""
    (found,) = [one["unanswered"] for one in row["roles"] if one["role"] == "records"]
    return int(found)


def in_backup(folder: Path, role: str) -> list[Held]:
    return [
        (part.partition, m.offset, m.appended_ms, m.key, m.value, tuple(m.headers))
        for part in read_manifest(folder).roles[role].partitions
        for m in data_files.read(folder / part.file.name)
    ]


# --- under flow ---


@pytest.fixture
def flow(world: World) -> Iterator[Callable[[], int]]:
    """Send records, some of them bad, until it is called; then return how many there were."""
    done, sent = threading.Event(), [0]

    def send() -> None:
        while not done.is_set():
            world.send(record(i, interest_rate="no" if i % 41 == 0 else 4.5) for i in range(150))
            sent[0] += 150
            done.wait(0.05)

    def end() -> int:
        done.set()
        sender.join()
        return sent[0]

    sender = threading.Thread(target=send)
    sender.start()
    yield end
    end()


def test_what_was_backed_up_under_flow_goes_on_after_a_restore_without_loss(
    world: World, tmp_path: Path, folder: Path, flow: Callable[[], int]
) -> None:
    world.environment |= SOON_REPLACED
    world.announce_folder("1")
    broken = {**world.environment, "FAULT": "after_produce:20:kill"}
    with (
        Instance(broken, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log"),
    ):
        until(lambda: versions(world) == {"1"})
        world.announce_folder("2")
        until(lambda: versions(world) == {"1", "2"})
        first.wait()  # within a transaction, which stays open for some seconds
        row = said(run(world, "backup", str(folder), "--json"), "backup.json")
        history = run(world, "announcements", "--json").stdout
        world.announce_folder("3")
        total = flow()
        world.wait_for_answers(total)
    world.assert_each_answered_once()
    assert row["caveats"] == []

    other = beside(world)
    restored = said(run(other, "restore", str(folder), "--json"), "restore.json")
    assert restored["created"] == [topic(other, "status")]
    kept = read_manifest(folder)
    for role in ROLES:
        whole = kept.roles[role]
        assert log(other, role) == [(part.start, part.end) for part in whole.partitions]
        assert held(other, role) == in_backup(folder, role)
        here = [m for m in held(world, role) if m[1] < whole.partitions[m[0]].end]
        if role in {"records", "announcements"}:
            assert in_backup(folder, role) == here
        else:
            assert set(in_backup(folder, role)) <= set(here)
            assert whole.messages + sum(p.left_out for p in whole.partitions) == len(here)
    assert sum(part.gaps for part in kept.roles["signals"].partitions) > 10
    offsets = {part.partition: part.committed for part in kept.roles["records"].partitions}
    assert other.committed() == offsets

    waiting = sum(part.unanswered for part in kept.roles["records"].partitions)
    answered = kept.roles["signals"].messages + kept.roles["dead_letters"].messages
    assert len(other.answers()) == answered == kept.roles["records"].messages - waiting

    assert run(other, "announcements", "--json").stdout == history

    with (
        Instance(other.environment, tmp_path / "c.log"),
        Instance(other.environment, tmp_path / "d.log"),
    ):
        other.send(record(i) for i in range(1_000))
        count = kept.roles["records"].messages + 1_000
        other.wait_for_answers(count)
        plan = other.announce_folder("4")
        until(lambda: time.time() * 1000 > plan.effective_ms)
        other.send(record(i) for i in range(1_000))
        other.wait_for_answers(count + 1_000)
    found = other.assert_each_answered_once()
    assert {s.model_version for _, s in found.signals} == {"1", "2", "4"}


def test_a_backup_waits_for_a_transaction_that_is_open_below_the_end(
    world: World, folder: Path
) -> None:
    producer = Producer({**world.client, "transactional.id": topic(world, "records")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic(world, "records"), b"{}", partition=0)
    producer.flush(30)
    done: list[dict[str, Any]] = []
    backup = threading.Thread(
        target=lambda: done.append(said(run(world, "backup", str(folder), "--json"), "backup.json"))
    )
    backup.start()
    partial = folder.with_name("monday.partial")
    until((partial / "records-0.gz").exists)
    world.send([record(1)], partition=0)
    producer.commit_transaction(30)
    backup.join()
    assert [m[1] for m in in_backup(folder, "records")] == [0]
    assert unanswered(done[0]) == 1


def test_what_kafka_deletes_before_its_topic_is_copied_is_no_fault(
    world: World, folder: Path
) -> None:
    """Of a large topic something is always deleted meanwhile."""
    name = topic(world, "dead_letters")
    producer = Producer(world.client)
    for _ in range(3):
        producer.produce(name, b"", partition=0)
    producer.flush(30)

    def progress(role: str, done: int, total: int) -> None:
        if role == "records" and done == total:
            Cluster(world.client).delete_before({(name, 0): 2})

    copying.back_up(world.settings, folder, progress)
    part = read_manifest(folder).roles["dead_letters"].partitions[0]
    assert (part.start, part.end, part.messages) == (2, 3, 1)


def test_answers_are_left_out_from_the_committed_offset_of_their_record_on(
    world: World, tmp_path: Path, folder: Path
) -> None:
    world.announce_folder("1")
    world.send(record(i, interest_rate="no" if i % 8 == 0 else 4.5) for i in range(400))
    with Instance(world.environment, tmp_path / "once.log") as instance:
        world.wait_for_answers(400)
        assert instance.stop() == 0
    Cluster(world.client).commit(
        world.settings.kafka.consumer_group, topic(world, "records"), {0: 90, 1: 100}
    )
    row = said(run(world, "backup", str(folder), "--json"), "backup.json")
    assert {one["role"]: one["left_out"] for one in row["roles"]} == {
        "redriven": 0,
        "records": 0,
        "signals": 5,
        "dead_letters": 5,
        "announcements": 0,
    }
    assert unanswered(row) == 10
    kept = [signals.decode(m[4] or b"") for m in in_backup(folder, "signals")]
    assert max(s.source_offset for s in kept if s.source_partition == 0) == 89
    assert max(s.source_offset for s in kept if s.source_partition == 1) == 99

    other = beside(world)
    assert run(other, "restore", str(folder)).returncode == 0
    with Instance(other.environment, tmp_path / "again.log"):
        other.wait_for_answers(400)
    other.assert_each_answered_once()


# --- odd logs ---


def odd_logs(world: World) -> None:
    """Write records with gaps of all kinds, and what a message can have."""
    name = topic(world, "records")
    producer = Producer({**world.client, "transactional.id": name})
    producer.init_transactions(30)

    def transaction(partition: int, count: int, *, commit: bool = True) -> None:
        producer.begin_transaction()
        for number in range(count):
            producer.produce(
                name, b"%d" % number, b"", partition, headers=[("h", b""), ("n", None)]
            )
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    world.send([b"", None, record(1)] * 50, partition=0, key=lambda n: [None, b"", b"k"][n % 3])
    large = Producer({**world.client, "message.max.bytes": 9_000_000, "compression.type": "gzip"})
    large.produce(name, b"0" * 3_000_000, partition=0)  # more than the topic takes uncompressed
    assert large.flush(30) == 0
    for count, commit in ((1, True), (1, False), (3, True), (2, False), (1, True)):
        transaction(0, count, commit=commit)
    delete_before(world, 0, 33)
    transaction(1, 1, commit=False)  # nothing is to be seen before offset 2
    transaction(1, 4)
    world.send([record(1)], partition=1)
    transaction(2, 1)
    transaction(2, 2)
    until(lambda: log(world, "records")[2][1] == 5)
    delete_before(world, 2, 1)  # the log starts at a marker, one before its first message
    transaction(3, 2)
    until(lambda: log(world, "records")[3][1] == 3)
    delete_before(world, 3, 3)


def test_offsets_times_and_contents_are_the_same_whatever_gaps_there_are(
    world: World, folder: Path
) -> None:
    odd_logs(world)
    run(world, "backup", str(folder))
    other = beside(world)
    said(run(other, "restore", str(folder), "--json"), "restore.json")
    assert log(world, "records")[2][0] == 1
    expected = log(world, "records")
    expected[2] = (2, 5)  # the one offset that nothing can hide
    assert log(other, "records") == expected
    assert held(other, "records") == held(world, "records")
    assert len(held(other, "records")) > 120
    again = folder.with_name("again")
    run(other, "backup", str(again))
    assert in_backup(again, "records") == in_backup(folder, "records")


def test_logs_that_begin_too_late_are_refused_until_it_is_allowed(
    world: World, folder: Path
) -> None:
    odd_logs(world)
    run(world, "backup", str(folder))
    refused = run(beside(world), "restore", str(folder), "--fill-limit", "36")
    assert refused.returncode == 9
    assert "`--fill-limit 37` allows it" in refused.stderr
    allowed = run(beside(world), "restore", str(folder), "--fill-limit", "37", "--check", "--json")
    assert said(allowed, "restore.json")["restored"] is False
    assert not exists(beside(world), "records")


# --- what can't be promised ---


def kinds(row: dict[str, Any]) -> list[tuple[str, int | None]]:
    return [(caveat["kind"], caveat["count"]) for caveat in row["caveats"]]


def answered(world: World, tmp_path: Path, count: int = 400) -> None:
    """Have so many records answered."""
    world.announce_folder("1")
    world.send(record(i) for i in range(count))
    with Instance(world.environment, tmp_path / "once.log") as instance:
        world.wait_for_answers(count)
        assert instance.stop() == 0


def test_a_group_that_committed_nothing_is_told_and_its_answers_are_left_out(
    world: World, tmp_path: Path, folder: Path
) -> None:
    answered(world, tmp_path)
    done = run(world, "backup", str(folder), "--json", KAFKA_CONSUMER_GROUP="wrong")
    assert kinds(said(done, "backup.json", code=8)) == [("never_committed", 400)]
    assert in_backup(folder, "signals") == []


def test_records_that_were_deleted_unanswered_are_counted(
    world: World, tmp_path: Path, folder: Path
) -> None:
    answered(world, tmp_path)
    world.send((record(i) for i in range(30)), partition=0)
    delete_before(world, 0, 110)
    done = run(world, "backup", str(folder), "--json")
    assert kinds(said(done, "backup.json", code=8)) == [("deleted_unanswered", 10)]
    screen = run(world, "backup", str(folder.with_name("other")))
    assert "can't be promised (deleted_unanswered): Kafka had deleted up to 10" in screen.stdout


def test_the_weaker_guarantee_is_told_but_is_no_fault(world: World, folder: Path) -> None:
    done = run(world, "backup", str(folder), "--json", DS_MODELS_STREAM__GUARANTEE="at-least-once")
    assert kinds(said(done, "backup.json")) == [("at_least_once", None)]


# --- refused ---


@pytest.fixture(scope="module")
def source(bootstrap_servers: str, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Topics with answers, and with records that wait; the first records are deleted."""
    folder = tmp_path_factory.mktemp("source")
    world = World(bootstrap_servers, folder)
    answered(world, folder)
    delete_before(world, 0, 5)
    world.send(record(i) for i in range(100))
    return world


@pytest.fixture(scope="module")
def backed_up(source: World) -> Path:
    """A backup of them."""
    folder = source.folder / "monday"
    assert run(source, "backup", str(folder)).returncode == 0
    return folder


def test_a_folder_that_is_there_is_never_written(world: World, folder: Path) -> None:
    folder.mkdir(parents=True)
    refused = run(world, "backup", str(folder))
    assert refused.returncode == 9
    assert "is there already" in refused.stderr
    assert list(folder.iterdir()) == []


def test_a_topic_that_is_missing_is_named(world: World, folder: Path) -> None:
    refused = run(world, "backup", str(folder), DS_MODELS_TOPICS__SIGNALS="not-there")
    assert refused.returncode == 3
    assert "there is no topic not-there" in refused.stderr
    assert list(folder.parent.iterdir()) == []


def test_a_disk_that_takes_no_more_leaves_nothing(world: World, folder: Path) -> None:
    world.send(record(i) for i in range(20_000))
    refused = run(world, "backup", str(folder), limit=20_000)
    assert refused.returncode == 9
    assert "can't be written: File too large" in refused.stderr
    assert list(folder.parent.iterdir()) == []


def test_a_damaged_backup_is_refused_before_anything_is_made(
    source: World, tmp_path: Path, backed_up: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(backed_up, damaged)
    path = damaged / "signals-1.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    other = beside(source)
    refused = run(other, "restore", str(damaged))
    assert refused.returncode == 9
    assert "signals-1.gz has another SHA-256" in refused.stderr
    assert not exists(other, "records")


def test_topics_that_hold_something_are_refused_and_stay_as_they_are(
    source: World, backed_up: Path
) -> None:
    before = held(source, "records")
    for options in ([], ["--again"], ["--check"]):
        refused = run(source, "restore", str(backed_up), *options, KAFKA_CONSUMER_GROUP="of-nobody")
        assert refused.returncode == 9
        assert f"{topic(source, 'records')} is not empty" in refused.stderr
    assert held(source, "records") == before


def test_a_group_that_is_in_use_is_refused(source: World, tmp_path: Path, backed_up: Path) -> None:
    other = beside(source)
    other.create_topics()
    with Instance(other.environment, tmp_path / "lives.log") as instance:
        instance.wait_until_assigned()
        group = other.environment["KAFKA_CONSUMER_GROUP"]
        third = beside(source)
        refused = run(third, "restore", str(backed_up), KAFKA_CONSUMER_GROUP=group)
        assert refused.returncode == 9
        assert "has 1 live members" in refused.stderr

    third.create_topics()
    consumer = Consumer({**source.client, "group.id": third.settings.kafka.consumer_group})
    consumer.commit(offsets=[TopicPartition(topic(third, "records"), 2, 0)], asynchronous=False)
    consumer.close()
    refused = run(third, "restore", str(backed_up))
    assert refused.returncode == 9
    assert "has committed offsets" in refused.stderr


class WithoutCoordinator(Broker):
    """A broker whose groups have no coordinator until the topic of their offsets is made."""

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "offsets.topic.replication.factor": "3"}

    def make_coordinator(self) -> None:
        compacted = {"cleanup.policy": "compact"}
        Cluster(self.client_config()).create("__consumer_offsets", 4, 1, compacted)


def test_a_cluster_that_has_only_just_begun_is_waited_for(
    source: World, tmp_path: Path, backed_up: Path
) -> None:
    with WithoutCoordinator(tmp_path / "kafka", owned=True) as new:
        other = copy.copy(source)
        other.environment = {
            **source.environment,
            "KAFKA_BOOTSTRAP_SERVERS": new.bootstrap_servers,
        }
        later = threading.Timer(5, new.make_coordinator)
        later.start()
        said(run(other, "restore", str(backed_up), "--json"), "restore.json")
        later.join()


def test_topics_that_are_there_and_empty_are_taken_and_keep_their_settings(
    source: World, backed_up: Path
) -> None:
    other = beside(source)
    other.create_topics()
    configure(other, "records", {"retention.ms": "1"})
    refused = run(other, "restore", str(backed_up))
    assert refused.returncode == 9
    assert "waits for its answer" in refused.stderr
    assert log(other, "records") == [(0, 0)] * 4
    assert run(other, "restore", str(backed_up), "--yes").returncode == 0
    assert held(other, "announcements") == held(source, "announcements")
    assert config(other, "records")["retention.ms"] == "1"
    assert run(other, "topics", "check").returncode == 0


def with_setting(backed_up: Path, folder: Path, role: str, setting: str, value: str) -> Path:
    """Return a copy of a backup whose topic had one more setting."""
    shutil.copytree(backed_up, folder)
    whole = read_manifest(folder)
    whole.roles[role].config[setting] = value
    manifest.write(folder, whole)
    return folder


def test_a_setting_that_the_cluster_refuses_is_told_before_anything_is_made(
    source: World, backed_up: Path, folder: Path
) -> None:
    odd = with_setting(backed_up, folder, "signals", "remote.storage.enable", "true")
    other = beside(source)
    for options in (["--check"], []):
        refused = run(other, "restore", str(odd), *options)
        assert refused.returncode == 3
        assert "Tiered Storage" in refused.stderr
        assert not exists(other, "redriven")
    other.create_topics()
    assert run(other, "restore", str(odd)).returncode == 0
    assert held(other, "signals") == in_backup(odd, "signals")


def test_more_replicas_than_there_are_brokers_are_told_before_anything_is_made(
    source: World, backed_up: Path
) -> None:
    other = beside(source)
    other.environment["DS_MODELS_TOPICS__REPLICATION"] = "3"
    assert run(other, "restore", str(backed_up), "--check").returncode == 3
    assert not exists(other, "redriven")


@pytest.mark.parametrize("change", [{"value": b"x"}, {"key": b"x"}, {"appended_ms": 1}], ids=str)
def test_a_message_that_is_read_again_another_is_told(
    source: World, backed_up: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    def send(
        self: Rewriter, producer: Any, place: Place, entries: Sequence[data_files.Entry]
    ) -> None:
        written(self, producer, place, [msgspec.structs.replace(e, **change) for e in entries])

    written = Rewriter._send
    monkeypatch.setattr(Rewriter, "_send", send)
    other = beside(source)
    with pytest.raises(BackupError, match=r"differs at \d/\d+ from the backup"):
        restore_here(other, backed_up)
    assert run(other, "run").returncode == 3


def test_messages_that_are_missing_when_it_is_read_again_are_told(
    source: World, backed_up: Path
) -> None:
    other = beside(source)

    def progress(what: str, _done: int, _total: int) -> None:
        if what == "read again redriven":
            delete_before(other, 1, log(other, "records")[1][1])

    with pytest.raises(BackupError, match=r"has \d+ messages, the backup"):
        restore_here(other, backed_up, progress)


def restore_here(world: World, folder: Path, progress: Progress = lambda *_: None) -> None:
    """Restore within this process."""
    restorer = copying.restorer(world.settings, progress)
    restorer.restore(folder, restorer.check(folder, round(time.time() * 1000)))


def test_whoever_writes_while_it_is_read_again_is_told(source: World, backed_up: Path) -> None:
    """Those records would have times of their own choice."""
    other = beside(source)

    def progress(what: str, done: int, total: int) -> None:
        if what == "read again records" and done == total:
            other.send([record(1)])

    with pytest.raises(BackupError, match="somebody else writes there"):
        restore_here(other, backed_up, progress)
    assert run(other, "run").returncode == 3


def test_empty_topics_with_other_partitions_are_refused(source: World, backed_up: Path) -> None:
    other = beside(source)
    other.environment["DS_MODELS_TOPICS__PARTITIONS"] = "3"
    other.create_topics()
    refused = run(other, "restore", str(backed_up))
    assert refused.returncode == 9
    assert "has 3 partitions, the backup 4" in refused.stderr


def test_a_topics_own_settings_are_restored(world: World, folder: Path) -> None:
    configure(world, "records", {"retention.ms": "987654321", "max.message.bytes": "900000"})
    assert run(world, "backup", str(folder)).returncode == 0
    other = beside(world)
    assert run(other, "restore", str(folder)).returncode == 0
    assert config(other, "records") == config(world, "records")
    assert config(other, "announcements") == config(world, "announcements")
    assert run(other, "topics", "check").returncode == 0


def configure(world: World, role: str, settings: dict[str, str]) -> None:
    Cluster(world.client).configure({topic(world, role): settings})


def config(world: World, role: str) -> dict[str, str]:
    (found,) = Cluster(world.client).topics([topic(world, role)]).values()
    return found.own_config


# --- killed ---


@pytest.mark.parametrize(
    "point",
    [
        "app.backup.data_files:DataWriter._write_block:3",
        "app.backup.data_files:DataWriter.close:7",
        "app.backup.manifest:write:1",
    ],
)
def test_a_backup_that_was_killed_leaves_none_and_the_next_one_is_whole(
    world: World, folder: Path, point: str
) -> None:
    world.send(record(i) for i in range(10_000))
    killed_after(world, point, "backup", str(folder))
    assert [path.name for path in folder.parent.iterdir()] == ["monday.partial"]
    refused = run(world, "restore", str(folder))
    assert refused.returncode == 2  # there is no such folder
    assert run(world, "backup", str(folder)).returncode == 0
    assert [path.name for path in folder.parent.iterdir()] == ["monday"]
    assert in_backup(folder, "records") == held(world, "records")


@pytest.mark.parametrize(
    "point",
    [
        "app.backup.cluster:Cluster.create:7",  # the first five only check
        "app.backup.rewriter:Rewriter._do:1",
        "app.backup.rewriter:Rewriter._fill:1",
        "app.backup.rewriter:Rewriter._flush:2",  # within a transaction, which stays open
        "app.backup.cluster:Cluster.commit:1",
    ],
)
def test_a_restore_that_was_killed_is_refused_by_all_until_it_is_begun_again(
    source: World, backed_up: Path, point: str
) -> None:
    other = beside(source)
    killed_after(other, point, "restore", str(backed_up))
    assert exists(other, "records")
    serving = run(other, "run")
    assert serving.returncode == 3
    assert "message.timestamp.type is CreateTime" in serving.stderr
    refused = run(other, "restore", str(backed_up))
    assert "half restored; `--again` deletes it" in refused.stderr

    row = said(run(other, "restore", str(backed_up), "--again", "--json"), "restore.json")
    assert topic(other, "records") in row["half_restored"]
    kept = read_manifest(backed_up)
    for role in ROLES:
        assert held(other, role) == in_backup(backed_up, role)
        assert log(other, role) == [(p.start, p.end) for p in kept.roles[role].partitions]
    assert other.committed() == source.committed()
    assert run(other, "topics", "check").returncode == 0


def test_what_is_half_restored_is_not_backed_up(source: World, backed_up: Path) -> None:
    other = beside(source)
    killed_after(other, "app.backup.cluster:Cluster.commit:1", "restore", str(backed_up))
    refused = run(other, "backup", str(backed_up.with_name("of-a-half")))
    assert refused.returncode == 9
    assert "is half restored" in refused.stderr


def test_again_deletes_no_topic_that_only_has_the_wrong_timestamps(
    source: World, backed_up: Path
) -> None:
    other = beside(source)
    other.create_topics()
    configure(other, "records", {"message.timestamp.type": "CreateTime"})
    other.send([record(1)])
    refused = run(other, "restore", str(backed_up), "--again")
    assert refused.returncode == 9
    assert "is not empty" in refused.stderr
    assert len(held(other, "records")) == 1
