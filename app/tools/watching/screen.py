"""`status` for people: three small tables, and what is wrong, a line for each instance."""

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.domain.plans import Plan
from app.domain.times import instant, second
from app.tools.plain_text import printable
from app.tools.watching.status import PartitionLag, Status
from app.topics.status import Heard

_STYLES = {"serving": "green", "holding": "bold red", "starting": "yellow", "silent": "dim"}
_STEADY = 1.0  # records a second: less is no trend


def screen(status: Status) -> Group:
    """Return what to print."""
    if status.holds is None:
        verdict = [Text(f"All is well at {instant(status.now_ms)}.", style="green")]
    else:
        wrong = status.held or [status.holds]
        verdict = [Text(printable(one), style="bold red") for one in wrong]
    return Group(
        _lag(status),
        _plans(status),
        _instances(status),
        Text(
            "Live: reported within three of its periods (15 s), by this machine's clock.",
            style="dim",
        ),
        *verdict,
    )


def _lag(status: Status) -> Table:
    table = Table(title=f"lag of {status.group}", title_justify="left")
    for name in ("partition", "records", "trend"):
        table.add_column(name, justify="right")
    for one in status.lag:
        table.add_row(
            str(one.partition), "unknown" if one.lag is None else f"{one.lag:,}", _trend(one)
        )
    known = [one.lag for one in status.lag if one.lag is not None]
    table.add_row("all", f"{sum(known):,}", "", style="bold")
    return table


def _trend(one: PartitionLag) -> Text:
    if one.change is None:
        return Text("unknown", style="dim")
    if abs(one.change) < _STEADY:
        return Text("steady")
    return (
        Text(f"▲ {one.change:,.0f}/s", style="red")
        if one.change > 0
        else Text(f"▼ {-one.change:,.0f}/s", style="green")
    )


def _plans(status: Status) -> Table:
    table = Table("plan", "version", "offset", "effective", title="plans", title_justify="left")

    def add(name: str, plan: Plan, style: str) -> None:
        table.add_row(
            Text(name, style=style),
            printable(plan.announcement.model_version),
            str(plan.offset),
            instant(plan.effective_ms),
        )

    if status.in_force is None:
        table.add_row(Text("none is announced", style="bold red"), "", "", "")
    else:
        add("in force", status.in_force, "bold green")
    for plan in status.coming:
        add("coming", plan, "cyan")
    return table


def _instances(status: Status) -> Table:
    table = Table(title="instances", title_justify="left")
    for name in ("instance", "does", "since", "serves", "loaded", "partitions", "lag", "heard"):
        table.add_column(name, overflow="fold", no_wrap=name == "does")
    lag = {one.partition: one.lag for one in status.lag}
    for heard in status.instances:
        table.add_row(*_instance(heard, status.now_ms, lag))
    return table


def _instance(heard: Heard, now_ms: int, lag: Mapping[int, int | None]) -> list[Text | str]:
    report = heard.report
    doing = report.doing if heard.is_live(now_ms) else "silent"
    said = Text(doing, style=_STYLES[doing])
    if report.reason:
        said.append(f"\n{printable(report.reason)}", style="default")
    in_force = report.in_force
    serves = in_force is not None and in_force in report.loaded
    return [
        printable(report.instance),
        said,
        second(report.since_ms),
        printable(in_force.version) if in_force is not None and serves else "-",
        ", ".join(sorted({printable(one.version) for one in report.loaded})) or "-",
        ", ".join(map(str, sorted(report.lag))) or "-",
        f"{sum(lag.get(one) or 0 for one in report.lag):,}",
        f"{max(0, now_ms - heard.appended_ms) / 1000:.0f} s ago",
    ]
