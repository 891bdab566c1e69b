"""Answers: from prices and rejections to the messages that leave, one for each record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any

from app.domain.records import Reason, Rejection
from app.stream.batches import JoinedBatch, ScoredBatch
from app.topics import dead_letters, signals
from app.topics.dead_letters import DeadLetter
from app.topics.signals import Signal


@dataclass(frozen=True, slots=True)
class Answers:
    """What a flush sends.

    Attributes:
        signals: For each batch its source partition and messages for `produce_batch`, in order.
        letters: Key, value, headers and source partition of each dead letter; in input order.
    """

    signals: list[tuple[int, list[dict[str, Any]]]]
    letters: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]]


def answer(batches: Iterable[ScoredBatch]) -> Answers:
    """Make one message for each record: a signal for a price, a dead letter for a rejection."""
    answers = Answers([], [])
    for batch in batches:
        source = batch.joined.decoded.source
        topic, partition = source.topic, source.partition
        offsets = [message.offset() for message in source.messages]
        keys = [message.key() for message in source.messages]
        for at, key in enumerate(keys):
            if key is not None and len(key) > dead_letters.ROOM:
                why = f"a key of {len(key)} bytes does not fit into a signal"
                batch.rejected.setdefault(at, Rejection(Reason.TOO_LARGE, why))
        rows: Iterable[Any] = zip(
            batch.joined.decoded.records,
            batch.prices.tolist(),
            offsets,
            keys,
            _plans(batch.joined),
            strict=False,  # the plans may be endless
        )
        if batch.rejected:
            rows = compress(rows, [at not in batch.rejected for at in range(len(offsets))])
        messages = [
            {
                "value": signals.encode(
                    Signal(
                        record.id or f"{topic}/{partition}/{offset}",
                        record.month,
                        price,
                        name,
                        version,
                        announced_at,
                        topic,
                        partition,
                        offset,
                    )
                ),
                "key": key,
            }
            for record, price, offset, key, (name, version, announced_at) in rows
        ]
        answers.signals.append((partition, messages))
        for at in sorted(batch.rejected):
            letter = DeadLetter(
                key=keys[at],
                value=source.messages[at].value(),
                source_topic=topic,
                source_partition=partition,
                source_offset=offsets[at],
                rejection=batch.rejected[at],
            )
            answers.letters.append((*dead_letters.encode(letter), partition))
    return answers


def _plans(batch: JoinedBatch) -> Iterator[tuple[str, str, int]]:
    """Name, version and announcement offset for each record, in input order."""
    served = [
        ((p.announcement.model_name, p.announcement.model_version, p.offset), indices)
        for p, indices in batch.segments
    ]
    if len(served) == 1:
        return repeat(served[0][0])
    at: list[tuple[str, str, int]] = [("", "", -1)] * len(batch.decoded.records)
    for plan, indices in served:
        for index in indices.tolist():
            at[index] = plan
    return iter(at)
