"""What a backup can't promise, from what was asked before it was copied."""

from collections.abc import Iterator, Mapping

from app.backup.manifest import Caveat
from app.backup.snapshot import Span


def of_offsets(
    committed: Mapping[int, int], records: Mapping[int, Span], group: str, topic: str
) -> Iterator[Caveat]:
    """Yield what the group's offsets and the log of the records don't fit in.

    >>> log = {0: Span(8, 9), 1: Span(9, 9)}
    >>> [caveat.count for caveat in of_offsets({0: 5, 1: 9}, log, "group", "topic")]
    [3]
    """
    deleted = {
        number: span.start - committed[number]
        for number, span in records.items()
        if committed.get(number, span.start) < span.start
    }
    if deleted:
        count = sum(deleted.values())
        yield Caveat(
            "deleted_unanswered",
            f"Kafka had deleted up to {count:,} records before they were answered, in the "
            f"partitions {', '.join(map(str, deleted))} (retention of {topic})",
            count,
        )
    beyond = [number for number, offset in committed.items() if offset > records[number].end]
    if beyond:
        yield Caveat(
            "committed_beyond_end",
            f"{group} has committed offsets beyond the end of {topic}, in the partitions "
            f"{', '.join(map(str, beyond))}: the topic was made anew since, and answers that "
            "belong to the old one can't be told from others",
            len(beyond),
        )


def of_guarantee(guarantee: str) -> Iterator[Caveat]:
    """Yield what a guarantee leaves open."""
    if guarantee != "exactly-once":
        yield Caveat(
            "at_least_once",
            f"the guarantee is {guarantee}: records may have been answered twice before the backup",
        )


def of_answers(committed: Mapping[int, int], left_out: int, group: str) -> Iterator[Caveat]:
    """Yield what it means that answers were left out."""
    if left_out and not committed:
        yield Caveat(
            "never_committed",
            f"{group} has committed nothing, so {left_out:,} answers are left out and would be "
            "given again: is kafka.consumer_group the right one, or have its offsets expired "
            "(offsets.retention.minutes)?",
            left_out,
        )


def of_headers(unreadable: int, topic: str) -> Iterator[Caveat]:
    """Yield that headers were lost."""
    if unreadable:
        yield Caveat(
            "headers_unreadable",
            f"{unreadable:,} messages of {topic} have a header whose name is not UTF-8; they are "
            "kept without their headers",
            unreadable,
        )
