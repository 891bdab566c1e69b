import json
import os
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import HistoryError
from app.domain.records import FEATURES, Range, Reason
from app.tools.producing.csv_history import ROW, Row, parse_columns, read, samples
from app.tools.producing.samples import GOOD, Spoiler
from app.topics.records import RecordDecoder

HEADER = ",".join(FEATURES)
GOOD_ONLY = Spoiler(0, 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.csv"


def rows_of(file: Path, text: str | bytes, *columns: str, bad_rows: bool = False) -> list[Row]:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read(file, parse_columns(columns), RecordDecoder(), bad_rows=bad_rows))


def fault(file: Path, text: str | bytes, *columns: str) -> str:
    with pytest.raises(HistoryError) as raised:
        rows_of(file, text, *columns)
    assert raised.value.exit_code == 2
    return str(raised.value).removeprefix(str(file))


def test_columns_of_the_same_name_are_taken_in_any_order_and_others_ignored(file: Path) -> None:
    shuffled = "note,key,month,id," + ",".join(reversed(FEATURES))
    (row,) = rows_of(file, f"{shuffled}\nhello,UST,2024-05,a,4,3,2,1\n")
    assert row == Row(
        b"UST",
        {"id": "a", "month": "2024-05", **dict(zip(FEATURES, (1.0, 2.0, 3.0, 4.0), strict=True))},
        None,
    )


def test_a_column_with_another_name_is_mapped(file: Path) -> None:
    text = "when,who,printed,rate=%,inflation_rate,was\n2024-05-01,UST,1,2,3,4\n"
    mapped = ["when=month", "who=key", "printed=treasury_print_volume", "rate=%=interest_rate"]
    (row,) = rows_of(file, text, *mapped, "was=previous_month_price")
    assert row.key == b"UST"
    assert list(row.record.values()) == ["2024-05", 1.0, 2.0, 3.0, 4.0]


def test_a_column_that_is_mapped_is_not_taken_for_the_feature_of_its_name(file: Path) -> None:
    text = f"{HEADER},month\n1,2,3,4,UST\n"
    (row,) = rows_of(file, text, "month=key")
    assert row.key == b"UST"
    assert "month" not in row.record


def test_a_mapped_column_goes_before_the_one_of_the_same_name(file: Path) -> None:
    (row,) = rows_of(file, f"{HEADER},CPI\n1,2,3,4,5\n", "CPI=inflation_rate")
    assert row.record["inflation_rate"] == 5.0


def test_without_a_key_the_name_of_the_file_keeps_the_rows_in_order(file: Path) -> None:
    first, second = rows_of(file, f"key,{HEADER}\n,1,2,3,4\nUST,1,2,3,4\n")
    assert (first.key, second.key) == (b"history", b"UST")
    (row,) = rows_of(file, f"{HEADER}\n1,2,3,4\n")
    assert row.key == b"history"


def test_rows_come_in_order_and_blank_lines_are_none(file: Path) -> None:
    found = rows_of(file, f"\n{HEADER}\n\n1,2,3,4\n\n5,6,7,8\n\n")
    assert [row.record["treasury_print_volume"] for row in found] == [1.0, 5.0]


def test_a_file_from_a_spreadsheet_is_read(file: Path) -> None:
    (row,) = rows_of(file, f'\ufeff{HEADER}\r\n"1"," 2.5 ",-3e-1,+.5\r\n')
    assert list(row.record.values()) == [1.0, 2.5, -0.3, 0.5]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("n/a", Reason.WRONG_TYPE),
        (".", Reason.WRONG_TYPE),
        ("1_000", Reason.WRONG_TYPE),
        ("1e999", Reason.WRONG_TYPE),
        ("١", Reason.WRONG_TYPE),
        ("NaN", Reason.NOT_FINITE),
        ("-inf", Reason.NOT_FINITE),
        ("", Reason.MISSING_FIELD),
        ("1001", Reason.OUT_OF_RANGE),
    ],
)
def test_a_bad_cell_is_named_with_its_line_and_column_or_sent_all_the_same(
    file: Path, cell: str, reason: Reason
) -> None:
    text = f"{HEADER.replace('interest_rate', 'FEDFUNDS')}\n1,2,3,4\n\n1,{cell},3,4\n5,6,7,8\n"
    said = fault(file, text, "FEDFUNDS=interest_rate")
    assert said.startswith(", line 4, column 'FEDFUNDS': ")
    assert f"(the cell is {cell!r})" in said
    assert "--send-bad-rows" in said
    found = rows_of(file, text, "FEDFUNDS=interest_rate", bad_rows=True)
    sent = [row.sample(GOOD_ONLY) for row in found]
    assert [(s.kind, s.reason) for s in sent] == [(GOOD, None), (ROW, reason), (GOOD, None)]
    verdict = RecordDecoder().decode(sent[1].value)
    assert getattr(verdict, "reason", None) is reason


def test_a_month_that_is_none_is_named(file: Path) -> None:
    said = fault(file, f"date,{HEADER}\n2024-13,1,2,3,4\n", "date=month")
    assert said.startswith(", line 2, column 'date': '2024-13' is not YYYY-MM")


def test_the_ranges_are_those_of_the_settings(file: Path) -> None:
    file.write_text(f"{HEADER}\n1,2,3,4\n")
    narrow = RecordDecoder(dict.fromkeys(FEATURES, Range(0, 3)))
    with pytest.raises(HistoryError, match=r"'previous_month_price': 4\.0 is not within 0 and 3"):
        list(read(file, {}, narrow))


def test_a_row_that_is_too_long_for_a_record_is_named(file: Path) -> None:
    assert fault(file, f"id,{HEADER}\n{'x' * 100_001},1,2,3,4\n").startswith(", line 2: 1")


def test_what_is_shown_of_a_cell_moves_no_cursor(file: Path) -> None:
    said = fault(file, f"{HEADER}\n1,\x1b[2J{'x' * 1000},3,4\n")
    assert "\\x1b[2J" in said
    assert len(said) < 250


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'treasury_print_volume'"),
        ("a,b\n1,2\n", "--column CSV_NAME=treasury_print_volume names another"),
        ("a,b\n1,2\n", "Its columns: 'a', 'b'"),
        (f"{HEADER}\n", "has no rows"),
        (f"{HEADER},month,month\n1,2,3,4,,\n", "has two columns 'month'"),
        (f"{HEADER}\n1,2,3,4\n1,2,3\n", ", line 3: 3 cells under 4 columns"),
        (f"{HEADER}\n1,250,2,3,4\n", ", line 2: 5 cells under 4 columns"),
        (f'{HEADER}\n1,2,3,"4"5\n', ", line 2: "),
        (f"{HEADER}\n1,2,3,".encode() + b"caf\xe9\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_of_records_is_refused(
    file: Path, text: str | bytes, said: str
) -> None:
    assert said in fault(file, text)


def test_a_mapped_column_that_is_not_there_is_named(file: Path) -> None:
    said = fault(file, f"{HEADER}\n1,2,3,4\n", "DATE=month")
    assert said.startswith(" has no column 'DATE'. Its columns: 'treasury_print_volume'")


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(HistoryError, match="is no file"):
            next(read(path, {}, RecordDecoder()))
    with pytest.raises(HistoryError, match="can't be read: File name too long"):
        next(read(tmp_path / ("x" * 300), {}, RecordDecoder()))


def test_a_file_whose_name_is_no_text_gives_its_bytes_as_the_key(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path / os.fsdecode(b"caf\xe9.csv"), f"{HEADER}\n1,2,3,4\n")
    assert row.key == b"caf\xe9"


def test_a_long_cell_of_digits_is_read_at_once(file: Path) -> None:
    begun = time.monotonic()
    assert "expected a number" in fault(file, f"{HEADER}\n{'1' * 99_000}x,2,3,4\n")
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("text", ["interest_rate", "=interest_rate", "a=nothing", "a=", ""])
def test_a_mapping_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(HistoryError, match="is not CSV_NAME=FEATURE"):
        parse_columns([text])


def test_a_feature_has_one_column() -> None:
    with pytest.raises(HistoryError, match="interest_rate can't be both 'a' and 'b'"):
        parse_columns(["a=interest_rate", "b=interest_rate"])


def of_file(file: Path, spoiler: Spoiler, count: int | None) -> tuple[list[Any], int]:
    found, total = samples(lambda: read(file, {}, RecordDecoder()), spoiler, count)
    return list(found), total


@pytest.mark.parametrize(("count", "total"), [(None, 3), (2, 2), (9, 3)])
def test_as_many_rows_are_sent_as_there_are_or_as_were_asked_for(
    file: Path, count: int | None, total: int
) -> None:
    file.write_text(f"{HEADER}\n" + "1,2,3,4\n" * 3)
    found, said = of_file(file, GOOD_ONLY, count)
    assert len(found) == said == total


def test_nothing_is_sent_if_a_later_row_is_bad_unless_it_was_not_asked_for(file: Path) -> None:
    file.write_text(f"{HEADER}\n1,2,3,4\n1,2,3,x\n")
    with pytest.raises(HistoryError, match="line 3"):
        of_file(file, GOOD_ONLY, None)
    assert of_file(file, GOOD_ONLY, 1)[1] == 1


def test_rows_are_spoilt_by_chance_like_any_record(file: Path) -> None:
    file.write_text(f"{HEADER}\n" + "1,2,3,4\n" * 400)
    found, _ = of_file(file, Spoiler(1, 0.3, reasons=[Reason.MISSING_FIELD]), None)
    bad = [sample for sample in found if sample.reason is Reason.MISSING_FIELD]
    assert 60 < len(bad) < 180
    assert {json.loads(s.value).get("interest_rate") for s in islice(bad, 60)} <= {None, 2.0}
