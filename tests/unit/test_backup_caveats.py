"""What a backup can't promise is said, and nothing else."""

from app.backup import caveats, snapshot
from app.backup.snapshot import Span

RECORDS = {0: Span(8, 20), 1: Span(0, 20)}


def test_offsets_within_the_log_and_none_at_all_are_well() -> None:
    assert list(caveats.of_offsets({0: 8, 1: 20}, RECORDS, "group", "topic")) == []
    assert list(caveats.of_offsets({}, RECORDS, "group", "topic")) == []


def test_offsets_below_and_beyond_the_log_are_told_with_their_partitions() -> None:
    below, beyond = caveats.of_offsets({0: 3, 1: 21}, RECORDS, "group", "topic")
    assert (below.kind, below.count) == ("deleted_unanswered", 5)
    assert "in the partitions 0 (retention of topic)" in below.message
    assert (beyond.kind, beyond.count) == ("committed_beyond_end", 1)
    assert "beyond the end of topic, in the partitions 1" in beyond.message


def test_answers_that_are_left_out_are_no_fault_of_a_group_that_has_offsets() -> None:
    assert list(caveats.of_answers({0: 5}, 7, "group")) == []
    assert list(caveats.of_answers({}, 0, "group")) == []
    assert [caveat.count for caveat in caveats.of_answers({}, 7, "group")] == [7]


def test_only_the_weaker_guarantee_is_told() -> None:
    assert list(caveats.of_guarantee("exactly-once")) == []
    assert [c.kind for c in caveats.of_guarantee("at-least-once")] == ["at_least_once"]


class _Unreadable:
    """A message of the client with a header whose name is not UTF-8."""

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_000

    def key(self) -> bytes:
        return b"k"

    def value(self) -> None:
        return None

    def headers(self) -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_a_message_whose_headers_can_not_be_read_is_kept_without_and_counted() -> None:
    entry, readable = snapshot.entry_of(_Unreadable())
    assert (entry.offset, entry.key, entry.value, entry.headers) == (7, b"k", None, [])
    assert readable is False
    assert [caveat.count for caveat in caveats.of_headers(1, "topic")] == [1]
    assert list(caveats.of_headers(0, "topic")) == []
