"""An instance's metrics and health, asked over HTTP while it works on a real broker."""

import json
import urllib.error
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.topics.lag import Lag
from tests.harness.instances import Instance
from tests.harness.world import MODEL, World, record, until


def get(instance: Instance, path: str) -> tuple[int, str]:
    """Ask the port that the instance has logged."""
    address = instance.wait_for_event("operator_port.listens")["address"]
    try:
        with urllib.request.urlopen(address + path, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def samples(instance: Instance) -> dict[str, float]:
    """Return each sample, named as Prometheus writes it, its labels in order of their names."""
    _, text = get(instance, "/metrics")
    return {
        f"{s.name}{{{','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))}}}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def why_not_ready(instance: Instance) -> str | None:
    status, text = get(instance, "/readyz")
    answer = json.loads(text)
    assert (status == 200) == answer["ok"] == (answer["why"] is None)
    why: str | None = answer["why"]
    return why


def test_an_instance_says_that_it_waits_then_that_it_serves_and_counts_what_it_committed(
    world: World, tmp_path: Path
) -> None:
    world.send(record(i, interest_rate="no" if i % 10 == 0 else 4.5) for i in range(1000))
    with Instance(world.environment, tmp_path / "a.log") as instance:
        instance.wait_for_event("stream.holds")
        assert get(instance, "/healthz")[0] == 200
        assert why_not_ready(instance) == "no version of the model has been announced"
        waiting = samples(instance)
        assert waiting["ds_models_holding{}"] == 1
        assert waiting["ds_models_holds_total{reason=no_plan}"] == 1
        assert sum(v for k, v in waiting.items() if k.startswith("ds_models_lag_records")) == 1000
        assert waiting["ds_models_partitions{}"] == 4

        world.announce_folder("1")
        world.wait_for_answers(1000)
        until(lambda: why_not_ready(instance) is None)
        until(lambda: samples(instance)["ds_models_latency_seconds_count{}"] == 1000)
        serving = samples(instance)
        assert serving["ds_models_records_total{outcome=signal,reason=}"] == 900
        assert serving["ds_models_records_total{outcome=dead_letter,reason=wrong_type}"] == 100
        assert serving["ds_models_batch_records_sum{}"] == 1000
        assert serving["ds_models_checkpoint_seconds_count{}"] >= 1
        assert serving["ds_models_fence_seconds_count{}"] >= 1
        assert serving["ds_models_load_seconds_count{outcome=loaded}"] == 1
        assert serving["ds_models_swap_seconds_count{}"] == 1
        assert serving["ds_models_rebalances_total{kind=assigned}"] >= 1
        assert serving["ds_models_plan_offset{}"] == 0
        for state in ("in_force", "loaded"):
            name = f"ds_models_version_info{{model={MODEL},state={state},version=1}}"
            assert serving[name] == 1
        until(lambda: samples(instance)["ds_models_holding{}"] == 0)
        until(
            lambda: (
                not any(
                    v for k, v in samples(instance).items() if k.startswith("ds_models_lag_records")
                )
            )
        )
        assert instance.stop() == 0


def test_a_version_that_cannot_be_loaded_and_bad_announcements_are_counted(
    world: World, tmp_path: Path
) -> None:
    world.announce_folder("1")
    with Instance(world.environment, tmp_path / "a.log") as instance:
        until(lambda: why_not_ready(instance) is None)
        world.send_announcement(b"k", None, [])
        world.announce_folder("2", digest="sha256:" + "0" * 64)
        until(lambda: why_not_ready(instance) is not None)
        until(lambda: "version 2 can't be loaded" in (why_not_ready(instance) or ""))
        name = "ds_models_load_seconds_count{outcome=failed}"
        until(lambda: samples(instance).get(name, 0) >= 1)
        assert samples(instance)["ds_models_ignored_announcements_total{kind=null}"] == 1
        assert instance.stop() == 0


def test_the_lag_counts_from_what_the_group_has_committed_or_else_from_the_beginning(
    world: World, tmp_path: Path
) -> None:
    topics, group = world.settings.topics, world.settings.kafka.consumer_group
    world.send((record(i) for i in range(30)), partition=1)
    lag = Lag(world.client, topics.records, group, keep_s=0.0)
    until(lambda: lag([0, 1], timeout_s=10) == {0: 0, 1: 30})  # once the group has a coordinator
    world.announce_folder("1")
    with Instance(world.environment, tmp_path / "a.log") as instance:
        world.wait_for_answers(30)
        assert instance.stop() == 0
    world.send((record(i) for i in range(5)), partition=1)
    assert lag([0, 1], timeout_s=10) == {0: 0, 1: 5}


def test_the_lag_of_a_broker_that_is_away_is_what_it_last_was() -> None:
    away = Lag({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "t", "g")
    assert away([0, 1], timeout_s=0.2) == {}
