"""The facts that are stored for millions of windows at once against the statement that readers derive a few with."""

from __future__ import annotations

import fast
from examples import examples
from histories import History, histories
from hypothesis import HealthCheck, given, settings

from qpanalytics.ledger import tables

WINDOW = "check_id, version, expected_at, window_start_at, end_at, deadline_at, gap_s, max_runtime_s, anchored, closed_at"


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories())
def test_stored_facts_are_those_of_the_statement(h: History) -> None:
    with fast.filled(h.pings, h.versions, h.pauses, h.vouched).write() as con:
        con.execute(f"create or replace temp table windows as select {WINDOW} from store.occurrences")  # noqa: S608
        con.execute("create or replace temp view seen as from store.runs")
        con.execute("create or replace temp table told as from store.occurrences limit 0")
        con.execute(f"insert into told by name {tables.sql_of('facts')}")
        for one, other in (("told", "store.occurrences"), ("store.occurrences", "told")):
            columns = "columns(*)::varchar"
            more = con.execute(f"select {columns} from (from {one} except all from {other})").fetchall()  # noqa: S608
            assert more == []
        for kind, name in (("table", "windows"), ("view", "seen"), ("table", "told")):
            con.execute(f"drop {kind} temp.{name}")
