"""The demo's account: every record that went in, and what came out for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from app.bootstrap import history, parts
from app.topics import dead_letters, reading, signals

if TYPE_CHECKING:
    from app.domain.plans import Plan
    from app.settings import Settings
    from app.topics.dead_letters import DeadLetter

Place = tuple[int, int]


@dataclass(slots=True)
class Account:
    """What a `read_committed` reader finds on the topics.

    Attributes:
        records: The places on the input topic.
        by_version: Signals of each model version.
        letters: Every dead letter.
        answered: How many answers each place has.
        times_ms: When each signal was appended, in Unix milliseconds, ascending.
    """

    records: set[Place] = field(default_factory=set)
    by_version: Counter[str] = field(default_factory=Counter)
    letters: list[DeadLetter] = field(default_factory=list)
    answered: Counter[Place] = field(default_factory=Counter)
    times_ms: list[int] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Records without an answer."""
        return len(self.records - set(self.answered))

    @property
    def twice(self) -> int:
        """Records with more than one answer."""
        return sum(1 for count in self.answered.values() if count > 1)

    @property
    def adds_up(self) -> bool:
        """Whether each record has exactly one answer, and each answer its record."""
        answers = self.by_version.total() + len(self.letters)
        return not self.missing and not self.twice and answers == len(self.records)

    def longest_gap_ms(self, start_ms: float, end_ms: float) -> int:
        """Return the longest time without an output between two moments."""
        window = [time for time in self.times_ms if start_ms <= time <= end_ms]
        return max((later - time for time, later in pairwise(window)), default=0)


def take(settings: Settings) -> Account:
    """Read all topics to their end."""
    client, topics = parts.kafka(settings), settings.topics
    account = Account()
    for message in reading.read(client, topics.records):
        account.records.add((message.partition, message.offset))
    for message in reading.read(client, topics.signals):
        signal = signals.decode(message.value or b"")
        account.by_version[signal.model_version] += 1
        account.answered[signal.source_partition, signal.source_offset] += 1
        account.times_ms.append(message.appended_ms)
    for message in reading.read(client, topics.dead_letters):
        letter = dead_letters.decode(message.key, message.value, message.headers)
        account.letters.append(letter)
        account.answered[letter.source_partition, letter.source_offset] += 1
    account.times_ms.sort()
    return account


def swaps(settings: Settings) -> list[Plan]:
    """Return the plans that were announced, in their order."""
    from app.domain.plans import Plan  # noqa: PLC0415

    return [entry for entry in history.announced(settings) if isinstance(entry, Plan)]
