"""`status` on a real broker, with instances that start, hold, serve, leave and are killed."""

from pathlib import Path
from typing import Any

from tests.harness.instances import Instance
from tests.harness.terminal import app_json
from tests.harness.world import World, record, until


def look(world: World) -> tuple[int, dict[str, Any]]:
    """Run `status --json`; return its exit code and what it says."""
    code, (found,) = app_json(world.environment, "status")
    return code, found


def test_status_tells_who_holds_then_who_serves_and_who_is_gone(
    world: World, tmp_path: Path
) -> None:
    code, found = look(world)
    assert (code, found["holds"], found["instances"]) == (8, "no instance is live", [])

    world.send(record(i) for i in range(100))
    with (
        Instance(world.environment, tmp_path / "a.log") as first,
        Instance(world.environment, tmp_path / "b.log") as second,
    ):

        def both(doing: str) -> dict[str, Any] | None:
            _, seen = look(world)
            reports = [one for one in seen["instances"] if one["doing"] == doing]
            owned = [partition for one in reports for partition in one["lag"]]
            return seen if len(reports) == 2 and sorted(owned) == ["0", "1", "2", "3"] else None

        held = until(lambda: both("holding"))
        assert held["ok"] is False
        assert "holds: no version of the model has been announced" in held["holds"]
        assert held["in_force"] is None
        assert sum(one["lag"] for one in held["lag"]) == 100

        world.announce_folder("1")
        world.wait_for_answers(100)
        well = until(lambda: both("serving"))
        assert (well["ok"], well["holds"]) == (True, None)
        assert well["in_force"]["version"] == "1"
        for one in well["instances"]:
            assert one["live"] is True
            assert [version["version"] for version in one["loaded"]] == ["1"]
            assert one["in_force"]["version"] == "1"
        assert sum(one["lag"] for one in until(lambda: both("serving"))["lag"]) == 0

        assert first.stop() == 0
        second.kill()
        _, gone = look(world)
        assert len(gone["instances"]) == 1  # the one that was killed could not take its word back
        until(lambda: look(world)[1]["instances"][0]["live"] is False)
        assert look(world)[0] == 8
