"""From the pings of many checks to their runs: which start and which finish belong together.

A lane is a run id within a check; pings without an id share one. A group is what one finish ends: the starts of its
lane since the finish before, and itself. In the order of lanes a group is a stretch of neighbours that ends with its
finish, so all lanes are paired at once by looking at neighbours. Instants are epoch microseconds in int64 arrays,
`FOREVER_US` where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from qpanalytics.ledger.versions import FOREVER_US

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

START, SUCCESS, FAIL = 1, 2, 3

# `due` (check_id, cut_at) names the checks to derive, and from when on where not from the beginning.
_PINGS = f"""
select p.check_id, epoch_us(p.received_at) as at,
    case p.kind when 'start' then {START} when 'success' then {SUCCESS} else {FAIL} end::utinyint as kind,
    nullif(p.run_id, '') as run_id, p.duration_s, p.exit_status
from store.pings p join due d on d.check_id = p.check_id and (d.cut_at is null or p.received_at >= d.cut_at)
where p.kind in ('start', 'success', 'fail') {{cut}}
order by p.check_id, p.received_at, p.n nulls first, p.fetch_id, p.row_no
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class Pings:
    """Pings that begin or end runs, in the order of their checks and within a check in that of their arrival."""

    check: npt.NDArray[np.int32]
    at: Places
    kind: npt.NDArray[np.uint8]
    run_id: pa.Array
    duration_s: pa.Array
    exit_status: pa.Array


@dataclass(frozen=True)
class Runs:
    """Runs by check and `seq`, the place of their finish (else of their start) among the pings of their check.

    `first_started` is the first of the starts that the finish ended, `abandoned` the finish that left an earlier start
    open. `duration_s` is NaN, and run id and exit status are NULL, where there is none.
    """

    check: npt.NDArray[np.int32]
    seq: Places
    run_id: pa.Array
    started: Places
    completed: Places
    first_started: Places
    abandoned: Places
    duration_s: npt.NDArray[np.float64]
    success: Flags
    exit_status: pa.Array

    @property
    def placed(self) -> Places:
        """Where a run lies: at its start, else at its completion."""
        return np.where(self.started < FOREVER_US, self.started, self.completed)


def read_pings(con: duckdb.DuckDBPyConnection, earliest_us: int | None = None) -> Pings:
    """The pings of the checks of the temp table `due`, each from its cut on; none is cut before `earliest_us`."""
    cut = "" if earliest_us is None else "and p.received_at >= make_timestamptz($earliest)"
    params = {} if earliest_us is None else {"earliest": earliest_us}
    found = con.sql(_PINGS.format(cut=cut), params=params).to_arrow_table()
    columns = [found.column(i).combine_chunks() for i in range(found.num_columns)]
    check, at, kind = (c.to_numpy(zero_copy_only=False) for c in columns[:3])
    return Pings(check, at, kind, *columns[3:])


def pair(pings: Pings, base: Places) -> Runs:
    """The runs of `pings`; `base` is, per ping, how many pings of its check came before these."""
    n = len(pings.at)
    start = pings.kind == START
    heads = _heads(pings.check)
    seq = np.arange(1, n + 1, dtype=np.int64) - heads + base
    lanes, order = _lanes(pings, heads)
    groups = _groups(lanes, start[order])
    taken_finish, taken_start = _taken(pings, start, heads, order, groups)
    if len(taken_finish):
        kept = np.ones(n, dtype=bool)
        kept[taken_finish] = kept[taken_start] = False
        chosen = kept[order]
        order = order[chosen]
        groups = _groups(lanes[chosen], start[order])
    own, finish, began, first, ended = groups.runs(start[order], order)
    own = np.concatenate((own, taken_finish))
    finish = np.concatenate((finish, taken_finish))
    began = np.concatenate((began, taken_start))
    first = np.concatenate((first, taken_start))
    ended = np.concatenate((ended, np.full(len(taken_finish), -1, dtype=np.int64)))
    if len(own) > 1 and not bool(np.all(own[1:] > own[:-1])):
        by_seq = np.argsort(own, kind="stable")
        own, finish, began, first, ended = (a[by_seq] for a in (own, finish, began, first, ended))
    started, completed = _at(pings.at, began), _at(pings.at, finish)
    # the id of a run is that of its start where an anonymous finish took it
    named = np.where(began >= 0, began, own)
    return Runs(
        check=pings.check[own],
        seq=seq[own],
        run_id=_picked(pings.run_id, named),
        started=started,
        completed=completed,
        first_started=_at(pings.at, first),
        abandoned=_at(pings.at, ended),
        duration_s=_durations(pings.duration_s, finish, started, completed),
        success=(finish >= 0) & (pings.kind[finish] == SUCCESS),
        exit_status=_picked(pings.exit_status, finish),
    )


@dataclass(frozen=True)
class _Groups:
    """Per ping in the order of lanes: where its group begins, and the finish that ends it (-1: none)."""

    first: Places
    finish: Places

    def runs(self, start: Flags, order: Places) -> tuple[Places, Places, Places, Places, Places]:
        """Own ping, finish, last start, first start and abandoning finish of each run, as places in arrival; -1: none.

        A finish is a run with the start just before it. A start that no finish follows at once is one by itself:
        abandoned if a later finish ended its group, else open.
        """
        place = np.arange(len(start), dtype=np.int64)
        own = place[~start | (self.finish != place + 1)]
        finishes = ~start[own]
        begun = finishes & (self.first[own] < own)
        none = np.int64(-1)
        finish = np.where(finishes, own, none)
        began = np.where(begun, own - 1, np.where(finishes, none, own))
        first = np.where(begun, self.first[own], np.where(finishes, none, own))
        ended = np.where(finishes, none, self.finish[own])
        return order[own], _via(order, finish), _via(order, began), _via(order, first), _via(order, ended)


def _groups(lanes: Places, start: Flags) -> _Groups:
    n = len(lanes)
    place = np.arange(n, dtype=np.int64)
    passed = np.maximum.accumulate(np.where(start, np.int64(-1), place)) if n else place
    first = np.maximum(np.concatenate((np.full(min(n, 1), -1, dtype=np.int64), passed[:-1])) + 1, _heads(lanes))
    coming = np.minimum.accumulate(np.where(start, np.int64(n), place)[::-1])[::-1] if n else place
    within = coming < n
    within[within] = lanes[coming[within]] == lanes[within]
    return _Groups(first, np.where(within, coming, np.int64(-1)))


def _taken(
    pings: Pings, start: Flags, heads: Places, order: Places, groups: _Groups
) -> tuple[Places, Places]:
    """Finishes without an id and without a start of their own, and the start of another lane that each one ends.

    It is the check's most recent start, if that run is still open then; the first such finish takes it.
    """
    none = np.empty(0, dtype=np.int64)
    if pings.run_id.null_count == len(pings.at):
        return none, none
    anonymous = pings.run_id.is_null().to_numpy(zero_copy_only=False)
    place = np.arange(len(order), dtype=np.int64)
    lonely = np.sort(order[~start[order] & (groups.first == place)])
    strays = lonely[anonymous[lonely]]
    recent = np.maximum.accumulate(np.where(start, place, np.int64(-1)))
    strays = strays[strays > 0]
    found = recent[strays - 1]
    fits = (found >= heads[strays]) & ~anonymous[found]
    strays, found = strays[fits], found[fits]
    ended = np.empty(len(order), dtype=np.int64)
    ended[order] = _via(order, groups.finish)
    open_then = (ended[found] < 0) | (ended[found] > strays)
    strays, found = strays[open_then], found[open_then]
    found, first = np.unique(found, return_index=True)
    return strays[first], found


def _lanes(pings: Pings, heads: Places) -> tuple[Places, Places]:
    """A number for each ping's lane, in the order of lanes, and that order."""
    if pings.run_id.null_count == len(pings.at):
        return heads, np.arange(len(heads), dtype=np.int64)
    coded = pc.dictionary_encode(pings.run_id)
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
    lanes = heads * (len(coded.dictionary) + 1) + codes
    order = np.argsort(lanes, kind="stable")
    return lanes[order], order


def _heads(values: npt.NDArray[np.int32] | Places) -> Places:
    """Per place, the first place of the stretch of equal values it lies in."""
    n = len(values)
    if not n:
        return np.empty(0, dtype=np.int64)
    begins = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return np.repeat(begins, np.diff(np.concatenate((begins, [n]))))


def _via(order: Places, places: Places) -> Places:
    return np.where(places >= 0, order[places], np.int64(-1)) if len(order) else places


def _at(at: Places, places: Places) -> Places:
    return np.where(places >= 0, at[places], FOREVER_US) if len(at) else places


def _picked(values: pa.Array, places: Places) -> pa.Array:
    """The values at `places`; NULL for -1."""
    if values.null_count == len(values):
        return pa.nulls(len(places), values.type)
    return values.take(pa.array(places, mask=places < 0))


def _durations(given: pa.Array, finish: Places, started: Places, completed: Places) -> npt.NDArray[np.float64]:
    both = (started < FOREVER_US) & (completed < FOREVER_US)
    between = np.where(both, completed - started, 0) / 1e6
    between[~both] = np.nan
    if given.null_count == len(given):
        return between
    said = given.to_numpy(zero_copy_only=False)
    told = np.where(finish >= 0, said[finish], np.nan)
    return np.where(np.isnan(told), between, told)
