"""Last step of the stream: predict per version, answer every record, all in one transaction.

`add` collects; `flush` predicts over all partitions at once and produces. It never fetches or
loads: if a version is missing it raises before anything was produced, and Quix Streams pauses,
seeks back to the first stored offset, and tries again.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import structlog
from quixstreams.sinks import BaseSink, SinkBackpressureError

from app.domain.plans import Announcement
from app.domain.scoring import Predict, score
from app.stream.answers import Answers, answer
from app.stream.batches import Hold, JoinedBatch, ScoredBatch
from app.telemetry.metrics import Answered, HoldReason

log = structlog.get_logger()


class Models(Protocol):
    """Loaded model versions; `HotSwap` is one."""

    def get(self, announcement: Announcement) -> Predict | None:
        """Return the loaded version, None if it is not loaded yet. Never blocks."""

    def why_not(self, announcement: Announcement) -> str:
        """Say why a version is not loaded, for a person."""

    def reason_why_not(self, announcement: Announcement) -> HoldReason:
        """Say the same for programs."""


class Output(Protocol):
    """Where answers go, in the transaction of the batch that they answer."""

    def send(self, answers: Answers) -> None:
        """Hand all answers to the producer, in their order; blocks while its queue is full."""


class PredictionSink(BaseSink):
    """Collects joined batches and answers them on `flush`.

    Args:
        models: Looked up, never loaded, here.
        output: Where answers go.
        answered: Told the latest append time of each batch that was answered.
        retry_s: How long a hold pauses the partitions before the next try, in seconds.
        breaks: Says whether a batch of so many records, of which so many can't be predicted, must
            wait for an operator.
        on_hold: Told why, whenever records begin to wait or wait for something else.
    """

    def __init__(
        self,
        models: Models,
        output: Output,
        answered: Callable[[int], None],
        retry_s: float = 0.25,
        breaks: Callable[[int, int], Hold | None] = lambda _records, _letters: None,
        on_hold: Callable[[HoldReason], None] = lambda _reason: None,
    ) -> None:
        super().__init__(on_client_connect_success=lambda: None)
        self._models = models
        self._output = output
        self._answered = answered
        self._retry_s = retry_s
        self._breaks = breaks
        self._on_hold = on_hold
        self._batches: list[JoinedBatch] = []
        self._holds: Hold | None = None
        self._produced: Answered | None = None

    @property
    def holds(self) -> Hold | None:
        """Why the stream waits, None if it does not."""
        return self._holds

    def add(self, value: JoinedBatch, *_args: Any, **_kwargs: Any) -> None:
        """Take the next batch of a partition."""
        self._batches.append(value)

    def clear(self) -> None:
        """Forget what was added: its partitions are not ours any more, or will be read again."""
        self._batches.clear()
        self._produced = None

    def take_produced(self) -> Answered | None:
        """Return what the last flush answered, once; None if it answered nothing."""
        produced, self._produced = self._produced, None
        return produced

    on_paused = clear

    def flush(self) -> None:
        """Answer everything that was added since the last flush.

        Raises:
            SinkBackpressureError: A record must wait. Nothing was produced.
        """
        batches, self._batches = self._batches, []
        # The breaker first: the word of an operator is heard also while a model is missing.
        waits_for = self._breaks(
            sum(len(batch.decoded.records) for batch in batches),
            sum(len(batch.decoded.rejected) for batch in batches),
        )
        models, missing = self._look_up(batches)
        waits_for = waits_for or missing
        self._note_hold(waits_for)
        if waits_for is not None:
            raise SinkBackpressureError(self._retry_s)
        if batches:
            predicted = self._predict(batches, models)
            for scored in predicted:
                for answers in answer(scored):
                    self._output.send(answers)
            self._produced = _summary(predicted)
            self._answered(int(self._produced.appended_ms.max()))

    def _look_up(self, batches: list[JoinedBatch]) -> tuple[dict[int, Predict], Hold | None]:
        """Return the loaded model of each plan by its offset, or why one is missing."""
        models: dict[int, Predict] = {}
        waits_for = None
        for batch in batches:
            waits_for = waits_for or batch.waits_for
            for plan, _ in batch.segments:
                if plan.offset not in models:
                    predict = self._models.get(plan.announcement)
                    if predict is None:
                        reason = self._models.reason_why_not(plan.announcement)
                        why = self._models.why_not(plan.announcement)
                        waits_for = waits_for or Hold(reason, why)
                    else:
                        models[plan.offset] = predict
        return models, waits_for

    def _predict(self, batches: list[JoinedBatch], models: dict[int, Predict]) -> list[ScoredBatch]:
        """Predict once per version over all partitions, and give each record its price."""
        scored = [
            ScoredBatch(
                batch, np.full(len(batch.decoded.records), np.nan), dict(batch.decoded.rejected)
            )
            for batch in batches
        ]
        for offset, parts in _by_plan(scored).items():
            features = [batch.joined.decoded.features[rows] for batch, rows in parts]
            scores = score(models[offset], np.concatenate(features))
            start = 0
            for batch, rows in parts:
                end = start + len(rows)
                batch.prices[rows] = scores.prices[start:end]
                for at in range(start, end) if scores.rejected else ():
                    if at in scores.rejected:
                        batch.rejected[int(rows[at - start])] = scores.rejected[at]
                start = end
        return scored

    def _note_hold(self, waits_for: Hold | None) -> None:
        before, self._holds = self._holds, waits_for
        if waits_for == before:
            return
        if waits_for is not None:
            self._on_hold(waits_for.reason)
            log.warning("stream.holds", reason=waits_for.reason, waits_for=waits_for.why)
        elif before is not None:
            log.info("stream.resumed", waited_for=before.why)


def _summary(batches: list[ScoredBatch]) -> Answered:
    letters = Counter(
        rejection.reason.value for batch in batches for rejection in batch.rejected.values()
    )
    appended = np.concatenate([batch.joined.decoded.appended_ms for batch in batches])
    return Answered(len(appended) - letters.total(), letters, appended)


def _by_plan(
    batches: list[ScoredBatch],
) -> dict[int, list[tuple[ScoredBatch, npt.NDArray[np.intp]]]]:
    """Gather, by the plan's offset, the rows with a record that it serves in each partition."""
    parts: dict[int, list[tuple[ScoredBatch, npt.NDArray[np.intp]]]] = {}
    for batch in batches:
        for plan, served in batch.joined.segments:
            rows = served
            if batch.rejected:
                rows = served[~np.isnan(batch.joined.decoded.features[served, 0])]
            parts.setdefault(plan.offset, []).append((batch, rows))
    return parts
