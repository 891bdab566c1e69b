"""A producer that breaks: the stream holds instead of draining its topic into dead letters."""

from pathlib import Path

from tests.harness.instances import Instance
from tests.harness.terminal import app_json
from tests.harness.world import World, record, until


def broken(number: int) -> bytes:
    """A record of a producer that renamed a field."""
    return record(number).replace(b'"interest_rate"', b'"rate"')


def test_a_flood_of_bad_records_is_held_until_it_is_resumed_and_then_each_is_answered_once(
    world: World, tmp_path: Path
) -> None:
    world.environment["DS_MODELS_BREAKER__WINDOW"] = "400"
    world.announce_folder("1")
    assert app_json(world.environment, "resume") == (8, [])
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
    ):
        first.wait_until_assigned()
        second.wait_until_assigned()
        world.send(record(i) for i in range(2_000))
        world.wait_for_answers(2_000)

        world.send(broken(i) for i in range(6_000))
        for instance in (first, second):
            instance.wait_for_event("stream.holds", reason="too_many_dead_letters")
        held = world.answers()
        assert len(held.letters) < 2 * 0.5 * 400  # less than the share of a window, each of them

        def both_report() -> bool:
            _, (seen,) = app_json(world.environment, "status")
            reasons = [one["reason"] for one in seen["instances"]]
            return reasons == ["too_many_dead_letters"] * 2

        until(both_report)
        code, went_on = app_json(
            world.environment, "resume", "--why", "they are wanted as dead letters"
        )
        assert (code, [one["went_on"] for one in went_on]) == (0, [True, True])
        world.wait_for_answers(8_000)
        heard = first.wait_for_event("resume.heard")
        assert heard["why"] == "they are wanted as dead letters"

        world.send(record(i) for i in range(4_000))  # normal again: it is armed
        world.wait_for_answers(12_000)
        first.wait_for_event("circuit_breaker.armed")
        assert (first.stop(), second.stop()) == (0, 0)
    found = world.assert_each_answered_once()
    assert (len(found.signals), len(found.letters)) == (6_000, 6_000)


def test_an_instance_that_is_started_anew_holds_again(world: World, tmp_path: Path) -> None:
    world.environment["DS_MODELS_BREAKER__WINDOW"] = "400"
    world.announce_folder("1")
    world.send(broken(i) for i in range(4_000))
    for number in range(2):
        with Instance(world.environment, tmp_path / f"{number}.log") as instance:
            instance.wait_for_event("stream.holds", reason="too_many_dead_letters")
            assert instance.stop() == 0
    assert len(world.answers()) < 2 * 200
