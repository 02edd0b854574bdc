"""`stats.change_points` on plain series of all kinds: what is there is found, what is not is not, and nothing breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from drift_fleet import remembering
from hypothesis import given, settings
from hypothesis import strategies as st

from qpanalytics.analysis.stats import Floats, change_points

#: Flow of the Nile at Aswan, 1871 to 1970; it fell in 1899, when the dam was begun (Cobb 1978, Biometrika 65, 243-251).
NILE = [
    1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140, 1100, 1210,
    1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702,
    1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771,
    676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901,
    1170, 912, 746, 919, 718, 714, 740,
]  # fmt: skip
MONTHS = 10 * np.sin(np.arange(192) * 2 * np.pi / 12)


def normal(seed: int, n: int) -> Floats:
    return np.random.default_rng(seed).normal(size=n)


def near(found: list[int], true: list[int], by: int = 4) -> bool:
    return len(found) == len(true) and all(abs(a - b) <= by for a, b in zip(found, true, strict=True))


def test_the_nile_fell_in_1899() -> None:
    assert change_points(NILE) == [1899 - 1871]


def test_steps_bends_and_counts_are_found() -> None:
    for seed in range(5):
        e = normal(seed, 300)
        assert near(change_points(np.where(np.arange(300) < 180, 0, 3) + e), [180])
        assert near(change_points(np.where(np.arange(192) < 150, 0, -9) + MONTHS + 2 * e[:192]), [150])
        assert near(change_points(np.maximum(np.arange(100) - 50, 0) * 0.5 + e[:100]), [50], 9)
        counts = np.random.default_rng(seed).poisson(np.where(np.arange(200) < 90, 2, 9))
        assert near(change_points(counts), [90])
    levels = np.repeat([10, 12, 9, 14, 10, 11.0], 110) + 0.5 * normal(1, 660)
    levels[[40, 41, 300, 512]] -= 6
    assert near(change_points(levels), [110, 220, 330, 440, 550])


def test_noise_trends_and_seasons_have_no_changes_and_memory_hardly_any() -> None:
    assert sum(bool(change_points(remembering(np.random.default_rng(seed), 400, 0.7))) for seed in range(10)) <= 1
    for seed in range(10):
        e = normal(seed, 300)
        assert change_points(e) == []
        assert change_points(np.arange(300) * 0.05 + e) == []
        assert change_points(np.arange(192) * 0.5 + MONTHS + 2 * e[:192]) == []


def test_what_wanders_has_a_few_changes_not_dozens() -> None:
    many = [len(change_points(normal(seed, 700).cumsum())) for seed in range(10)]
    assert np.mean(many) <= 5 and max(many) <= 12


def test_what_grows_by_shares_is_compared_by_shares() -> None:
    # beside the last step the first one is lost in plain numbers
    for seed in range(5):
        level = np.where(np.arange(160) < 60, 1.0, np.where(np.arange(160) < 110, 3.0, 40.0))
        assert near(change_points(level * np.exp(0.3 * normal(seed, 160))), [60, 110], 2)
        grows = np.exp(0.03 * np.arange(120) + 0.1 * normal(seed, 120))
        assert change_points(grows) == []


def test_missing_values_are_passed_over_and_keep_their_places() -> None:
    values = np.where(np.arange(100) < 60, 1.0, 9.0) + normal(3, 100)
    whole = change_points(values)
    values[[5, 6, 30, 58, 80]] = np.nan
    assert near(change_points(values), [60], 2) and near(whole, [60], 2)
    assert change_points(np.where(np.arange(40) == 20, np.inf, 1.0)) == []


@pytest.mark.parametrize("values", [[], [1.0], [3.0] * 50, [np.nan] * 30, [1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 0, 0, 1e-300]])
def test_little_or_nothing_has_no_changes(values: list[float]) -> None:
    assert change_points(values) == []


def test_a_shift_and_another_unit_change_nothing() -> None:
    values = np.where(np.arange(120) < 70, 0.0, 4.0) + normal(9, 120)
    assert (
        change_points(values) == change_points(values * 1e6 - 3e8) == change_points(values * 1e-7) == change_points(list(values))
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.floats(), st.integers(-3, 3).map(float)), max_size=60))
def test_any_numbers_give_ascending_places_within(values: list[float]) -> None:
    found = change_points(values)
    assert found == sorted(set(found)) and all(type(k) is int and 0 < k < len(values) and np.isfinite(values[k]) for k in found)
