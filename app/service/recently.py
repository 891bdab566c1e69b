"""An answer that several may have: asked for once in a while, however many want it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.domain.errors import DsModelsError

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recently(Generic[Key, Value]):
    """Asks, and gives the same answer to whoever wants it soon after. Thread-safe.

    One question is under way at a time; others wait for it. A failure is an answer too, so that
    something that is away is not asked by each of those who wait.

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
            DsModelsError: What was asked raised it.
        """
        with self._lock:
            now = self._clock()
            self._answers = {k: a for k, a in self._answers.items() if now - a[0] <= self._keep_s}
            if key not in self._answers:
                self._answers[key] = (self._clock(), self._asked(key))
            answer = self._answers[key][1]
        if isinstance(answer, DsModelsError):
            raise answer
        return answer

    def _asked(self, key: Key) -> Value | DsModelsError:
        try:
            return self._ask(key)
        except DsModelsError as error:
            return error
