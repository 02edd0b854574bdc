"""What went wrong with one check, stretch by stretch, and what another grace would have said of its runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics.analysis import stats
from qpanalytics.report.check.model import Down, GracePrice
from qpanalytics.report.model import FEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.analysis.stats import Floats
    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case

MOST_DOWNS = 20
LADDER = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200, 86_400)
"""The graces that people set, seconds."""

MOST_PRICES = 5
MONTH_DAYS = 30


def downs(history: History, case: Case) -> tuple[tuple[Down, ...], int, float]:
    """The last stretches of down time in the window, latest first; how many more there were, and their seconds.

    Stretches that meet are one, as they are counted in `success`, so that the list adds up to the time down.
    """
    bad = history.sql("one_bad", id=case.check_id).to_pylist()
    found: list[dict[str, Any]] = []
    for row in history.sql("one_downs", id=case.check_id).to_pylist():
        if found and row["from_us"] <= found[-1]["to_us"]:
            last = found[-1]
            last["to_us"] = max(last["to_us"], row["to_us"])
            last["until_us"] = None if None in (last["until_us"], row["until_us"]) else max(last["until_us"], row["until_us"])
        else:
            found.append(row)
    made = [_down(row, bad, case.sends_starts) for row in reversed(found)]
    more = made[MOST_DOWNS:]
    return tuple(made[:MOST_DOWNS]), len(more), sum(down.down_s for down in more)


def _down(row: dict[str, Any], bad: Sequence[dict[str, Any]], sends_starts: bool) -> Down:
    since, until = row["since_us"], row["until_us"]
    down = Down(since, until, row["cause"], (row["to_us"] - row["from_us"]) / 1e6)
    # A run belongs to the stretch in which its deadline lies: before it, nothing was amiss because of it.
    own = [b for b in bad if b["deadline_us"] >= since and (until is None or b["expected_us"] < until)]
    lost = [b for b in own if b["outcome"] != "late"]
    first = min((b["expected_us"] for b in own), default=None)
    late = row["cause"] == "missed" and bool(own) and not lost
    return replace(
        down,
        cause="late" if late else down.cause,
        runs=len(lost),
        never_began=sum(sends_starts and b["outcome"] == "missed" and not b["began"] for b in lost),
        known_after_s=None if first is None or first > since else (since - first) / 1e6,
    )


def prices(lateness: Floats, grace_s: float | None, days: float) -> tuple[GracePrice, ...]:
    """The grace now and some that people set, with the runs each would have called late though they came.

    `lateness` ascends, seconds, infinity for a run that never came. Empty under twenty arrivals: the next run would
    overturn it. The steps reach from the median arrival to the first that covers every one.
    """
    came = lateness[np.isfinite(lateness)]
    if len(came) < FEW or grace_s is None:
        return ()
    middle = float(np.median(came))
    usual = [g for i, g in enumerate(LADDER) if g >= middle or (i + 1 < len(LADDER) and LADDER[i + 1] > middle)]
    enough = next((i for i, g in enumerate(usual) if g >= came[-1]), len(usual) - 1)
    steps = _thinned([float(g) for g in usual[: enough + 1] if g != grace_s], came)
    return tuple(_price(came, g, g == grace_s, days) for g in sorted({grace_s, *steps}))


def _thinned(steps: list[float], came: Floats) -> list[float]:
    """At most five of the steps: those between which most arrivals lie, and the last."""
    told = [_later(came, g) for g in steps]
    # a step that spares nobody a message against the one below it only costs time
    kept = [steps[0], *(g for (_, before), (g, now) in pairwise(zip(steps, told, strict=True)) if now < before)] if steps else []
    while len(kept) > MOST_PRICES:
        gains = [_later(came, a) - _later(came, b) for a, b in pairwise(kept)]
        kept.pop(min(range(1, len(kept) - 1), key=lambda i: gains[i - 1]))
    return kept


def _later(came: Floats, grace_s: float) -> int:
    return int((came > grace_s).sum())


def _price(came: Floats, grace_s: float, now: bool, days: float) -> GracePrice:
    told, n = _later(came, grace_s), len(came)
    lo, hi = stats.wilson(told, n)
    months = days / MONTH_DAYS
    return GracePrice(grace_s, now, told, told / months, float(lo) * n / months, float(hi) * n / months)
