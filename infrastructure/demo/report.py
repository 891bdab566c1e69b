"""What the demo says at its end: a table that adds up, and how to go on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from app.domain.plans import Plan
    from app.tools.producing.produce import Summary
    from infrastructure.demo.account import Account
    from infrastructure.demo.stage import Stage

_AROUND_SWAP_MS = 2_000


def account(
    console: Console, taken: Account, produced: Summary, plans: Sequence[Plan], steady_ms: float
) -> None:
    """Print the whole account; `steady_ms` is when the backlog of the start was answered."""
    table = Table("", "records", title="Every record that went in", show_footer=True)
    table.columns[0].footer = "adds up" if taken.adds_up else "[bold red]does NOT add up[/]"
    table.add_row("in", f"{len(taken.records):,}")
    for plan in plans:
        version = plan.announcement.model_version
        table.add_row(
            f"signals by version {version}", f"{taken.by_version[version]:,}", style="green"
        )
    table.add_row("dead letters", f"{len(taken.letters):,}", style="red")
    table.add_row("answered twice", f"{taken.twice:,}")
    table.add_row("missing", f"{taken.missing:,}")
    table.columns[1].footer = (
        f"{taken.by_version.total():,} + {len(taken.letters):,} = "
        f"{taken.by_version.total() + len(taken.letters):,}"
    )
    console.print(table)
    _letters(console, taken, produced)
    _gaps(console, taken, plans, steady_ms)


def letters_agree(taken: Account, produced: Summary) -> bool:
    """Say whether each bad record became a dead letter of the reason that it was made for."""
    counted = Counter(letter.rejection.reason for letter in taken.letters)
    return dict(counted) == {reason: n for reason, n in produced.reasons.items() if n}


def _letters(console: Console, taken: Account, produced: Summary) -> None:
    counted = Counter(letter.rejection.reason for letter in taken.letters)
    first = {letter.rejection.reason: letter for letter in reversed(taken.letters)}
    table = Table("reason", "sent", "letters", "the first, and where it came from")
    for reason in sorted(produced.reasons.keys() | counted.keys()):
        letter = first.get(reason)
        example = (
            ""
            if letter is None
            else (
                f"{letter.source_partition}/{letter.source_offset}: {letter.rejection.message[:60]}"
            )
        )
        sent, found = produced.reasons.get(reason, 0), counted[reason]
        table.add_row(reason.value, f"{sent:,}", f"{found:,}", escape(example))
    console.print(table)


def _gaps(console: Console, taken: Account, plans: Sequence[Plan], steady_ms: float) -> None:
    swap_ms = plans[-1].effective_ms
    around = taken.longest_gap_ms(swap_ms - _AROUND_SWAP_MS, swap_ms + _AROUND_SWAP_MS)
    before = taken.longest_gap_ms(steady_ms, swap_ms - _AROUND_SWAP_MS)
    console.print(
        f"Longest time without an output, at the same rate: [bold]{around} ms[/] around the swap "
        f"(2 s before and after), [bold]{before} ms[/] before it.",
        soft_wrap=True,
    )


def how_to_go_on(console: Console, stage: Stage, processes: Sequence[int]) -> None:
    """Say how to look at what was left running, and how to end it."""
    kafka, mlflow = stage.broker.bootstrap_servers, stage.mlflow.address
    console.print("\nEverything is left running. To go on by hand:\n")
    lines = [
        f"export KAFKA_BOOTSTRAP_SERVERS={kafka} MLFLOW_TRACKING_URI={mlflow}",
        "export PATH=$PWD/.venv/bin:$PATH",
        "python -m app announcements",
        "python -m app inspect signals.topic --max 5",
        "python -m app inspect treasury.data.dead-letters --max 5",
        "python -m app produce --count 1000 --rate 200 --bad 0.05",
        "python models/train_and_register_model.py --kind forest --seed 7",
        f"xdg-open {mlflow}   # the models in MLflow's own page",
        f"kill {' '.join(map(str, processes))}   # ends it all",
    ]
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)


def how_to_go_on_after(console: Console) -> None:
    """Say how to do the same by hand."""
    console.print("\nEverything is stopped. `make demo KEEP=1` leaves it running; by hand:\n")
    lines = [
        "make kafka-up mlflow-up && export PATH=$PWD/.venv/bin:$PATH",
        'eval "$(python -m infrastructure.kafka env)"',
        'eval "$(python -m infrastructure.mlflow_server env)"',
        "python -m app topics create",
        "python models/train_and_register_model.py",
        "python -m app run &",
        "python -m app produce --count 10000 --rate 500 --bad 0.02",
        "python -m app inspect signals.topic --max 5",
    ]
    for line in lines:
        console.print(f"  {line}", soft_wrap=True, markup=False)
