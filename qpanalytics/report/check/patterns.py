"""Whether a check does worse on one day of the week, or in one hour of its own clock, than at other times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import stats
from qpanalytics.analysis.success import counted

if TYPE_CHECKING:
    from qpanalytics.analysis.reading import By
    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case

FEWEST = 8
"""Runs in a day of the week or an hour before it is compared: two months of a weekly run."""

DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def patterns(history: History, case: Case) -> tuple[str, ...]:
    """A sentence for the worst day and for the worst hour whose share on time lies below that of the rest beyond chance.

    As many days or hours as are compared, so much surer must each be: of a check without a pattern one in twenty windows
    shows one all the same. Empty for a check that cannot be judged by its ticks.
    """
    if not case.judged:
        return ()
    found = [_worst(history, case, "weekday"), _worst(history, case, "hour")]
    return tuple(said for said in found if said)


def _worst(history: History, case: Case, by: By) -> str:
    rows = [row for row in counted(history, by) if row["check_id"] == case.check_id]
    n, on_time = sum(row["n"] for row in rows), sum(row["on_time"] for row in rows)
    asked = [row for row in rows if row["n"] >= FEWEST and n - row["n"] >= FEWEST]
    if not asked:
        return ""
    chances = [chance(row["n"] - row["on_time"], row["n"], n - on_time, n) for row in asked]
    least = min(chances)
    if least > 0.025 / len(asked):  # two splits share the one in twenty
        return ""
    row = asked[chances.index(least)]
    lo, hi = stats.wilson(row["on_time"], row["n"])
    sure = f"95 % sure between {float(lo) * 100:.0f} and {float(hi) * 100:.0f} of 100"
    zone = f" in {case.tz}" if case.tz else ""
    when = f"On {DAYS[row['part'] - 1]}" if by == "weekday" else f"From {row['part']:02d}:00 to {row['part']:02d}:59"
    part = f"{spell.number(row['on_time'])} of {spell.plural(row['n'], 'run')} came on time ({sure})"
    rest, of = on_time - row["on_time"], n - row["n"]
    return f"{when}{zone} {part}, at other times {spell.number(rest)} of {spell.number(of)}."


def chance(bad: int, runs: int, all_bad: int, n: int) -> float:
    """How likely `bad` or more of `all_bad` runs fall among `runs` of `n` by chance: Fisher's exact test, one-sided."""
    from scipy.special import gammaln

    def ways(of: Any, take: Any) -> Any:
        return gammaln(of + 1.0) - gammaln(take + 1.0) - gammaln(of - take + 1.0)

    k = np.arange(max(bad, all_bad - (n - runs)), min(runs, all_bad) + 1, dtype=np.float64)
    return float(np.exp(ways(all_bad, k) + ways(n - all_bad, runs - k) - ways(n, runs)).sum())
