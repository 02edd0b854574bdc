"""Which window each run of one check belongs to, and the limits past which it has hung. Instants as in `windows.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qpanalytics.ledger.versions import FOREVER_US, Version
from qpanalytics.ledger.windows import Instants


@dataclass(frozen=True)
class Placed:
    """Windows of one check in the order of their expected times, and for each run the place of its window (-1: none)."""

    windows: dict[str, Instants]
    window: Instants


def place(windows: dict[str, Instants], placed: Instants, completed: Instants) -> Placed:
    """Matches runs, lying at `placed` and completed at `completed` (FOREVER_US: not), to windows.

    A completion that settles an interval's window belongs there, wherever it began; otherwise the run's start, else its
    completion, decides among the fixed windows; a run that never completed lies in the rolling window it started in.
    """
    windows = _ordered(windows)
    start, end = windows["start"], windows["end"]
    found = np.full(len(placed), -1, dtype=np.int64)
    if not len(start) or not len(placed):
        return Placed(windows, found)
    rolls = windows["closed"] < FOREVER_US
    real = start < end
    if rolls.any():
        _within(found, np.flatnonzero(rolls & real), start, end, placed, completed == FOREVER_US)
        _within(found, np.flatnonzero(~rolls & real), start, end, placed, None)
        _closing(found, windows["settles"], completed)
    else:
        _within(found, np.flatnonzero(real), start, end, placed, None)
    return Placed(windows, found)


def limits(
    versions: Sequence[Version], at: Placed, placed: Instants, started: Instants, first_started: Instants
) -> tuple[Instants, Instants]:
    """The limit counted from the first of the starts that the finish made abandoned, and that from a run's own start.

    The one tells that a run overran, the other when an open run must be called hung. FOREVER_US where there is none.
    """
    window = at.window
    inside = window >= 0
    has_start = started < FOREVER_US
    runtime = np.full(len(window), np.nan)
    latest = np.full(len(window), FOREVER_US, dtype=np.int64)
    given = np.array([np.nan if v.max_runtime_s is None else v.max_runtime_s for v in versions] or [np.nan])
    limited = bool((~np.isnan(given)).any())
    w = at.windows
    if len(w["expected"]) and has_start.any():
        mine = np.where(inside, window, 0)
        end = w["end"][mine]
        known = inside & (end < FOREVER_US)
        latest[known] = np.maximum(w["deadline"][mine], end)[known]
        if limited:
            runtime = np.where(inside, given[w["version"][mine]], np.nan)
    if limited and versions:
        outside = ~inside & has_start
        froms = np.array([v.from_us for v in versions], dtype=np.int64)
        number = np.searchsorted(froms, placed, side="right") - 1
        tos = np.array([v.to_us for v in versions], dtype=np.int64)
        held = outside & (number >= 0) & (placed < tos[number])
        runtime[held] = given[number[held]]
    return _limit(first_started, runtime, latest, has_start), _limit(started, runtime, latest, has_start)


def _limit(since: Instants, runtime: npt.NDArray[np.float64], latest: Instants, has_start: npt.NDArray[np.bool_]) -> Instants:
    out = np.where(has_start, latest, FOREVER_US)
    given = has_start & ~np.isnan(runtime)
    if given.any():
        out[given] = since[given] + np.rint(runtime[given] * 1e6).astype(np.int64)
    return out


def _ordered(windows: dict[str, Instants]) -> dict[str, Instants]:
    expected, start = windows["expected"], windows["start"]
    if len(expected) < 2 or bool(np.all(expected[1:] > expected[:-1])):
        return windows
    order = np.lexsort((start, expected))
    return {name: column[order] for name, column in windows.items()}


def _within(
    found: Instants, among: Instants, start: Instants, end: Instants, placed: Instants, only: npt.NDArray[np.bool_] | None
) -> None:
    """Notes, for the runs (`only` those flagged), the window of `among` that holds them."""
    if not len(among):
        return
    starts = start[among]
    if len(starts) > 1 and not bool(np.all(starts[1:] >= starts[:-1])):
        order = np.argsort(starts, kind="stable")
        among, starts = among[order], starts[order]
    last = np.searchsorted(starts, placed, side="right") - 1
    window = among[np.maximum(last, 0)]
    fits = (last >= 0) & (placed < end[window])
    if only is not None:
        fits &= only
    found[fits] = window[fits]


def _closing(found: Instants, settles: Instants, completed: Instants) -> None:
    settling = np.flatnonzero(settles < FOREVER_US)
    if not len(settling):
        return
    settling = settling[np.argsort(settles[settling], kind="stable")]
    at = settles[settling]
    near = np.minimum(np.searchsorted(at, completed), len(at) - 1)
    fits = (at[near] == completed) & (completed < FOREVER_US)
    found[fits] = settling[near[fits]]
