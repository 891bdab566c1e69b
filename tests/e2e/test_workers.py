"""`run --workers`, on a real broker: one group, one port, and nobody left behind."""

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.tools.workers import Workers
from tests.harness.instances import Instance
from tests.harness.world import SOON_REPLACED, World, record, until


def with_workers(world: World, log: Path, *more: str) -> Instance:
    return Instance(
        world.environment, log, module="app", arguments=("run", "--workers", "2", *more)
    )


def processes(parent: Instance) -> dict[int, int]:
    """Return the newest process of each worker."""
    return {e["worker"]: e["process"] for e in parent.events("worker.started")}


def owned(parent: Instance) -> dict[int, list[int]]:
    """Return the partitions that each worker was given last."""
    return {e["worker"]: e["partitions"] for e in parent.events("partitions.assigned")}


def owned_by_all(parent: Instance) -> list[int]:
    return [partition for partitions in owned(parent).values() for partition in partitions]


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@pytest.fixture
def parent(world: World, tmp_path: Path) -> Instance:
    world.environment |= SOON_REPLACED
    return with_workers(world, tmp_path / "parent.log", "--address-file", str(tmp_path / "address"))


def test_workers_share_the_partitions_one_log_and_one_port_and_end_together(
    parent: Instance, tmp_path: Path
) -> None:
    with parent:
        until(lambda: sorted(owned_by_all(parent)) == [0, 1, 2, 3] and len(owned(parent)) == 2)
        address = (tmp_path / "address").read_text()
        status, text = get(f"{address}/readyz")
        assert status == 503
        assert "no version of the model has been announced" in json.loads(text)["why"]
        assert get(f"{address}/healthz")[0] == 200

        def partitions() -> dict[str, float]:
            return {
                sample.labels["worker"]: sample.value
                for family in text_string_to_metric_families(get(f"{address}/metrics")[1])
                for sample in family.samples
                if sample.name == "ds_models_partitions"
            }

        until(lambda: partitions() == {"1": 2, "2": 2})
        workers = processes(parent)
        assert parent.stop() == 0
    assert not any(is_running(process) for process in workers.values())


def test_a_worker_that_is_killed_is_started_anew_and_joins_again(parent: Instance) -> None:
    with parent:
        until(lambda: len(owned(parent)) == 2)
        before = processes(parent)
        os.kill(before[1], signal.SIGKILL)
        parent.wait_for_event("worker.ended", worker=1, exit_code=-9)
        after = until(lambda: now if (now := processes(parent)) != before else None)
        assert after[2] == before[2]
        assigned = len(parent.events("partitions.assigned"))
        until(
            lambda: any(
                e["worker"] == 1 and e["partitions"]
                for e in parent.events("partitions.assigned")[assigned:]
            )
        )
        assert parent.stop() == 0


def test_no_worker_outlives_a_parent_that_is_killed(parent: Instance) -> None:
    with parent:
        until(lambda: len(owned(parent)) == 2)
        workers = processes(parent)
        parent.kill()
        until(lambda: not any(is_running(process) for process in workers.values()))


def test_workers_whose_topics_are_missing_end_with_the_exit_code_that_says_so(
    world: World, tmp_path: Path
) -> None:
    world.environment["DS_MODELS_TOPICS__SIGNALS"] = "not-there"
    with with_workers(world, tmp_path / "parent.log") as parent:
        assert parent.wait() == 3
        assert "python -m app topics create" in parent.tail()


def test_workers_that_are_killed_under_flow_answer_each_record_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (world.environment | SOON_REPLACED).items():
        monkeypatch.setenv(name, value)
    world.announce_folder("1")
    workers = Workers(lambda _number: [sys.executable, "-m", "tests.harness.folder_instance"], 2)
    stop, codes = threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: codes.append(workers.run(stop)))
    thread.start()
    try:
        for kill in range(3):
            world.send(record(i) for i in range(2_000))
            world.wait_for_answers(2_000 * kill + 500)
            victim = until(lambda: workers.pids().get(1))  # it may be about to start
            os.kill(victim, signal.SIGKILL)
            until(lambda: workers.pids().get(1, victim) != victim)  # noqa: B023 - called at once
        world.wait_for_answers(6_000)
    finally:
        stop.set()
        thread.join(60)
    assert codes == [0]
    world.assert_each_answered_once()
