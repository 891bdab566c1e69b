"""`trace` for people: a record's way, from its append to its answer."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.domain.plans import Plan
from app.domain.times import moment
from app.tools.inspecting.rows import Row
from app.tools.inspecting.tables import for_people, shown_value
from app.tools.plain_text import printable
from app.tools.tracing.trace import Trace, by_plan

_SECOND_MS = 1_000


def screen(trace: Trace) -> Group:
    """Return what to print."""
    way = Table.grid(padding=(0, 2))
    way.add_column(style="bold")
    way.add_column(overflow="fold")
    record = trace.record
    way.add_row("record", _place(record))
    way.add_row("", _appended(record))
    way.add_row("", _fields(record))
    way.add_row("plan", _named(trace.join.plan))
    for why in _why(trace):
        way.add_row("", Text(why))
    for answer in trace.answers:
        way.add_row("answer", _place(answer))
        took = _duration(answer.appended_ms - record.appended_ms)
        way.add_row("", Text(f"{_appended(answer)}, {took} the record"))
        way.add_row("", _fields(answer))
        if by_plan(answer, trace.join.plan) is False:
            at = answer.fields["announcement_offset"]
            said = f"it is by the plan at offset {at}, and not by the one that the rule says"
            way.add_row("", Text(said, style="bold red"))
    if not trace.answers:
        way.add_row("answer", _no_answer(trace))
    return Group(way)


def _place(row: Row) -> Text:
    styles = {"signal": "green", "dead letter": "red"}
    named = Text(f"{row.partition}/{row.offset} of {printable(row.topic)}")
    if row.kind != "record":
        named = Text(f"{row.kind} ", style=styles.get(row.kind, "")).append(named)
    return named.append(" key ", style="dim").append(shown_value(row.key))


def _appended(row: Row) -> str:
    return f"appended {moment(row.appended_ms) or row.appended_ms}"


def _fields(row: Row) -> Text:
    said = Text()
    for name, value in for_people(row).items():
        if name != "source" and value is not None:
            said.append(f"{name}=", style="dim").append(shown_value(value)).append(" ")
    said.rstrip()
    return said


def _named(plan: Plan | None) -> RenderableType:
    if plan is None:
        return Text("none", style="bold red")
    name, version = plan.announcement.model_name, plan.announcement.model_version
    effective = moment(plan.effective_ms) or plan.effective_ms
    return Text(
        f"{printable(name)} version {printable(version)}, offset {plan.offset}, "
        f"effective from {effective}"
    )


def _why(trace: Trace) -> list[str]:
    join, time = trace.join, trace.record.appended_ms
    said = {
        "highest_offset": "of those whose effective time is not after the record's append time it "
        "has the highest offset",
        "first_plan": "the record is older than the effective time of every plan, and takes the "
        "first",
        "no_plan": "no plan is announced: the record waits for one",
    }
    lines = [f"why: {said[join.rule]}"]
    lines += [
        f"passed over: offset {void.voided_offset}, voided by offset {void.offset}: "
        f"{printable(void.why)}"
        for void in join.passed_over
    ]
    if join.later is not None:
        version = printable(join.later.announcement.model_version)
        until = _duration(join.later.effective_ms - time)
        lines.append(
            f"next: version {version}, offset {join.later.offset}, effective {until} the record"
        )
    return lines


def _no_answer(trace: Trace) -> Text:
    offset, committed = trace.record.offset, trace.committed
    group = printable(trace.group)
    if committed is None:
        return Text(f"not answered yet: {group} has answered none of this partition", "bold yellow")
    if trace.state == "waiting":
        return Text(
            f"not answered yet: {group} is at offset {committed}, {offset - committed:,} before it",
            "bold yellow",
        )
    return Text(
        f"none is there, though {group} is past it, at offset {committed}: Kafka has deleted it, "
        "or the group's position was set by hand",
        "bold red",
    )


def _duration(ms: int) -> str:
    size = f"{abs(ms)} ms" if abs(ms) < 10 * _SECOND_MS else f"{abs(ms) / _SECOND_MS:,.1f} s"
    return f"{size} {'before' if ms < 0 else 'after'}"
