"""How many of a fleet's findings may be false: p values of many series as q values."""

from __future__ import annotations

import numpy as np

from qpanalytics.analysis.stats import Floats


def q_values(p: Floats) -> Floats:
    """The least rate of false discoveries at which each would be one of them, in the order of `p`.

    Benjamini and Hochberg (1995), JRSS B 57, 289-300; it holds for independent and for positively dependent series
    (Benjamini and Yekutieli 2001), such as the lateness and the duration of one job.
    """
    n = len(p)
    order = np.argsort(p, kind="stable")
    ranked = p[order] * n / np.arange(1, n + 1)
    found = np.empty(n)
    found[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return found
