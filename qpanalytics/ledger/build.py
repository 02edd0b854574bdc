"""Derives runs and occurrences of the checks that new data touched, in batches so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from qpanalytics.ledger import tables
from qpanalytics.ledger.cutting import Cut, derived_under, find_cuts
from qpanalytics.ledger.pairing import Runs, pair, read_pings
from qpanalytics.ledger.placing import limits, place
from qpanalytics.ledger.pruning import pruned_cuts
from qpanalytics.ledger.settling import settle
from qpanalytics.ledger.versions import FOREVER_US, Version, chains
from qpanalytics.ledger.windows import Instants, fixed_windows, interval_windows

#: Pings paired at a time, and windows settled at a time: some 200 MB.
BATCH = 500_000
#: Checks derived at a time.
MOST_CHECKS = 1_000


def build(
    con: duckdb.DuckDBPyConnection,
    touched: Iterable[int] | Mapping[int, int | None] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Derives the ledger of the `touched` checks (of every check without them), inside the caller's transaction.

    Where `touched` gives the instant (epoch microseconds) before which a check has no new ping, what lies before the
    last quiet moment ahead of it stays, and so does what pruned pings left. Else the result depends on the stored pings,
    versions and pauses only: it equals a rebuild from scratch. `progress(done, all)` is called after each batch.
    """
    if touched is None:
        touched = [row[0] for row in con.execute("select check_id from store.checks").fetchall()]
    since = dict(touched) if isinstance(touched, Mapping) else dict.fromkeys(touched)
    ids = sorted(since)
    if not ids:
        return
    known = _Known.of(con, ids)
    stored = con.execute(
        "select check_id, derived_under, epoch_us(horizon_at) from store.ledger where check_id in (select unnest(?))", [ids]
    ).fetchall()
    # Windows from the horizon on are not stored, so what is kept ends there at the latest.
    reached = {check: horizon or FOREVER_US for check, under, horizon in stored if under == known.under[check]}
    newer = {check: min(at, reached[check]) for check, at in since.items() if at is not None and check in reached}
    cuts = find_cuts(con, newer, known.promised)
    for check, pruned in pruned_cuts(con, since).items():
        if check not in cuts or cuts[check].at < pruned.at:
            cuts[check] = pruned
    _clear(con, ids, cuts)
    done = 0
    for batch in _batches(ids, {c: n for c, n in known.counts.items() if c not in cuts}):
        _derive(con, batch, known, cuts)
        done += len(batch)
        if progress is not None:
            progress(done, len(ids))


@dataclass(frozen=True)
class _Known:
    """What the store says of the checks to derive: how many pings, the last one, promises, pauses, and their name."""

    counts: dict[int, int]
    last: dict[int, int]
    promised: dict[int, list[Version]]
    paused: dict[int, list[tuple[int, int]]]
    under: dict[int, str]

    @classmethod
    def of(cls, con: duckdb.DuckDBPyConnection, ids: list[int]) -> _Known:
        pinged = con.execute(
            """
            select check_id, count(*), epoch_us(max(received_at)) from store.pings
            where check_id in (select unnest(?)) group by check_id
            """,
            [ids],
        ).fetchall()
        promised = tables.promises(con, tables.first_pings(con, ids))
        paused = tables.pauses(con, ids)
        live = {row[0] for row in con.execute("select check_id from store.shown").fetchall()}
        under = {c: derived_under(promised[c], paused.get(c, ()), live=c in live) for c in ids}
        return cls({c: n for c, n, _ in pinged}, {c: last for c, _, last in pinged}, promised, paused, under)


def _clear(con: duckdb.DuckDBPyConnection, ids: list[int], cuts: Mapping[int, Cut]) -> None:
    """Deletes what is going to be derived again."""
    tables.put(con, "due", tables.due_table(ids, {check: cut.at for check, cut in cuts.items()}))
    for table, at in (
        ("runs", "coalesce(started_at, completed_at)"),
        ("occurrences", "coalesce(closed_at, window_start_at)"),
        ("holes", "after_at"),
        ("ledger", "'infinity'::timestamptz"),
    ):
        con.execute(
            f"""
            delete from store.{table} using due d
            where d.check_id = store.{table}.check_id and (d.cut_at is null or {at} >= d.cut_at)
            """  # noqa: S608 - constants
        )


def _batches(ids: list[int], counts: Mapping[int, int]) -> Iterator[list[int]]:
    """Checks that have so many pings together."""
    batch: list[int] = []
    room = BATCH
    for check in ids:
        if batch and (room < counts.get(check, 0) or len(batch) >= MOST_CHECKS):
            yield batch
            batch, room = [], BATCH
        batch.append(check)
        room -= counts.get(check, 0)
    yield batch


def _derive(con: duckdb.DuckDBPyConnection, ids: list[int], known: _Known, cuts: Mapping[int, Cut]) -> None:
    cut_at = {check: cuts[check].at for check in ids if check in cuts}
    tables.put(con, "due", tables.due_table(ids, cut_at))
    con.execute(f"insert into store.holes by name {tables.sql_of('holes')}")
    pings = read_pings(con, min(cut_at.values()) if len(cut_at) == len(ids) else None)
    before = np.array([cuts[check].seq if check in cuts else 0 for check in ids], dtype=np.int64)
    runs = pair(pings, before[np.searchsorted(np.array(ids, dtype=np.int32), pings.check)])
    del pings
    ends = np.searchsorted(runs.check, np.array(ids, dtype=np.int32), side="right")
    part = _Part(con, runs)
    horizons: list[int] = []
    begin = 0
    for check, stop in zip(ids, ends.tolist(), strict=True):
        horizons.append(part.add(check, known, cuts.get(check), slice(begin, stop)))
        begin = stop
    part.write()
    tables.append(con, "store.ledger", tables.ledger_table(ids, horizons, [known.under[check] for check in ids]))
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

    def add(self, check: int, known: _Known, cut: Cut | None, mine: slice) -> int:
        """Places the runs `mine` of a check in its windows up to its last ping, from its cut on; returns its horizon."""
        runs, placed = self._runs, self._placed[mine]
        versions, last = known.promised[check], known.last.get(check)
        completed = runs.completed[mine]
        horizon: int | None = None
        parts = []
        if last is not None:
            tick = -FOREVER_US if cut is None else cut.tick
            windows, horizon = fixed_windows(versions, tick, last)
            parts.append(windows)
            if any(v.kind == "interval" for v in versions):
                done = np.unique(completed[completed < FOREVER_US])
                if cut is not None and cut.anchor is not None:
                    done = np.concatenate(([cut.anchor], done))
                parts.append(interval_windows(versions, chains(versions, known.paused.get(check, ())), done))
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
