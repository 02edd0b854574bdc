"""What went wrong with one check, stretch by stretch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qpanalytics.report.check.model import Down

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case

MOST_DOWNS = 20


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

