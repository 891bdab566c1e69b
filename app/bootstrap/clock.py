"""The time, where the real parts are chosen."""

import time


def now_ms() -> int:
    """Return Unix milliseconds, by this machine's clock."""
    return round(time.time() * 1000)
