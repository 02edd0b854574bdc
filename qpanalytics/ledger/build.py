"""Derives runs and occurrences of the checks that new data touched, in batches so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import duckdb
import numpy as np

from qpanalytics.ledger import tables
from qpanalytics.ledger.pairing import Runs, pair, read_pings
from qpanalytics.ledger.placing import limits, place
from qpanalytics.ledger.settling import settle
from qpanalytics.ledger.versions import FOREVER_US, Version, chains
from qpanalytics.ledger.windows import Instants, fixed_windows, interval_windows

#: What is derived, and can be dropped at any time.
DERIVED = ("runs", "occurrences", "ledger", "holes")
#: Pings paired at a time, and windows settled at a time: some 200 MB.
BATCH = 500_000
#: Checks derived at a time.
MOST_CHECKS = 1_000


def build(
    con: duckdb.DuckDBPyConnection,
    check_ids: Sequence[int] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Derives the ledger of `check_ids` (of every check without them) anew, inside the caller's transaction.

    The result depends on the stored pings, versions and pauses only, never on what was derived before, so deriving
    what new data touches equals a rebuild from scratch. `progress(done, all)` is called after each batch.
    """
    if check_ids is None:
        for table in DERIVED:
            con.execute(f"delete from store.{table}")  # noqa: S608 - constants
        check_ids = [row[0] for row in con.execute("select check_id from store.checks order by 1").fetchall()]
    else:
        for table in DERIVED:
            con.execute(f"delete from store.{table} where check_id in (select unnest(?))", [list(check_ids)])  # noqa: S608
    done = 0
    for ids, last in _batches(con, sorted(check_ids)):
        _derive(con, ids, last)
        done += len(ids)
        if progress is not None:
            progress(done, len(check_ids))


def _batches(con: duckdb.DuckDBPyConnection, check_ids: Sequence[int]) -> Iterator[tuple[list[int], dict[int, int]]]:
    """Checks that have so many pings together, and the last ping of each that has any."""
    found = con.execute(
        """
        select check_id, count(*), epoch_us(max(received_at)) from store.pings
        where check_id in (select unnest(?)) group by check_id
        """,
        [list(check_ids)],
    ).fetchall()
    counts = {check: count for check, count, _ in found}
    last = {check: at for check, _, at in found}
    ids: list[int] = []
    room = BATCH
    for check in check_ids:
        if ids and (room < counts.get(check, 0) or len(ids) >= MOST_CHECKS):
            yield ids, last
            ids, room = [], BATCH
        ids.append(check)
        room -= counts.get(check, 0)
    if ids:
        yield ids, last


def _derive(con: duckdb.DuckDBPyConnection, ids: list[int], last: dict[int, int]) -> None:
    tables.put(con, "due", tables.due_table(ids))
    con.execute(f"insert into store.holes by name {tables.sql_of('holes')}")
    pings = read_pings(con)
    runs = pair(pings, np.zeros(len(pings.at), dtype=np.int64))
    del pings
    promised = tables.promises(con, tables.first_pings(con, ids))
    paused = tables.pauses(con, ids)
    ends = np.searchsorted(runs.check, np.array(ids, dtype=np.int32), side="right")
    part = _Part(con, runs)
    horizons: list[int] = []
    begin = 0
    for check, stop in zip(ids, ends.tolist(), strict=True):
        horizons.append(part.add(check, promised[check], paused.get(check, ()), last.get(check), slice(begin, stop)))
        begin = stop
    part.write()
    tables.append(con, "store.ledger", tables.horizons_table(ids, horizons))
    con.execute("drop table temp.due")


class _Part:
    """The checks of a batch, placed one by one and written together as often as they fill it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, runs: Runs) -> None:
        self._con = con
        self._runs = runs
        self._placed = runs.placed
        self._written = 0
        self._reset()

    def _reset(self) -> None:
        self._windows: list[dict[str, Instants]] = []
        self._window: list[Instants] = []
        self._limits: list[tuple[Instants, Instants]] = []
        self._size = self._reached = 0

    def add(
        self,
        check: int,
        versions: Sequence[Version],
        paused: Sequence[tuple[int, int]],
        last: int | None,
        mine: slice,
    ) -> int:
        """Places the runs `mine` of a check in its windows up to its last ping; returns its horizon."""
        runs, placed = self._runs, self._placed[mine]
        completed = runs.completed[mine]
        horizon: int | None = None
        parts = []
        if last is not None:
            windows, horizon = fixed_windows(versions, -FOREVER_US, last)
            parts.append(windows)
            if any(v.kind == "interval" for v in versions):
                done = np.unique(completed[completed < FOREVER_US])
                parts.append(interval_windows(versions, chains(versions, paused), done))
        at = place(tables.columns_of(check, versions, parts), placed, completed)
        self._limits.append(limits(versions, at, placed, runs.started[mine], runs.first_started[mine]))
        self._windows.append(at.windows)
        self._window.append(np.where(at.window >= 0, at.window + self._size, -1))
        self._size += len(at.windows["expected"])
        self._reached = mine.stop
        if self._size >= BATCH:
            self.write()
        return FOREVER_US if horizon is None else horizon

    def write(self) -> None:
        """Stores the runs placed since the last time, and the facts of their windows."""
        mine = slice(self._written, self._reached)
        windows = {name: np.concatenate([w[name] for w in self._windows]) for name in self._windows[0]} if self._windows else {}
        if windows:
            window = np.concatenate(self._window)
            runs = tables.runs_columns(self._runs, mine)
            limit, own = (np.concatenate([pair[i] for pair in self._limits]) for i in (0, 1))
            tables.append(self._con, "store.runs", tables.runs_table(self._runs, mine, windows, window, limit, own))
            tables.append(self._con, "store.occurrences", tables.occurrences_table(windows, settle(windows, runs, window)))
        self._written = self._reached
        self._reset()
