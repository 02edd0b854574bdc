"""What limits cost: by closed forms, by simulation where the truth is known, and at the edges."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from grace_fleet import fleet
from hypothesis import given
from hypothesis import strategies as st

from qpanalytics import spell
from qpanalytics.analysis import pricing
from qpanalytics.analysis.pricing import Sample
from qpanalytics.analysis.stats import Floats


def sample(*late: float, real_s: float = 43_200.0, a_month: float = 30.0) -> Sample:
    """A daily job with this lateness, day by day; infinity never came."""
    values = np.array(late, dtype=np.float64)
    at = np.arange(len(values), dtype=np.int64) * 86_400_000_000
    return Sample(at, values, np.full(len(values), real_s), values, a_month)


def test_the_longest_of_n_is_passed_once_in_n_plus_one_runs() -> None:
    half_a_year = sample(*np.random.default_rng(1).permutation(180).tolist())

    longest = pricing.price(half_a_year, 179.0, 1.0, chosen=True)

    assert (longest.told, longest.a_month) == (0, pytest.approx(30 / 181))


def test_a_budget_below_the_price_of_the_longest_is_not_reachable() -> None:
    half_a_year = sample(*np.random.default_rng(1).permutation(180).tolist())

    assert isnan(pricing.least_limit(half_a_year, 30 / 181 - 0.001))
    assert pricing.least_limit(half_a_year, 30 / 181 + 0.001) == pricing.rounded(179.0)


def test_the_limit_is_the_smallest_that_keeps_the_budget() -> None:
    # 0, 1, ... 179 s, scattered: one a month leaves (k + 1) / 181 * 30 <= 1, so k = 5: all but 179, 178, ... 175
    half_a_year = sample(*np.random.default_rng(3).permutation(180).tolist())

    assert pricing.least_limit(half_a_year, 1.0) == pricing.rounded(174.0)
    assert pricing.price(half_a_year, 174.0, 1.0).told == 5


def test_what_is_later_than_late_is_real_is_never_a_false_alarm() -> None:
    one = sample(*[60.0] * 30, 7200.0, np.inf, real_s=3600.0)

    assert one.longest_s == 60.0
    assert pricing.price(one, 30.0, 1.0).told == 30
    assert pricing.price(one, 60.0, 1.0).told == 0
    beyond = pricing.price(one, 3600.0, 1.0)
    assert (beyond.a_month, beyond.lo, beyond.hi) == (0.0, 0.0, 0.0)


def test_a_longest_run_that_rounds_up_to_where_late_is_real_has_a_limit_that_costs_nothing() -> None:
    # hourly runs, late is real from half an hour on: 29 min 50 s is passed once in 21, 30 min by no false alarm
    one = sample(*[60.0] * 19, 1790.0, real_s=1800.0, a_month=720.0)
    short = sample(*[60.0] * 19, 1700.0, real_s=1800.0, a_month=720.0)

    assert pricing.least_limit(one, 0.5) == 1800.0
    assert pricing.price(one, 1800.0, 1.0, chosen=True).a_month == 0.0
    assert isnan(pricing.least_limit(short, 0.5))


def test_a_limit_beyond_a_real_problem_that_was_over_by_then_has_missed_it() -> None:
    one = sample(*[60.0] * 30, 7200.0, np.inf, real_s=3600.0)

    assert [pricing.price(one, limit, 1.0).hidden for limit in (60.0, 7199.0, 7200.0)] == [0, 0, 1]


def test_runs_that_are_late_together_make_the_longest_dearer() -> None:
    calm = np.random.default_rng(2).permutation(180).astype(float)
    bad = calm.copy()
    bad[100:106] = 1000.0 + np.arange(6)  # one bad week: against the others each of its runs would have been told

    apart, together = (pricing.price(sample(*v.tolist()), float(v.max()), 1.0, chosen=True).a_month for v in (calm, bad))

    assert apart == pytest.approx(30 / 181)
    assert together > 3 * apart


def test_dispersion_is_one_without_clusters_and_more_with_them() -> None:
    rng = np.random.default_rng(5)
    calm = rng.exponential(60, 360)
    bad = calm.copy()
    bad[100:125] += 600

    assert pricing.dispersion(sample(*calm.tolist())) == 1.0
    assert pricing.dispersion(sample(*bad.tolist())) > 3
    assert pricing.dispersion(sample(*[60.0] * 360)) == 1.0  # all the same: nothing is high


@pytest.mark.parametrize("told", [0, 5, 40])
def test_the_interval_holds_what_comes_in_two_months(told: int) -> None:
    """A limit that was there before, under which a share of runs is late; 180 days are known, 60 come."""
    rng = np.random.default_rng(20261129)
    truth = max(told, 0.5) / 180
    held = []
    for _ in range(2000):
        known, comes = rng.binomial(180, truth), rng.binomial(60, truth)
        lo, hi = pricing.predicted((known + 0.5) / 181, 180, 30.0, 1.0)
        held.append(2 * lo - 1e-9 <= comes <= 2 * hi + 1e-9)
    print(f"predictive interval, {truth * 30:.2f} a month: {np.mean(held):.3f}")

    assert 0.93 < np.mean(held) <= (0.999 if told == 0 else 0.99)  # of next to none, whole numbers cannot miss 5 %


def test_the_interval_holds_where_runs_come_late_together() -> None:
    rng = np.random.default_rng(20261129)
    held = []
    for _ in range(300):
        # three runs in a row share their lateness
        late = np.repeat(rng.exponential(60, 80), 3)
        known = sample(*late[:180].tolist())
        told = pricing.price(known, 130.0, pricing.dispersion(known))
        comes = int((late[180:] > 130).sum())
        held.append(2 * told.lo - 1e-9 <= comes <= 2 * told.hi + 1e-9)
    print(f"predictive interval, late in threes: {np.mean(held):.3f}")

    assert 0.90 < np.mean(held) <= 0.99


def test_the_months_that_follow_keep_the_budget_and_the_interval() -> None:
    """The small version of tests/bench/grace.py: 120 checks, recommended from 180 days, judged on the next 60."""
    checks = fleet(120, 11, gaps=("daily", "every 6 h", "hourly"))
    for budget in (0.25, 1.0):
        came, held, ratio = [], [], []
        for check in checks:
            best = check.advice(budget).best
            if best is not None:
                comes = check.false_alarms(best.limit_s)
                came.append(comes)
                held.append(best.lo - 1e-9 <= comes <= best.hi + 1e-9)
                ratio.append(best.limit_s / check.known.longest_s)
        error = np.std(came, ddof=1) / len(came) ** 0.5
        print(
            f"budget {budget}: {len(came)} of 120, {np.mean(came):.2f} +- {error:.2f}, held {np.mean(held):.3f}, "
            f"of the longest {np.median(ratio):.2f}"
        )

        assert len(came) >= 110
        assert np.mean(came) <= budget + 2 * error
        assert np.mean(held) >= 0.9
    assert np.median(ratio) <= 0.75  # at one a month


@given(st.floats(0.0, 500_000.0))
def test_a_rounded_limit_is_never_smaller_and_reads_back_as_itself(limit: float) -> None:
    found = pricing.rounded(limit)

    assert limit <= found + 1e-6
    assert found <= max(limit * 1.11 + 1, 1.0)
    assert spell.parse_duration(spell.duration(found)) == found


@given(
    st.lists(st.one_of(st.floats(-60, 50_000), st.just(np.inf)), min_size=1, max_size=80),
    st.floats(0.05, 40.0),
    st.floats(0.5, 3000.0),
)
def test_a_larger_budget_never_asks_for_a_longer_limit(late: list[float], budget: float, a_month: float) -> None:
    one = sample(*late, a_month=a_month)
    small, large = pricing.least_limit(one, budget), pricing.least_limit(one, 2 * budget)

    assert isnan(small) or large <= small
    if not isnan(small):
        price = pricing.price(one, small, pricing.dispersion(one), chosen=True)
        assert price.a_month <= budget + 1e-6 and price.lo <= price.hi


def test_a_ladder_lies_between_the_usual_run_and_the_longest() -> None:
    values: Floats = np.concatenate([np.full(100, 50.0), [70.0, 200.0, 1000.0]])

    assert pricing.ladder(sample(*values.tolist())) == [60.0, 120.0, 300.0]
    assert pricing.ladder(sample(np.inf)) == []
