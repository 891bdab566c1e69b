"""Making a backup: the group's offsets first, then the ends, then everything up to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException

from app.backup import caveats, manifest, snapshot
from app.backup.cluster import Cluster
from app.backup.data_files import Entry
from app.backup.manifest import Caveat, Manifest, PartitionCopy, RoleCopy
from app.backup.new_folder import new_folder
from app.backup.partition_file import PartitionFile
from app.backup.roles import RECORDS, Role
from app.backup.snapshot import Span
from app.domain.errors import BackupError, BrokerUnavailable, TopicsError
from app.topics.lag import committed_of

Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is."""

_TELL_EVERY = 5_000
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class What:
    """What is backed up.

    Attributes:
        topics: The name of each role's topic.
        group: Whose offsets are kept.
        model: The registered model that is served.
        guarantee: Of the stream.
    """

    topics: Mapping[Role, str]
    group: str
    model: str
    guarantee: str


def back_up(
    client: Mapping[str, Any], what: What, folder: Path, now: Callable[[], str], progress: Progress
) -> Manifest:
    """Write a backup into a new folder, all or nothing. The stream may run meanwhile.

    Args:
        client: Configuration of a Kafka client.
        what: Topics and group.
        folder: Must not exist.
        now: The time as text.
        progress: Called now and then.

    Raises:
        BackupError: It can't be made.
        TopicsError: A topic is missing.
        BrokerUnavailable: Kafka is away.
    """
    with new_folder(folder) as partial:
        made = _Copy(client, what, partial, progress).manifest(now())
        manifest.write(partial, made)
    return made


class _Copy:
    def __init__(
        self, client: Mapping[str, Any], what: What, folder: Path, progress: Progress
    ) -> None:
        self._client, self._what = client, what
        self._cluster = Cluster(client)
        self._folder, self._progress = folder, progress
        self._records = next(name for role, name in what.topics.items() if role.name == RECORDS)
        self._committed: dict[int, int] = {}
        self._caveats: list[Caveat] = list(caveats.of_guarantee(what.guarantee))

    def manifest(self, at: str) -> Manifest:
        """Copy everything."""
        names = list(self._what.topics.values())
        topics = self._cluster.topics(names)
        for name in names:
            if name not in topics:
                raise TopicsError(f"there is no topic {name}; `python -m app topics create`")
            if topics[name].is_half_restored:
                raise BackupError(f"{name} is half restored; `python -m app restore --again`")
        spans = self._ask({name: topic.partitions for name, topic in topics.items()})
        roles = {
            role.name: RoleCopy(name, topics[name].own_config, self._copy(role, name, spans[name]))
            for role, name in self._what.topics.items()
        }
        left_out = sum(part.left_out for role in roles.values() for part in role.partitions)
        self._caveats += caveats.of_answers(self._committed, left_out, self._what.group)
        return Manifest(
            format=manifest.FORMAT,
            version=manifest.VERSION,
            at=at,
            app_version=version("ds-models"),
            model=self._what.model,
            group=self._what.group,
            guarantee=self._what.guarantee,
            roles=roles,
            caveats=self._caveats,
        )

    def _ask(self, partitions: Mapping[str, int]) -> dict[str, dict[int, Span]]:
        """Ask for the committed offsets, and only then where each topic ends.

        An answer is in its topic before its record's offset is committed. So every answer to a
        record below a committed offset is below the ends, which are asked for later.
        """
        consumer = Consumer(
            {
                "log_level": 0,
                **self._client,
                "group.id": self._what.group,  # asked about; never joined
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",  # or the end is where a transaction is open
                "error_cb": lambda _error: None,
            }
        )
        try:
            self._committed = committed_of(
                consumer, self._records, range(partitions[self._records]), _TIMEOUT_S
            )
            return {
                name: snapshot.spans(consumer, name, partitions[name], _TIMEOUT_S)
                for name in self._what.topics.values()
            }
        except KafkaException as error:
            raise BrokerUnavailable(f"Kafka does not answer: {error.args[0].str()}") from error
        finally:
            consumer.close()

    def _still_there(self, topic: str, spans: Mapping[int, Span]) -> dict[int, Span]:
        """Ask anew where each log starts: since the ends were asked for, Kafka deletes on."""
        starts = self._cluster.starts([(topic, number) for number in spans])
        return {
            number: Span(min(starts[topic, number], span.end), span.end)
            for number, span in spans.items()
        }

    def _copy(self, role: Role, topic: str, asked: Mapping[int, Span]) -> list[PartitionCopy]:
        spans = self._still_there(topic, asked)
        if role.name == RECORDS:
            self._caveats += caveats.of_offsets(
                self._committed, spans, self._what.group, self._records
            )
        files = {number: self._file(role, number, span) for number, span in spans.items()}
        total = sum(span.end - span.start for span in spans.values())
        unreadable = 0
        try:
            messages = snapshot.read(self._client, topic, spans)
            for count, (number, entry, readable) in enumerate(messages):
                unreadable += not readable
                files[number].take(entry)
                if count % _TELL_EVERY == 0:
                    self._progress(role.name, sum(f.covered for f in files.values()), total)
            copied = [file.close() for file in files.values()]
        finally:
            for file in files.values():
                file.abandon()
        self._progress(role.name, total, total)
        self._caveats += caveats.of_headers(unreadable, topic)
        return copied

    def _file(self, role: Role, number: int, span: Span) -> PartitionFile:
        path = self._folder / f"{role.name}-{number}.gz"
        answers = role.answers
        if role.name == RECORDS:
            at = self._committed.get(number)
            return PartitionFile(
                path, number, span, is_left_out=_nothing, waits_from=at or 0, committed=at
            )
        if answers is None:
            return PartitionFile(path, number, span, is_left_out=_nothing)
        return PartitionFile(
            path, number, span, is_left_out=lambda entry: self._is_given_again(answers(entry))
        )

    def _is_given_again(self, place: tuple[str, int, int] | None) -> bool:
        if place is None or place[0] != self._records:
            return False
        return place[2] >= self._committed.get(place[1], 0)


def _nothing(_entry: Entry) -> bool:
    return False
