"""Drift on fleets whose changes are known: recall, precision, dates, ranges, beside rules that people use; `-s` prints them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from drift_fleet import BEGIN_S, DAY_S, RULES, Floats, fleet, remembering, score, series, told
from hypothesis import given, settings
from hypothesis import strategies as st

from qpanalytics.analysis import breaks, changes, failing, meets
from qpanalytics.analysis.breaks import Judged
from qpanalytics.analysis.discoveries import q_values
from qpanalytics.analysis.levels import levels
from qpanalytics.analysis.seasons import season
from qpanalytics.analysis.series import Checked, Series
from qpanalytics.analysis.settled import SURE

ALIKE = np.ones(5000, dtype=np.int64)  # one hour, one weekday


def judge(values: Floats, gap_s: float = DAY_S) -> Judged:
    n = len(values)
    return breaks.judge(BEGIN_S + gap_s * np.arange(n), values, ALIKE[:n], ALIKE[:n])


def test_five_fleets_are_told_apart_better_than_by_fixed_rules() -> None:
    fleets = [fleet(seed) for seed in range(5)]
    found = [told(jobs) for jobs in fleets]
    f1 = float(np.mean([one.score[2] for one in found]))
    flagged = sum(one.flagged for one in found) / sum(one.quiet for one in found)
    dates = float(np.mean([near for one in found for near in one.dates]))
    print(f"ours: F1 {f1:.3f}, quiet and blips flagged {flagged:.3f}, dates within 3 days or 10 runs {dates:.3f}")
    assert f1 >= 0.95 and flagged <= 0.02 and dates >= 0.95

    for name, rule in RULES.items():
        theirs = score([rule(job) for job in fleets[0]], [job.drifts for job in fleets[0]])
        print(f"{name}: precision {theirs[0]:.3f}, recall {theirs[1]:.3f}, F1 {theirs[2]:.3f}")
        assert theirs[2] < f1


def test_a_thousand_quiet_series_give_a_handful_at_most() -> None:
    rng = np.random.default_rng(99)
    jobs = [series(rng, "quiet", schedule=int(rng.integers(1, 4))) for _ in range(1000)]
    p = np.array([breaks.judge(job.at_s, job.values, job.weekday, job.hour).p for job in jobs])
    flagged = int((q_values(p) <= SURE).sum())
    print(f"{flagged} of 1,000 quiet series flagged; {int((p <= 0.05).sum())} have p <= 0.05")
    assert flagged <= 3


@pytest.mark.parametrize(("n", "memory", "size"), [(200, 0.0, 1.0), (200, 0.3, 1.8), (900, 0.0, 0.8), (900, 0.6, 1.2)])
def test_the_range_of_a_date_holds_it_in_95_of_100_cases(n: int, memory: float, size: float) -> None:
    rng = np.random.default_rng(n)
    held = []
    for _ in range(120):
        true = int(n * rng.uniform(0.25, 0.75))
        values = 100 * np.exp(0.1 * (remembering(rng, n, memory) + size * (np.arange(n) >= true)))
        held += [b.lo <= true <= b.hi for b in judge(values, 3600).breaks if b.kind == "step" and b.p < 1e-3][:1]
    print(f"n = {n}, memory {memory}, step of {size} sd: {np.mean(held):.3f} of {len(held)}")
    assert len(held) >= 40 and np.mean(held) >= 0.90


@pytest.mark.parametrize("compounding", [False, True])
@pytest.mark.parametrize(("n", "memory", "gap_s"), [(180, 0.0, DAY_S), (180, 0.3, DAY_S), (700, 0.3, 3600.0)])
def test_the_range_of_a_meeting_holds_it_in_95_of_100_cases(n: int, memory: float, gap_s: float, compounding: bool) -> None:
    rng = np.random.default_rng(n)
    at_s = BEGIN_S + gap_s * np.arange(n)
    held, hinges = [], []
    for _ in range(60):
        begun, noise, ratio = int(n * rng.uniform(0.2, 0.6)), rng.uniform(0.04, 0.1), rng.uniform(1.5, 3)
        long_s = at_s[-1] - at_s[begun]
        share = np.maximum(at_s - at_s[begun], 0) / long_s
        growth = ratio**share if compounding else 1 + (ratio - 1) * share
        values = 300 * growth * np.exp(noise * remembering(rng, n, memory))
        ahead = rng.uniform(0.05, 0.5)
        # the limit is where the 95th percentile (1.645 sd of the logarithm) will be then
        limit = 300 * (ratio ** (1 + ahead) if compounding else 1 + (ratio - 1) * (1 + ahead)) * np.exp(1.645 * noise)
        met_s = at_s[-1] + ahead * long_s
        one = judge(values, gap_s)
        trends = [b for b in one.breaks if b.kind == "trend"]
        if not trends:
            continue
        hinges.append(trends[0].lo <= begun <= trends[0].hi)
        check = Checked(1, "job", None, None, None, float(limit))
        row = meets.meets(check, "duration", Series(at_s, values, ALIKE[:n], ALIKE[:n]), trends[0], one.logs, float(at_s[-1])).row
        if "meets_at" in row:
            held.append(row["meets_lo_at"] <= met_s <= row["meets_hi_at"])
    shape = "compounding" if compounding else "even"
    print(f"n = {n}, memory {memory}, {shape}: date {np.mean(held):.3f} of {len(held)}, hinge {np.mean(hinges):.3f}")
    assert len(held) >= 40 and np.mean(held) >= 0.90 and np.mean(hinges) >= 0.85


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    # worked by hand: 0.01 * 4, 0.02 * 4 / 2, 0.03 * 4 / 3, 0.5
    assert q_values(np.array([0.02, 0.5, 0.01, 0.03])).tolist() == pytest.approx([0.04, 0.5, 0.04, 0.04])
    assert q_values(np.array([])).tolist() == []


def test_a_season_is_taken_out_only_where_hours_and_days_take_turns() -> None:
    rng = np.random.default_rng(2)
    n = 280
    at_s, weekday = BEGIN_S + DAY_S * np.arange(n), np.arange(n) % 7 + 1
    values = 0.1 * rng.normal(size=n) + np.where(weekday == 7, 1.0, 0.0)
    effect = season(at_s, values, weekday, ALIKE[:n]).effect
    assert effect[weekday == 7].mean() == pytest.approx(1, abs=0.1) and abs(effect[weekday != 7]).max() < 0.1
    moved = 0.1 * rng.normal(size=n) + np.where(np.arange(n) < 140, 0.0, 1.0)
    hour = np.where(np.arange(n) < 140, 3, 5)
    assert np.ptp(season(at_s, moved, ALIKE[:n], hour).effect) < 0.5


def test_shares_of_failures_change_with_failures_apart_not_with_rows_of_them() -> None:
    rng = np.random.default_rng(8)
    quiet = sum(bool(failing.judge((rng.random(800) < 0.03).astype(float)).breaks) for _ in range(300))
    rows = np.zeros((300, 800))
    for row in rows:
        for start in rng.integers(0, 780, 4):
            row[start : start + int(rng.integers(5, 20))] = 1
    clustered = sum(failing.judge(row).p < 0.001 for row in rows)
    caught = sum(
        failing.judge((rng.random(800) < np.where(np.arange(800) < 500, 0.02, 0.12)).astype(float)).p < 0.001 for _ in range(100)
    )
    print(f"quiet {quiet} of 300 at 5 %, rows of failures {clustered} of 300, changes {caught} of 100")
    assert quiet <= 15 and clustered <= 6 and caught >= 90


AMOUNTS = st.one_of(st.floats(-1e7, 1e7), st.sampled_from([0.0, 0.0, 1.0, 1.0, 2.0, 1e-9, 86_400.0]))


@settings(max_examples=150, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=80), st.integers(1, 60), st.sampled_from([0.0, 60.0, 3600.0, DAY_S, 40 * DAY_S]))
def test_any_durations_are_judged_without_a_word(values: list[float], repeats: int, gap_s: float) -> None:
    # repeated to lengths and regimes at which every step of the method has something to do
    series_of = np.array(sorted(values) * (1 + repeats // 10) + values)
    n = len(series_of)
    at_s = BEGIN_S + gap_s * np.arange(n)
    weekday, hour = (at_s // DAY_S).astype(np.int64) % 7 + 1, (at_s % DAY_S // 3600).astype(np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = breaks.judge(at_s, series_of, weekday, hour)
        both = levels(at_s, series_of, weekday, one)
        check = Checked(1, "job", "0 3 * * *", "UTC", 600.0, 3600.0)
        for b, (before, after) in zip(one.breaks, both, strict=True):
            assert 0 <= b.lo <= b.at <= b.hi < n and b.at < b.end <= n and b.at <= b.known < n and 0 <= b.p <= 1
            assert np.isfinite(before) and np.isfinite(after)
            meets.meets(check, "duration", Series(at_s, series_of, weekday, hour), b, one.logs, float(at_s[-1]))
        failing.judge((series_of > np.median(series_of)).astype(float))


def test_a_clear_step_in_noise_that_remembers_is_not_taken_for_wandering() -> None:
    rng = np.random.default_rng(5)
    step = np.where(np.arange(176) < 80, 0.0, 2.8)
    found = [len(changes.partitioned(step + remembering(rng, 176, 0.5))[0]) for _ in range(100)]
    assert found.count(0) == 0 and found.count(1) >= 80
