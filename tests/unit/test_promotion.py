"""A promotion seen through: it ends with the plan, or says why there is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.domain.errors import BrokerUnavailable, Refused
from app.domain.plans import Plan, Staged
from app.domain.promoting import is_new, why_of
from app.registry.reconciling.promotion import see_through
from app.registry.reconciling.world import Patience
from tests.unit.test_reconciling import World, plan, reconciler, staged, unstaged, versions

SOON = Patience(60, "give_up")


def promote(
    world: World,
    version: str,
    patience: Patience = SOON,
    meanwhile: Callable[[], object] = lambda: None,
    looks: int = 20,
) -> Plan:
    """Move the alias and see it through; `meanwhile` happens between two looks."""
    world.alias = version
    waited = 0

    def wait(_seconds: float) -> bool:
        nonlocal waited
        waited += 1
        meanwhile()
        return waited >= looks

    return see_through(world, version, patience, wait)


def test_it_ends_with_the_plan() -> None:
    world = World()
    assert promote(world, "1").offset == 1
    assert promote(world, "2").announcement.model_version == "2"
    assert versions(world) == ["1", "2"]
    assert promote(world, "2").offset == 3  # it is in force already


def test_what_was_given_up_before_is_tried_again() -> None:
    world = World()
    world.log += [plan(0, "1"), staged(1, "2"), unstaged(2, 1)]
    promote(world, "2")
    assert versions(world) == ["1", "2"]


def test_it_says_which_instance_cannot_load_it() -> None:
    world = World()
    world.cannot_load = {"2"}
    with pytest.raises(Refused, match=r"it is not loaded by a \(no\)"):
        promote(world, "2", Patience(0, "give_up"))
    assert versions(world) == []


def test_a_rollback_does_not_wait_for_one_that_cannot_load_it() -> None:
    world = World()
    world.cannot_load = {"2"}
    promote(world, "2", Patience(0, "announce"))
    assert versions(world) == ["2"]


def test_another_reconciler_may_do_all_of_it_or_give_it_up() -> None:
    world = World()
    other = reconciler(world)
    promote(world, "2", meanwhile=lambda: other.settle(lambda _s: False))
    assert versions(world) == ["2"]
    world.cannot_load = {"3"}
    impatient = reconciler(world, patience_s=0)
    with pytest.raises(Refused, match=r"it is not loaded by a \(no\)"):
        promote(world, "3", meanwhile=impatient.step)
    assert versions(world) == ["2"]


def test_if_the_alias_is_moved_meanwhile_that_is_said_and_the_other_one_wins() -> None:
    world = World()
    world.cannot_load = {"2"}

    def move() -> None:
        world.alias = "3"

    with pytest.raises(Refused, match="moved to version 3 meanwhile"):
        promote(world, "2", meanwhile=move)
    touched = {one.announcement.model_version for one in world.log if isinstance(one, Staged)}
    assert touched == {"2"}  # what was not verified by this one is not staged by it
    assert reconciler(world).settle(lambda _s: False).agrees
    assert versions(world)[-1] == "3"


def test_it_goes_on_after_a_failure_but_not_for_ever() -> None:
    world = World()
    world.fails = 3
    promote(world, "2")
    assert versions(world) == ["2"]
    world.fails = 1_000
    with pytest.raises(BrokerUnavailable):
        promote(world, "3")


def test_a_promotion_that_a_plan_tells_of_is_not_told_again() -> None:
    moved, said = "the alias champion was moved to it", "promoted by ann"
    assert why_of(said, moved, []) == said
    assert why_of(None, moved, []) == moved
    told = replace(staged(0, "2").announcement, why=said)
    assert why_of(said, moved, [Staged(0, 0, told)]) == said  # staged, and given up
    assert why_of(said, moved, [Plan(0, 0, told)]) == moved
    assert [is_new(one, [Staged(0, 0, told)]) for one in (None, said, "by bob")] == [
        False,
        False,
        True,
    ]
