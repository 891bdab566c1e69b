import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.records import FEATURES, Range, Reason, Rejection
from app.tools.producing import produce
from app.tools.producing.bad_records import bad_kinds
from app.tools.producing.samples import GOOD, Sample, Spoiler, judged
from app.tools.producing.simulated_records import records, simulated
from app.topics.records import Record, RecordDecoder

GOOD_ONLY = Spoiler(0, 0.0)
MODELS_OWN = {Reason.MODEL_RAISED, Reason.BAD_PREDICTION}


def first(count: int, seed: int = 0, bad_share: float = 0.0, series: int = 8) -> list[Sample]:
    return list(islice(records(seed, bad_share, series), count))


@pytest.fixture(scope="module")
def bad_samples() -> list[Sample]:
    return first(20_000, seed=11, bad_share=1.0)


@pytest.mark.parametrize("kind", bad_kinds())
def test_each_bad_kind_gets_its_reason(kind: str, bad_samples: list[Sample]) -> None:
    decoder = RecordDecoder()
    of_kind = [sample for sample in bad_samples if sample.kind == kind]
    assert of_kind
    outcomes = [decoder.decode(sample.value) for sample in of_kind]
    assert {o.reason if isinstance(o, Rejection) else None for o in outcomes} == {
        bad_kinds()[kind].reason
    }


def test_there_is_a_bad_kind_for_each_reason_that_a_decoder_gives() -> None:
    assert {bad.reason for bad in bad_kinds().values()} == set(Reason) - MODELS_OWN


def test_a_sample_names_the_reason_of_its_kind(bad_samples: list[Sample]) -> None:
    kinds = bad_kinds()
    assert all(sample.reason is kinds[sample.kind].reason for sample in bad_samples)


def test_a_record_is_too_large_for_the_limit_that_was_given() -> None:
    samples = islice(records(seed=1, bad_share=1.0, max_bytes=500), 20_000)
    large = next(sample for sample in samples if sample.kind == "too large")
    assert 500 < len(large.value or b"") < 1_500


def test_what_kafka_would_not_take_is_not_made() -> None:
    assert bad_kinds(max_bytes=1_000_000)["too large"].weight == 0


def test_good_records_are_accepted() -> None:
    decoder = RecordDecoder()
    samples = first(5_000)
    assert {sample.kind for sample in samples} == {GOOD}
    assert all(isinstance(decoder.decode(sample.value), Record) for sample in samples)


def test_a_good_record_has_an_id_a_month_and_the_features() -> None:
    record = json.loads(first(1)[0].value or b"")
    assert list(record) == ["id", "month", *FEATURES]


def test_the_same_seed_gives_the_same_records() -> None:
    assert first(3_000, seed=4, bad_share=0.3) == first(3_000, seed=4, bad_share=0.3)


def test_another_seed_gives_other_records() -> None:
    assert not {s.value for s in first(500, seed=4)} & {s.value for s in first(500, seed=5)}


def test_ids_are_unique_even_after_the_history_began_anew() -> None:
    samples = first(50_000, series=3)
    ids = {json.loads(sample.value or b"")["id"] for sample in samples}
    assert len(ids) == 50_000


@pytest.mark.parametrize("series", [1, 5, 40])
def test_each_series_has_a_key_and_as_many_records_as_the_others(series: int) -> None:
    counts = Counter(sample.key for sample in first(series * 700, series=series))
    assert sorted(counts.values()) == [700] * series


def test_a_series_tells_its_months_in_order() -> None:
    rows = [json.loads(s.value or b"") for s in first(8 * 480) if s.key == b"economy-0-3"]
    months = [row["month"] for row in rows]
    assert months == sorted(set(months))
    assert len(months) == 480


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 10_000))
def test_the_share_of_bad_records_is_about_what_was_asked_for(share: float, seed: int) -> None:
    bad = sum(sample.kind != GOOD for sample in first(2_000, seed, share))
    assert abs(bad / 2_000 - share) < 0.08


@pytest.mark.parametrize(("series", "share"), [(0, 0.1), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_arguments_without_sense_are_refused(series: int, share: float) -> None:
    with pytest.raises(ValueError, match="can't be had"):
        next(records(0, share, series))


@given(rate=st.floats(0.1, 1e6), seconds=st.floats(0, 1e5))
def test_the_pace_never_drifts_by_more_than_a_record(rate: float, seconds: float) -> None:
    assert abs(produce.records_due(seconds, rate) - seconds * rate) <= 1


def test_a_summary_tells_signals_from_dead_letters() -> None:
    summary = produce.Summary(10, {Reason.NOT_JSON: 2, Reason.EMPTY: 1}, 2.0)
    assert (summary.good, summary.rate) == (7, 5.0)


def test_a_record_is_cut_off_between_two_characters() -> None:
    make, chance = bad_kinds()["cut off"].make, random.Random(0)
    for _ in range(100):
        assert (make({"id": "é" * 20}, chance) or b"").decode()


def test_a_sample_becomes_what_the_decoder_of_the_stream_says() -> None:
    samples = [
        Sample(b"", b'{"interest_rate": 7}', GOOD, None),
        Sample(b"", b"[]", "array", Reason.NOT_AN_OBJECT),
        next(simulated(0, GOOD_ONLY))._replace(reason=Reason.OUT_OF_RANGE),
    ]
    wide = RecordDecoder(dict.fromkeys(FEATURES, Range(-1e308, 1e308)))
    reasons = [Reason.MISSING_FIELD, Reason.NOT_AN_OBJECT, None]
    assert [sample.reason for sample in judged(samples, wide)] == reasons


@pytest.mark.parametrize("reason", sorted(set(Reason) - MODELS_OWN))
def test_the_kinds_of_bad_records_can_be_chosen(reason: Reason) -> None:
    samples = list(islice(simulated(3, Spoiler(3, 0.5, reasons=[reason])), 200))
    assert {sample.reason for sample in samples} == {None, reason}


def test_a_kind_that_can_not_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="too_large can't be had"):
        Spoiler(0, 0.5, 1_000_000, [Reason.EMPTY, Reason.TOO_LARGE])


@pytest.mark.parametrize(("seasonality", "drift"), [(0.0, float("nan")), (float("inf"), 0.0)])
def test_a_drift_or_a_season_that_is_not_finite_is_refused(
    seasonality: float, drift: float
) -> None:
    with pytest.raises(ValueError, match="can't be had"):
        simulated(0, GOOD_ONLY, seasonality=seasonality, drift=drift)


def test_the_same_seed_still_gives_the_records_of_version_0_1() -> None:
    digest = hashlib.sha256()
    for sample in first(20_000, seed=7, bad_share=0.3, series=3):
        digest.update(repr(tuple(sample)).encode())
    assert digest.hexdigest() == "4d4ee581922881f831f29863ccd0c01cc4df08da446d508cea554e814b807387"


def column(name: str, samples: Iterable[Sample]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    return np.array([json.loads(sample.value or b"")[name] for sample in samples])


@pytest.mark.parametrize(
    ("feature", "high", "low"),
    [("treasury_print_volume", 12, 6), ("inflation_rate", 5, 11), ("interest_rate", 5, 11)],
)
def test_a_season_returns_every_year(feature: str, high: int, low: int) -> None:
    values = column(
        feature, islice(simulated(1, GOOD_ONLY, seasonality=1.0), 40_000 - 40_000 % (8 * 480))
    )
    by_month = values.reshape(-1, 12, 8).mean(axis=(0, 2))
    plain = column(feature, first(values.size, seed=1)).reshape(-1, 12, 8).mean(axis=(0, 2))
    assert by_month[high - 1] - by_month[low - 1] > 10 * abs(plain[high - 1] - plain[low - 1])
    assert {int(by_month.argmax()) + 1, int(by_month.argmin()) + 1} == {high, low}


@pytest.mark.parametrize("feature", ["treasury_print_volume", "inflation_rate", "interest_rate"])
def test_a_drift_goes_on_from_history_to_history_and_may_go_down(feature: str) -> None:
    def means(drift: float) -> Any:
        return (
            column(feature, islice(simulated(1, GOOD_ONLY, drift=drift), 8 * 480 * 6))
            .reshape(6, -1)
            .mean(1)
        )

    up, plain, down = means(0.005), means(0.0), means(-0.005)
    above, below = up - plain, plain - down
    assert all(np.diff(above) > 0)
    assert all(np.diff(below) > 0)


@settings(max_examples=20)
@given(drift=st.floats(-1e6, 1e6), seasonality=st.floats(0, 1e6))
def test_every_record_is_good_however_strong_the_drift(drift: float, seasonality: float) -> None:
    decoder = RecordDecoder()
    moved = simulated(2, GOOD_ONLY, series=40, drift=drift, seasonality=seasonality)
    samples = islice(moved, 40 * 30)
    assert all(isinstance(decoder.decode(sample.value), Record) for sample in samples)
