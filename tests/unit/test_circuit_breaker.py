"""The circuit breaker: when it opens, that it stays open until resumed, and when it is armed."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.stream.circuit_breaker import CircuitBreaker


class Bench:
    """A breaker of half of 100 records, and an operator."""

    def __init__(self, share: float = 0.5, window: int = 100) -> None:
        self.openings = 0
        self.operator_says_resume = False
        self.breaker = CircuitBreaker(share, window, self._opened, self._resumed)

    def _opened(self) -> None:
        self.openings += 1

    def _resumed(self) -> bool:
        said, self.operator_says_resume = self.operator_says_resume, False
        return said

    def passes(self, records: int, letters: int) -> bool:
        """Offer a batch, and commit it if it need not wait."""
        if self.breaker.holds(records, letters) is not None:
            return False
        self.breaker.answered(records, letters)
        return True


def test_a_flood_is_held_before_one_of_it_is_answered() -> None:
    bench = Bench()
    assert bench.passes(1_000, 0)
    assert not bench.passes(1_000, 500)
    hold = bench.breaker.holds(1_000, 500)
    assert hold is not None
    assert hold.reason == "too_many_dead_letters"
    assert "500 of the newest 1000 records" in hold.why
    assert "python -m app resume" in hold.why
    assert bench.openings == 1


def test_a_few_bad_records_pass_whatever_their_share_of_a_small_batch() -> None:
    bench = Bench()
    assert all(bench.passes(1, 1) for _ in range(49))
    assert not bench.passes(1, 1)


def test_letters_add_up_over_batches_and_old_ones_are_forgotten() -> None:
    bench = Bench()
    for _ in range(20):
        assert bench.passes(60, 29)
        assert bench.passes(60, 29)
    assert not bench.passes(60, 31)


def test_what_the_model_refuses_counts_from_the_next_batch_on() -> None:
    bench = Bench()
    assert bench.breaker.holds(100, 0) is None
    bench.breaker.answered(100, 100)
    assert bench.breaker.holds(1, 0) is not None


def test_it_stays_open_for_better_batches_until_it_is_resumed_and_then_lets_all_pass() -> None:
    bench = Bench()
    assert not bench.passes(200, 200)
    assert not bench.passes(10, 0)
    bench.operator_says_resume = True
    assert bench.passes(10, 10)
    assert all(bench.passes(200, 200) for _ in range(5))
    assert bench.openings == 1


def test_it_is_armed_again_when_a_window_is_normal() -> None:
    bench = Bench()
    assert not bench.passes(200, 200)
    bench.operator_says_resume = True
    assert bench.passes(50, 0)  # less than a window says nothing
    assert bench.passes(200, 200)
    assert bench.passes(100, 20)
    assert not bench.passes(200, 200)
    assert bench.openings == 2


def test_a_resume_that_came_before_it_opened_is_not_asked_for() -> None:
    bench = Bench()
    bench.operator_says_resume = True
    assert not bench.passes(200, 200)
    assert bench.operator_says_resume


def test_a_window_of_0_turns_it_off() -> None:
    bench = Bench(window=0)
    assert all(bench.passes(10_000, 10_000) for _ in range(3))


Batches = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 300)).map(sorted), max_size=40)


@given(Batches, st.floats(0.01, 1), st.integers(1, 400))
def test_it_opens_where_a_naive_count_over_the_newest_batches_says_so(
    batches: Sequence[tuple[int, int]], share: float, window: int
) -> None:
    bench = Bench(share, window)
    for number, (letters, records) in enumerate(batches):
        passes = True
        for first in range(number + 1):
            newest = batches[first : number + 1]
            of, bad = sum(of for _, of in newest), sum(bad for bad, _ in newest)
            if sum(of for _, of in newest[1:]) < window:  # all of them are of the newest
                passes = passes and bad < share * max(of, window)
        assert bench.passes(records, letters) == passes
        if not passes:
            break
