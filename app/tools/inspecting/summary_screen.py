"""A summary of a topic for people: what there is of each kind, the rate, and the prices."""

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.domain.times import moment
from app.tools.blocks import bar, columns
from app.tools.inspecting.summary import Prices, Summary
from app.tools.plain_text import printable

_BAR = 30  # characters
_QUANTILES = {0: "least", 50: "median", 100: "largest"}


def screen(topic: str, summary: Summary, *, plain: bool) -> Group:
    """Return what to print.

    Args:
        topic: Its name.
        summary: Of its rows.
        plain: Whether the terminal has no text blocks.
    """
    if summary.first_ms is None or summary.last_ms is None:
        return Group(Text(f"{printable(topic)}: nothing of it is there."))
    parts: list[RenderableType] = [
        Text(f"{printable(topic)}: {summary.rows:,} messages", style="bold"),
        Text(f"appended {moment(summary.first_ms)} to {moment(summary.last_ms)}"),
        *_rate(summary, plain=plain),
    ]
    for title, counts in (
        ("kind", summary.kinds),
        ("partition", {str(n): count for n, count in sorted(summary.partitions.items())}),
        ("version", summary.versions),
        ("reason", summary.reasons),
    ):
        if counts:
            parts.append(_counts(title, counts, summary.rows, plain=plain))
    if summary.prices.count:
        parts += _prices(summary.prices, plain=plain)
    return Group(*parts)


def _rate(summary: Summary, *, plain: bool) -> Iterable[RenderableType]:
    mean, peak = summary.mean_rate(), summary.timeline.peak()
    if mean is None or peak is None:
        return
    over = summary.timeline.step_s
    yield Text(
        f"{mean:,.1f} a second, at most {peak[0]:,.1f} in the {over} s from {moment(peak[1])}"
    )
    yield Text(columns(summary.timeline.columns(), plain=plain), style="cyan")


def _counts(title: str, counts: Mapping[str, int], whole: int, *, plain: bool) -> Table:
    table = Table(title)
    table.add_column("messages", justify="right")
    table.add_column("share", justify="right")
    table.add_column("", min_width=_BAR)
    ordered = counts.items() if title == "partition" else _most_first(counts)
    for name, count in ordered:
        drawn = Text(bar(count, whole, _BAR, plain=plain), style="cyan")
        table.add_row(Text(printable(name)), f"{count:,}", f"{count / whole:.1%}", drawn)
    return table


def _prices(prices: Prices, *, plain: bool) -> Iterable[RenderableType]:
    yield Text("predicted price", style="bold")
    yield Text("  ").join(
        Text(f"{_QUANTILES.get(percent, f'{percent}%')}=").append(_number(price), style="green")
        for percent, price in prices.quantiles().items()
    )
    bins = prices.histogram()
    most = max(count for _, _, count in bins)
    drawing = Table.grid(padding=(0, 1))
    for justify in ("right", "left", "right", "left"):
        drawing.add_column(justify=justify)
    for low, high, count in bins:
        drawn = Text(bar(count, most, _BAR, plain=plain), style="green")
        drawing.add_row(_number(low), f"to {_number(high)}", f"{count:,}", drawn)
    yield drawing
    if prices.sampled:
        yield Text(f"of {prices.count:,} prices, a sample", style="dim")


def _number(price: float) -> str:
    return f"{price:,.2f}" if abs(price) < 1e9 else f"{price:.3g}"  # noqa: PLR2004 - columns end


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
