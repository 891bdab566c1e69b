"""One record's whole way: the plan that was in force for it and why, and what answered it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.domain.plans import Plan, PlanTable, Void
from app.domain.times import instant, moment
from app.tools.inspecting.rows import Row
from app.tools.inspecting.tables import as_dict as row_as_dict

Rule = Literal["highest_offset", "first_plan", "no_plan"]
"""Why a plan is in force for a record: of those whose effective time is not after its append time
it has the highest offset; the record is older than all of these, and takes the first; none is."""

State = Literal["answered", "waiting", "gone"]
"""`gone`: the group is past the record, and no answer is there."""


@dataclass(frozen=True, slots=True)
class Join:
    """Which plan is in force for a record, and why.

    Attributes:
        plan: None if none is announced.
        passed_over: The voids but for which another plan would be.
        later: The next plan to take effect; None if none does.
    """

    plan: Plan | None
    rule: Rule
    passed_over: tuple[Void, ...]
    later: Plan | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A record's way.

    Attributes:
        record: On the input topic.
        join: The plan for it.
        answers: Its signal or dead letter; several if a crash may repeat answers, or the group
            was set back.
        group: The consumer group that answers.
        committed: The offset of the next record that the group answers in that partition; None if
            it has committed none.
    """

    record: Row
    join: Join
    answers: tuple[Row, ...]
    group: str
    committed: int | None

    @property
    def state(self) -> State:
        """Whether it is answered."""
        if self.answers:
            return "answered"
        passed = self.committed is not None and self.committed > self.record.offset
        return "gone" if passed else "waiting"


def join_of(entries: Sequence[Plan | Void], time_ms: int) -> Join:
    """Say which plan is in force for a record that was appended at a time (Unix milliseconds).

    >>> v = lambda offset, at: Plan(offset, at, Announcement("m", "1", "", "", (), 1000, ""))
    >>> from app.domain.plans import Announcement
    >>> entries = [v(0, 5_000), v(1, 9_000), Void(2, 9_500, "m", 1, "it can't be loaded", "")]
    >>> found = join_of(entries, 10_000)
    >>> found.plan.offset, found.rule, [void.offset for void in found.passed_over]
    (0, 'highest_offset', [2])
    """
    table = PlanTable.of(entry for entry in entries if isinstance(entry, Plan))
    voids = {entry.voided_offset: entry for entry in entries if isinstance(entry, Void)}
    passed_over = []
    while (plan := table.at(time_ms)) is not None and plan.offset in voids:
        passed_over.append(voids[plan.offset])
        table = table.with_void(voids[plan.offset])
    if plan is None:
        return Join(None, "no_plan", tuple(passed_over), None)
    rule: Rule = "highest_offset" if plan.effective_ms <= time_ms else "first_plan"
    after = PlanTable.of(entries)
    changes = (after.at(one.effective_ms) for one in _by_effect(after.plans, time_ms))
    later = next((one for one in changes if one is not plan), None)
    return Join(plan, rule, tuple(passed_over), later)


def _by_effect(plans: Iterable[Plan], time_ms: int) -> list[Plan]:
    coming = [plan for plan in plans if plan.effective_ms > time_ms]
    return sorted(coming, key=lambda plan: plan.effective_ms)


def as_dict(trace: Trace) -> dict[str, Any]:
    """Return it for programs; docs/schemas/trace.json has the fields."""
    join = trace.join
    return {
        "record": row_as_dict(trace.record),
        "plan": None if join.plan is None else _plan(join.plan),
        "rule": join.rule,
        "passed_over": [
            {"offset": void.voided_offset, "voided_by": void.offset, "why": void.why}
            for void in join.passed_over
        ],
        "later": None if join.later is None else _plan(join.later),
        "state": trace.state,
        "group": trace.group,
        "committed": trace.committed,
        "answers": [
            {
                **row_as_dict(answer),
                "latency_ms": answer.appended_ms - trace.record.appended_ms,
                "by_plan": by_plan(answer, join.plan),
            }
            for answer in trace.answers
        ],
    }


def by_plan(answer: Row, plan: Plan | None) -> bool | None:
    """Say whether a signal is by this plan; None for a dead letter, which names none."""
    if answer.kind != "signal":
        return None
    return plan is not None and answer.fields["announcement_offset"] == plan.offset


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.announcement.model_name,
        "version": plan.announcement.model_version,
        "offset": plan.offset,
        "announced": instant(plan.appended_ms),
        "effective": moment(plan.effective_ms),
    }
