"""What grew bit by bit equals a rebuild from scratch, whatever order the files came in."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import fast
from examples import examples
from histories import History, histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qpanalytics.collect.intake import Looked, take
from qpanalytics.history import rebuild
from qpanalytics.ledger.build import build
from qpanalytics.settings import CheckEntry
from qpanalytics.store.db import MemoryStore

BEGIN = datetime(2026, 10, 20, tzinfo=UTC)
CLOCK = datetime(2026, 11, 1, tzinfo=UTC)
STAGED = """
create or replace temp table staged_pings as
select column0::integer as file_no, column1::bigint as row_no, column2 as check_name, column3::timestamptz as received_at,
    column4 as kind, null::bigint as n, column5 as run_id, null::double as duration_s, null::smallint as exit_status,
    null::varchar as host, null::varchar as body
from (values {rows}) v(column0, column1, column2, column3, column4, column5)
"""
#: (minutes after BEGIN, kind, run id, check); distinct instants per check, so that arrival order cannot be told apart
PINGS = st.lists(
    st.tuples(
        st.integers(0, 10 * 24 * 60),
        st.sampled_from(["start", "success", "success", "fail", "log"]),
        st.sampled_from([None, None, "a", "b"]),
        st.sampled_from(["nightly", "rolling", "bare"]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda p: (p[0], p[3]),
)
PROMISES = [
    CheckEntry(check="nightly", schedule="30 2 * * *", tz="Europe/Berlin", grace_s=1800, valid_from=BEGIN),
    CheckEntry(check="nightly", schedule="0 */6 * * *", valid_from=BEGIN + timedelta(days=5), max_runtime_s=3600),
    CheckEntry(check="rolling", schedule="every 5 h", grace_s=600, valid_from=BEGIN),
]


def _take(store: MemoryStore, pings: list[tuple[int, str, str | None, str]], entries: list[CheckEntry]) -> None:
    with store.write() as con:
        params: list[object] = []
        for number, (minutes, kind, run_id, check) in enumerate(pings):
            params += [0, number, check, BEGIN + timedelta(minutes=minutes), kind, run_id]
        rows = ", ".join(["(?::integer, ?::bigint, ?::varchar, ?::timestamptz, ?::varchar, ?::varchar)"] * len(pings))
        if pings:
            con.execute(STAGED.format(rows=rows), params)
        else:
            empty = "(0::integer, 0::bigint, ''::varchar, now(), ''::varchar, ''::varchar)"
            con.execute(STAGED.format(rows=empty) + " where false")
        looks = [Looked("file")] if pings else []
        take(con, source="files", looks=looks, entries=entries, tried_at=CLOCK)


def _ledger(store: MemoryStore) -> dict[str, list[tuple[object, ...]]]:
    """Runs and occurrences under the names of their checks, without the numbers that depend on who came first."""
    with store.read() as con:
        return {
            table: con.execute(
                f"""
                select c.key, t.* exclude (check_id) replace (
                    {", ".join(f"epoch_us({column}) as {column}" for column in times)}
                ) from store.{table} t join store.checks c using (check_id) order by all
                """  # noqa: S608 - constants
            ).fetchall()
            for table, times in (
                ("runs", ["started_at", "completed_at", "abandoned_at", "expected_at", "limit_at", "own_limit_at"]),
                (
                    "occurrences",
                    [
                        "expected_at", "window_start_at", "end_at", "deadline_at", "closed_at", "success_at",
                        "success_started_at", "failure_at", "failure_started_at", "open_started_at", "open_limit_at",
                        "abandoned_started_at", "last_event_at",
                    ],
                ),
            )
        }  # fmt: skip


@settings(deadline=None, max_examples=examples(15), suppress_health_check=[HealthCheck.too_slow])
@given(PINGS, st.randoms(use_true_random=False), st.integers(1, 4))
def test_files_in_any_order_give_the_ledger_of_a_rebuild(
    pings: list[tuple[int, str, str | None, str]], shuffler: object, parts: int
) -> None:
    at_once = MemoryStore()
    _take(at_once, sorted(pings, key=lambda p: (p[3], p[0])), PROMISES)

    shuffled = list(pings)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    grown = MemoryStore()
    changes = list(PROMISES)
    for part in range(parts):
        # late pings, and promises that come after the pings they judge
        _take(grown, shuffled[part::parts], changes[part : part + 1])
    # a file that was there before
    _take(grown, shuffled[:2], changes[parts:])

    assert _ledger(grown) == _ledger(at_once)
    before = _ledger(grown)
    rebuild(grown)
    assert _ledger(grown) == before


def test_a_file_taken_twice_adds_nothing_and_equal_rows_stay_two(tmp_path: Path) -> None:
    store = MemoryStore()
    rows: list[tuple[int, str, str | None, str]] = [(5, "success", None, "bare"), (5, "success", None, "bare")]
    for _ in range(2):
        _take(store, rows, [])
        with store.read() as con:
            assert con.execute("select count(*), count(distinct k) from store.pings").fetchone() == (2, 2)


#: Without their check, in an order of their own.
LEDGER = {
    "runs": "columns(* exclude check_id)::varchar", "occurrences": "columns(* exclude check_id)::varchar",
    "ledger": "horizon_at::varchar, derived_under",
}  # fmt: skip


def _stored(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    return {
        table: con.execute(f"select {columns} from store.{table} order by all").fetchall()  # noqa: S608 - constants
        for table, columns in LEDGER.items()
    }


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(histories(), st.lists(st.floats(0, 1), min_size=1, max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_pings_that_come_later_are_derived_as_if_all_had_been_there(
    h: History, parts: list[float], luck: random.Random, late: bool
) -> None:
    """Whole stretches of time at once as from a file or a look, or (`late`) any ping at any time."""
    order = sorted(enumerate(h.pings), key=lambda p: p[1].received_at)
    if late:
        luck.shuffle(order)
    stops = sorted(round(part * len(order)) for part in parts)
    with fast.filled([], h.versions, h.pauses, h.vouched).write() as con:
        for begin, stop in pairwise([0, *stops, len(order)]):
            come = order[begin:stop]
            fast.add(con, come)
            if come:
                build(con, {1: min(p.received_at for _, p in come)})
        grown = _stored(con)
        build(con)
        assert grown == _stored(con)
