"""What `dead-letters` tells: how many of each reason, since when, and a few of them."""

import heapq
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.domain.records import Reason
from app.domain.times import instant
from app.tools.time_histogram import Bar, bars
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message
from app.topics.redriven import Marks

_SHOWN = 200  # characters of a value


@dataclass(frozen=True, slots=True)
class Sample:
    """A letter that is shown, and whether it was sent again."""

    message: Message
    letter: DeadLetter
    redriven: bool


@dataclass(slots=True)
class ReasonCount:
    """The letters of one reason.

    Attributes:
        first_ms: The earliest append time, in Unix milliseconds.
        last_ms: The latest.
        redriven: How many of `count` were sent again.
        newest: The latest few, the newest first.
    """

    reason: Reason
    first_ms: int
    last_ms: int
    count: int = 0
    redriven: int = 0
    newest: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """What a topic of dead letters holds, or the part that was chosen.

    Attributes:
        reasons: The most frequent first.
        bars: Over the whole time from the first letter to the last.
        no_letters: How many messages are none of ours.
    """

    topic: str
    reasons: list[ReasonCount]
    bars: list[Bar]
    no_letters: int

    @property
    def count(self) -> int:
        """How many letters there are."""
        return sum(one.count for one in self.reasons)

    @property
    def redriven(self) -> int:
        """How many of them were sent again."""
        return sum(one.redriven for one in self.reasons)

    def share(self, one: ReasonCount) -> float:
        """Return the share of a reason among all letters, within 0 and 1."""
        return one.count / self.count


def count(
    topic: str,
    chosen: Iterable[tuple[Message, DeadLetter | None]],
    marks: Marks,
    samples: int,
) -> LetterCounts:
    """Count letters.

    Args:
        topic: Where they are from.
        chosen: As `app.tools.letters.chosen.chosen` yields them.
        marks: Which were sent again.
        samples: The most letters to keep of each reason.
    """
    found: dict[Reason, ReasonCount] = {}
    newest: dict[Reason, list[tuple[tuple[int, int, int], Sample]]] = {}
    times = array("q")
    no_letters = 0
    for message, letter in chosen:
        if letter is None:
            no_letters += 1
            continue
        at, reason = message.appended_ms, letter.rejection.reason
        times.append(at)
        one = found.setdefault(reason, ReasonCount(reason, at, at))
        one.first_ms, one.last_ms = min(one.first_ms, at), max(one.last_ms, at)
        one.count += 1
        redriven = message in marks
        one.redriven += redriven
        heap = newest.setdefault(reason, [])
        heapq.heappush(
            heap, ((at, message.partition, message.offset), Sample(message, letter, redriven))
        )
        if len(heap) > samples:
            heapq.heappop(heap)
    for reason, heap in newest.items():
        found[reason].newest = [sample for _, sample in sorted(heap, reverse=True)]
    reasons = sorted(found.values(), key=lambda one: (-one.count, one.reason))
    return LetterCounts(topic, reasons, bars(times), no_letters)


def as_dict(counts: LetterCounts) -> dict[str, Any]:
    """Return it for programs: docs/schemas/dead-letters.json."""
    return {
        "topic": counts.topic,
        "letters": counts.count,
        "redriven": counts.redriven,
        "no_letters": counts.no_letters,
        "reasons": [
            {
                "reason": one.reason.value,
                "letters": one.count,
                "share": round(counts.share(one), 6),
                "redriven": one.redriven,
                "first": instant(one.first_ms),
                "last": instant(one.last_ms),
                "samples": [_sample(sample) for sample in one.newest],
            }
            for one in counts.reasons
        ],
        "histogram": [
            {"from": instant(bar.from_ms), "until": instant(bar.until_ms), "letters": bar.count}
            for bar in counts.bars
        ],
    }


def _sample(sample: Sample) -> dict[str, Any]:
    message, letter = sample.message, sample.letter
    return {
        "partition": message.partition,
        "offset": message.offset,
        "appended": instant(message.appended_ms),
        "source_topic": letter.source_topic,
        "source_partition": letter.source_partition,
        "source_offset": letter.source_offset,
        "message": letter.rejection.message,
        "key": start_of(letter.key),
        "value_start": start_of(letter.value),
        "value_bytes": None if letter.value is None else len(letter.value),
        "omitted": sorted(letter.omitted),
        "tries": letter.tries,
        "redriven": sample.redriven,
    }


def start_of(value: bytes | None, characters: int = _SHOWN) -> str | None:
    r"""Return the start of a value as text; bytes that are no text are escaped.

    >>> start_of(b"caf\xe9"), start_of(b"x" * 300, 3), start_of(None)
    ('caf\\xe9', 'xxx…', None)
    """
    if value is None:
        return None
    text = value[: 4 * characters].decode("utf-8", "backslashreplace")
    return text if len(text) <= characters else f"{text[:characters]}…"
