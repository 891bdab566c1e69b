"""How long to wait after failures. Pure."""

LONGEST_S = 60.0
_FIRST_S = 1.0
_DOUBLED = 32  # times at most: no number grows without end


def pause_s(failures: int, every_s: float) -> float:
    """Return the seconds to wait after so many failures in a row: twice as long after each.

    Args:
        failures: One or more.
        every_s: How long one waits where nothing failed; the first pause is not longer.

    >>> [pause_s(failures, every_s=5.0) for failures in (1, 2, 3, 6, 7, 10_000)]
    [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]
    >>> pause_s(1, every_s=0.2), pause_s(1, every_s=3600.0)
    (0.2, 1.0)
    """
    return min(LONGEST_S, min(_FIRST_S, every_s) * 2.0 ** min(failures - 1, _DOUBLED))
