"""The metrics: each is documented, and each event and state is seen in them."""

import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from app.domain.records import Reason
from app.telemetry.metrics import Answered, Metrics, Served, State, observe_all

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NOW_MS = 1_700_000_000_000
BOUNDS = (0.01, 0.1, 1.0)
SERVED = Served("m", "7", 3)


def metrics(state: State | None = None) -> Metrics:
    return Metrics(lambda: state or State(), lambda: NOW_MS)


def value(of: Metrics, name: str, **labels: str) -> float | None:
    return of.registry.get_sample_value(name, labels)


def documented(text: str) -> list[tuple[str, str, str]]:
    return re.findall(r"^\| `(ds_models_\w+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE)


def test_every_metric_is_in_the_page_with_its_type_and_labels_and_no_other() -> None:
    told = metrics(State(in_force=SERVED, lag={0: 1}))
    told.committed(Answered(1, {"empty": 1}, np.array([NOW_MS, NOW_MS])), 0.1)
    told.load_tried(1.0, loaded=True)
    told.held("no_plan")
    told.rebalanced("assigned")
    told.ignored("null")
    found = {
        (
            family.name + ("_total" if family.type == "counter" else ""),
            family.type,
            frozenset(label for s in family.samples for label in s.labels) - {"le"},
        )
        for family in text_string_to_metric_families(generate_latest(told.registry).decode())
        if not family.name.startswith("process_") and not family.name.endswith("_created")
    }
    rows = documented(PAGE.partition("## Several workers")[0])
    written = {
        (name, kind, frozenset(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", labels))))
        for name, kind, labels in rows
    }
    assert found == written


def test_each_documented_value_of_a_label_is_there_from_the_start_and_no_other() -> None:
    text = generate_latest(metrics().registry).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            for label, of in sample.labels.items():
                found.setdefault(f"{sample.name.removesuffix('_count')} {label}", set()).add(of)
    documented_values = {
        f"{name} {label}": set(re.findall(r"`(\w+)`", values))
        for name, kind, labels in documented(PAGE)
        for label, values in re.findall(r"`(\w+)` \((.*?)\)", labels)
        if kind != "gauge"  # what an instance is like, it is told later
    }
    assert len(documented_values) == 5
    for place, values in documented_values.items():
        assert found[place] == values, place
    assert found["ds_models_records_total reason"] == {"", *(reason.value for reason in Reason)}


@given(st.lists(st.floats(-5, 10) | st.sampled_from(BOUNDS), max_size=50))
def test_many_values_at_once_are_counted_as_one_by_one(values: list[float]) -> None:
    at_once = Histogram("h", "h", buckets=BOUNDS, registry=(first := CollectorRegistry()))
    one_by_one = Histogram("h", "h", buckets=BOUNDS, registry=(second := CollectorRegistry()))
    observe_all(at_once, np.array(values, dtype=float), BOUNDS)
    for number in values:
        one_by_one.observe(max(number, 0.0))

    def samples(of: CollectorRegistry) -> dict[tuple[str, str], float]:
        return {
            (s.name, s.labels.get("le", "")): s.value
            for family in of.collect()
            for s in family.samples
            if not s.name.endswith("_created")
        }

    ours, theirs = samples(first), samples(second)
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose([ours[key] for key in theirs], list(theirs.values()))


def test_a_committed_batch_is_counted_by_outcome_reason_and_waiting_time() -> None:
    told = metrics()
    appended = np.array([NOW_MS - 20, NOW_MS - 2_000, NOW_MS - 2_000])
    told.committed(Answered(2, {"empty": 1}, appended), 0.004)
    assert value(told, "ds_models_records_total", outcome="signal", reason="") == 2
    assert value(told, "ds_models_records_total", outcome="dead_letter", reason="empty") == 1
    assert value(told, "ds_models_latency_seconds_bucket", le="0.025") == 1
    assert value(told, "ds_models_latency_seconds_bucket", le="2.5") == 3
    assert value(told, "ds_models_latency_seconds_sum") == 4.02
    assert value(told, "ds_models_batch_records_sum") == 3
    assert value(told, "ds_models_checkpoint_seconds_sum") == 0.004


def test_events_are_counted_by_their_kind() -> None:
    told = metrics()
    told.held("model_not_loaded")
    told.rebalanced("lost")
    told.ignored("malformed")
    told.plan_was_late()
    told.plan_was_voided()
    told.load_tried(2.0, loaded=False)
    told.swapped(3.0)
    told.fence_passed(0.5)
    assert value(told, "ds_models_holds_total", reason="model_not_loaded") == 1
    assert value(told, "ds_models_rebalances_total", kind="lost") == 1
    assert value(told, "ds_models_ignored_announcements_total", kind="malformed") == 1
    assert value(told, "ds_models_late_plans_total") == 1
    assert value(told, "ds_models_voided_plans_total") == 1
    assert value(told, "ds_models_load_seconds_sum", outcome="failed") == 2.0
    assert value(told, "ds_models_swap_seconds_sum") == 3.0
    assert value(told, "ds_models_fence_seconds_sum") == 0.5


def test_the_state_is_seen_as_it_is_when_it_is_asked_for() -> None:
    state = State(
        ready=True,
        waits_for=None,
        in_force=SERVED,
        coming=(Served("m", "8", 4),),
        loaded=(SERVED, Served("m", "7", 1)),  # two plans of one version
        holds="because",
        feed_staleness_s=2.5,
        lag={0: 10, 3: 0},
    )
    told = metrics(state)
    assert value(told, "ds_models_ready") == 1
    assert value(told, "ds_models_holding") == 1
    assert value(told, "ds_models_feed_staleness_seconds") == 2.5
    assert value(told, "ds_models_plan_offset") == 3
    assert value(told, "ds_models_partitions") == 2
    assert value(told, "ds_models_lag_records", partition="0") == 10
    for kind, number in (("in_force", "7"), ("coming", "8"), ("loaded", "7")):
        labels = {"state": kind, "model": "m", "version": number}
        assert value(told, "ds_models_version_info", **labels) == 1


def test_an_instance_that_starts_is_not_ready_and_has_no_plan() -> None:
    told = metrics()
    assert value(told, "ds_models_ready") == 0
    assert value(told, "ds_models_holding") == 0
    assert value(told, "ds_models_plan_offset") == -1
