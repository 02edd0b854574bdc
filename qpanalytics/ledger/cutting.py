"""From which instant on a check has to be derived again when pings come behind those that it was derived from.

A cut is the start of a window before the first new ping that no run reaches across. Runs are paired, placed and counted
on either side of it without knowing of the other, so what lies before stays as it is stored. Where there is no such
moment nearby, or the promise is another one than it was, the whole check is derived.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np

from qpanalytics.ledger import tables
from qpanalytics.ledger.versions import FOREVER_US, Version, chains, schedule_of
from qpanalytics.ledger.windows import Instants, fixed_windows

#: Changes whenever pairing, placing or settling does, so that nothing derived by another rule is kept.
RULES = 1
#: How far back a cut is looked for: so many gaps of the schedule, and so long at least.
GAPS_BACK, LEAST_BACK_US = 5, 3_600_000_000
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Cut:
    """Derive from `at` on: pings received, windows begun (an interval's: closed) at or after it.

    `seq` pings of the check come before it, `tick` is the expected time of the first fixed window behind it, `anchor`
    the completion that an interval counts from.
    """

    at: int
    seq: int
    tick: int | None = None
    anchor: int | None = None


def derived_under(versions: Sequence[Version], paused: Sequence[tuple[int, int]], *, live: bool) -> str:
    """A name for everything beside its pings that the ledger of a check depends on."""
    held = [
        (v.from_us, v.to_us, v.schedule, v.tz, v.grace_us, v.early_s, v.max_runtime_s) for v in versions
    ]
    spans = chains(versions, paused) if any(v.kind == "interval" for v in versions) else None
    return hashlib.blake2b(repr((RULES, held, spans, live)).encode(), digest_size=12).hexdigest()


def find_cuts(
    con: duckdb.DuckDBPyConnection, since: Mapping[int, int], promised: Mapping[int, Sequence[Version]]
) -> dict[int, Cut]:
    """The cuts of the checks whose first new ping came at `since`; those not among them have to be derived whole."""
    tails = {check: tail for check, at in since.items() if (tail := _tail(promised[check], at)) is not None}
    if not tails:
        return {}
    tables.put(con, "tails", tables.instants_table(tails))
    found = con.sql(
        """
        select r.check_id, epoch_us(coalesce(r.started_at, r.completed_at)) as placed,
            coalesce(epoch_us(coalesce(r.completed_at, r.abandoned_at)), $forever) as ended,
            coalesce(epoch_us(r.completed_at), $forever) as completed, r.seq
        from store.runs r join tails t using (check_id)
        where coalesce(r.completed_at, r.abandoned_at) >= t.at or (r.completed_at is null and r.abandoned_at is null)
        order by r.check_id
        """,
        params={"forever": FOREVER_US},
    ).to_arrow_table()
    con.execute("drop table temp.tails")
    check, *columns = (found.column(i).to_numpy() for i in range(found.num_columns))
    cuts = {}
    for one, tail in tails.items():
        mine = slice(*np.searchsorted(check, [one, one + 1]).tolist())
        cut = _cut(promised[one], since[one], tail, *(column[mine] for column in columns))
        if cut is not None:
            cuts[one] = cut
    return cuts


def _tail(versions: Sequence[Version], since: int) -> int | None:
    """How far back a cut may lie; None where only the whole check will do."""
    if not versions or all(v.schedule is None for v in versions):
        return since - DAY_US
    last = versions[-1]
    if last.schedule is None or not last.counts or since < last.from_us:
        return None
    if last.kind != "interval" and any(v.kind == "interval" for v in versions):
        return None  # the completion before it may still close a gap of the interval
    gap_us = int(min(schedule_of(last.schedule, last.tz).shortest_gap_s(), 366 * 86_400) * 1e6)
    return max(last.from_us, since - GAPS_BACK * gap_us - LEAST_BACK_US)


def _cut(
    versions: Sequence[Version], since: int, tail: int, placed: Instants, ended: Instants, completed: Instants, seq: Instants
) -> Cut | None:
    kind = versions[-1].kind if versions else None
    ticks = steps = np.empty(0, dtype=np.int64)
    if kind == "interval":
        anchors = np.unique(completed[(completed >= tail) & (completed < since)])
        steps = anchors + 1
    elif kind is not None:
        columns = fixed_windows(versions, tail, since)[0].columns()
        begun = columns["start"] >= tail
        steps, ticks = columns["start"][begun], columns["expected"][begun]
    at = since
    while True:
        if kind is not None:
            place = int(np.searchsorted(steps, at, side="right")) - 1
            if place < 0:
                return None
            at = int(steps[place])
        across = placed[(placed < at) & (ended >= at)]
        if not len(across):
            break
        at = int(across.min())
        if at < tail:
            return None
    before = seq[placed < at]
    if not len(before):
        return None
    if kind is None:
        return Cut(at, int(before.max()))
    if kind == "interval":
        return Cut(at, int(before.max()), anchor=at - 1)
    return Cut(at, int(before.max()), tick=int(ticks[place]))
