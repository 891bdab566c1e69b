"""What an instance is like now, put together from its parts for whoever asks. Pure."""

from collections.abc import Callable, Mapping, Sequence

from app.domain.plans import Announcement, Plan, PlanTable, Staged
from app.stream.batches import Hold
from app.telemetry.metrics import Served, Staging, State


def condition(
    table: PlanTable,
    now_ms: int,
    *,
    table_is_read: bool,
    loaded: Sequence[Announcement],
    why_not_loaded: Callable[[Announcement], str],
    hold: Hold | None,
    feed_staleness_s: float,
    lag: Mapping[int, int],
) -> State:
    """Return the state of an instance.

    Args:
        table: All plans read so far.
        now_ms: Unix milliseconds.
        table_is_read: Whether the announcements were once read to their end.
        loaded: The versions that could answer a record now.
        why_not_loaded: Says why another one could not, for a person.
        hold: Why records wait, None if they don't.
        feed_staleness_s: Since the announcements were last known to be read to their end.
        lag: Records not answered yet, by partition.
    """
    plan = table.at(now_ms)
    digests = {one.digest for one in loaded}
    waits_for: str | None = None
    if not table_is_read:
        waits_for = "the announcements are not read yet"
    elif plan is None:
        waits_for = (
            "every plan of the model is voided, and none was announced since"
            if table.voids
            else "no version of the model has been announced"
        )
    elif plan.announcement.digest not in digests:
        waits_for = why_not_loaded(plan.announcement)
    elif hold is not None:
        waits_for = hold.why
    offsets = {one.announcement.digest: one.offset for one in table.plans}
    staged = table.staged
    if staged is not None:
        offsets.setdefault(staged.announcement.digest, staged.offset)
    return State(
        ready=waits_for is None,
        table_is_read=table_is_read,
        waits_for=waits_for,
        in_force=None if plan is None else _served(plan),
        coming=tuple(_served(one) for one in table.due(now_ms) if one is not plan),
        loaded=tuple(
            Served(one.model_name, one.model_version, offsets.get(one.digest, -1)) for one in loaded
        ),
        staged=None if staged is None else _staging(staged, digests, why_not_loaded),
        holds=None if hold is None else hold.why,
        reason=None if hold is None else hold.reason,
        feed_staleness_s=feed_staleness_s,
        lag=lag,
    )


def _staging(
    staged: Staged, digests: set[str], why_not_loaded: Callable[[Announcement], str]
) -> Staging:
    announced = staged.announcement
    why_not = None if announced.digest in digests else why_not_loaded(announced)
    return Staging(announced.model_name, announced.model_version, staged.offset, why_not)


def _served(plan: Plan) -> Served:
    return Served(plan.announcement.model_name, plan.announcement.model_version, plan.offset)
