"""The facts of each window from the runs in it: what `facts.sql` says of a few at one instant, for millions at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qpanalytics.ledger.versions import FOREVER_US
from qpanalytics.ledger.windows import Instants

Column = npt.NDArray[Any]


def settle(windows: Mapping[str, Column], runs: Mapping[str, Column], window: Instants) -> dict[str, Column]:
    """Facts per window, of runs sorted by check and seq; `window` is the place of each run's window, -1 for none.

    Windows have `end`, `deadline`, `closed` and `max_runtime_s`; runs `started`, `completed`, `abandoned` (epoch
    microseconds, FOREVER_US: none), `duration_s` and `success`. Completions of one check are in the order of their seq,
    so the first of a window is the one that completed first, and ties of instants are settled as the pings came.
    """
    n = len(windows["end"])
    rows = np.flatnonzero(window >= 0)
    at = window[rows]
    if len(at) > 1 and not bool(np.all(at[1:] >= at[:-1])):
        order = np.argsort(at, kind="stable")
        rows, at = rows[order], at[order]
    completed = runs["completed"][rows]
    done = completed < FOREVER_US
    success = runs["success"][rows] & done
    failure = done & ~success
    out: dict[str, Column] = {}

    won = _firsts(at, success)
    out |= _settling(n, "success", at[won], rows[won], runs)
    lost = _firsts(at, failure)
    out |= _settling(n, "failure", at[lost], rows[lost], runs)
    successes = _counts(at[success], n)
    out["failures"] = _counts(at[failure], n)
    out["extra"] = np.maximum(successes - 1, 0)

    # attempts: completions up to the settling one; an interval's window closes at one instant, whatever arrives then
    settling_row = np.full(n, np.iinfo(np.int64).max, dtype=np.int64)
    settling_row[at[won]] = won
    tried = done & (np.arange(len(at)) <= settling_row[at])
    rolls = windows["closed"] < FOREVER_US
    if rolls.any():
        tried |= done & rolls[at] & (completed == out["success"][at])
    out["attempts"] = _counts(at[tried], n)

    unended = ~done
    left = runs["abandoned"][rows] < FOREVER_US
    out["open_started"] = _earliest(n, at, runs["started"][rows], unended & ~left)
    out["abandoned_started"] = _earliest(n, at, runs["started"][rows], unended & left)
    out["open_limit"] = _open_limits(out["open_started"], windows)

    last = np.full(n, FOREVER_US, dtype=np.int64)
    if len(at):
        begins = np.flatnonzero(np.concatenate(([True], at[1:] != at[:-1])))
        events = [np.where(v < FOREVER_US, v, -FOREVER_US) for v in (runs["started"][rows], completed, runs["abandoned"][rows])]
        last[at[begins]] = np.maximum.reduceat(np.maximum(np.maximum(events[0], events[1]), events[2]), begins)
    out["last_event"] = last
    return out


def _firsts(at: Instants, flags: npt.NDArray[np.bool_]) -> Instants:
    """The first flagged row of each window, `at` being sorted."""
    rows = np.flatnonzero(flags)
    if not len(rows):
        return rows
    of = at[rows]
    return rows[np.concatenate(([True], of[1:] != of[:-1]))]


def _settling(n: int, name: str, at: Instants, rows: Instants, runs: Mapping[str, Column]) -> dict[str, Column]:
    when = np.full(n, FOREVER_US, dtype=np.int64)
    began = when.copy()
    took = np.full(n, np.nan)
    when[at], began[at], took[at] = runs["completed"][rows], runs["started"][rows], runs["duration_s"][rows]
    return {name: when, f"{name}_started": began, f"{name}_duration_s": took}


def _counts(at: Instants, n: int) -> Instants:
    return np.bincount(at, minlength=n)


def _earliest(n: int, at: Instants, started: Instants, flags: npt.NDArray[np.bool_]) -> Instants:
    out = np.full(n, FOREVER_US, dtype=np.int64)
    if flags.any():
        np.minimum.at(out, at[flags], started[flags])
    return out


def _open_limits(opened: Instants, windows: Mapping[str, Column]) -> Instants:
    out = np.full(len(opened), FOREVER_US, dtype=np.int64)
    rows = np.flatnonzero(opened < FOREVER_US)
    if len(rows):
        runtime, end = windows["max_runtime_s"][rows], windows["end"][rows]
        known = ~np.isnan(runtime)
        latest = np.where(end < FOREVER_US, np.maximum(windows["deadline"][rows], end), FOREVER_US)
        out[rows] = latest
        out[rows[known]] = opened[rows[known]] + np.rint(runtime[known] * 1e6).astype(np.int64)
    return out
