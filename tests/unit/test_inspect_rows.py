import base64
import io
import json
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from rich.console import Console

from app.domain.errors import BrokerUnavailable
from app.domain.plans import Announcement
from app.domain.records import Reason, Rejection
from app.tools.inspecting import rows, tables
from app.tools.inspecting.rows import Row
from app.topics import announcements, dead_letters, reading, resumes, signals, status
from app.topics.messages import Message
from app.topics.records import RecordDecoder

KNOWN = rows.decoders(
    records="records",
    signals="signals",
    dead_letters="letters",
    announcements="plans",
    status="status",
    record_decoder=RecordDecoder(),
    model_name="price",
)
SIGNAL = signals.Signal("a-1", "2024-01", 99.5, "price", "3", 4, "records", 2, 17)
RECORD = (
    b'{"id":"a-1","month":"2024-01","treasury_print_volume":500,"interest_rate":4.5,'
    b'"inflation_rate":2,"previous_month_price":100}'
)


def message(topic: str, value: bytes | None, **other: Any) -> Message:
    given: dict[str, Any] = {"partition": 0, "offset": 7, "appended_ms": 1_700_000_000_123}
    return Message(topic=topic, value=value, **{"key": b"k", **given, **other})


def row(topic: str, value: bytes | None, **other: Any) -> Row:
    return rows.row_of(message(topic, value, **other), KNOWN)


def announced(event_id: str = "e1", model: str = "price") -> tuple[bytes, bytes, Any]:
    digest = "sha256:" + "0" * 64
    return announcements.encode(
        Announcement(model, "3", f"models:/{model}/3", digest, ("x",), 1_000, event_id)
    )


def test_a_signal_is_shown_with_all_its_fields() -> None:
    shown = row("signals", msgspec.json.encode(SIGNAL))
    assert shown.kind == "signal"
    assert shown.fields["predicted_price"] == 99.5
    assert shown.fields["source_offset"] == 17


def test_a_record_is_shown_with_its_features() -> None:
    shown = row("records", RECORD)
    assert (shown.kind, shown.fields["interest_rate"], shown.fields["id"]) == ("record", 4.5, "a-1")


def test_a_bad_record_is_shown_with_what_the_stream_would_say_of_it() -> None:
    shown = row("records", b"[1]")
    assert (shown.fields["rejected"], shown.fields["value"]) == ("not_an_object", b"[1]")


def test_a_dead_letter_is_shown_with_its_reason_and_original_bytes() -> None:
    letter = dead_letters.DeadLetter(
        b"k", b"\xff", "records", 1, 8, Rejection(Reason.WRONG_ENCODING, "byte 0 is not UTF-8")
    )
    shown = row("letters", b"\xff", headers=tuple(dead_letters.headers(letter)))
    assert shown.kind == "dead letter"
    assert shown.fields["reason"] == "wrong_encoding"
    assert shown.fields["value"] == b"\xff"
    assert shown.fields["source_offset"] == 8


def test_an_announcement_is_shown_with_the_time_of_its_effect() -> None:
    key, value, headers = announced()
    shown = row("plans", value, key=key, headers=tuple(headers))
    assert shown.kind == "announcement"
    assert shown.fields["model_version"] == "3"
    assert shown.fields["effective"] == "2023-11-14T22:13:21.123Z"


def test_an_announcement_of_another_model_is_shown_as_ignored() -> None:
    key, value, headers = announced(model="other")
    shown = row("plans", value, key=key, headers=tuple(headers))
    assert (shown.kind, shown.fields["ignored"]) == ("announcement", "foreign")


def test_an_announcement_that_repeats_another_is_shown_as_a_duplicate() -> None:
    key, value, headers = announced("twice")
    first = row("plans", value, key=key, headers=tuple(headers), offset=1)
    second = row("plans", value, key=key, headers=tuple(headers), offset=2)
    assert "ignored" not in first.fields
    assert second.fields["ignored"] == "duplicate"


@pytest.mark.parametrize("topic", ["signals", "letters", "unknown"])
@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"{}", b'{"id": "\\ud800"}'])
def test_what_is_not_what_its_topic_promises_is_shown_raw(topic: str, value: bytes | None) -> None:
    shown = row(topic, value)
    assert (shown.kind, shown.fields["value"]) == ("raw", value)


@pytest.mark.parametrize("topic", ["records", "signals", "letters", "plans", "status", "unknown"])
@pytest.mark.parametrize("value", [None, b"", b"\xff", b"\x1b[2J", b"NaN", b"[" * 5_000])
def test_every_message_can_be_written_as_one_line_of_json(topic: str, value: bytes | None) -> None:
    headers = (("h", b"\xff"), ("empty", None))
    line = tables.json_line(row(topic, value, key=b"\xfe", headers=headers))
    assert b"\n" not in line
    assert json.loads(line)["topic"] == topic


def test_json_says_where_the_message_stands() -> None:
    written = json.loads(tables.json_line(row("signals", msgspec.json.encode(SIGNAL))))
    assert (written["partition"], written["offset"], written["key"]) == (0, 7, "k")
    assert written["appended"] == "2023-11-14T22:13:20.123Z"


def test_a_number_that_no_offset_can_have_is_written_all_the_same() -> None:
    value = msgspec.json.encode(msgspec.structs.replace(SIGNAL, source_offset=10**30))
    assert json.loads(tables.json_line(row("signals", value)))["source_offset"] == 10**30


def test_places_and_times_are_not_broken_in_a_table_that_is_too_narrow() -> None:
    shown = row("signals", msgspec.json.encode(SIGNAL), partition=12, offset=1_234_567)
    drawn = rendered(tables.table([shown]), width=100)
    assert "12/1234567" in drawn
    assert "2023-11-14T22:13:20.123Z" in drawn


def test_bytes_that_are_no_text_are_written_in_base64_with_a_mark() -> None:
    written = json.loads(tables.json_line(row("unknown", b"\x00\xff")))
    assert written["value_encoding"] == "base64"
    assert base64.b64decode(written["value"]) == b"\x00\xff"


def test_bytes_that_are_text_are_written_as_they_are() -> None:
    written = json.loads(tables.json_line(row("unknown", "žluť".encode())))
    assert written["value"] == "žluť"
    assert "value_encoding" not in written


def test_a_table_has_a_line_for_each_row_and_a_column_for_each_field() -> None:
    whole = tables.table([row("signals", msgspec.json.encode(SIGNAL))] * 3, "signals")
    assert whole.row_count == 3
    assert "predicted price" in [column.header for column in whole.columns]
    assert "records/2/17" in rendered(whole)


@pytest.mark.parametrize("value", [b"\x1b[31mred", b"\x9b31m", "\x9b31m".encode(), b"a\rb"])
def test_control_characters_of_a_message_do_not_reach_the_terminal(value: bytes) -> None:
    bad = row("unknown", value, key=value)
    for drawn in (tables.table([bad]), tables.line(bad)):
        assert not {"\x1b", "\x9b", "\r"} & set(rendered(drawn))


def test_markup_of_a_message_is_shown_and_not_obeyed() -> None:
    assert "[bold]x[/]" in rendered(tables.line(row("unknown", b"[bold]x[/]")))


def rendered(drawable: Any, width: int = 200) -> str:
    written = io.StringIO()
    Console(file=written, width=width, color_system=None).print(drawable)
    return written.getvalue()


class Polled:
    """What a Kafka consumer's poll returns."""

    def __init__(self, offset: int, partition: int = 0, error: Any = None) -> None:
        self._offset, self._partition, self._error = offset, partition, error

    def topic(self) -> str:
        return "unknown"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def error(self) -> Any:
        return self._error

    def timestamp(self) -> tuple[int, int]:
        return 2, 0

    def key(self) -> None:
        return None

    def value(self) -> None:
        return None

    def headers(self) -> None:
        return None


class Polls:
    """A consumer that was told what comes; then nothing comes."""

    def __init__(self, *messages: Polled) -> None:
        self._messages = list(messages)
        self.paused: list[int] = []

    def poll(self, timeout: float) -> Polled | None:
        return self._messages.pop(0) if self._messages else None

    def consume(self, most: int, timeout: float) -> list[Polled]:
        taken, self._messages = self._messages[:most], self._messages[most:]
        return taken

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused += [place.partition for place in places]


def end(partition: int = 0) -> Polled:
    return Polled(-1001, partition, KafkaError(KafkaError._PARTITION_EOF))


def offsets(consumer: Polls, ends: dict[int, int], **options: Any) -> list[int]:
    given: dict[str, Any] = {"first": dict.fromkeys(ends, 0), "timeout_s": 0.0}
    messages = reading._until_read(consumer, ends=ends, **{**given, **options})
    return [message.offset for message in messages]


def test_a_topic_that_ends_with_transaction_markers_is_read_to_its_end() -> None:
    assert offsets(Polls(Polled(0), Polled(2), end()), {0: 4}) == [0, 2]


def test_a_topic_without_messages_is_read_to_its_end() -> None:
    assert offsets(Polls(end(1), end(0)), {0: 0, 1: 5}) == []


def test_reading_ends_where_the_topic_ended_at_the_start() -> None:
    coming = Polls(*(Polled(offset) for offset in range(100)))
    assert offsets(coming, {0: 3}) == [0, 1, 2]


def test_what_was_appended_meanwhile_behind_a_marker_is_left_out() -> None:
    assert offsets(Polls(Polled(0), Polled(5)), {0: 2}) == [0]


def test_following_goes_on_behind_the_end_until_it_is_stopped() -> None:
    consumer = Polls(Polled(0), end(), Polled(1), Polled(2))
    read: list[int] = []
    messages = reading._until_read(
        consumer, {0: 0}, {0: 1}, follow=True, timeout_s=0.0, stopped=lambda: len(read) == 3
    )
    for message in messages:  # one by one: each is what stops the reading
        read.append(message.offset)  # noqa: PERF401
    assert read == [0, 1, 2]


def test_a_topic_that_gives_neither_messages_nor_an_end_is_an_error() -> None:
    with pytest.raises(BrokerUnavailable, match="nothing came"):
        offsets(Polls(Polled(0)), {0: 2})


def test_a_partition_of_which_enough_is_known_is_paused_and_read_no_further() -> None:
    consumer = Polls(Polled(0, 0), Polled(0, 1), Polled(1, 0), Polled(2, 0), Polled(1, 1))
    read: list[tuple[int, int]] = []
    for message in reading._until_read(
        consumer,
        {0: 0, 1: 0},
        {0: 3, 1: 2},
        timeout_s=0.0,
        enough=lambda partition: partition == 0 and len(read) > 2,
    ):
        read.append((message.partition, message.offset))  # noqa: PERF401 - as above
    assert (read, consumer.paused) == ([(0, 0), (1, 0), (0, 1), (1, 1)], [0])


def test_progress_is_told_from_where_reading_began_to_its_end() -> None:
    told: list[tuple[int, int]] = []
    coming = Polls(*(Polled(offset) for offset in range(5, 9)), end())
    assert offsets(
        coming, {0: 10}, first={0: 5}, on_progress=lambda read, of: told.append((read, of))
    ) == [5, 6, 7, 8]
    assert (told[0], told[-1]) == ((0, 5), (5, 5))


def test_what_fails_while_a_topic_is_read_is_an_error_also_if_it_names_no_partition() -> None:
    failed = Polled(-1001, -1, KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        offsets(Polls(failed), {0: 2})


REPORT = status.Report(
    instance="host-1-abc",
    address="http://127.0.0.1:1",
    app_version="0",
    started_ms=1_700_000_000_000,
    every_ms=5_000,
    doing="holding",
    why="version 4 is not loaded",
    since_ms=1_700_000_000_000,
    in_force=status.Version("price", "3", 4),
    loaded=[status.Version("price", "2", 1), status.Version("price", "3", 4)],
    lag={0: 5, 2: 7},
    reason="model_not_loaded",
)


def test_a_report_is_shown_with_its_versions_and_all_that_it_says_is_for_programs() -> None:
    shown = row("status", status.encode(REPORT), key=b"host-1-abc")
    assert shown.kind == "report"
    written = json.loads(tables.json_line(shown))
    assert written["loaded"][0] == {"model": "price", "version": "2", "offset": 1}
    assert (written["since"], written["lag"]) == ("2023-11-14T22:13:20.000Z", {"0": 5, "2": 7})
    said = rendered(tables.line(shown)).replace("\n", "")
    for part in ("in_force=3", "loaded=2, 3", "lag=12", "doing=holding", "why=version 4 is not"):
        assert part in said
    assert "127.0.0.1" not in said


def test_a_report_of_an_instance_that_has_loaded_nothing_is_shown() -> None:
    early = msgspec.structs.replace(REPORT, in_force=None, loaded=[], lag={})
    said = rendered(tables.line(row("status", status.encode(early))))
    assert "in_force=none" in said
    assert "loaded=" not in said


def test_an_instance_that_took_its_word_back_is_shown_as_left() -> None:
    shown = row("status", None, key=b"host-1-abc")
    assert (shown.kind, shown.fields) == ("left", {"instance": "host-1-abc"})


def test_a_resume_is_shown_with_its_group_and_why() -> None:
    value = msgspec.json.encode(resumes.Resume("group", "the feed is repaired"))
    shown = row("status", value, key=resumes.key_of("group"))
    assert shown.kind == "resume"
    assert shown.fields == {"group": "group", "why": "the feed is repaired"}


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff"])
def test_what_is_no_word_on_the_status_topic_is_shown_raw(value: bytes) -> None:
    assert row("status", value).kind == "raw"
    assert row("status", value, key=resumes.key_of("group")).kind == "raw"


def test_a_report_from_a_time_that_no_calendar_has_is_shown_raw() -> None:
    wild = msgspec.structs.replace(REPORT, since_ms=10**18)
    assert row("status", status.encode(wild)).kind == "raw"


def test_a_message_from_a_time_that_no_calendar_has_is_shown_all_the_same() -> None:
    wild = row("unknown", b"x", appended_ms=10**17)
    assert json.loads(tables.json_line(wild))["appended"] is None
    assert str(10**17) in rendered(tables.line(wild))
