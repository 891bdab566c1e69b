"""Dead letters as they are read and chosen, by whoever counts them or sends them again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.domain.records import Reason
from app.topics import dead_letters
from app.topics.dead_letters import DeadLetter
from app.topics.messages import Message


@dataclass(frozen=True, slots=True)
class LetterSelection:
    """Which letters; None does not choose.

    Attributes:
        reasons: One of these.
        from_ms: Appended at this time or later, in Unix milliseconds.
        until_ms: Appended before this time.
        partition: Of the letter.
        offset: Of the letter, in that partition.
    """

    reasons: frozenset[Reason] | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    partition: int | None = None
    offset: int | None = None

    def takes(self, message: Message, letter: DeadLetter | None) -> bool:
        """Say whether it is one; what is no letter (None) has no reason."""
        return (
            (self.partition is None or message.partition == self.partition)
            and (self.offset is None or message.offset == self.offset)
            and (self.from_ms is None or message.appended_ms >= self.from_ms)
            and (self.until_ms is None or message.appended_ms < self.until_ms)
            and (
                self.reasons is None
                or (letter is not None and letter.rejection.reason in self.reasons)
            )
        )


def chosen(
    messages: Iterable[Message], selection: LetterSelection
) -> Iterator[tuple[Message, DeadLetter | None]]:
    """Yield the letters of a topic that are selected; None for a message that is none."""
    for message in messages:
        try:
            letter = dead_letters.decode(message.key, message.value, message.headers)
        except ValueError:
            letter = None
        if selection.takes(message, letter):
            yield message, letter
