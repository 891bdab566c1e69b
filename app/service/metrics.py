"""The metrics of the service; docs/service.md says the same, and a test compares."""

import math
from collections.abc import Callable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class ServiceMetrics:
    """Each method is an event."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "ds_models_service_requests",
            "Requests answered; `route` is empty where there is none.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "ds_models_service_request_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._refused = Counter(
            "ds_models_service_refused_callers",
            "Requests of callers who were let in nowhere.",
            ("reason",),
            registry=self.registry,
        )
        self._changes = Counter(
            "ds_models_service_changes",
            "Changes that were asked for.",
            ("action", "outcome"),
            registry=self.registry,
        )
        self._rows = Counter(
            "ds_models_service_rows",
            "Rows that were asked to be predicted.",
            ("outcome",),
            registry=self.registry,
        )
        self._webhooks = Counter(
            "ds_models_service_webhooks",
            "Webhooks of MLflow that can be read.",
            ("outcome",),
            registry=self.registry,
        )
        self._steps = Counter(
            "ds_models_reconciler_steps",
            "What the reconciler of this service did.",
            ("action",),
            registry=self.registry,
        )
        self._deaths = Counter(
            "ds_models_reconciler_deaths",
            "How often its thread died; it was begun anew.",
            registry=self.registry,
        )
        self._looked = Gauge(
            "ds_models_reconciler_looked_seconds",
            "Since it last saw the alias and the topic; NaN if it does not run here.",
            registry=self.registry,
        )
        self._agrees = Gauge(
            "ds_models_reconciler_agrees",
            "1 if the newest plan names the alias's version; NaN while nobody has looked.",
            registry=self.registry,
        )
        self.reconciler(lambda: math.nan, lambda: math.nan)
        for outcome in ("taken", "repeated", "wrong_time", "wrong_signature"):
            self._webhooks.labels(outcome)
        for action in ("staged", "announced", "unstaged", "failed"):
            self._steps.labels(action)
        for reason in ("unauthorized", "too_many_requests", "too_many_wrong_tokens"):
            self._refused.labels(reason)
        for outcome in ("predicted", "rejected"):
            self._rows.labels(outcome)
        Gauge("ds_models_build_info", "Always 1.", ("version",), registry=self.registry).labels(
            version("ds-models")
        ).set(1)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, reason: str) -> None:
        """A caller was not let in: `unauthorized`, or one of two kinds of too many."""
        self._refused.labels(reason).inc()

    def changed(self, action: str, outcome: str) -> None:
        """A change was asked for, and so it ended."""
        self._changes.labels(action, outcome).inc()

    def webhook(self, outcome: str) -> None:
        """A webhook was `taken`, `repeated`, or refused: `wrong_time`, `wrong_signature`."""
        self._webhooks.labels(outcome).inc()

    def reconciler(self, looked_s: Callable[[], float], agrees: Callable[[], float]) -> None:
        """Say who is asked, whenever somebody looks, how the reconciler of this service is."""
        self._looked.set_function(looked_s)
        self._agrees.set_function(agrees)

    def reconciled(self, action: str) -> None:
        """The reconciler has `staged`, `announced`, `unstaged` or `failed`."""
        self._steps.labels(action).inc()

    def reconciler_died(self) -> None:
        """Its thread died and was begun anew."""
        self._deaths.inc()

    def predicted(self, predicted: int, rejected: int) -> None:
        """So many rows got a price, and so many a reason."""
        self._rows.labels("predicted").inc(predicted)
        self._rows.labels("rejected").inc(rejected)
