"""How often a token may call: a bucket of each, in the memory of this process alone."""

import threading
from collections import OrderedDict
from collections.abc import Callable

_KEPT = 10_000  # buckets; the one that was used least recently goes


class Rate:
    """Buckets that fill at a rate; a request takes one drop.

    Args:
        per_s: Drops a second.
        burst: Drops in a full bucket.
        clock: Monotonic seconds.

    >>> rate = Rate(per_s=2, burst=1, clock=lambda: 0.0)
    >>> rate.wait_s("a"), rate.wait_s("a"), rate.wait_s("b")
    (0.0, 0.5, 0.0)
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, name: str) -> float:
        """Take a drop and return 0; or take none and return the seconds until there is one."""
        with self._lock:
            now = self._clock()
            drops, at = self._buckets.pop(name, (float(self._burst), now))
            drops = min(self._burst, drops + (now - at) * self._per_s)
            wait = 0.0 if drops >= 1 else (1 - drops) / self._per_s
            self._buckets[name] = (drops if wait else drops - 1, now)
            if len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
            return wait

    def has(self, name: str) -> bool:
        """Say whether there is a drop; take none."""
        with self._lock:
            drops, at = self._buckets.get(name, (float(self._burst), 0.0))
            return drops + (self._clock() - at) * self._per_s >= 1
