"""Folds old pings into the occurrences and runs that were derived from them: these stay, the pings go.

A check is pruned up to a cut (see `cutting.py`), so that what comes later is derived as if they were still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import numpy as np

from qpanalytics.ledger import tables
from qpanalytics.ledger.cutting import Cut, find_cuts
from qpanalytics.ledger.versions import FOREVER_US

#: Over how many gaps of its schedule a check's last quiet moment is looked for: there is time, and much to win.
GAPS_BACK = 200


@dataclass
class Pruned:
    """Pings that went, of how many checks; `kept` names checks with old pings that cannot be cut there."""

    pings: int
    checks: int
    kept: list[str]


def prune(con: duckdb.DuckDBPyConnection, before_us: int) -> Pruned:
    """Forgets pings received before `before_us` (epoch microseconds), in the caller's transaction.

    Of each check the last ping stays, and the last one that its source numbered, since later ones are counted from it.
    A check on which a run reaches across every moment near `before_us` keeps its pings; the next time may be luckier.
    """
    rows = con.execute(
        """
        select p.check_id, epoch_us(max(p.received_at)) from store.pings p join store.ledger l using (check_id)
        group by p.check_id having min(p.received_at) < make_timestamptz($before)
        """,
        {"before": before_us},
    ).fetchall()
    since = {check: min(before_us, last) for check, last in rows}
    known = pruned_cuts(con, since)
    firsts = tables.first_pings(con, list(since))
    cuts = find_cuts(con, since, tables.promises(con, firsts), GAPS_BACK)
    cuts = {check: cut for check, cut in cuts.items() if check not in known or cut.at > known[check].at}
    remember(con, cuts, firsts)
    gone = con.execute(
        """
        delete from store.pings using store.pruned q
        where q.check_id = store.pings.check_id and store.pings.received_at < q.before_at
            and (store.pings.check_id, store.pings.row_no, store.pings.fetch_id) not in (
                select (p.check_id, arg_max(p.row_no, (p.n, p.received_at, p.fetch_id, p.row_no)),
                    arg_max(p.fetch_id, (p.n, p.received_at, p.fetch_id, p.row_no)))
                from store.pings p join store.pruned r on r.check_id = p.check_id and p.received_at < r.before_at
                where p.n is not null group by p.check_id
            )
        """
    ).fetchall()
    stuck = [check for check in since if check not in cuts and check not in known]
    names = con.execute(
        "select check_name from store.checks where check_id in (select unnest(?)) order by 1", [stuck]
    ).fetchall()
    return Pruned(int(gone[0][0]), len(cuts), [name for (name,) in names])


def pruned_cuts(con: duckdb.DuckDBPyConnection, check_ids: Mapping[int, object]) -> dict[int, Cut]:
    """Up to where the checks were pruned, of those that were."""
    rows = con.execute(
        """
        select check_id, epoch_us(before_at), seq, epoch_us(tick_at), epoch_us(anchor_at) from store.pruned
        where check_id in (select unnest(?))
        """,
        [list(check_ids)],
    ).fetchall()
    return {check: Cut(at, seq, tick, anchor) for check, at, seq, tick, anchor in rows}


def remember(con: duckdb.DuckDBPyConnection, cuts: Mapping[int, Cut], firsts: Mapping[int, int | None]) -> None:
    """Writes up to where checks are pruned, in place of what was written before."""
    import pyarrow as pa

    if not cuts:
        return
    ids = list(cuts)
    con.execute("delete from store.pruned where check_id in (select unnest(?))", [ids])
    anchors = [FOREVER_US if cut.anchor is None else cut.anchor for cut in cuts.values()]
    tables.append(
        con,
        "store.pruned",
        pa.table(
            {
                "check_id": pa.array(ids, pa.int32()),
                "before_at": tables.instants([cut.at for cut in cuts.values()]),
                "seq": pa.array(np.array([cut.seq for cut in cuts.values()], dtype=np.int64)),
                "tick_at": tables.instants([cut.tick for cut in cuts.values()]),
                "anchor_at": tables.instants(anchors),
                "first_at": tables.instants([firsts[check] or 0 for check in ids]),
            }
        ),
    )
