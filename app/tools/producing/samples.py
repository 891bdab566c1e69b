"""One message to send: of a good record, or by chance of one that is spoilt on purpose."""

import random
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from app.domain.records import Reason, Rejection
from app.tools.producing.bad_records import bad_kinds
from app.topics.records import RecordDecoder

GOOD = "good"
"""The kind of a record that must get a signal."""


class Sample(NamedTuple):
    """One message to send, and what must become of it.

    Attributes:
        key: The name of its series.
        kind: `GOOD`, a name of `bad_kinds`, or `row` for a bad row of a file.
        reason: Of the dead letter that it must become; None if it must get a signal.
    """

    key: bytes
    value: bytes | None
    kind: str
    reason: Reason | None


class Spoiler:
    """Spoils a share of the records that pass, the same ones for the same arguments.

    Args:
        seed: Of what chance picks.
        bad_share: Of all records.
        max_bytes: What is longer must be rejected: `records.max_bytes` of the settings.
        reasons: Of the dead letters that the bad records must become; all if empty.

    Raises:
        ValueError: The share is not within 0 and 1, or no record can be spoilt in such a way.
    """

    def __init__(
        self,
        seed: int,
        bad_share: float,
        max_bytes: int = 100_000,
        reasons: Collection[Reason] = (),
    ) -> None:
        if not 0 <= bad_share <= 1:
            raise ValueError(f"a bad share of {bad_share} can't be had")
        chosen = {
            name: bad
            for name, bad in bad_kinds(max_bytes).items()
            if not reasons or bad.reason in reasons
        }
        makable = {bad.reason for bad in chosen.values() if bad.weight}
        if lacking := sorted(set(reasons) - makable):
            raise ValueError(f"bad records of the kind {', '.join(lacking)} can't be had")
        self._chance = random.Random(seed)  # noqa: S311 - made to be repeated
        self._share = bad_share
        self._bad = chosen
        self._kinds, self._weights = list(chosen), [bad.weight for bad in chosen.values()]

    def sample(self, key: bytes, record: dict[str, Any]) -> Sample:
        """Return a sample of a good record, which it may change."""
        if self._chance.random() >= self._share:
            return Sample(key, orjson.dumps(record), GOOD, None)
        kind = self._chance.choices(self._kinds, self._weights)[0]
        bad = self._bad[kind]
        return Sample(key, bad.make(record, self._chance), kind, bad.reason)


def judged(samples: Iterable[Sample], decoder: RecordDecoder) -> Iterator[Sample]:
    """Yield the samples with the reason that the stream gives: it depends on its settings.

    Args:
        samples: Whatever they are meant to become.
        decoder: That of the stream.
    """
    for sample in samples:
        verdict = decoder.decode(sample.value)
        reason = verdict.reason if isinstance(verdict, Rejection) else None
        yield sample if reason is sample.reason else sample._replace(reason=reason)
