"""An answer that several may have: asked for once in a while, however many want it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.domain.errors import BrokerUnavailable, DsModelsError

_PATIENCE_S = 1.0
_KEPT = 15  # answers, however old

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recently(Generic[Key, Value]):
    """Asks, and gives the same answer to whoever wants it soon after. Thread-safe.

    One question is under way at a time. Others wait for it for a second, and then take the last
    answer, or go without, so that they keep no thread. A failure is an answer too, so that what
    is away is not asked by each of those who wait.

    Args:
        ask: Is asked; may raise a DsModelsError.
        keep_s: How long its answer is given, in seconds.
        clock: Monotonic seconds.

    >>> asked = []
    >>> recently = Recently(lambda key: asked.append(key) or key * 2, 2.0, lambda: 0.0)
    >>> recently(1), recently(1), recently(2), asked
    (2, 2, 4, [1, 2])
    """

    def __init__(
        self, ask: Callable[[Key], Value], keep_s: float, clock: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._clock = clock
        self._answers: dict[Key, tuple[float, Value | DsModelsError]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: Key) -> Value:
        """Return the answer; wait for it if there is no recent one.

        Raises:
            DsModelsError: What was asked raised it; or others ask, and there is no answer yet.
        """
        if self._lock.acquire(timeout=_PATIENCE_S):
            try:
                answer = self._recent(key)
            finally:
                self._lock.release()
        elif key in self._answers:
            answer = self._answers[key][1]
        else:
            raise BrokerUnavailable("too much is asked for at once: ask again")
        if isinstance(answer, DsModelsError):
            raise answer
        return answer

    def _recent(self, key: Key) -> Value | DsModelsError:
        now, kept = self._clock(), self._answers.get(key)
        if kept is None or now - kept[0] > self._keep_s:
            kept = (self._clock(), self._asked(key))
            newest = sorted(self._answers.items(), key=lambda item: item[1][0])[-_KEPT:]
            self._answers = {**dict(newest), key: kept}
        return kept[1]

    def _asked(self, key: Key) -> Value | DsModelsError:
        try:
            return self._ask(key)
        except DsModelsError as error:
            return error
