"""`promote --wait`: the alias moves and all turn, or nothing has changed; and who, when and why."""

import re
from pathlib import Path

from tests.e2e.conftest import Trained
from tests.e2e.test_command_line import app, rows
from tests.e2e.test_reconcile import Registry
from tests.e2e.test_staging import TOO_SMALL, live
from tests.e2e.test_void import flow
from tests.e2e.test_with_mlflow import MODEL, real_instance
from tests.harness import switch_latency
from tests.harness.terminal import app_json
from tests.harness.world import World, until


def test_of_three_under_load_none_holds_and_each_serves_it_in_the_end(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    registry = Registry(world, tracking_uri)
    first, second = trained.linear, trained.forest
    registry.serve(first)
    with (
        real_instance(world, tmp_path / "a.log") as a,
        real_instance(world, tmp_path / "b.log") as b,
        real_instance(world, tmp_path / "c.log") as c,
    ):
        for instance in (a, b, c):
            instance.wait_for_event("model.loaded", timeout_s=120)
        until(lambda: live(world) == 3)
        until(lambda: all(i.events("partitions.assigned") for i in (a, b, c)))
        with flow(world) as sent:
            until(lambda: sent["records"] > 2_000)
            code, (done,) = app_json(
                world.environment, "promote", MODEL, second, "--wait", "--why", "it is better"
            )
            mark = sent["records"]
            until(lambda: sent["records"] > mark + 2_000)
        world.wait_for_answers(sent["records"], timeout_s=120)
        assert code == 0
        assert (done["version"], done["before"], done["alias"]) == (second, first, "champion")
        assert [one["state"] for one in done["instances"]] == ["serving"] * 3
        assert [i.events("stream.holds") for i in (a, b, c)] == [[], [], []]
        assert [a.stop(), b.stop(), c.stop()] == [0, 0, 0]
    found = world.assert_each_answered_once(model=MODEL)
    assert {signal.model_version for _, signal in found.signals} == {first, second}
    assert registry.alias == second
    shown = rows(world, "announcements")[-1]
    assert shown["offset"] == done["offset"]
    assert re.fullmatch(r"promoted by \S+ at \S+ \S+Z: it is better", shown["why"])
    plan = world.plan_table(MODEL).plans[-1]
    print(switch_latency.write(world, plan, instances=3))  # noqa: T201


def test_if_one_of_three_cannot_load_it_the_alias_and_the_plan_are_as_before(
    world: World, tracking_uri: str, trained: Trained, tmp_path: Path
) -> None:
    registry = Registry(world, tracking_uri)
    first, second = trained.linear, trained.forest
    registry.serve(first)
    before = world.environment
    with real_instance(world, tmp_path / "a.log"), real_instance(world, tmp_path / "b.log"):
        world.environment = before | TOO_SMALL
        with real_instance(world, tmp_path / "c.log") as c:
            world.environment = before
            c.wait_for_event("model.loaded", timeout_s=120)
            until(lambda: live(world) == 3)
            refused = app(world, "promote", MODEL, second, "--wait", "--timeout", "10")
            assert refused.returncode == 8
            said = refused.stderr.splitlines()[-1]
            assert said.startswith(f"error (Refused): version {second} is not promoted: after 1")
            assert said.count("the policy refuses it") == 1
            assert f"the alias champion names version {first}, as before" in refused.stderr
    assert registry.alias == first
    shown = rows(world, "announcements")
    assert [row["status"] for row in shown] == ["was staged", "in force", "was staged", "unstaged"]
    assert "the policy refuses it" in shown[-1]["why"]
    assert app(world, "reconcile", "--once").returncode == 0
    assert registry.announced() == [first]


def test_without_wait_whoever_reconciles_puts_it_in_force_and_says_who_moved_it(
    world: World, tracking_uri: str, trained: Trained
) -> None:
    registry = Registry(world, tracking_uri)
    for version, why in ((trained.linear, "the first"), (trained.forest, "the next")):
        done = app(world, "promote", MODEL, version, "--no-verify", "--why", why)
        assert done.returncode == 0, done.stderr
        assert f"names version {version}" in done.stdout
        assert app(world, "reconcile", "--once").returncode == 0
    registry.move(trained.linear)  # by itself: what was said of it is said already
    assert app(world, "reconcile", "--once").returncode == 0
    plans = [row["why"] for row in rows(world, "announcements") if row["status"] != "was staged"]
    assert [why.partition("Z: ")[2] or why for why in plans] == [
        "the first",
        "the next",
        "the alias champion was moved to it",
    ]
