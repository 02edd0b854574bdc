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
from qpanalytics.ledger.versions import FOREVER_US, Version, chains, in_force, schedule_of
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
    the last completion before it where an interval counts from that.
    """

    at: int
    seq: int
    tick: int
    anchor: int | None = None


def derived_under(versions: Sequence[Version], paused: Sequence[tuple[int, int]], *, live: bool) -> str:
    """A name for everything beside its pings that the ledger of a check depends on."""
    held = [
        (v.from_us, v.to_us, v.schedule, v.tz, v.grace_us, v.early_s, v.max_runtime_s) for v in versions
    ]
    spans = chains(versions, paused) if any(v.kind == "interval" for v in versions) else None
    return hashlib.blake2b(repr((RULES, held, spans, live)).encode(), digest_size=12).hexdigest()


def find_cuts(
    con: duckdb.DuckDBPyConnection,
    since: Mapping[int, int],
    promised: Mapping[int, Sequence[Version]],
    gaps_back: int = GAPS_BACK,
) -> dict[int, Cut]:
    """The cuts of the checks whose first new ping came at `since`; those not among them have to be derived whole.

    A cut is looked for over the last `gaps_back` gaps of the schedule.
    """
    since = {check: _promised_at(promised[check], at) for check, at in since.items()}
    tails = {check: tail for check, at in since.items() if (tail := _tail(promised[check], at, gaps_back)) is not None}
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


def _promised_at(versions: Sequence[Version], at: int) -> int:
    """`at`, or where nothing was promised any more then, the last instant at which something was."""
    ended = [v.to_us for v in versions if v.to_us <= at]
    return at if in_force(versions, at) is not None or not ended else max(ended) - 1


def _tail(versions: Sequence[Version], since: int, gaps_back: int) -> int | None:
    """How far back a cut may lie; None where only the whole check will do."""
    if not versions or all(v.schedule is None for v in versions):
        return since - DAY_US
    held = in_force(versions, since)
    if held is None or held.schedule is None or not held.counts:
        return None
    gap_us = int(min(schedule_of(held.schedule, held.tz).shortest_gap_s(), 366 * 86_400) * 1e6)
    return max(held.from_us, since - gaps_back * gap_us - LEAST_BACK_US)


def _cut(
    versions: Sequence[Version], since: int, tail: int, placed: Instants, ended: Instants, completed: Instants, seq: Instants
) -> Cut | None:
    scheduled = any(v.schedule is not None for v in versions)
    rolls = any(v.kind == "interval" for v in versions)
    steps, ticks = _steps(versions, since, tail, completed) if scheduled else (None, None)
    at = since
    while True:
        if steps is not None:
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
    done = completed[completed < at]
    if not len(before) or (rolls and not len(done)):
        return None
    return Cut(
        at,
        int(before.max()),
        tick=at if ticks is None else int(ticks[place]),
        anchor=int(done.max()) if rolls else None,
    )


def _steps(versions: Sequence[Version], since: int, tail: int, completed: Instants) -> tuple[Instants, Instants]:
    """Where a cut may lie, ascending, and the first tick that is expected behind it."""
    number = next(i for i, v in enumerate(versions) if v.from_us <= since < v.to_us)
    if versions[number].kind == "interval":
        steps = np.unique(completed[(completed >= tail) & (completed < since)]) + 1
        return steps, steps
    columns = fixed_windows(versions, tail, since)[0].columns()
    # A window that the next promise's early margin reaches over is empty, and where that begins is no cut.
    fits = (columns["version"] == number) & (columns["start"] >= tail) & (columns["start"] < columns["end"])
    return columns["start"][fits], columns["expected"][fits]
