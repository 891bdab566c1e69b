"""How fast the stream is beside a hand-written loop: same machine, same broker, same input.

    python -m tests.benchmarks.stream_against_loop

One process each, in turns: loop, stream, loop, stream, … Each answers the whole input, into topics
of its own, and every answer is checked. A rate is answers over the time between the append of the
first and of the last. Ends with 1 if a contestant did not answer each record once.
"""

import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from models.command_line import run
from models.treasury_price_model import Kind
from tests.benchmarks import contestants, results
from tests.benchmarks.contestants import CONTESTANTS, Answers, Contestant
from tests.benchmarks.course import Course, Guarantee, Lane, prepared
from tests.benchmarks.results import Result

Records = Annotated[int, typer.Option(min=20_000, help="How many each contestant answers.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each contestant runs.")]
Guarantees = Annotated[Literal["both", Guarantee], typer.Option(help="What a crash may do.")]
Models = Annotated[Literal["both", Kind], typer.Option(help="What predicts.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def main(
    records: Records = 800_000,
    rounds: Rounds = 3,
    guarantee: Guarantees = "both",
    model: Models = "both",
    as_json: AsJson = False,
) -> None:
    """Measure the stream beside a hand-written loop."""
    kinds: tuple[Kind, ...] = get_args(Kind) if model == "both" else (model,)
    guarantees: tuple[Guarantee, ...] = get_args(Guarantee) if guarantee == "both" else (guarantee,)
    with prepared() as (course, broker), _bar() as progress:
        facts = results.machine(broker)
        race = Race(course, records, rounds, progress)
        found = [result for kind in kinds for result in race.run(kind, guarantees)]
    if as_json:
        for result in found:
            line = {"records": records, **result.as_dict(), "machine": facts}
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
    else:
        console = Console()
        console.print(results.table(found, records))
        console.print(results.in_a_line(facts), highlight=False)


class Race:
    """All rounds over one input."""

    def __init__(self, course: Course, records: int, rounds: int, progress: Progress) -> None:
        self._course = course
        self._records = records
        self._rounds = rounds
        self._progress = progress
        self._runs = 0
        self._warm = False
        course.produce(records, on_progress=self._new_task("input"))

    def run(self, kind: Kind, guarantees: tuple[Guarantee, ...]) -> Iterator[Result]:
        """Yield a result for each guarantee, once its rounds are over."""
        entry = self._course.enter(kind)
        for guarantee in guarantees:
            rates: dict[Contestant, list[float]] = {of: [] for of in CONTESTANTS}
            answers: dict[Contestant, Answers] = {}
            if not self._warm:  # the broker's code is compiled while it runs
                with self._course.lane(entry, guarantee) as lane:
                    self._run("loop", lane, "warm-up")
                self._warm = True
            for number in range(1, self._rounds + 1):
                for contestant in CONTESTANTS:
                    with self._course.lane(entry, guarantee) as lane:
                        name = f"{kind}, {guarantee}, round {number}, {contestant}"
                        answers[contestant] = self._run(contestant, lane, name)
                    rates[contestant].append(answers[contestant].rate)
                contestants.assert_same_prices(answers["loop"], answers["stream"])
            yield Result(kind, guarantee, rates)

    def _run(self, contestant: Contestant, lane: Lane, name: str) -> Answers:
        self._runs += 1
        log = self._course.folder / f"{self._runs}-{contestant}.log"
        return contestants.run(contestant, lane, self._records, log, self._new_task(name))

    def _new_task(self, name: str) -> Any:
        task = self._progress.add_task(name, total=self._records)
        return lambda records: self._progress.update(task, completed=records)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        refresh_per_second=2,  # the cores are for the contestants
    )


if __name__ == "__main__":
    run(main)
