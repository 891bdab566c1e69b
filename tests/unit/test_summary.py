"""What `inspect --summary` says of rows, and how it draws it."""

import io
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console

from app.tools.blocks import bar, columns
from app.tools.inspecting import summary
from app.tools.inspecting.rows import Row
from app.tools.inspecting.summary import Prices, Timeline, as_dict, summary_of
from app.tools.inspecting.summary_screen import screen
from tests.harness.terminal import schema

START_MS = 1_700_000_000_000


def row(kind: str, after_ms: int = 0, partition: int = 0, **fields: Any) -> Row:
    return Row("t", partition, 0, START_MS + after_ms, None, kind, fields)


def signal(price: float, version: str = "1", after_ms: int = 0) -> Row:
    return row("signal", after_ms, predicted_price=price, model_version=version)


def letter(reason: str, after_ms: int = 0) -> Row:
    return row("dead letter", after_ms, partition=1, reason=reason)


ROWS = [
    *(signal(price, "1", 10 * price) for price in range(100)),
    *(signal(1_000, "2", 3_500) for _ in range(50)),
    *(letter("empty", 4_000) for _ in range(5)),
    letter("not_json", 4_000),
]


def rendered(rows: list[Row], *, plain: bool = False) -> str:
    written = io.StringIO()
    console = Console(file=written, width=100, color_system=None)
    console.print(screen("t", summary_of(rows), plain=plain))
    return written.getvalue()


def test_rows_are_counted_by_kind_partition_version_and_reason() -> None:
    found = as_dict("t", summary_of(ROWS))
    Draft202012Validator(schema("inspect")).validate(found)
    assert found["messages"] == 156
    assert found["kinds"] == {"signal": 150, "dead letter": 6}
    assert found["partitions"] == {"0": 150, "1": 6}
    assert found["versions"] == {"1": 100, "2": 50}
    assert found["reasons"] == {"empty": 5, "not_json": 1}


def test_the_rate_is_that_between_the_first_and_the_last_and_its_peak_has_a_time() -> None:
    found = as_dict("t", summary_of(reversed(ROWS)))
    assert (found["first"], found["last"]) == (
        "2023-11-14T22:13:20.000Z",
        "2023-11-14T22:13:24.000Z",
    )
    assert found["per_second"] == {
        "mean": 39.0,
        "peak": 100.0,
        "peak_at": "2023-11-14T22:13:20.000Z",
        "peak_over_s": 1,
    }


def test_messages_of_less_than_a_second_have_no_mean_rate() -> None:
    assert summary_of([signal(1.0), signal(1.0, after_ms=999)]).mean_rate() is None
    assert summary_of([signal(1.0), signal(1.0, after_ms=1_000)]).mean_rate() == 2.0
    assert "a second" not in rendered([signal(1.0)])


def test_nothing_has_a_summary_too() -> None:
    found = as_dict("t", summary_of([]))
    Draft202012Validator(schema("inspect")).validate(found)
    assert (found["messages"], found["first"], found["price"]) == (0, None, None)
    assert "nothing" in rendered([])


def test_a_price_of_each_quantile_is_one_that_was_predicted() -> None:
    found = as_dict("t", summary_of(ROWS))["price"]
    assert found["quantiles"]["0"] == 0
    assert found["quantiles"]["50"] in {74, 75}
    assert found["quantiles"]["100"] == 1_000
    assert sum(one["count"] for one in found["histogram"]) == found["count"] == 150
    for one, after in itertools.pairwise(found["histogram"]):
        assert one["to"] == after["from"]


@pytest.mark.parametrize("prices", [[5.0], [5.0, 5.0], [-1.7e308, 1.7e308], [0.0, 5e-324]])
def test_prices_that_no_bins_can_divide_are_in_one_or_a_few(prices: list[float]) -> None:
    taken = Prices()
    for price in prices:
        taken.add(price)
    bins = taken.histogram()
    assert sum(count for _, _, count in bins) == len(prices)
    assert taken.quantiles()[0] == min(prices)


def test_of_very_many_prices_a_sample_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "_KEPT", 100)
    taken = Prices()
    for price in range(10_000):
        taken.add(float(price))
    assert taken.sampled
    assert taken.count == 10_000
    assert len(taken._kept) == 100
    assert taken.quantiles()[50] > 3_000  # not the first hundred


@given(st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=300))
def test_a_timeline_loses_no_message_whatever_its_steps(times: list[int]) -> None:
    line = Timeline()
    for time in times:
        line.add(time)
        if len(line.counts) > 20:  # as it does of itself after many more
            line.lengthen()
    assert sum(line.counts.values()) == len(times) == sum(line.columns())
    assert len(line.columns(7)) <= 7


def test_a_timeline_makes_its_steps_longer_when_they_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summary, "_STEPS", 10)
    line = Timeline()
    for second in range(25):
        line.add(1_000 * second)
    assert line.step_s == 4
    assert line.peak() == (1.0, 0)


def test_a_screen_draws_counts_rates_and_prices() -> None:
    drawn = rendered(ROWS)
    for part in ("156 messages", "39.0 a second", "dead letter", "64.1%", "not_json", "median"):
        assert part in drawn
    assert "█" in drawn
    assert "1,000.00" in drawn


def test_a_terminal_without_blocks_gets_plain_characters() -> None:
    written = io.BytesIO()
    console = Console(file=io.TextIOWrapper(written, "ascii"), width=100)
    assert console.options.ascii_only
    console.print(screen("t", summary_of(ROWS), plain=True))
    console.file.flush()
    drawn = written.getvalue().decode("ascii")
    assert "###" in drawn


def test_what_a_message_says_does_not_reach_the_terminal_raw() -> None:
    assert "\x1b" not in rendered([signal(1.0, "\x1b[31m"), letter("[bold]\x9b")])
    assert "[bold]" in rendered([letter("[bold]")])


@given(st.floats(0, 1e6), st.floats(1, 1e6), st.booleans())
def test_a_bar_is_never_longer_than_its_room_and_never_nothing(
    value: float, largest: float, plain: bool
) -> None:
    drawn = bar(min(value, largest), largest, 10, plain=plain)
    assert len(drawn) <= 10
    assert bool(drawn) == (value > 0)


@given(st.lists(st.integers(0, 1_000), max_size=50), st.booleans())
def test_columns_are_one_for_each_value_and_empty_only_for_nothing(
    values: list[int], plain: bool
) -> None:
    drawn = columns(values, plain=plain)
    assert [character == " " for character in drawn] == [value == 0 for value in values]
