"""How long records wait for their answers before a switch of versions, and around it."""

from collections.abc import Sequence

import numpy as np

from app.domain.plans import Plan
from app.domain.times import instant
from tests.harness.instances import ROOT
from tests.harness.world import World

PLACE = ROOT / ".local" / "latency-around-a-switch.md"
"""Where the table of the last run is written; docs/promote.md names it."""

_AROUND_MS = (-1_000, 2_000)


def write(world: World, plan: Plan, instances: int) -> str:
    """Write a table of the times from a record's append to the append of its answer.

    Both are the broker's. An instance commits before readers see it, so they see it a little later.

    Args:
        world: Whose records are all answered with signals.
        plan: That came into force under flow.
        instances: How many there are.

    Returns:
        The table.
    """
    inputs, found = world.inputs(), world.answers()
    before: list[int] = []
    around: list[int] = []
    for (_, signal), answered_ms in zip(found.signals, found.signal_times, strict=True):
        appended_ms = inputs[signal.source_partition, signal.source_offset][0]
        place = appended_ms - plan.effective_ms
        if place < _AROUND_MS[0]:
            before.append(answered_ms - appended_ms)
        elif place < _AROUND_MS[1]:
            around.append(answered_ms - appended_ms)
    version = plan.announcement.model_version
    table = "\n".join(
        [
            f"Version {version} from {instant(plan.effective_ms)}, {instances} instances.",
            "",
            "| records appended | number | p50 | p99 | longest |",
            "|---|---:|---:|---:|---:|",
            _row("before", before),
            _row("from 1 s before the switch to 2 s after it", around),
            "",
        ]
    )
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(table)
    return table


def _row(name: str, waits: Sequence[int]) -> str:
    p50, p99 = np.percentile(waits, (50, 99))
    return f"| {name} | {len(waits):,} | {p50:.0f} ms | {p99:.0f} ms | {max(waits)} ms |"
