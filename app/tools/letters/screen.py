"""`dead-letters` for people: a table by reason, a histogram, and samples."""

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from app.domain.times import second
from app.tools import blocks
from app.tools.letters.counts import LetterCounts, Sample, start_of
from app.tools.plain_text import printable
from app.tools.time_histogram import Bar

_WIDTH = 40  # characters of the longest bar
_VALUE = 120  # characters of a value


def show(console: Console, parts: Iterable[RenderableType]) -> None:
    """Print the parts; where a line of text is too long for it, the terminal breaks it."""
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, Text))


def screen(counts: LetterCounts) -> list[RenderableType]:
    """Return what to show."""
    parts: list[RenderableType] = []
    if counts.reasons:
        parts = [_reasons(counts), _histogram(counts.bars), *_samples(counts)]
    else:
        parts = [Text(f"There is no such letter on {counts.topic}.")]
    if counts.no_letters:
        said = "message is no dead letter" if counts.no_letters == 1 else "messages are none"
        parts.append(
            Text(f"{counts.no_letters:,} {said}: see `inspect {counts.topic}`.", style="yellow")
        )
    return parts


def _reasons(counts: LetterCounts) -> Table:
    table = Table(title=counts.topic, title_justify="left")
    table.add_column("reason", no_wrap=True)
    for name in ("letters", "share", "redriven"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("first", "last"):
        table.add_column(name)  # on a narrow terminal the time stands below its day
    for one in counts.reasons:
        table.add_row(
            one.reason.value,
            f"{one.count:,}",
            f"{counts.share(one):.1%}",
            f"{one.redriven:,}",
            second(one.first_ms),
            second(one.last_ms),
        )
    table.add_row("all", f"{counts.count:,}", "", f"{counts.redriven:,}", "", "", style="bold")
    return table


def _histogram(bars: Sequence[Bar]) -> Table:
    table = Table(title="when", title_justify="left")
    table.add_column("from", no_wrap=True)
    table.add_column("letters", justify="right")
    table.add_column("", no_wrap=True)
    most = max(bar.count for bar in bars)
    for bar in bars:
        table.add_row(
            second(bar.from_ms),
            f"{bar.count:,}",
            Text(blocks.bar(bar.count, most, _WIDTH), style="red"),
        )
    return table


def _samples(counts: LetterCounts) -> list[Text]:
    shown = [sample for one in counts.reasons for sample in one.newest]
    return [_sample(sample) for sample in shown]


def _sample(sample: Sample) -> Text:
    message, letter = sample.message, sample.letter
    said = Text()
    said.append(f"{message.partition}/{message.offset} ", style="bold")
    said.append(f"{letter.rejection.reason.value}", style="red")
    said.append(f" {printable(letter.rejection.message)}\n")
    source = f"{letter.source_topic}/{letter.source_partition}/{letter.source_offset}"
    said.append(f"  from {printable(source)}", style="dim")
    if letter.tries:
        said.append(f", redriven {letter.tries} times before", style="yellow")
    if sample.redriven:
        said.append(", was redriven", style="green")
    said.append("\n  ")
    said.append_text(value_of(letter.value, letter.omitted))
    return said


def value_of(value: bytes | None, omitted: frozenset[str] = frozenset()) -> Text:
    """Return the start of a value as it may be printed."""
    if "value" in omitted:
        return Text("the value was left out, being too long", style="dim")
    text = start_of(value, _VALUE)
    return Text("null", style="dim") if text is None else Text(printable(text))
