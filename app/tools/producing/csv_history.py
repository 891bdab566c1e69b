"""Real history as records: the rows of a CSV file, in their order."""

import csv
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from app.domain.errors import HistoryError
from app.domain.records import FEATURES, Rejection
from app.tools.producing.samples import Sample, Spoiler
from app.topics.records import RecordDecoder

FIELDS = (*FEATURES, "id", "month", "key")
"""What a column can be; all but the features may be lacking."""

ROW = "row"
"""The kind of a sample that is bad in the file."""

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DAY = re.compile(r"([0-9]{4}-[0-9]{2})-[0-9]{2}")
_LONGEST_SHOWN = 40  # characters of a cell


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file.

    Attributes:
        key: Of its message: its own, or else the file's name, so that the rows stay in order.
        record: What its message holds.
        rejection: Why the stream would make a dead letter of it; None if it would not.
    """

    key: bytes
    record: dict[str, Any]
    rejection: Rejection | None

    def sample(self, spoiler: Spoiler) -> Sample:
        """Return it as it is sent; if it is good, chance may spoil it."""
        if self.rejection is None:
            return spoiler.sample(self.key, self.record)
        return Sample(self.key, orjson.dumps(self.record), ROW, self.rejection.reason)


def parse_columns(named: Iterable[str]) -> dict[str, str]:
    """Return the name of a column for each field that was given one as `CSV_NAME=FIELD`.

    Raises:
        HistoryError: It is written in another way, there is no such field, or it has two columns.

    >>> parse_columns(["FEDFUNDS=interest_rate"])
    {'interest_rate': 'FEDFUNDS'}
    """
    columns: dict[str, str] = {}
    for text in named:
        column, _, field = text.rpartition("=")
        if not column.strip() or field not in FIELDS:
            raise HistoryError(
                f"{text!r} is not CSV_NAME=FEATURE, where FEATURE is one of {', '.join(FIELDS)}"
            )
        if field in columns:
            raise HistoryError(f"{field} can't be both {columns[field]!r} and {column.strip()!r}")
        columns[field] = column.strip()
    return columns


def read(
    file: Path, columns: Mapping[str, str], decoder: RecordDecoder, *, bad_rows: bool = False
) -> Iterator[Row]:
    """Yield the rows of a file, reading on as they are taken.

    A cell that is a number is sent as one, an empty cell is null, any other is sent as text. A
    month may be written as a day of it, `YYYY-MM-DD`.

    Args:
        file: In UTF-8, with commas between the cells and the names of the columns on top.
        columns: The name of the column of each field that is not named as its column is.
        decoder: Says which rows are bad, as it does in the stream.
        bad_rows: Yield them too, instead of raising.

    Raises:
        HistoryError: The file can't be read, has no rows, lacks a column, or has a bad row; the
            line and the column are named.
    """
    try:
        if not file.is_file():  # a pipe could not be read twice
            raise HistoryError(f"{file} is no file")
        with file.open(encoding="utf-8-sig", newline="") as opened:
            yield from _rows(file, csv.reader(opened, strict=True), columns, decoder, bad_rows)
    except OSError as error:
        raise HistoryError(f"{file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise HistoryError(f"{file} is not UTF-8: {error.reason}") from error


def samples(
    rows: Callable[[], Iterator[Row]], spoiler: Spoiler, count: int | None
) -> tuple[Iterator[Sample], int]:
    """Look at all rows first, so that none is sent if one is not as it must be.

    Args:
        rows: Begins to read anew.
        spoiler: Spoils some of the good ones.
        count: How many at most; None for all.

    Returns:
        What is to be sent, and how many that is.

    Raises:
        HistoryError: As `read`, of the rows that are to be sent.
    """
    found = sum(1 for _ in islice(rows(), count))
    return (row.sample(spoiler) for row in islice(rows(), count)), found


def _rows(
    file: Path, lines: Any, columns: Mapping[str, str], decoder: RecordDecoder, bad_rows: bool
) -> Iterator[Row]:
    reader = _Cells(file, lines)
    header = [name.strip() for name in next(reader, [])]
    places = _places(file, header, columns)
    file_key = os.fsencode(file.stem)
    empty = True
    for cells in reader:
        empty = False
        if len(cells) != len(header):
            raise HistoryError(
                f"{file}, line {reader.line}: {len(cells)} cells under {len(header)} columns"
            )
        texts = {field: cells[place].strip() for field, place in places.items()}
        key = texts.pop("key", "").encode() or file_key
        record = _record(texts)
        verdict = decoder.decode(orjson.dumps(record))
        rejection = verdict if isinstance(verdict, Rejection) else None
        if rejection is not None and not bad_rows:
            raise HistoryError(
                f"{file}, line {reader.line}{_fault(rejection, header, cells, places)}; "
                "--send-bad-rows sends such rows all the same"
            )
        yield Row(key, record, rejection)
    if empty:
        raise HistoryError(f"{file} has no rows")


def _fault(
    rejection: Rejection, header: list[str], cells: list[str], places: Mapping[str, int]
) -> str:
    """Return the column, if it is one's fault, and what is wrong there."""
    field, _, what = rejection.message.partition(": ")
    if field not in places:
        return f": {rejection.message}"
    place = places[field]
    return f", column {header[place]!r}: {what} (the cell is {cells[place][:_LONGEST_SHOWN]!r})"


class _Cells:
    """The lines of a file that hold anything, with the number of the newest."""

    def __init__(self, file: Path, lines: Any) -> None:
        self._file = file
        self._lines = lines

    @property
    def line(self) -> int:
        return int(self._lines.line_num)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            cells: list[str] = next(self._lines)
            while not cells:
                cells = next(self._lines)
        except csv.Error as error:
            raise HistoryError(f"{self._file}, line {self.line}: {error}") from error
        return cells


def _places(file: Path, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Return where each field stands; a column that was given to a field is no other one's."""
    places = {}
    given = set(columns.values())
    for field in FIELDS:
        name = columns.get(field, field)
        if header.count(name) > 1:
            raise HistoryError(f"{file} has two columns {name!r}")
        if name in header and (field in columns or name not in given):
            places[field] = header.index(name)
        elif field in columns or field in FEATURES:
            raise HistoryError(
                f"{file} has no column {name!r}"
                + ("" if field in columns else f"; --column CSV_NAME={field} names another")
                + f". Its columns: {', '.join(map(repr, header)) or 'none'}"
            )
    return places


def _record(texts: Mapping[str, str]) -> dict[str, Any]:
    names: dict[str, Any] = {f: texts[f] for f in ("id", "month") if texts.get(f)}
    if "month" in names and (day := _DAY.fullmatch(names["month"])):
        names["month"] = day[1]
    return names | {feature: _number(texts[feature]) for feature in FEATURES}


def _number(text: str) -> float | str | None:
    """Return what is written in a cell.

    >>> [_number(text) for text in ("4.5", "-.5e1", "", "n/a", "1e999", "1_000")]
    [4.5, -5.0, None, 'n/a', '1e999', '1_000']
    """
    if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text or None
