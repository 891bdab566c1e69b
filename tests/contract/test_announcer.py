"""Plans that are announced at once, on a real broker: one order, and no change unseen."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.domain.errors import Refused
from app.domain.plans import NO_PLAN, Plan
from app.registry import announcer
from app.topics import announcements, reading
from tests.harness import models
from tests.harness.world import MODEL, World


def announce(world: World, name: str, replaces: int | None) -> Plan:
    made = models.announcement(MODEL, name, world.folder, digest="sha256:" + "0" * 64)
    announcement = replace(made, event_id=name, replaces=replaces)
    return announcer.announce(world.client, world.settings.topics.announcements, announcement)


def newest(world: World) -> int:
    messages = reading.read(world.client, world.settings.topics.announcements)
    return announcements.newest_plan(announcements.read_all(messages, MODEL))


def test_of_two_that_replace_the_same_plan_the_second_is_told(world: World) -> None:
    first = announce(world, "1", NO_PLAN)
    announce(world, "2", first.offset)
    with pytest.raises(
        Refused, match="version 3 is not in force: it replaces the plan at offset 0"
    ):
        announce(world, "3", first.offset)
    announce(world, "4", None)
    plans = world.plan_table().plans
    assert [plan.announcement.model_version for plan in plans] == ["1", "2", "4"]


def test_many_at_once_come_into_one_order_and_each_has_seen_the_one_before(world: World) -> None:
    """Each writes what it replaced: were one outrun unseen, two would have replaced the same."""

    def until_it_counts(number: int) -> tuple[int, int]:
        tries = 0
        while True:
            tries += 1
            replaces = newest(world)
            try:
                return announce(world, f"{number}-{tries}", replaces).offset, replaces
            except Refused:
                continue

    with ThreadPoolExecutor(4) as several:
        done = dict(several.map(until_it_counts, range(12)))
    order = [plan.offset for plan in world.plan_table().plans]
    assert sorted(done) == order
    assert [done[offset] for offset in order] == [NO_PLAN, *order[:-1]]
