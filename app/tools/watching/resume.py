"""`resume`: tell instances that their circuit breaker holds to go on, and see that they do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from app.telemetry.metrics import HoldReason
    from app.topics.status import Heard

_REASON: HoldReason = "too_many_dead_letters"
_LOOK_S = 0.5


def held_by_breaker(instances: Iterable[Heard], now_ms: int) -> set[str]:
    """Return the names of the live instances whose circuit breaker holds them."""
    return {
        heard.report.instance
        for heard in instances
        if heard.is_live(now_ms) and heard.report.reason == _REASON
    }


def resume(held: Callable[[], set[str]], say: Callable[[], None], wait_s: float) -> dict[str, bool]:
    """Say the word if somebody waits for it, and look whether all who did go on.

    Args:
        held: Looks who is held.
        say: Says the word.
        wait_s: How long they may take; they report once a second.

    Returns:
        For each instance that was held whether it went on; empty if none was.
    """
    before = held()
    still = before
    if before:
        say()
        deadline = time.monotonic() + wait_s
        while (still := before & held()) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
    return {instance: instance not in still for instance in sorted(before)}
