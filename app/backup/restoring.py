"""Restoring a backup: checked, written at the same offsets and times, read again, released."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from app.backup import data_files, manifest, snapshot
from app.backup.cluster import HELD, Cluster, Place, Topic
from app.backup.making import Progress
from app.backup.manifest import Manifest, RoleCopy
from app.backup.rewriter import Rewriter
from app.backup.roles import RECORDS
from app.backup.snapshot import Span
from app.backup.steps import steps
from app.domain.errors import BackupError, DsModelsError
from app.topics.catalog import TopicSpec, satisfies

_AGAIN = "`restore --again` deletes what was restored, and begins anew"
_OF_BROKERS = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")


@dataclass(frozen=True, slots=True)
class Where:
    """What a backup is restored to.

    Attributes:
        topics: What the topic of each role must be; its name may be another than in the backup.
        group: Gets the committed offsets.
    """

    topics: Mapping[str, TopicSpec]
    group: str


@dataclass(frozen=True, slots=True)
class Restorable:
    """A backup that was found whole and can be restored.

    Attributes:
        manifest: Of the backup.
        where: What it is restored to.
        half_restored: Topics that an interrupted restore has left, which are deleted first.
        taken_over: Topics that are there and empty, by role.
        configs: The settings that each topic has at the end, by role.
        expired_ms: The append time of the oldest record that waits for an answer, if it is older
            than its topic keeps messages; else None.
    """

    manifest: Manifest
    where: Where
    half_restored: tuple[str, ...]
    taken_over: Mapping[str, Topic]
    configs: Mapping[str, Mapping[str, str]]
    expired_ms: int | None

    @property
    def committed(self) -> dict[int, int]:
        """The offsets of the group, by partition."""
        parts = self.manifest.roles[RECORDS].partitions
        return {p.partition: p.committed for p in parts if p.committed is not None}

    def require_kept(self) -> None:
        """Return if Kafka keeps the records until they can be answered.

        Raises:
            BackupError: It may delete some of them before.
        """
        if self.expired_ms is None:
            return
        oldest = datetime.fromtimestamp(self.expired_ms / 1000, UTC).isoformat(timespec="seconds")
        name = self.where.topics[RECORDS].name
        raise BackupError(
            f"a record of {oldest} waits for its answer, and {name} does not keep messages for so "
            "long: Kafka may delete it minutes after the restore. Make the topic first, with a "
            "longer retention.ms (`python -m app topics create`, kafka-configs.sh); or say `--yes` "
            "and start the instances at once"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        summary = manifest.as_dict(self.manifest)
        kept = ("role", "partitions", "messages", "unanswered")
        return {
            "at": summary["at"],
            "group": self.where.group,
            "roles": [
                {name: role[name] for name in kept}
                | {"topic": self.where.topics[role["role"]].name, "backed_up_from": role["topic"]}
                for role in summary["roles"]
            ],
            "committed": [
                {"partition": number, "offset": offset} for number, offset in self.committed.items()
            ],
            "half_restored": list(self.half_restored),
            "caveats": summary["caveats"],
        }


class Restorer:
    """Restores backups to one cluster. Every method may raise BrokerUnavailable.

    Args:
        client: Configuration of a Kafka client.
        where: Topics and group.
        progress: Called now and then.
    """

    def __init__(self, client: Mapping[str, Any], where: Where, progress: Progress) -> None:
        self._client, self._where, self._progress = client, where, progress
        self._cluster = Cluster(client)

    def check(
        self, folder: Path, now_ms: int, *, again: bool = False, most_filled: int = 100_000_000
    ) -> Restorable:
        """Look whether the backup is whole and this cluster has room for it. Changes nothing.

        Args:
            folder: Of the backup.
            now_ms: The time, in Unix milliseconds.
            again: What an interrupted restore has left does not stand in the way.
            most_filled: The most empty messages that may be written to begin where logs began.

        Raises:
            BackupError: It is damaged, or can't be restored here; the message says why.
            TopicsError: The cluster refuses a topic, or one of its settings.
        """
        whole = manifest.read(folder)
        unknown = whole.roles.keys() - self._where.topics.keys()
        if unknown or RECORDS not in whole.roles:
            raise BackupError(
                f"{folder} has the roles {', '.join(whole.roles)}; this version of ds-models knows "
                f"{', '.join(self._where.topics)}, and needs {RECORDS}"
            )
        _require_few_filled(whole, most_filled)
        self._verify(folder, whole)
        names = {role: self._where.topics[role].name for role in whole.roles}
        there = self._cluster.topics(list(names.values()))
        half = tuple(name for name, topic in there.items() if topic.is_half_restored)
        if half and not again:
            raise BackupError(
                f"{', '.join(half)}: half restored; `--again` deletes it and begins anew"
            )
        taken_over = {
            role: self._require_empty(name, there[name], len(whole.roles[role].partitions))
            for role, name in names.items()
            if name in there and name not in half
        }
        self._require_free_group(names[RECORDS], whole.roles[RECORDS], half)
        configs = {
            role: _config(self._where.topics[role], copy, taken_over.get(role))
            for role, copy in whole.roles.items()
        }
        self._require_taken(whole, configs, there)
        return Restorable(
            whole,
            self._where,
            half,
            taken_over,
            configs,
            self._expired(whole.roles[RECORDS], configs[RECORDS], now_ms),
        )

    def restore(self, folder: Path, found: Restorable) -> None:
        """Restore what `check` found restorable.

        Raises:
            BackupError: It was interrupted. Until its end no instance runs on these topics.
        """
        try:
            self._restore(folder, found)
        except KafkaException as error:
            raise BackupError(f"interrupted: {error.args[0].str()}. {_AGAIN}") from error
        except ValueError as error:  # of offsets
            raise BackupError(f"the backup contradicts itself: {error}. {_AGAIN}") from error
        except DsModelsError as error:
            raise type(error)(f"{str(error).rstrip('.')}. {_AGAIN}") from error

    def _restore(self, folder: Path, found: Restorable) -> None:
        copies, specs = found.manifest.roles, self._where.topics
        records = specs[RECORDS].name
        # It ends transactions of an interrupted restore: before their topics are made anew.
        rewriter = Rewriter(self._client, self._cluster, f"ds-models-restore-{records}")
        # Where settings are changed, a broker goes by the old ones for a moment more, and stamps
        # messages with its own time: so topics that are there and empty are made anew too.
        self._cluster.delete(
            [*found.half_restored, *(specs[role].name for role in found.taken_over)]
        )
        if records in found.half_restored:
            self._cluster.wait(
                lambda: not self._committed(records, copies[RECORDS]),
                f"the offsets of the deleted {records} are still there",
            )
        for role, copy in copies.items():
            topic = found.taken_over.get(role)
            replication = specs[role].replication if topic is None else topic.replication
            self._cluster.create(specs[role].name, len(copy.partitions), replication, HELD)
        self._write(folder, found.manifest, rewriter)
        for role, copy in copies.items():
            self._read_again(folder, role, copy)
        rewriter.require_ends()
        self._cluster.commit(self._where.group, records, found.committed)
        if self._committed(records, copies[RECORDS]) != found.committed:
            raise BackupError(f"{self._where.group} has other offsets than were committed")
        self._cluster.configure(
            {specs[role].name: _released(config) for role, config in found.configs.items()}
        )

    def _write(self, folder: Path, whole: Manifest, rewriter: Rewriter) -> None:
        totals = {
            role: sum(part.end for part in copy.partitions) for role, copy in whole.roles.items()
        }
        done = dict.fromkeys(totals, 0)
        roles: dict[str, str] = {}
        plans = {}
        for role, copy in whole.roles.items():
            name = self._where.topics[role].name
            roles[name] = role
            for part in copy.partitions:
                entries = data_files.read(folder / part.file.name)
                plans[name, part.partition] = steps(entries, part.start, part.end)

        def progress(place: Place, offsets: int) -> None:
            role = roles[place[0]]
            done[role] += offsets
            self._progress(f"write {role}", done[role], totals[role])

        rewriter.write(plans, progress)

    def _read_again(self, folder: Path, role: str, copy: RoleCopy) -> None:
        """Compare what a reader sees now with the files."""
        name, done = self._where.topics[role].name, 0
        kept = {
            part.partition: data_files.read(folder / part.file.name) for part in copy.partitions
        }
        starts = self._cluster.starts([(name, number) for number in kept])
        spans = {
            part.partition: Span(starts[name, part.partition], part.end) for part in copy.partitions
        }
        for number, entry, _ in snapshot.read(self._client, name, spans):
            if next(kept[number], None) != entry:
                raise BackupError(f"{name} differs at {number}/{entry.offset} from the backup")
            done += 1
            if done % 5_000 == 0:
                self._progress(f"read again {role}", done, copy.messages)
        if done != copy.messages:
            raise BackupError(f"{name} has {done} messages, the backup {copy.messages}")
        self._progress(f"read again {role}", done, copy.messages)

    def _verify(self, folder: Path, whole: Manifest) -> None:
        total, done = sum(file.bytes for file in manifest.files(whole)), 0
        for file in manifest.files(whole):
            data_files.verify(folder, file)
            done += file.bytes
            self._progress("verify files", done, total)

    def _require_empty(self, name: str, topic: Topic, partitions: int) -> Topic:
        ends = self._cluster.ends([(name, number) for number in range(topic.partitions)])
        if any(ends.values()):
            raise BackupError(
                f"{name} is not empty. A backup is restored to new topics: set other names in "
                "[topics], or delete it"
            )
        if topic.partitions != partitions:
            raise BackupError(
                f"{name} has {topic.partitions} partitions, the backup {partitions}; it is empty: "
                "delete it"
            )
        return topic

    def _require_taken(
        self,
        whole: Manifest,
        configs: Mapping[str, Mapping[str, str]],
        there: Mapping[str, Topic],
    ) -> None:
        for role, copy in whole.roles.items():
            spec, config = self._where.topics[role], configs[role]
            if spec.name in there:
                self._cluster.configure({spec.name: _released(config)}, only_check=True)
            else:
                self._cluster.create(
                    spec.name, len(copy.partitions), spec.replication, config, only_check=True
                )

    def _require_free_group(self, records: str, copy: RoleCopy, half: tuple[str, ...]) -> None:
        group = self._where.group
        if members := self._cluster.members(group, records):
            raise BackupError(
                f"{group} has {members} live members; stop the instances, or set another "
                "kafka.consumer_group"
            )
        if records not in half and self._committed(records, copy):
            raise BackupError(
                f"{group} has committed offsets of {records} already; set another "
                "kafka.consumer_group, or delete its offsets (kafka-consumer-groups.sh)"
            )

    def _committed(self, records: str, copy: RoleCopy) -> dict[int, int]:
        return self._cluster.committed(self._where.group, records, len(copy.partitions))

    def _expired(self, copy: RoleCopy, config: Mapping[str, str], now_ms: int) -> int | None:
        waiting = [
            part.oldest_unanswered_ms
            for part in copy.partitions
            if part.oldest_unanswered_ms is not None
        ]
        kept_ms = int(config.get("retention.ms", self._cluster.default_retention_ms()))
        oldest_ms = min(waiting, default=now_ms)
        return oldest_ms if 0 <= kept_ms < now_ms - oldest_ms else None


def _require_few_filled(whole: Manifest, most: int) -> None:
    filled = sum(part.start for copy in whole.roles.values() for part in copy.partitions)
    if filled > most:
        raise BackupError(
            f"the logs do not begin at 0: {filled:,} empty messages would have to be written and "
            "deleted, so that offsets stay the same (about half a million a second). "
            f"`--fill-limit {filled}` allows it"
        )


def _released(config: Mapping[str, str]) -> dict[str, str | None]:
    """Return what makes the settings of a held topic these."""
    return {**dict.fromkeys(HELD), **config}


def _config(spec: TopicSpec, copy: RoleCopy, taken_over: Topic | None) -> dict[str, str]:
    """Return a topic's settings: its own if it is there, else the backup's; ours where we need."""
    config = {**spec.config, **(taken_over.own_config if taken_over else copy.config)}
    for setting, needed in spec.required.items():
        if not satisfies(config[setting], needed):
            config[setting] = spec.config[setting]
    return {setting: value for setting, value in config.items() if setting not in _OF_BROKERS}
