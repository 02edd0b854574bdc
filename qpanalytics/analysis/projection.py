"""When a trend meets a limit: the date at which one run in twenty is beyond it, with a range."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from qpanalytics.analysis import changes, stats
from qpanalytics.analysis.seasons import DAY_S
from qpanalytics.analysis.stats import Floats

#: One run in twenty: the level that the limit is held against.
SHARE = 0.95
#: Half the width of a 95 % interval, in standard errors.
_WIDE = 1.96
#: Two shapes of growth are told apart where their likelihood ratio is so large (a factor of 20 in likelihood).
_APART = 6.0
_STEPS = 4000


@dataclass(frozen=True)
class Meeting:
    """When a level meets a limit, epoch seconds; infinite where it does not within the reach of the projection."""

    at_s: float
    lo_s: float
    hi_s: float


@dataclass(frozen=True)
class Line:
    """A trend as fitted to the runs since its hinge: `level(t)` in the values' unit, and its standard error."""

    origin_s: float
    coefficients: Floats
    covariance: Floats
    compounding: bool
    #: What lies above the line at one run in twenty, as a factor (`ratios`) or in the values' unit, and its standard error.
    above: float
    above_error: float
    ratios: bool
    #: Of the residuals: their sum of squares and long-run variance.
    squares: float
    unit: float

    def level(self, at_s: Floats) -> tuple[Floats, Floats]:
        """The usual level at these instants and its standard error."""
        days = (at_s - self.origin_s) / DAY_S
        line = self.coefficients[0] + self.coefficients[1] * days
        error = np.sqrt(np.maximum(self.covariance[0, 0] + 2 * days * self.covariance[0, 1] + days**2 * self.covariance[1, 1], 0))
        if self.compounding:
            line = np.exp(np.minimum(line, 60.0))
            return line, line * error
        return line, error

    def high(self, at_s: Floats) -> tuple[Floats, Floats]:
        """What one run in twenty is above at these instants, and its standard error."""
        line, error = self.level(at_s)
        if self.ratios:
            return line * self.above, np.hypot(error * self.above, line * self.above_error)
        return line + self.above, np.hypot(error, self.above_error)


def lines(at_s: Floats, values: Floats, ratios: bool) -> list[Line]:
    """The straight line and, where values are ratios, the compounding one; only the better where the runs tell them apart.

    `values` are the runs since the hinge. Least squares on values brought near their running median, weighted so that each
    run counts by its ratio to the line; errors with the long-run variance of the residuals.
    """
    straight = _line(at_s, values, ratios, compounding=False)
    if not ratios:
        return [straight]
    found = sorted([straight, _line(at_s, values, ratios, compounding=True)], key=lambda one: one.squares)
    apart = _APART * min(one.unit for one in found)
    return found[:1] if found[1].squares - found[0].squares > apart else found


def meeting(found: list[Line], limit: float, from_s: float, until_s: float) -> Meeting:
    """When the first of `lines` meets `limit`, looked for in [from_s, until_s]; the range is of all of them."""
    at_s = np.linspace(from_s, until_s, _STEPS)
    ends = []
    for one in found:
        high, error = one.high(at_s)
        ends.append([_first(at_s, high + k * _WIDE * error - limit) for k in (0, 1, -1)])
    return Meeting(ends[0][0], min(e[1] for e in ends), max(e[2] for e in ends))


def _first(at_s: Floats, over: Floats) -> float:
    """Where `over` first is zero or more, between two instants by a straight line."""
    place = int((over >= 0).argmax())
    if over[place] < 0:
        return inf
    if place == 0:
        return float(at_s[0])
    share = over[place] / (over[place] - over[place - 1])
    return float(at_s[place] - share * (at_s[place] - at_s[place - 1]))


def _line(at_s: Floats, values: Floats, ratios: bool, *, compounding: bool) -> Line:
    days = (at_s - at_s[-1]) / DAY_S
    offset = max(1e-9, 1e-3 * float(np.median(np.abs(values))))
    near = np.exp(changes.clipped(np.log(np.maximum(values, offset)))) if ratios else changes.clipped(values)
    y = np.log(near) if compounding else near
    design = np.column_stack([np.ones(len(days)), days])
    weight = np.ones(len(days))
    for _ in range(3 if ratios and not compounding else 1):
        scaled = design * weight[:, None]
        gram = np.linalg.pinv(scaled.T @ scaled)
        coefficients = gram @ (scaled.T @ (y * weight))
        fit = design @ coefficients
        if ratios and not compounding:
            weight = 1 / np.maximum(fit, 0.2 * float(np.median(near)))
    level = np.exp(fit) if compounding else fit
    level = np.maximum(level, offset) if ratios else level
    off = np.log(near / level) if compounding or ratios else near - level
    noise = changes.noise(off, off, 2)
    above = values / level if ratios else values - level
    ordered = np.sort(above)
    lo, hi = stats.quantile_interval(ordered, SHARE)
    high = stats.quantile(ordered, SHARE)
    half = max(high - lo if np.isfinite(lo) else 0.0, (hi if np.isfinite(hi) else ordered[-1]) - high)
    stretch = np.sqrt(noise.long_run / noise.variance) if noise.variance > 0 else 1.0
    return Line(
        origin_s=float(at_s[-1]),
        coefficients=np.asarray(coefficients),
        covariance=np.asarray(gram * noise.long_run),
        compounding=compounding,
        above=high,
        above_error=half / _WIDE * stretch,
        ratios=ratios,
        squares=float(off @ off),
        unit=noise.long_run,
    )
