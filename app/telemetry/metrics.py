"""Every metric of an instance, in one place; docs/metrics.md says the same, and a test compares.

Counters and histograms are told by whoever knows: each method is an event. Gauges are read when
they are asked for, from a `State`, so that none can be left behind by the thing that it describes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.domain.records import Reason

HoldReason = Literal[
    "no_plan",
    "model_not_loaded",
    "refused_by_policy",
    "announcements_behind",
    "too_many_dead_letters",
]
Rebalance = Literal["assigned", "revoked", "lost"]
IgnoredKind = Literal["null", "malformed", "foreign", "duplicate", "outrun", "invalid_void"]

_LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SHORT_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_LONG_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_RECORDS = (1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000)


@dataclass(frozen=True, slots=True)
class Answered:
    """What one committed batch answered.

    Attributes:
        signals: How many records got a price.
        letters: How many became dead letters, by reason.
        appended_ms: The append time of each record, in Unix milliseconds, in any order.
    """

    signals: int
    letters: Mapping[str, int]
    appended_ms: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Served:
    """A model version and the offset of the plan that names it."""

    model: str
    version: str
    offset: int


@dataclass(frozen=True, slots=True)
class Staging:
    """A version that is staged, the offset where it is, and why it is not loaded yet, if so."""

    model: str
    version: str
    offset: int
    why_not: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What an instance is like at one moment.

    Attributes:
        ready: The announcements are read, a version is loaded and nothing holds.
        table_is_read: The announcements were once read to their end.
        waits_for: Why it is not ready, for a person; None if it is.
        in_force: The plan in force now, None if there is none.
        coming: Plans that will be in force later.
        loaded: What is loaded.
        staged: What is staged, None if nothing is.
        holds: Why records wait, None if none do;
        reason: the same for programs.
        feed_staleness_s: Since the announcements were last known to be read to their end.
        lag: Records not yet answered, by partition of the input that this instance owns.
    """

    ready: bool = False
    table_is_read: bool = False
    waits_for: str | None = "it starts"
    in_force: Served | None = None
    coming: tuple[Served, ...] = ()
    loaded: tuple[Served, ...] = ()
    staged: Staging | None = None
    holds: str | None = None
    reason: HoldReason | None = None
    feed_staleness_s: float = 0.0
    lag: Mapping[int, int] = field(default_factory=dict)


class Metrics:
    """The metrics of one instance.

    Args:
        state: Asked at each scrape, from another thread.
        clock_ms: Unix milliseconds; measures how long records waited.
    """

    def __init__(self, state: Callable[[], State], clock_ms: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._clock_ms = clock_ms
        self._records = Counter(
            "ds_models_records",
            "Records answered and committed; `reason` is empty for a signal.",
            ("outcome", "reason"),
            registry=self.registry,
        )
        self._batch = self._histogram("ds_models_batch_records", "Records of a batch.", _RECORDS)
        self._latency = self._histogram(
            "ds_models_latency_seconds",
            "From the append of a record, by the broker's clock, to the commit of its answer, by "
            "this machine's.",
            _LATENCY_S,
        )
        self._checkpoint = self._histogram(
            "ds_models_checkpoint_seconds", "Predict, produce and commit one batch.", _SHORT_S
        )
        self._fence = self._histogram(
            "ds_models_fence_seconds", "Make sure that all announcements are read.", _SHORT_S
        )
        self._load = Histogram(
            "ds_models_load_seconds",
            "One try to fetch, verify, load and warm a version.",
            ("outcome",),
            buckets=_LONG_S,
            registry=self.registry,
        )
        self._swap = self._histogram(
            "ds_models_swap_seconds", "From the reading of a plan to its version loaded.", _LONG_S
        )
        self._holds = Counter(
            "ds_models_holds",
            "Times that records began to wait.",
            ("reason",),
            registry=self.registry,
        )
        self._rebalances = Counter(
            "ds_models_rebalances", "Changes of the partitions.", ("kind",), registry=self.registry
        )
        self._late_plans = Counter(
            "ds_models_late_plans",
            "Plans that became visible after their effect began: a replay will differ.",
            registry=self.registry,
        )
        self._voided = Counter(
            "ds_models_voided_plans",
            "Plans that a void took out of force, since the topic began.",
            registry=self.registry,
        )
        self._ignored = Counter(
            "ds_models_ignored_announcements",
            "Messages on the announcement topic that are no plan of this model, nor void one.",
            ("kind",),
            registry=self.registry,
        )
        self._begin_at_zero()
        self.registry.register(_Gauges(state))
        ProcessCollector(registry=self.registry)

    def committed(self, answered: Answered, seconds: float) -> None:
        """A batch was committed, in so many seconds."""
        self._checkpoint.observe(seconds)
        self._batch.observe(len(answered.appended_ms))
        self._records.labels("signal", "").inc(answered.signals)
        for reason, count in answered.letters.items():
            self._records.labels("dead_letter", reason).inc(count)
        observe_all(self._latency, (self._clock_ms() - answered.appended_ms) / 1000, _LATENCY_S)

    def fence_passed(self, seconds: float) -> None:
        """All announcements are read; it took so many seconds to be sure."""
        self._fence.observe(seconds)

    def load_tried(self, seconds: float, *, loaded: bool) -> None:
        """A try to load a version ended."""
        self._load.labels("loaded" if loaded else "failed").observe(seconds)

    def swapped(self, seconds: float) -> None:
        """A version is loaded, so many seconds after it was first wanted."""
        self._swap.observe(seconds)

    def held(self, reason: HoldReason) -> None:
        """Records began to wait."""
        self._holds.labels(reason).inc()

    def rebalanced(self, kind: Rebalance) -> None:
        """Partitions came or went."""
        self._rebalances.labels(kind).inc()

    def plan_was_late(self) -> None:
        """A plan became visible after its effect began."""
        self._late_plans.inc()

    def plan_was_voided(self) -> None:
        """A plan does not count any more, also for the past."""
        self._voided.inc()

    def ignored(self, kind: str) -> None:
        """A message on the announcement topic was no plan of ours."""
        self._ignored.labels(kind).inc()

    def _begin_at_zero(self) -> None:
        """Show each label from the start: Prometheus sees no increase to a first value."""
        self._records.labels("signal", "")
        for why in Reason:
            self._records.labels("dead_letter", why.value)
        for reason in get_args(HoldReason):
            self._holds.labels(reason)
        for change in get_args(Rebalance):
            self._rebalances.labels(change)
        for ignored in get_args(IgnoredKind):
            self._ignored.labels(ignored)
        for outcome in ("loaded", "failed"):
            self._load.labels(outcome)

    def _histogram(self, name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, what, buckets=buckets, registry=self.registry)


def observe_all(
    histogram: Histogram, values: npt.NDArray[np.float64], bounds: tuple[float, ...]
) -> None:
    """Observe many values at once: one by one they would cost as much as their prediction.

    The client has no such call, so this is the one place that knows how it counts.

    Args:
        histogram: Without labels.
        values: In its unit. Negative ones, of clocks that differ, count as nothing.
        bounds: The buckets that it was made with.
    """
    clipped = np.maximum(values, 0.0)
    places = np.searchsorted(bounds, clipped, side="left")
    for place, count in enumerate(np.bincount(places, minlength=len(bounds) + 1).tolist()):
        if count:
            histogram._buckets[place].inc(count)  # noqa: SLF001
    histogram._sum.inc(float(clipped.sum()))  # noqa: SLF001


class _Gauges(Collector):
    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        """Say the names without asking for the state."""
        return _gauges(State())

    def collect(self) -> Iterable[Metric]:
        """Ask for the state and say it."""
        return _gauges(self._state())


def _gauges(state: State) -> Iterator[Metric]:
    def gauge(name: str, what: str, value: float) -> Metric:
        return GaugeMetricFamily(f"ds_models_{name}", what, value=value)

    build = GaugeMetricFamily("ds_models_build_info", "Always 1.", labels=("version",))
    build.add_metric((version("ds-models"),), 1)
    yield build
    yield gauge("ready", "1 if it could answer a record now.", state.ready)
    yield gauge("holding", "1 while records wait.", state.holds is not None)
    yield gauge(
        "feed_staleness_seconds",
        "Since the announcements were last known to be read to their end.",
        state.feed_staleness_s,
    )
    yield gauge(
        "plan_offset",
        "Offset of the plan in force now; -1 if there is none.",
        -1 if state.in_force is None else state.in_force.offset,
    )
    yield gauge("partitions", "Partitions of the input that it owns.", len(state.lag))
    lag = GaugeMetricFamily(
        "ds_models_lag_records", "Records not yet answered.", labels=("partition",)
    )
    for partition, records in sorted(state.lag.items()):
        lag.add_metric((str(partition),), records)
    yield lag
    versions = GaugeMetricFamily(
        "ds_models_version_info",
        "Always 1: the version in force, those to come, and those loaded.",
        labels=("state", "model", "version"),
    )
    in_force = () if state.in_force is None else (state.in_force,)
    for name, served in (
        ("in_force", in_force),
        ("coming", state.coming),
        ("loaded", state.loaded),
    ):
        for model, number in sorted({(one.model, one.version) for one in served}):
            versions.add_metric((name, model, number), 1)
    yield versions
