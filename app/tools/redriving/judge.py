"""What becomes of a dead letter that is to be sent again: sent, or skipped for a reason."""

import enum
from dataclasses import dataclass

from app.domain.records import Rejection
from app.tools.redriving.json_edits import Edits, NotEditable
from app.topics.dead_letters import DeadLetter
from app.topics.records import RecordDecoder

LONGEST = 1_048_000
"""Bytes of key and value together that a topic of records takes, with the headers."""


class Outcome(enum.StrEnum):
    """What becomes of a letter."""

    VALID = "valid"  # it is sent, and our decoder takes it
    STILL_BAD = "still_bad"  # our decoder would refuse it again
    NOT_EDITABLE = "not_editable"  # the edits can't be made
    TRIES_SPENT = "tries_spent"  # it was sent too often already
    OMITTED = "omitted"  # a part of it was left out, being too long
    TOO_LONG = "too_long"  # its topic would not take it
    OTHER_TOPIC = "other_topic"  # it is from another topic than ours
    NO_LETTER = "no_letter"  # the message is no dead letter


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of a letter, and why.

    Attributes:
        value: What would be sent; None too where nothing can be.
        refused: Why our decoder would refuse it again.
        why: One sentence for a person; empty for a valid one.
    """

    outcome: Outcome
    value: bytes | None = None
    refused: Rejection | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """Says what becomes of a letter.

    Attributes:
        edits: Made to each value.
        decoder: That of the stream.
        source_topic: The topic that letters must come from.
        max_tries: A record that was redriven as often is not sent any more.
        even_if_bad: Send what would be refused again.
    """

    edits: Edits
    decoder: RecordDecoder
    source_topic: str
    max_tries: int = 3
    even_if_bad: bool = False

    def judge(self, letter: DeadLetter | None) -> Judged:
        """Never raises."""
        if letter is None:
            return Judged(Outcome.NO_LETTER, why="the message is no dead letter")
        if letter.source_topic != self.source_topic:
            return Judged(Outcome.OTHER_TOPIC, why=f"it is from {letter.source_topic}")
        if letter.omitted:
            parts = " and ".join(sorted(letter.omitted))
            return Judged(Outcome.OMITTED, why=f"its {parts} was left out of the letter")
        if letter.tries >= self.max_tries:
            return Judged(Outcome.TRIES_SPENT, why=f"it was redriven {letter.tries} times")
        value = letter.value
        if self.edits:
            edited = self.edits.apply(value)
            if isinstance(edited, NotEditable):
                return Judged(Outcome.NOT_EDITABLE, why=edited.why)
            value = edited
        length = len(letter.key or b"") + len(value or b"")
        if length > LONGEST:
            return Judged(Outcome.TOO_LONG, why=f"{length} bytes are more than {LONGEST}")
        refused = self.decoder.decode(value)
        if isinstance(refused, Rejection):
            why = f"{refused.reason.value}: {refused.message}"
            return Judged(Outcome.STILL_BAD, value, refused, why)
        return Judged(Outcome.VALID, value)

    def sends(self, judged: Judged) -> bool:
        """Say whether it is sent."""
        return judged.outcome is Outcome.VALID or (
            self.even_if_bad and judged.outcome is Outcome.STILL_BAD
        )
