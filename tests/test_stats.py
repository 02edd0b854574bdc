"""Statistics against published figures, closed forms, and slow versions that share no code with them."""

from __future__ import annotations

from itertools import accumulate
from math import comb, inf, isnan
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpanalytics.analysis import stats

finite = st.floats(-1e6, 1e6)
samples = st.lists(finite, min_size=1, max_size=60)
shares = st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 0.95, 0.99])


# Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3
@pytest.mark.parametrize(
    ("k", "n", "lo", "hi"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_score_interval_is_the_published_one(k: int, n: int, lo: float, hi: float) -> None:
    got = stats.wilson(k, n)

    assert [round(float(end), 4) for end in got] == [lo, hi]


def test_the_score_interval_reaches_0_and_1_exactly_and_holds_the_rate() -> None:
    n = np.arange(1, 300)

    lo, hi = stats.wilson(n, n)
    assert (hi == 1).all() and (lo < 1).all()
    lo, hi = stats.wilson(0 * n, n)
    assert (lo == 0).all() and (hi > 0).all()


def test_a_rate_of_nothing_has_no_interval_and_its_neighbours_keep_theirs() -> None:
    lo, hi = stats.wilson([0, 9], [0, 10])

    assert isnan(lo[0]) and isnan(hi[0])
    assert lo[1] < 0.9 < hi[1]


def test_more_hits_than_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and its n"):
        stats.wilson(3, 2)


# Newcombe 1998, Statistics in Medicine 17, 873-890, table II, method 10
@pytest.mark.parametrize(
    ("k", "n", "k_before", "n_before", "lo", "hi"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_change_of_rates_is_the_published_one(
    k: int, n: int, k_before: int, n_before: int, lo: float, hi: float
) -> None:
    change, got_lo, got_hi = stats.rate_change(k, n, k_before, n_before)

    assert float(change) == pytest.approx(k / n - k_before / n_before)
    assert [round(float(got_lo), 4), round(float(got_hi), 4)] == [lo, hi]


def test_a_change_from_a_window_without_runs_is_unknown() -> None:
    assert all(isnan(float(x)) for x in stats.rate_change(5, 5, 0, 0))


@given(samples, shares)
def test_a_quantile_is_numpys_linear_one(values: list[float], p: float) -> None:
    ordered = np.sort(np.array(values))

    assert stats.quantile(ordered, p) == pytest.approx(float(np.quantile(ordered, p)), rel=1e-9, abs=1e-6)


def test_a_quantile_between_two_values_by_hand() -> None:
    # type 7: position 0.5 * 3 = 1.5 and 0.9 * 3 = 2.7 among 0, 10, 20, 40
    ordered = np.array([0.0, 10.0, 20.0, 40.0])

    assert stats.quantile(ordered, 0.5) == pytest.approx(15)
    assert stats.quantile(ordered, 0.9) == pytest.approx(34)
    assert isnan(stats.quantile(np.array([]), 0.5))


def test_a_quantile_that_mixes_in_a_run_that_never_came_is_unknown() -> None:
    nine_came = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, inf])

    assert stats.quantile(nine_came, 0.5) == pytest.approx(5.5)
    assert isnan(stats.quantile(nine_came, 0.9))  # position 8.1 lies between 9 and never


@pytest.mark.parametrize("p", [0.5, 0.9, 0.95, 0.99])
def test_a_quantile_on_the_last_run_that_came_is_that_run(p: float) -> None:
    for n in range(101, 2001, 100):  # every position (n - 1) * p is a whole number, on paper
        position = round((n - 1) * p)
        values = np.where(np.arange(n) <= position, np.arange(n, dtype=float), inf)

        assert stats.quantile(values, p) == position


def slow_ranks(n: int, p: float, prob: float) -> tuple[int, int]:
    """The same by adding up binomial probabilities: `below[j]` is the chance of at most j values below the quantile."""
    below = list(accumulate(comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)))
    tail = (1 - prob) / 2
    lower = max((rank for rank in range(1, n + 1) if below[rank - 1] <= tail), default=0)
    upper = min((rank for rank in range(1, n + 1) if 1 - below[rank - 1] <= tail), default=n + 1)
    return lower, upper


def test_ranks_are_those_of_the_textbook() -> None:
    for n in range(4, 400, 3):  # with less than 4 an extreme quantile widens the interval to hold itself
        for p in (0.5, 0.9, 0.95, 0.99):
            assert stats.ranks(n, p) == slow_ranks(n, p, 0.95), (n, p)


@pytest.mark.parametrize(("p", "fewest"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_too_few_values_carry_no_upper_end(p: float, fewest: int) -> None:
    # the largest of n lies below the quantile with p ** n: 0.5 ** 5 = 0.031 is too often, 0.5 ** 6 = 0.016 is not
    assert p ** (fewest - 1) > 0.025 >= p**fewest

    values = np.arange(fewest, dtype=float)
    assert stats.quantile_interval(values, p)[1] == fewest - 1
    assert isnan(stats.quantile_interval(values[:-1], p)[1])


def test_the_interval_of_a_median_of_ten_by_hand() -> None:
    # P(B <= 1) = 11 / 1024 = 0.011 and P(B <= 2) = 56 / 1024 = 0.055: the 2nd and the 9th value
    assert stats.quantile_interval(np.arange(1.0, 11), 0.5) == (2, 9)


def test_an_end_among_runs_that_never_came_is_unknown() -> None:
    lo, hi = stats.quantile_interval(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, inf, inf]), 0.5)

    assert lo == 2 and isnan(hi)


@given(st.integers(1, 2000), shares)
def test_a_quantile_lies_within_its_interval(n: int, p: float) -> None:
    values = np.arange(n, dtype=float)
    lo, hi = stats.quantile_interval(values, p)

    assert not lo > stats.quantile(values, p)
    assert not hi < stats.quantile(values, p)


def test_the_99th_percentile_of_two_values_is_not_below_its_interval() -> None:
    # both lie below the true one with 0.98, so the larger could be the lower end; the quantile itself is 0.99
    assert stats.quantile_interval(np.array([0.0, 1.0]), 0.99)[0] == 0


def test_a_million_values_have_ranks_near_the_normal_ones() -> None:
    # 500,000 -+ 1.96 * 500
    lower, upper = stats.ranks(1_000_000, 0.5)

    assert abs(lower - 499_020) <= 2 and abs(upper - 500_981) <= 2


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="prob must lie between 0 and 1"):
        stats.ranks(10, 0.5, 95)


def test_a_change_of_medians_by_hand() -> None:
    # ten a side: ends are the 2nd and 9th value; now 102..109 around 105.5, before 2..9 around 5.5
    before = np.arange(1.0, 11)

    change, lo, hi = stats.quantile_change(before + 100, before)

    assert change == 100
    assert [lo, hi] == pytest.approx([100 - 3.5 * 2**0.5, 100 + 3.5 * 2**0.5])


def test_a_change_keeps_the_end_that_runs_which_never_came_do_not_touch() -> None:
    now = np.array([11.0, 12, 13, 14, 15, 16, 17, 18, inf, inf])

    change, lo, hi = stats.quantile_change(now, np.arange(1.0, 11))

    assert change == 10
    assert lo == pytest.approx(10 - 3.5 * 2**0.5)
    assert isnan(hi)
    assert np.isnan(stats.quantile_change(now, np.full(10, inf))).all()
    assert np.isnan(stats.quantile_change(now, np.array([]))).all()


def test_five_thousand_checks_take_well_under_a_second_each_way() -> None:
    stats.ranks(168, 0.5)  # SciPy's import is not the question
    weeks = [np.sort(np.random.default_rng(n).random(150 + n % 40)) for n in range(5000)]

    began = perf_counter()
    for week in weeks:
        for p in (0.5, 0.9, 0.95, 0.99):
            stats.quantile(week, p)
            stats.quantile_interval(week, p)

    assert perf_counter() - began < 2
