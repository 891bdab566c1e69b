"""A wait that can be cut short: somebody wants another look now, or the end."""

import threading


class Bell:
    """Rung by many, heard by one."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self._stop = threading.Event()
        self._woken = False  # of the one that waits

    def wake(self) -> None:
        """End a wait, this one or the next. Any thread may; never blocks."""
        self._rung.set()

    def stop(self) -> None:
        """End every wait from now on."""
        self._stop.set()
        self._rung.set()

    @property
    def stopped(self) -> bool:
        """Whether all is to end."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is rung; return whether all is to end."""
        if self._rung.wait(seconds) and not self._stop.is_set():
            self._rung.clear()
            self._woken = True
        return self._stop.is_set()

    def woken(self) -> bool:
        """Say whether it was rung while somebody waited, since this was asked last."""
        woken, self._woken = self._woken, False
        return woken
