"""Since when lateness has been as it is: real changes are found; noise, tails and bad weeks are none."""

from __future__ import annotations

import numpy as np
import pytest

from qpanalytics.analysis.regime import Regime, regime
from qpanalytics.analysis.stats import Floats

DAY_US = 86_400_000_000


def days(values: Floats) -> Regime:
    return regime(np.arange(len(values), dtype=np.int64) * DAY_US, values)


def alike(rng: np.random.Generator, n: int, r: float) -> Floats:
    from scipy.signal import lfilter

    found: Floats = lfilter([(1 - r * r) ** 0.5], [1, -r], rng.normal(size=n + 50))[50:]
    return found


@pytest.mark.parametrize("r", [0.0, 0.3, 0.6])
def test_a_check_that_stays_as_it_is_has_no_change(r: float) -> None:
    rng = np.random.default_rng(7)
    found = [days(60 * np.exp(alike(rng, n, r))).changed for n in (40, 180, 365) for _ in range(60)]

    assert sum(found) <= 1


def test_neither_a_week_with_one_long_day_nor_a_bad_week_is_a_change() -> None:
    rng = np.random.default_rng(8)
    usual = 300 * np.exp(0.3 * rng.normal(size=180))
    sundays, bad = usual.copy(), usual.copy()
    sundays[6::7] *= 10
    bad[90:97] *= 10

    assert not days(sundays).changed
    assert not days(bad).changed


def test_a_lasting_change_is_found_where_it_is() -> None:
    rng = np.random.default_rng(9)
    noise = np.exp(0.3 * rng.normal(size=180))
    level = np.where(np.arange(180) < 100, 300.0, 600.0)

    found = days(level * noise)

    assert found.changed and abs(found.start - 100) <= 3
    assert found.before_s < 0.7 * found.after_s
    assert found.recent(110 * DAY_US + found.since_us - 100 * DAY_US)
    assert not found.recent(180 * DAY_US)


def test_of_two_changes_the_last_one_counts() -> None:
    rng = np.random.default_rng(10)
    level = np.repeat([300.0, 900.0, 300.0], 60)

    assert abs(days(level * np.exp(0.3 * rng.normal(size=180))).start - 120) <= 3


def test_runs_that_never_came_are_no_change_of_lateness() -> None:
    rng = np.random.default_rng(11)
    values = 300 * np.exp(0.3 * rng.normal(size=180))
    values[140:160] = np.inf

    assert not days(values).changed
    assert not days(np.full(180, np.inf)).changed
    assert days(np.array([])).start == 0


def test_a_change_of_less_than_a_second_moves_no_limit() -> None:
    rng = np.random.default_rng(12)
    level = np.where(np.arange(180) < 100, 0.3, 0.9)

    assert not days(level * np.exp(0.1 * rng.normal(size=180))).changed
