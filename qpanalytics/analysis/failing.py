"""Where the share of runs that go wrong changes. Failures come in rows, so rows are counted, not runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qpanalytics.analysis.breaks import SHORT, Break, Judged
from qpanalytics.analysis.stats import Floats

#: A share is judged on so many runs on each side.
LEAST = 20
#: Of a change that is less sure than this, alone, nothing is said.
BELIEVED = 0.05
#: Places looked at, at most: evenly spread over a long history.
MOST = 2000
_DEEP = 6
#: So large a share of a middle part is an outage.
OUTAGE = 0.7


def judge(bad: Floats) -> Judged:
    """The steps of a series of ones (went wrong) and zeros, by binary segmentation.

    The place with the largest likelihood ratio of two shares against one (Hinkley and Hinkley 1970, Biometrika 57, 477-488)
    is tested, then each side of it. One outage of ten runs says little more than one failed run does: the ratio is divided
    by the mean length of rows of failures (at least 1, by the design effect of clusters), and an outage cannot make
    a change by itself. The p value is of the chi-square tail, times the places tried.
    """
    values = bad.astype(np.float64)
    kept = np.arange(len(values))
    blips: list[Break] = []
    while True:
        found: list[Break] = []
        _segment(values[kept], 0, len(kept), found, 0)
        found.sort(key=lambda b: b.at)
        edges = [0, *(b.at for b in found), len(kept)]
        outage = next((i for i in range(1, len(found)) if _outage(values[kept], *edges[i - 1 : i + 3])), None)
        if outage is None:
            break
        at, end = edges[outage], edges[outage + 1]
        p = max(b.p for b in found[outage - 1 : outage + 1])
        first, last = int(kept[at]), int(kept[end - 1])
        blips.append(Break("blip", first, first, first, p, last + 1, last))
        kept = np.delete(kept, np.arange(at, end))
    ends = np.append(kept, len(values))
    steps = [
        replace(b, at=int(kept[b.at]), lo=int(kept[b.lo]), hi=int(kept[b.hi]), end=int(ends[end]), known=int(kept[b.known]))
        for b, end in zip(found, edges[2:], strict=True)
    ]
    return Judged(sorted([*steps, *blips], key=lambda b: b.at))


def _outage(values: Floats, before: int, start: int, end: int, after: int) -> bool:
    """Whether nearly all of a short middle went wrong, and much less on both sides: an incident, over by itself."""
    middle = float(values[start:end].mean())
    beside = max(float(values[before:start].mean()), float(values[end:after].mean()))
    return end - start <= SHORT * len(values) and middle >= OUTAGE and beside <= middle / 2


def _segment(bad: Floats, start: int, end: int, found: list[Break], depth: int) -> None:
    n = end - start
    if n < 2 * LEAST or depth >= _DEEP:
        return
    part = bad[start:end]
    many = int(part.sum())
    if many in (0, n):
        return
    total = np.cumsum(part)
    places = np.unique(np.linspace(LEAST, n - LEAST, min(n - 2 * LEAST + 1, MOST)).astype(np.int64))
    left = total[places - 1]
    lengths = places.astype(np.float64)
    alone = _likelihood(np.array([float(many)]), np.array([float(n)]))
    ratio = 2 * (_likelihood(left, lengths) + _likelihood(many - left, n - lengths) - alone)
    best = int(ratio.argmax())
    at = int(places[best])
    worst = max(_row(part[:at]), _row(part[at:]))
    p = min(_tail(float(ratio[best]) / worst) * len(places), 1.0)
    if p > BELIEVED or _rows(part[:at]) + _rows(part[at:]) < 3:
        return
    near = places[ratio >= ratio[best] - 7.35 * worst]
    found.append(Break("step", start + at, start + int(near[0]), start + int(near[-1]), p, end, min(start + at + LEAST, end - 1)))
    _segment(bad, start, start + at, found, depth + 1)
    _segment(bad, start + at, end, found, depth + 1)


def _likelihood(k: Floats, n: Floats) -> Floats:
    from scipy.special import xlogy

    return np.asarray(xlogy(k, k / n) + xlogy(n - k, 1 - k / n))


def _tail(ratio: float) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(1, max(ratio, 0.0)))


def _rows(part: Floats) -> int:
    """How many rows of failures there are."""
    return int(part[0] + (np.diff(part) > 0).sum()) if len(part) else 0


def _row(part: Floats) -> float:
    """The design effect of failures that come in rows: mean square over mean length, less what a share this high gives alone."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0.0], part, [0.0]])))
    lengths = (edges[1::2] - edges[::2]).astype(np.float64)
    if not len(lengths):
        return 1.0
    share = float(part.mean())
    alone = (1 + share) / (1 - share) if share < 1 else float(len(part))
    return max(float((lengths**2).sum() / lengths.sum()) / alone, 1.0)
