"""Whoever moves the alias in MLflow puts that version in force; two reconcilers at once agree."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest

from app.domain.plans import NO_PLAN
from tests.e2e.conftest import Trained
from tests.e2e.test_command_line import app
from tests.e2e.test_staging import TOO_SMALL, live
from tests.e2e.test_void import flow, wait_until_in_force
from tests.e2e.test_with_mlflow import MODEL, real_instance, with_mlflow
from tests.harness.instances import Instance
from tests.harness.world import World, until

ALIAS = "champion"


class Registry:
    """The model in MLflow, and the alias that anybody may move."""

    def __init__(self, world: World, address: str) -> None:
        with_mlflow(world, address)
        world.environment["DS_MODELS_RECONCILER__EVERY_S"] = "0.3"
        self._world = world
        self._client = mlflow.MlflowClient(address)

    def move(self, version: str) -> None:
        self._client.set_registered_model_alias(MODEL, ALIAS, version)

    def serve(self, version: str) -> None:
        """Move the alias, and have the topic agree."""
        self.move(version)
        assert app(self._world, "reconcile", "--once").returncode == 0

    @property
    def alias(self) -> str:
        return str(self._client.get_model_version_by_alias(MODEL, ALIAS).version)

    def announced(self) -> list[str]:
        return [one.announcement.model_version for one in self._world.plan_table(MODEL).plans]


def reconciler(world: World, log: Path) -> Instance:
    return Instance(world.environment, log, module="app", arguments=("reconcile",))


def test_a_moved_alias_is_served_by_all_and_no_record_waits_for_it(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    registry = Registry(world, tracking_uri)
    first, second = trained.linear, trained.forest
    registry.move(first)
    with (
        reconciler(world, tmp_path / "r.log") as one,
        real_instance(world, tmp_path / "a.log") as a,
        real_instance(world, tmp_path / "b.log") as b,
    ):
        until(lambda: registry.announced() == [first])
        until(lambda: live(world) == 2)
        for instance in (a, b):
            instance.wait_for_event("model.loaded", version=first)
        with flow(world) as sent:
            until(lambda: sent["records"] > 200)
            registry.move(second)
            until(lambda: registry.announced() == [first, second], 120)
            wait_until_in_force(world.plan_table(MODEL).plans[1])
            mark = sent["records"]
            until(lambda: sent["records"] > mark + 200)
        world.wait_for_answers(sent["records"], timeout_s=120)
        waited = [e for i in (a, b) for e in i.events("stream.holds") if e["reason"] != "no_plan"]
        assert [e for e in waited if f"version {second}" in e["waits_for"]] == []
        assert [a.stop(), b.stop(), one.stop()] == [0, 0, 0]
    found = world.assert_each_answered_once(model=MODEL)
    assert {signal.model_version for _, signal in found.signals} == {first, second}


def test_many_moves_by_many_and_two_reconcilers_end_in_agreement(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    registry = Registry(world, tracking_uri)
    registry.move(trained.linear)
    with (
        reconciler(world, tmp_path / "r1.log") as one,
        reconciler(world, tmp_path / "r2.log") as other,
        real_instance(world, tmp_path / "a.log") as a,
    ):
        a.wait_for_event("partitions.assigned", timeout_s=120)
        until(lambda: len(registry.announced()) == 1, 120)
        with ThreadPoolExecutor(4) as clients:
            moves = [trained.forest, trained.linear] * 25
            list(clients.map(registry.move, moves))
        until(lambda: registry.announced()[-1] == registry.alias, 120)
        last = world.plan_table(MODEL).plans[-1].offset
        a.wait_for_event("announcement.read", offset=last)
        assert [one.stop(), other.stop(), a.stop()] == [0, 0, 0]
    plans = world.plan_table(MODEL).plans
    replaced = [plan.announcement.replaces for plan in plans]
    assert replaced == [NO_PLAN, *(plan.offset for plan in plans[:-1])]


@pytest.mark.parametrize("call", ["stage", "announce"])
def test_one_that_is_killed_is_followed_by_the_next(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path, call: str
) -> None:
    registry = Registry(world, tracking_uri)
    registry.move(trained.linear)
    world.environment["KILL_AFTER"] = f"app.registry.announcer:{call}:1"
    killed = Instance(
        world.environment,
        tmp_path / "killed.log",
        module="tests.harness.killed_command",
        arguments=("reconcile",),
    )
    with killed:
        assert killed.wait() == -9
    done = app(world, "reconcile", "--once")
    assert done.returncode == 0, done.stderr
    assert registry.announced() == [trained.linear]
    assert "is announced at offset 1" in done.stdout


def test_a_version_that_one_instance_cannot_load_is_given_up_and_said(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    registry = Registry(world, tracking_uri)
    first, second = trained.linear, trained.forest
    registry.serve(first)
    before, world.environment = world.environment, world.environment | TOO_SMALL
    with real_instance(world, tmp_path / "a.log") as instance:
        world.environment = before
        instance.wait_for_event("model.loaded", timeout_s=120)
        until(lambda: live(world) == 1)
        registry.move(second)
        short = {"DS_MODELS_RECONCILER__LOAD_TIMEOUT_S": "4"}
        done = app(world, "reconcile", "--once", **short)
        assert done.returncode == 8
        assert f"Version {second}, staged at offset 2, was given up" in done.stdout
        assert "the policy refuses it" in done.stderr
        assert registry.announced() == [first]
        registry.serve(first)
        assert instance.stop() == 0
