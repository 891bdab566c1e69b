"""How far each instance is with a version that is staged."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from app.domain.plans import Plan, Staged
from app.tools.plain_text import printable
from app.topics.status import Heard, Report

_STYLES = {"unaware": "dim", "loading": "yellow", "loaded": "green", "serving": "bold green"}
_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a live instance is.

    Attributes:
        state: `unaware` until it says that it has read of it; `serving` once it is in force there.
        why: Why it is not loaded, as the instance says.
    """

    instance: str
    state: Literal["unaware", "loading", "loaded", "serving"]
    why: str | None = None


def progress_of(instances: Iterable[Heard], now_ms: int, offset: int) -> list[Progress]:
    """Say how far each live instance is.

    Args:
        instances: The newest reports.
        now_ms: Unix milliseconds, by the clock that stamps the reports.
        offset: Where the version is staged.
    """
    return [_progress(heard, offset) for heard in instances if heard.is_live(now_ms)]


def _progress(heard: Heard, offset: int) -> Progress:
    report = heard.report
    if report.staged is None or report.staged.offset != offset:
        return Progress(report.instance, "unaware")
    why = report.staged.why_not
    return Progress(report.instance, "loaded" if why is None else "loading", why)


def turn_of(instances: Iterable[Heard], now_ms: int, plan: Plan) -> list[Progress]:
    """Say of each live instance whether it serves the version of a plan by now.

    Args:
        instances: The newest reports.
        now_ms: Unix milliseconds, by the clock that stamps the reports.
        plan: That is in force, or will be within its guard.
    """
    return [_turn(heard.report, plan) for heard in instances if heard.is_live(now_ms)]


def _turn(report: Report, plan: Plan) -> Progress:
    version, at = plan.announcement.model_version, report.in_force
    loaded = any(one.version == version for one in report.loaded)
    if at is not None and at.version == version and at.offset >= plan.offset and loaded:
        return Progress(report.instance, "serving", report.why)
    return Progress(report.instance, "loaded" if loaded else "loading", report.why)


def turned(found: Iterable[Progress]) -> bool:
    """Say whether all serve it; so it is if no instance is live."""
    return all(one.state == "serving" for one in found)


def reached(found: Iterable[Progress]) -> bool:
    """Say whether all have loaded it; so it is if no instance is live."""
    return all(one.state == "loaded" for one in found)


def wait(
    look: Callable[[], list[Progress]],
    show: Callable[[Sequence[Progress]], None],
    timeout_s: float,
    done: Callable[[Iterable[Progress]], bool] = reached,
) -> list[Progress]:
    """Look until all have loaded it, or the time is over; return what was seen last."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        show(found)
        if done(found) or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_S)


def who_lacks(found: Iterable[Progress]) -> str:
    """Name those that have not loaded it, and what they say."""
    lacking = [one for one in found if one.state != "loaded"]
    return "; ".join(
        f"{one.instance} ({one.why or 'it has not said that it read of it'})" for one in lacking
    )


def table_of(found: Sequence[Progress]) -> Table:
    """Return what to print."""
    table = Table("instance", "state", "why")
    for one in found:
        state = Text(one.state, style=_STYLES[one.state])
        table.add_row(Text(printable(one.instance)), state, Text(printable(one.why or "")))
    return table


def as_dict(staged: Staged, found: Iterable[Progress]) -> dict[str, Any]:
    """Return it for programs: docs/schemas/stage.json has the fields."""
    announced = staged.announcement
    return {
        "model": announced.model_name,
        "version": announced.model_version,
        "offset": staged.offset,
        "digest": announced.digest,
        "instances": [asdict(one) for one in found],
    }
