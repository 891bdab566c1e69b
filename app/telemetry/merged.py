"""The metrics of several workers as one: each sample with the number of its worker."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_TIMEOUT_S = 5.0
_AWAY = (OSError, http.client.HTTPException)


class Merged(Collector):
    """Asks every worker at each scrape. One that does not answer is left out, and `up` is 0.

    Args:
        addresses: The address of each worker by its number; None if it has none yet.
    """

    def __init__(self, addresses: Callable[[], Mapping[int, str | None]]) -> None:
        self._addresses = addresses

    def describe(self) -> Iterable[Metric]:
        """Say no name: the workers' are known when they are asked."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Ask all workers."""
        up = Metric("ds_models_worker_up", "1 if the worker's metrics could be read.", "gauge")
        families: dict[str, Metric] = {}
        for number, address in self._addresses().items():
            text = None if address is None else _get(f"{address}/metrics")
            up.add_sample(up.name, {"worker": str(number)}, text is not None)
            for family in text_string_to_metric_families(text or ""):
                merged = families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "worker": str(number)}
                    merged.add_sample(sample.name, labels, sample.value)
        return [up, *families.values()]

    def why_not_alive(self) -> str | None:
        """Return which worker says that it hangs, and why; one that is silent may just start."""
        for number, address in self._addresses().items():
            answer = None if address is None else _get(f"{address}/healthz")
            if answer is not None and (why := json.loads(answer)["why"]) is not None:
                return f"worker {number}: {why}"
        return None

    def why_not_ready(self) -> str | None:
        """Return why one of the workers could not answer a record now."""
        for number, address in self._addresses().items():
            if address is None:
                return f"worker {number} starts"
            answer = _get(f"{address}/readyz")
            if answer is None:
                return f"worker {number} does not answer"
            if (why := json.loads(answer)["why"]) is not None:
                return f"worker {number}: {why}"
        return None


def _get(url: str) -> str | None:
    """Return what a worker says, also with a 503; None if it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - ours
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read().decode()
    except _AWAY:
        return None
