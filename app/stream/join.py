"""Second step of the stream: each record gets the plan in force at its append time."""

from collections.abc import Callable

from app.stream.batches import JoinedBatch, RecordBatch
from app.stream.fence import Fence


def joining(fence: Fence) -> Callable[[RecordBatch], JoinedBatch]:
    """Return the step. Blocks for at most the fence's time-out; raises what the fence raises."""

    def join(decoded: RecordBatch) -> JoinedBatch:
        table = fence.table(as_of=decoded.source.polled_at)
        if table is None:
            return JoinedBatch(decoded, [], "the announcements can't be read to their end")
        if not table.plans:
            return JoinedBatch(decoded, [], "no version of the model has been announced")
        return JoinedBatch(decoded, table.segments(decoded.appended_ms))

    return join
