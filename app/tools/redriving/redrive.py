"""Send dead letters again: look at all of them first, then write, each once for ever."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from app.domain.records import Reason
from app.tools.redriving.judge import Judge, Judged, Outcome
from app.tools.redriving.writer import Outgoing, RedriveWriter
from app.topics import redriven
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message
from app.topics.reading import Progress
from app.topics.redriven import Marks

Chosen = Iterable[tuple[Message, DeadLetter | None]]
"""What `app.tools.letters.chosen.chosen` yields."""

_AT_ONCE = 500  # letters of one transaction
_BYTES_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A letter and what becomes of it."""

    message: Message
    letter: DeadLetter | None
    judged: Judged


@dataclass(slots=True)
class Preview:
    """What would be sent.

    Attributes:
        already: How many of the matching letters were sent before.
        outcomes: Of the others.
        refused: How many of those that are still bad would be refused for each reason.
        sent: How many would be sent.
        skipped: How many would not.
        samples: The first few of each outcome.
        ends: The last offset that was looked at, by partition.
    """

    already: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refused: Counter[Reason] = field(default_factory=Counter)
    sent: int = 0
    samples: dict[Outcome, list[Sample]] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def matching(self) -> int:
        """How many letters there are."""
        return self.already + self.outcomes.total()

    @property
    def skipped(self) -> int:
        """How many can't be sent, or must not."""
        return self.outcomes.total() - self.sent


@dataclass(slots=True)
class Written:
    """What was sent.

    Attributes:
        sent: How many records were committed; fewer than were looked at if another redrive has
            sent the others meanwhile, or they are gone.
        ended: `taken_over` if another redrive began, and this one had to end; `stopped` as asked.
    """

    sent: int = 0
    ended: Literal["done", "taken_over", "stopped"] = "done"


@dataclass(frozen=True, slots=True)
class Redrive:
    """Looks at dead letters, then sends them: each once for ever.

    Attributes:
        letters_topic: Where letters are.
        records_topic: Where they are sent.
        judge: Says which.
        letters: Reads those that are chosen, each partition in its order; told on progress.
        marks: Reads which were sent before, as a `read_committed` reader.
        writer: Makes the one that writes.
    """

    letters_topic: str
    records_topic: str
    judge: Judge
    letters: Callable[[Progress], Chosen]
    marks: Callable[[], Marks]
    writer: Callable[[], RedriveWriter]

    def preview(self, samples: int, on_progress: Progress) -> Preview:
        """Look at all letters; write nothing and disturb nobody.

        Raises:
            BrokerUnavailable: Kafka is away.
        """
        seen, marks = Preview(), self.marks()
        for message, letter in self.letters(on_progress):
            seen.ends[message.partition] = message.offset
            if message in marks:
                seen.already += 1
                continue
            judged = self.judge.judge(letter)
            seen.outcomes[judged.outcome] += 1
            seen.sent += self.judge.sends(judged)
            if judged.refused is not None:
                seen.refused[judged.refused.reason] += 1
            kept = seen.samples.setdefault(judged.outcome, [])
            if len(kept) < samples:
                kept.append(Sample(message, letter, judged))
        return seen

    def write(self, seen: Preview, on_progress: Progress, stopped: Callable[[], bool]) -> Written:
        """Send what was looked at, and nothing that came later.

        First the writer takes over: whoever else redrives is fenced, and what it had not committed
        is gone. So the marks that are read then are all there are, and only we add to them: each
        transaction has records and their marks, and whoever takes over from us fences us.

        Args:
            seen: What was looked at.
            on_progress: Told how many were sent, of how many, after each transaction.
            stopped: Asked between transactions.

        Raises:
            BrokerUnavailable: Kafka is away. What was sent is marked, and the next run knows it.
            TopicsError: A topic refuses a message.
        """
        writer = self.writer()
        writer.take_over()
        written = Written()
        for part in _parts(self._due(seen, self.marks())):
            if stopped():
                written.ended = "stopped"
                break
            if not writer.write(part):
                written.ended = "taken_over"
                break
            written.sent += len(part)
            on_progress(written.sent, seen.sent)
        return written

    def _due(self, seen: Preview, marks: Marks) -> Iterator[Outgoing]:
        for message, letter in self.letters(lambda _read, _of: None):
            if message.offset > seen.ends.get(message.partition, -1) or message in marks:
                continue
            judged = self.judge.judge(letter)
            if letter is not None and self.judge.sends(judged):
                yield _outgoing(message, letter, judged)


def _outgoing(message: Message, letter: DeadLetter, judged: Judged) -> Outgoing:
    tries = letter.tries + 1
    mark_key, mark_value = redriven.encode(message, tries)
    return Outgoing(
        partition=letter.source_partition,
        key=letter.key,
        value=judged.value,
        headers=redriven.headers(message, tries),
        mark_key=mark_key,
        mark_value=mark_value,
    )


def _parts(records: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Divide them into transactions, each of so many records or bytes."""
    part: list[Outgoing] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.key or b"") + len(record.value or b"")
        if len(part) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part
