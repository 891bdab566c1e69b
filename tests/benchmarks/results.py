"""What a run found out, as rows of a table and as objects for programs."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import confluent_kafka
from rich import box
from rich.table import Table

from models.treasury_price_model import Kind
from tests.benchmarks.contestants import CONTESTANTS, Contestant
from tests.benchmarks.course import Guarantee

_LIBRARIES = ("confluent-kafka", "quixstreams", "msgspec", "numpy", "scikit-learn", "mlflow")


@dataclass(frozen=True, slots=True)
class Result:
    """The rounds of both contestants with one model and one guarantee.

    Attributes:
        rates: Answers a second of each round; a round's loop and stream ran one after the other.
    """

    model: Kind
    guarantee: Guarantee
    rates: Mapping[Contestant, Sequence[float]]

    @property
    def medians(self) -> dict[Contestant, float]:
        return {contestant: statistics.median(self.rates[contestant]) for contestant in CONTESTANTS}

    @property
    def ratio(self) -> float:
        """The stream's median over the loop's."""
        return self.medians["stream"] / self.medians["loop"]

    @property
    def ratios(self) -> list[float]:
        """The stream's rate over the loop's, in each round."""
        pairs = zip(self.rates["stream"], self.rates["loop"], strict=True)
        return [stream / loop for stream, loop in pairs]

    def as_dict(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "model": self.model,
            "guarantee": self.guarantee,
            "rates": {of: [round(rate) for rate in rates] for of, rates in self.rates.items()},
            "medians": {of: round(rate) for of, rate in self.medians.items()},
            "ratio": round(self.ratio, 3),
            "ratio_min": round(min(self.ratios), 3),
            "ratio_max": round(max(self.ratios), 3),
        }


def table(results: Sequence[Result], records: int) -> Table:
    """Return the results for people: a section for each model and guarantee."""
    rounds = range(1, len(results[0].ratios) + 1)
    shown = Table("answers a second", box=box.SIMPLE, title=f"{records:,} records")
    for name in (*(f"round {number}" for number in rounds), "median", "min to max"):
        shown.add_column(name, justify="right")
    for result in results:
        shown.add_row(f"{result.model}, {result.guarantee}", style="bold")
        for contestant in CONTESTANTS:
            rates = [f"{rate:,.0f}" for rate in result.rates[contestant]]
            shown.add_row(f"  {contestant}", *rates, f"{result.medians[contestant]:,.0f}")
        shown.add_row(
            "  stream / loop",
            *(f"{ratio:.2f}" for ratio in result.ratios),
            f"{result.ratio:.2f}",
            f"{min(result.ratios):.2f} to {max(result.ratios):.2f}",
            end_section=True,
        )
    return shown


def machine(broker: str) -> dict[str, Any]:
    """Return what the figures depend on: the machine, how busy it is, and the versions."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "broker": broker,
        **{library: version(library) for library in _LIBRARIES},
    }


def in_a_line(facts: Mapping[str, Any]) -> str:
    """Return facts for people."""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
