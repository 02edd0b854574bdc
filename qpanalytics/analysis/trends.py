"""A level that stays and then moves evenly: a line with one hinge, fitted to a series over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpanalytics.analysis.changes import Noise, freedom, noise, tail
from qpanalytics.analysis.stats import Floats

#: A hinge has at least so many values after it.
LEAST = 6
#: The chi-square quantile of one place at 95 %.
_ONE = 3.841


@dataclass(frozen=True)
class Trend:
    """A line that is flat up to the value at `at` and then rises by `slope` a unit of time.

    `lo` and `hi` are the first and last place of the hinge at 95 %, `level` the value up to it, `p` that of no slope.
    """

    at: int
    lo: int
    hi: int
    level: float
    slope: float
    p: float
    squares: float
    noise: Noise


def hinge(at: Floats, values: Floats) -> Trend | None:
    """The hinged line of least squares; None where the series is too short for one. `at` ascends, in any unit.

    All places are tried at once, by sums over what comes after each. The hinge may be the first value: a line throughout.
    """
    n = len(values)
    if n < 3 * LEAST or at[-1] <= at[0]:
        return None
    t = at - at[0]
    y = values - values.mean()
    places = np.arange(n - LEAST)
    # sums over the values after each place, of the time since it
    after = n - 1.0 - places
    ts, tts, ys, tys = (np.cumsum(v[::-1])[::-1] - v for v in (t, t * t, y, t * y))
    tau, keep = t[places], places
    sx = ts[keep] - after * tau
    sxx = tts[keep] - 2 * tau * ts[keep] + after * tau * tau
    sxy = tys[keep] - tau * ys[keep]
    within = np.maximum(sxx - sx * sx / n, 1e-300)
    gain = sxy * sxy / within
    best = int(gain.argmax())
    slope = float(sxy[best] / within[best])
    fit = slope * (np.maximum(t - tau[best], 0.0) - sx[best] / n)
    left = y - fit
    found = noise(left, values - slope * np.maximum(t - tau[best], 0.0), 3)
    long_run = max(found.long_run, 1e-300)
    p = float(np.minimum(n * tail(np.array([slope * np.sqrt(within[best] / long_run)]), freedom(n, found)), 1.0)[0])
    near = np.flatnonzero(gain >= gain[best] - _ONE * long_run)
    level = float(values.mean() - slope * sx[best] / n)
    return Trend(best, int(near[0]), int(near[-1]), level, slope, p, float(left @ left), found)
