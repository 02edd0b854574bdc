"""How often the intervals hold the truth, where the truth is known. `pytest -s` prints the figures.

Rates are added up exactly over all outcomes; quantiles are simulated with fixed seeds, and a bound leaves room for
three standard errors of the simulation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import gammaln

from qpanalytics.analysis import stats

Sample = Callable[[np.random.Generator, tuple[int, int]], stats.Floats]

TRIES = 10_000
SLACK = 3 * (0.95 * 0.05 / TRIES) ** 0.5  # 0.65 %

SHAPES: dict[str, Sample] = {
    "normal": lambda rng, size: rng.normal(0, 1, size),
    "exponential": lambda rng, size: rng.exponential(1, size),
    "lognormal": lambda rng, size: rng.lognormal(0, 1, size),
    "heavy tail": lambda rng, size: rng.pareto(1.2, size),
    "whole seconds": lambda rng, size: np.round(rng.lognormal(1, 0.7, size)),
    "two modes": lambda rng, size: np.where(rng.random(size) < 0.8, rng.normal(60, 3, size), rng.normal(600, 60, size)),
}
INFINITE = 2_000_000  # values that stand for the whole population


def chances(n: int, p: stats.Floats) -> stats.Floats:
    """Binomial probabilities of 0 to n (rows) for each p (columns)."""
    k = np.arange(n + 1)[:, None]
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(np.exp(ways + k * np.log(p) + (n - k) * np.log1p(-p)))


def test_the_score_interval_covers_95_percent_on_average_over_rates() -> None:
    p = np.linspace(0.001, 0.999, 1997)
    for n in (5, 7, 20, 48, 168, 1000):
        lo, hi = stats.wilson(np.arange(n + 1), n)
        holds = (lo[:, None] <= p) & (p <= hi[:, None])
        covers = (chances(n, p) * holds).sum(axis=0)
        inner = covers[(p > 5 / n) & (p < 1 - 5 / n)]
        print(
            f"rate, n = {n}: mean {covers.mean():.4f}, least {covers.min():.4f} at p = {p[covers.argmin()]:.4f}", end=""
        )
        print(f", least with 5 of each expected {inner.min():.4f}" if len(inner) else "")

        assert 0.945 < covers.mean() < 0.97
        assert covers.min() > 0.83
        if len(inner):
            assert inner.min() > 0.92


def test_the_interval_of_a_change_of_rates_covers_95_percent_on_average() -> None:
    grid = np.linspace(0.01, 0.99, 99)
    for n, n_before in ((7, 7), (7, 28), (20, 20), (48, 168)):
        k, k_before = (a.ravel() for a in np.meshgrid(np.arange(n + 1), np.arange(n_before + 1), indexing="ij"))
        _, lo, hi = stats.rate_change(k, n, k_before, n_before)
        now, before = chances(n, grid), chances(n_before, grid)
        covers = np.empty((len(grid), len(grid)))
        for i, p in enumerate(grid):
            weight = now[:, i][:, None, None] * before[None]
            truth = p - grid
            holds = (lo[:, None] <= truth + 1e-12) & (truth - 1e-12 <= hi[:, None])
            covers[i] = (weight.reshape(-1, len(grid)) * holds).sum(axis=0)
        unchanged = np.diag(covers)
        print(
            f"change of rate, n = {n} and {n_before}: mean {covers.mean():.4f}, least {covers.min():.4f}, "
            f"nothing changed: mean {unchanged.mean():.4f}, least {unchanged.min():.4f}"
        )

        assert 0.945 < covers.mean() < 0.98
        assert covers.min() > 0.85
        assert unchanged.min() > 0.93


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_of_a_quantile_covers_at_least_95_percent(shape: str) -> None:
    rng = np.random.default_rng(20261124)
    whole = np.sort(SHAPES[shape](rng, (1, INFINITE))[0])
    for p in (0.5, 0.9, 0.95, 0.99):
        truth = float(np.quantile(whole, p, method="inverted_cdf"))
        figures = []
        for n in (6, 7, 12, 36, 72, 168, 368):
            lower, upper = stats.ranks(n, p)
            values = np.sort(SHAPES[shape](rng, (TRIES, n)), axis=1)
            lo = values[:, lower - 1] if lower >= 1 else None
            hi = values[:, upper - 1] if upper <= n else None
            # each end alone may miss with 2.5 %; an end that is not carried promises nothing
            if lo is not None:
                assert (lo <= truth).mean() > 0.975 - 3 * (0.975 * 0.025 / TRIES) ** 0.5
            if hi is not None:
                assert (truth <= hi).mean() > 0.975 - 3 * (0.975 * 0.025 / TRIES) ** 0.5
            if lo is not None and hi is not None:
                covers = ((lo <= truth) & (truth <= hi)).mean()
                figures.append(f"n = {n} {covers:.3f}")
                assert covers > 0.95 - SLACK
        print(f"p{p * 100:g} of {shape}: {', '.join(figures)}")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_of_a_change_of_medians_covers_at_least_95_percent(shape: str) -> None:
    rng = np.random.default_rng(20261124)
    figures = []
    for n, n_before in ((6, 6), (7, 7), (7, 28), (12, 12), (24, 24), (48, 168), (168, 168)):
        covers, upwards = ends_of_change(SHAPES[shape], SHAPES[shape], n, n_before, rng)
        figures.append(f"{n} and {n_before} {covers:.3f}")

        assert covers > 0.95 - SLACK
        assert upwards < 0.025 + SLACK
    print(f"change of p50, {shape}: {', '.join(figures)}")


def test_unlike_shapes_with_one_median_seldom_look_changed() -> None:
    rng = np.random.default_rng(20261124)
    for n, n_before in ((6, 6), (7, 60), (60, 7), (30, 30), (168, 168)):
        covers, _ = ends_of_change(
            lambda rng, size: rng.lognormal(0, 1.5, size) - 1,
            lambda rng, size: rng.normal(0, 0.2, size),
            n,
            n_before,
            rng,
        )
        print(f"change of p50, lognormal against narrow normal, {n} and {n_before}: {covers:.3f}")

        assert covers > 0.95 - SLACK


def ends_of_change(now: Sample, before: Sample, n: int, n_before: int, rng: np.random.Generator) -> tuple[float, float]:
    """How often the interval of the change holds 0, and how often it lies above."""
    tries = [
        stats.quantile_change(a, b)
        for a, b in zip(
            np.sort(now(rng, (TRIES // 2, n)), axis=1),
            np.sort(before(rng, (TRIES // 2, n_before)), axis=1),
            strict=True,
        )
    ]
    _, lo, hi = np.array(tries).T
    return float(((lo <= 0) & (hi >= 0)).mean()), float((lo > 0).mean())


def test_neighbours_that_resemble_each_other_make_the_interval_too_narrow() -> None:
    # the figure in the docstring of `stats`: it is a limit of the method, and this is where it is measured
    rng = np.random.default_rng(20261124)

    def alike(rng: np.random.Generator, size: tuple[int, int]) -> stats.Floats:
        steps = rng.normal(0, 1, size)
        for i in range(1, size[1]):
            steps[:, i] = 0.5 * steps[:, i - 1] + 0.75**0.5 * steps[:, i]
        return np.asarray(np.exp(steps))

    covers, _ = ends_of_change(alike, alike, 168, 168, rng)
    print(f"change of p50, neighbours correlated by 0.5, 168 and 168: {covers:.3f}")

    assert 0.82 < covers < 0.87


def test_with_seven_runs_a_side_only_a_large_change_is_seen() -> None:
    # the other figure in the docstrings: scatter by a factor of e = 2.7, slower by e ** 2 = 7.4
    rng = np.random.default_rng(20261124)
    _, upwards = ends_of_change(
        lambda rng, size: rng.lognormal(2, 1, size), lambda rng, size: rng.lognormal(0, 1, size), 7, 7, rng
    )
    print(f"change of p50 seen, 7.4 times as slow, scatter 2.7, 7 and 7: {upwards:.3f}")

    assert 0.45 < upwards < 0.55
