"""A level that stays and then moves evenly: a line with one hinge, fitted to a series over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qpanalytics.analysis.changes import Noise, freedom, noise, tail
from qpanalytics.analysis.stats import Floats

#: A hinge has at least so many values after it.
LEAST = 6
#: The chi-square quantile of one place at 95 %, 3.84, and some for a noise that is estimated from the same runs.
_ONE = 4.6


@dataclass(frozen=True)
class Trend:
    """A line that is flat up to the value at `at` and then rises by `slope` a unit of time.

    `lo` and `hi` are the first and last place of the hinge at 95 %, `p` is that of no slope. `even`: values are logarithms, and
    what they are logarithms of grows by `slope` times its level at the hinge; else the values themselves grow by `slope`.
    """

    at: int
    lo: int
    hi: int
    slope: float
    even: bool
    p: float
    squares: float
    noise: Noise


def hinge(at: Floats, values: Floats, logs: bool) -> Trend | None:
    """The hinged line of least squares; None where the series is too short for one. `at` ascends, in any unit.

    Of logarithms (`logs`) the line, which is growth by a share, and a line of what they are logarithms of; the one that is
    nearer to the values.
    """
    n = len(values)
    if n < 3 * LEAST or at[-1] <= at[0]:
        return None
    found = _hinge(at, values, False)
    if logs:
        other = _hinge(at, values, True)
        if other is not None and (found is None or other.squares < found.squares):
            return other
    return found


def _hinge(at: Floats, values: Floats, even: bool) -> Trend | None:
    """All places are tried at once, by sums over what comes after each. The hinge may be the first value: a line throughout."""
    n = len(values)
    centre = float(values.mean())
    fitted_to = np.exp(values - centre) if even else values
    mean = float(fitted_to.mean())
    t = at - at[0]
    y = fitted_to - mean
    places = np.arange(n - LEAST)
    # sums over the values after each place, of the time since it
    after = n - 1.0 - places
    ts, tts, ys, tys = (np.cumsum(v[::-1])[::-1] - v for v in (t, t * t, y, t * y))
    tau = t[places]
    sx = ts[places] - after * tau
    sxx = tts[places] - 2 * tau * ts[places] + after * tau * tau
    sxy = tys[places] - tau * ys[places]
    within = np.maximum(sxx - sx * sx / n, 1e-300)
    gain = sxy * sxy / within
    best = int(gain.argmax())
    slope = float(sxy[best] / within[best])
    level = mean - slope * float(sx[best]) / n
    rise = np.maximum(t - tau[best], 0.0)
    fit = level + slope * rise
    if even:
        if fit.min() <= 0:
            return None
        left = values - centre - np.log(fit)
        left = left - left.mean()
    else:
        left = values - fit
    found = noise(left, left, 3)
    off = fitted_to - fit
    unit = max(float(off @ off) / max(float(left @ left), 1e-300), 1e-300) * found.long_run
    near = np.flatnonzero(gain >= gain[best] - _ONE * unit)
    whole = values - centre
    t_value = np.sqrt(max(float(whole @ whole - left @ left), 0.0) / max(found.long_run, 1e-300))
    p = float(np.minimum(n * tail(np.array([t_value]), freedom(n, found)), 1.0)[0])
    slope = slope / level if even else slope
    return Trend(best, int(near[0]), int(near[-1]), slope, even, p, float(left @ left), found)
