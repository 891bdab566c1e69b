"""`produce` on a terminal: a progress bar with the rate reached, and a summary at the end."""

import signal
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from app.tools.producing.produce import Summary, produce
from app.tools.producing.samples import GOOD, Sample


@dataclass(frozen=True, slots=True)
class Produced:
    """A summary that can be shown."""

    summary: Summary

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "records": self.summary.records,
            "good": self.summary.good,
            "bad": {reason.value: count for reason, count in self.summary.reasons.items()},
            "seconds": round(self.summary.seconds, 3),
            "rate": round(self.summary.rate, 1),
        }

    def show(self) -> None:
        """Print it for people."""
        table = Table("records", "count", "become")
        table.add_row(GOOD, f"{self.summary.good:,}", "signals", style="green")
        for reason, count in sorted(self.summary.reasons.items()):
            table.add_row(reason.value, f"{count:,}", "dead letters", style="red")
        console = Console()
        console.print(table)
        console.print(
            f"{self.summary.records:,} records in {self.summary.seconds:.1f} s: "
            f"{self.summary.rate:,.0f} a second, each acknowledged."
        )


def produce_with_progress(
    config: Mapping[str, Any],
    topic: str,
    samples: Iterable[Sample],
    count: int | None,
    rate: float | None = None,
) -> Produced:
    """Produce as `app.tools.producing.produce.produce` does; the first Ctrl+C stops it in order.

    Args:
        config: As there.
        topic: As there.
        samples: As there.
        count: How many samples there are, None for no end.
        rate: As there.

    Raises:
        DsModelsError: As there.
    """
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        ) as progress:
            task = progress.add_task(f"to {topic}", total=count)
            return Produced(
                produce(
                    config,
                    topic,
                    samples,
                    rate=rate,
                    on_progress=lambda records: progress.update(task, completed=records),
                    stopped=stop.is_set,
                )
            )
    finally:
        signal.signal(signal.SIGINT, before)


class _Rate(ProgressColumn):
    """Records a second, of the last seconds; of the whole run if that was too short for it."""

    def render(self, task: Task) -> Text:
        whole = task.completed / task.elapsed if task.elapsed else 0.0
        speed = task.finished_speed or task.speed or whole
        return Text(f"{speed:,.0f}/s", style="cyan")
