"""How long a record waits for its signal: from its append to the append of its answer.

    python -m tests.benchmarks.latency

Both times are the broker's. Under exactly-once a `read_committed` reader sees the answer a little
later, when its transaction is committed. The first seconds of records warm up what answers them,
and don't count.
"""

import sys
from typing import Annotated, Any, get_args

import numpy as np
import orjson
import typer
from rich import box
from rich.console import Console
from rich.table import Table

from app.topics import reading
from models.command_line import run
from models.treasury_price_model import Kind
from tests.benchmarks import contestants, results
from tests.benchmarks.course import Course, Guarantee, Lane, prepared

_WARM_UP_S = 3

Rate = Annotated[int, typer.Option(min=1, help="Records a second.")]
Seconds = Annotated[int, typer.Option(min=1, help="For how long.")]
Model = Annotated[Kind, typer.Option(help="What predicts.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def main(
    rate: Rate = 1_000, seconds: Seconds = 20, model: Model = "linear", as_json: AsJson = False
) -> None:
    """Measure the latency of the stream at a rate that it keeps with ease."""
    found: list[dict[str, Any]] = []
    with prepared() as (course, broker):
        facts = results.machine(broker)
        entry = course.enter(model)
        produced = 0
        for guarantee in get_args(Guarantee):
            with course.lane(entry, guarantee) as lane:
                waits = measure(course, lane, produced, rate, seconds)
            produced += rate * (_WARM_UP_S + seconds)
            found.append({"model": model, "guarantee": guarantee, "rate": rate, **summary(waits)})
    if as_json:
        for row in found:
            sys.stdout.write(orjson.dumps({**row, "machine": facts}).decode() + "\n")
    else:
        console = Console()
        console.print(table(found))
        console.print(results.in_a_line(facts), highlight=False)


def measure(course: Course, lane: Lane, produced: int, rate: int, seconds: int) -> list[int]:
    """Return the latency of each record, in milliseconds.

    Args:
        course: With the input topic.
        lane: For the answers.
        produced: How many records are in the input already; they don't count.
        rate: Records a second.
        seconds: For how long.

    Raises:
        AssertionError: A record was not answered once with a signal.
    """
    log = course.folder / f"{lane.guarantee}.log"
    with contestants.start("stream", lane, log) as instance:
        instance.wait_until_assigned()
        course.produce(rate * _WARM_UP_S, rate=rate)
        warm = produced + rate * _WARM_UP_S
        begin = contestants.wait_until_committed(lane, warm, instance)
        course.produce(rate * seconds, rate=rate)
        contestants.wait_until_committed(lane, warm + rate * seconds, instance)
        assert instance.stop() == 0, instance.tail()
    answered_ms = contestants.check(lane, warm + rate * seconds).appended_ms
    return [
        int(answered_ms[record.partition][record.offset]) - record.appended_ms
        for record in reading.read(lane.client, course.records)
        if record.offset >= begin[record.partition]
    ]


def summary(waits: list[int]) -> dict[str, Any]:
    """Return how many there are, and what half, 99 in 100 and all of them stay within."""
    p50, p99 = np.percentile(waits, (50, 99)).tolist()
    return {"records": len(waits), "p50_ms": p50, "p99_ms": p99, "max_ms": max(waits)}


def table(found: list[dict[str, Any]]) -> Table:
    """Return the results for people."""
    shown = Table(box=box.SIMPLE, title="append of a record to append of its signal")
    for name in found[0]:
        shown.add_column(name.replace("_", " "), justify="right")
    for row in found:
        shown.add_row(*(f"{v:,.0f}" if isinstance(v, float | int) else v for v in row.values()))
    return shown


if __name__ == "__main__":
    run(main)
