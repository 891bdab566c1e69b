"""Bars of text blocks, and of plain characters where a terminal has no blocks."""

from collections.abc import Sequence

_EIGHTHS = "▏▎▍▌▋▊▉█"
_STEPS = "▁▂▃▄▅▆▇█"
_PLAIN_STEPS = ".:-=+*#@"


def bar(value: float, largest: float, width: int, *, plain: bool = False) -> str:
    """Return a horizontal bar; what is more than nothing can be seen.

    >>> bar(5, 8, 4), bar(1, 1_000, 4), bar(0, 8, 4), bar(6, 8, 4, plain=True)
    ('██▌', '▏', '', '###')
    """
    if value <= 0 or largest <= 0:
        return ""
    if plain:
        return "#" * max(1, round(value / largest * width))
    eighths = max(1, round(value / largest * width * 8))
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest - 1] if rest else "")


def columns(values: Sequence[float], *, plain: bool = False) -> str:
    """Return a column for each value, the largest one full; a space where there is nothing.

    >>> columns([0, 1, 4, 8]), columns([0, 1, 4, 8], plain=True)
    (' ▁▄█', ' .=@')
    """
    steps = _PLAIN_STEPS if plain else _STEPS
    largest = max(values, default=0)
    return "".join(
        " " if value <= 0 else steps[max(0, round(value / largest * len(steps)) - 1)]
        for value in values
    )
