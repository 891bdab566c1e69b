"""Second step of the stream: each record gets the plan in force at its append time."""

from collections.abc import Callable

from app.stream.batches import Hold, JoinedBatch, RecordBatch
from app.stream.fence import Fence

_BEHIND = Hold("announcements_behind", "the announcements can't be read to their end")
_NO_PLAN = Hold("no_plan", "no version of the model has been announced")
_ALL_VOIDED = Hold("no_plan", "every plan of the model is voided, and none was announced since")


def joining(fence: Fence) -> Callable[[RecordBatch], JoinedBatch]:
    """Return the step. Blocks for at most the fence's time-out; raises what the fence raises."""

    def join(decoded: RecordBatch) -> JoinedBatch:
        table = fence.table(as_of=decoded.source.polled_at)
        if table is None:
            return JoinedBatch(decoded, [], _BEHIND)
        if not table.plans:
            return JoinedBatch(decoded, [], _ALL_VOIDED if table.voids else _NO_PLAN)
        return JoinedBatch(decoded, table.segments(decoded.appended_ms))

    return join
