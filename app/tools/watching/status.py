"""What the stream is doing: its lag, its plans, and what each instance says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from app.domain.plans import Plan, PlanTable
from app.domain.times import instant
from app.topics.status import Heard, Report

_FORGOTTEN_AFTER_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How many records of a partition are not answered, and how that changes.

    Attributes:
        lag: Of the newer question; None if the broker didn't say.
        change: Records a second; negative while it catches up. None if it is not known.
    """

    partition: int
    lag: int | None
    change: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """What the stream is doing at one moment.

    Attributes:
        now_ms: By the clock of whoever asks, in Unix milliseconds.
        in_force: The plan in force now, None if there is none.
        coming: Those that will be, in the order of their effective times.
        instances: The newest report of each that has not left in order, of the last hour.
    """

    now_ms: int
    group: str
    lag: tuple[PartitionLag, ...]
    in_force: Plan | None
    coming: tuple[Plan, ...]
    instances: tuple[Heard, ...]

    @property
    def live(self) -> list[Heard]:
        """The instances that were heard within three of their periods."""
        return [heard for heard in self.instances if heard.is_live(self.now_ms)]

    @property
    def holds(self) -> str | None:
        """Why records wait somewhere, or would if they came; None if all is well.

        A program's exit code follows it.
        """
        if not self.live:
            return "no instance is live"
        return "; ".join(self.held) or None

    @property
    def held(self) -> list[str]:
        """Who holds and why: a sentence for each live instance that does."""
        return [
            f"{heard.report.instance} holds: {heard.report.why}"
            for heard in self.live
            if heard.report.doing == "holding"
        ]


def status_of(
    now_ms: int,
    group: str,
    table: PlanTable,
    instances: Sequence[Heard],
    before: Mapping[int, int],
    after: Mapping[int, int],
    between_s: float,
    partitions: int,
) -> Status:
    """Put together what was read. Pure.

    Args:
        now_ms: Unix milliseconds.
        group: The consumer group.
        table: All plans.
        instances: The newest reports.
        before: The lag by partition, and
        after: the same, `between_s` seconds later.
        between_s: Above 0.
        partitions: How many the input has.
    """
    plan = table.at(now_ms)
    return Status(
        now_ms=now_ms,
        group=group,
        lag=tuple(
            PartitionLag(
                number,
                after.get(number),
                (after[number] - before[number]) / between_s
                if number in before and number in after
                else None,
            )
            for number in range(partitions)
        ),
        in_force=plan,
        coming=tuple(one for one in table.due(now_ms) if one is not plan),
        instances=tuple(h for h in instances if now_ms - h.appended_ms <= _FORGOTTEN_AFTER_MS),
    )


def as_dict(status: Status) -> dict[str, Any]:
    """Return it for programs; docs/status.md has the fields."""
    return {
        "at": instant(status.now_ms),
        "ok": status.holds is None,
        "holds": status.holds,
        "group": status.group,
        "lag": [asdict(one) for one in status.lag],
        "in_force": None if status.in_force is None else _plan(status.in_force),
        "coming": [_plan(plan) for plan in status.coming],
        "instances": [_instance(heard, status.now_ms) for heard in status.instances],
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.announcement.model_name,
        "version": plan.announcement.model_version,
        "offset": plan.offset,
        "effective": instant(plan.effective_ms),
    }


def report_fields(report: Report) -> dict[str, Any]:
    """Return what an instance says of itself, for programs."""
    fields: dict[str, Any] = msgspec.to_builtins(report)
    for name in ("started", "since"):
        fields[name] = instant(fields.pop(f"{name}_ms"))
    return {**fields, "lag": {str(number): records for number, records in report.lag.items()}}


def _instance(heard: Heard, now_ms: int) -> dict[str, Any]:
    return {
        **report_fields(heard.report),
        "heard": instant(heard.appended_ms),
        "live": heard.is_live(now_ms),
    }
