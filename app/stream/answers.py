"""Answers: from prices and rejections to the messages that leave, one for each record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress, islice, repeat
from typing import Any

from app.domain.records import Reason, Rejection
from app.stream.batches import JoinedBatch, ScoredBatch
from app.topics import dead_letters, signals
from app.topics.dead_letters import DeadLetter
from app.topics.messages import headers_of
from app.topics.signals import Signal

_AT_ONCE = 2_500  # the first answers of a batch are on their way while the next are written


@dataclass(frozen=True, slots=True)
class Answers:
    """What is sent at once: answers to records of one partition, in their order.

    Attributes:
        partition: Of the records.
        signals: Messages for `produce_batch`.
        letters: Key, value and headers of each dead letter.
    """

    partition: int
    signals: list[dict[str, Any]]
    letters: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]


def answer(batch: ScoredBatch) -> Iterator[Answers]:
    """Yield one message for each record, a signal for a price, a dead letter for a rejection.

    In parts: while one is on its way, the next is written.
    """
    source = batch.joined.decoded.source
    topic, partition = source.topic, source.partition
    keys = [message.key() for message in source.messages]
    for at, key in enumerate(keys):
        if key is not None and len(key) > dead_letters.ROOM:
            why = f"a key of {len(key)} bytes does not fit into a signal"
            batch.rejected.setdefault(at, Rejection(Reason.TOO_LARGE, why))
    rows: Iterable[Any] = zip(
        batch.joined.decoded.records,
        batch.prices.tolist(),
        [message.offset() for message in source.messages],
        keys,
        _plans(batch.joined),
        strict=False,  # the plans may be endless
    )
    if batch.rejected:
        rows = compress(rows, [at not in batch.rejected for at in range(len(keys))])
    rows = iter(rows)
    while part := list(islice(rows, _AT_ONCE)):
        lines = signals.encode_lines(
            [
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
                for record, price, offset, _, (name, version, announced_at) in part
            ]
        )
        values = lines.splitlines()  # JSON has none of its own
        messages = [
            {"value": value, "key": row[3]} for value, row in zip(values, part, strict=True)
        ]
        yield Answers(partition, messages, [])
    if batch.rejected:
        yield Answers(partition, [], [_letter(batch, at) for at in sorted(batch.rejected)])


def _letter(
    batch: ScoredBatch, at: int
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]:
    source = batch.joined.decoded.source
    message = source.messages[at]
    return dead_letters.encode(
        DeadLetter(
            key=message.key(),
            value=message.value(),
            source_topic=source.topic,
            source_partition=source.partition,
            source_offset=message.offset(),
            rejection=batch.rejected[at],
            tries=dead_letters.tries_in(headers_of(message)),
        )
    )


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
