"""Looks at queues and workers: collected once whatever happens, kept for years in little room, told as they were."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_server import PASSWORD, running
from snapshots import START, Shown, World, filled, minutes

import qpanalytics as qpa
from qpanalytics.cli.app import main
from qpanalytics.collect.feed import feed
from qpanalytics.collect.fromexport import take_export
from qpanalytics.collect.run import is_due
from qpanalytics.errors import UsageError
from qpanalytics.history import resolve_as_of
from qpanalytics.instants import micros
from qpanalytics.ledger import tables
from qpanalytics.sources import SNAPSHOTS
from qpanalytics.sources.base import QueueLook, WorkerLook
from qpanalytics.store import thinning
from qpanalytics.store.db import MemoryStore, Store
from qpanalytics.store.export import export
from qpanalytics.store.state import State

MAIL = QueueLook("mail", depth=3, oldest_age_s=12.5, oldest_is="exact", active=1, processed_total=10, why="paused: no pausing")
WORKER = WorkerLook("host:1", "alive", busy=1, queues=("mail", "default"), why="restarts: not counted")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.state.close()


# Collecting -----------------------------------------------------------------------------------------------------------


def test_a_look_is_stored_as_it_was_and_the_next_gets_its_cursor(world: World) -> None:
    shop = Shown(queues=[MAIL, QueueLook("*", dead=7)], workers=[WORKER])
    (look,) = world.look(shop)
    assert (look.queues, look.workers, look.why) == (1, 1, "")
    assert feed(world.store, world.state).looks == 3
    shop.taken_at = world.now = minutes(1)
    world.collect(shop)
    assert shop.asked == [{}, {"seen": 1}]
    h = world.history()
    assert h.queues["queue"].tolist() == ["*", "*", "mail", "mail"] and h.queues["taken_at"].tolist() == [START, minutes(1)] * 2
    assert h.queues["depth"].isna().tolist() == [True, True, False, False]
    last = qpa.queues(h).set_index("queue")
    assert last.loc["mail", ["depth", "oldest_age_s", "active", "processed_total", "why"]].tolist() == [
        3, 12.5, 1, 10, "paused: no pausing"
    ]  # fmt: skip
    assert last.loc["*", "dead"] == 7 and last["taken_at"].tolist() == [minutes(1)] * 2
    worker = qpa.workers(h).iloc[0]
    assert (worker["state"], worker["busy"], list(worker["queues"])) == ("alive", 1, ["mail", "default"])
    assert world.rows("select kind, rows, added, why, epoch_us(until_at) from store.fetches order by until_at") == [
        ("snapshot", 3, 3, "", micros(START)), ("snapshot", 3, 3, "", micros(minutes(1)))
    ]  # fmt: skip


def test_a_look_that_fails_is_tried_again_and_in_the_end_a_failed_attempt_without_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qpanalytics.collect.run.PAUSE_S", 0.0)
    shop = Shown(queues=[MAIL], failing=2)
    (look,) = world.look(shop)
    assert (look.why, len(shop.asked)) == ("", 3)
    shop.failing, shop.taken_at, world.now = 3, minutes(1), minutes(1)
    (look,) = world.look(shop)
    assert "did not answer" in look.why and look.queues is None
    feed(world.store, world.state)
    assert world.rows("select why <> '', rows, until_at is null from store.fetches order by fetch_id") == [
        (False, 1, False), (True, 0, True)
    ]  # fmt: skip
    assert len(world.history().queues) == 1 and qpa.queues(world.history())["taken_at"].tolist() == [START]
    shop.failing, shop.permanent, shop.asked = 3, True, []
    world.look(shop)
    assert len(shop.asked) == 1
    shop.failing = 0
    world.look(shop)
    assert shop.asked[-1] == {"seen": 1}, "a failed look moves no cursor"


def test_one_source_that_fails_keeps_no_other_from_being_looked_at(world: World) -> None:
    looks = world.look(Shown("bad", failing=9, permanent=True), Shown("good", queues=[MAIL]))
    assert [bool(look.why) for look in looks] == [True, False]


def test_a_reader_that_stumbles_keeps_no_other_from_being_looked_at_and_quotes_nothing(world: World) -> None:
    class Stumbling(Shown):
        def snapshot(self, cursor: Any) -> Any:
            raise KeyError("secret payload")

    bad, good = world.look(Stumbling("bad"), Shown("good", queues=[MAIL]))
    assert bad.why == "bad: what it showed could not be read (KeyError); please report this." and good.why == ""
    feed(world.store, world.state)
    assert world.rows("select source, count(*) from store.queue_snapshots group by source") == [("good", 1)]


def test_feeding_again_adds_nothing(world: World) -> None:
    shop = Shown(queues=[MAIL], workers=[WORKER])
    world.collect(shop)
    assert feed(world.store, world.state).looks == 0
    shop.taken_at = world.now = minutes(1)
    world.look(shop)
    pending = world.state.pending(0)
    assert {p.kind for p in pending} == {"snapshot", "end"}
    feed(world.store, world.state)
    # The same pieces under another state file: as after a state that was put back from a copy.
    with State(world.store.path.with_name("other-state")) as other:
        other.keep(pending)
        assert feed(world.store, other).looks == 0
    assert world.rows("select count(*), count(distinct taken_at) from store.queue_snapshots") == [(2, 2)]


def test_hostile_names_and_numbers_are_kept_or_named_never_in_the_way(world: World) -> None:
    names = ["a:b", "naïve 💥", "=cmd|x", "nul\0", "\udc80", "", "x" * 3000, "{shop}", "mail"]
    rows = [QueueLook(name, depth=1) for name in names]
    world.collect(Shown(queues=[*rows, QueueLook("big", depth=10**30, oldest_age_s=float("inf"), why="paused: none")]))
    frame = qpa.queues(world.history()).set_index("queue")
    assert len(frame) == 10 and frame.loc["nul\\x00", "depth"] == 1 and frame.loc["\\udc80", "depth"] == 1
    assert frame["depth"].isna().sum() == 1
    assert frame.loc["big", "why"] == "paused: none; depth: no number that can be; oldest_age_s: no number that can be"


def test_two_rows_of_one_name_in_one_look_are_one(world: World) -> None:
    world.collect(Shown(queues=[MAIL, QueueLook("mail", depth=99)]))
    assert qpa.queues(world.history())["depth"].tolist() == [3]


def test_a_queue_that_the_last_look_no_longer_shows_is_not_told_as_if_it_were_there(world: World) -> None:
    shop = Shown(queues=[MAIL, QueueLook("old", depth=5)], workers=[WORKER])
    world.collect(shop)
    shop.queues, shop.workers, shop.taken_at, world.now = [MAIL], [], minutes(1), minutes(1)
    world.collect(shop)
    assert qpa.queues(world.history())["queue"].tolist() == ["mail"] and len(qpa.workers(world.history())) == 0
    assert set(world.history().queues["queue"]) == {"mail", "old"}


def test_looks_at_queues_hold_the_present_of_checks_neither_back_nor_forward(world: World) -> None:
    world.collect(Shown(queues=[MAIL]))
    now = minutes(30)
    assert resolve_as_of(world.store, now=now) == (now, "")
    with world.store.write() as con:
        con.execute(
            "insert into store.fetches values (9, 9, 'prod', 'live', 'x', null, $at, null, $at, 1, 1, 0, '')", {"at": minutes(20)}
        )
    at, why = resolve_as_of(world.store, now=now)
    assert (at, why) == (minutes(20), "as of the last look, 2026-11-02T00:20:00Z"), "not that of the queues, 20 min before"
    shop = Shown(queues=[MAIL], taken_at=minutes(25))
    world.now = minutes(25)
    world.collect(shop)
    from qpanalytics.opening import opened
    from qpanalytics.settings import Settings

    h = opened(world.store, Settings(), now=now)
    assert h.as_of == minutes(20) and qpa.queues(h)["taken_at"].tolist() == [minutes(25)]
    assert len(h.queues) == 2
    earlier = opened(world.store, Settings(), now=now, as_of=minutes(5), since=START - timedelta(days=1))
    assert qpa.queues(earlier)["taken_at"].tolist() == [START] and len(earlier.queues) == 1


def test_a_source_is_due_when_its_pace_has_passed_and_a_timer_may_fire_a_little_early() -> None:
    assert is_due(None, START, START) and is_due(60.0, None, START) and is_due(60.0, minutes(5), START)
    assert is_due(60.0, START, START + timedelta(seconds=54.5)) and not is_due(60.0, START, START + timedelta(seconds=53))
    assert is_due(3600.0, START, minutes(59.6)) and not is_due(3600.0, START, minutes(59))


def test_when_a_source_was_looked_at_is_known_also_of_a_bad_look(world: World) -> None:
    world.look(Shown(failing=1, permanent=True), Shown("b", queues=[MAIL]))
    assert world.state.looked() == {"shop": START, "b": START}


def test_a_state_of_the_release_before_is_brought_up(tmp_path: Path) -> None:
    import sqlite3

    from qpanalytics.store import state

    path = tmp_path / "old-state"
    with sqlite3.connect(path) as con:
        for statement in filter(str.strip, state._SCHEMAS[0].split(";")):
            con.execute(statement)
        con.execute("insert into identity values ('x', 0)")
        con.execute("pragma user_version = 1")
    with State(path) as found:
        assert found.looked() == {} and found.identity == "x"


# Killed ---------------------------------------------------------------------------------------------------------------

_COLLECTOR = """
import sys
sys.path.insert(0, sys.argv[2])
from datetime import datetime, timedelta
from pathlib import Path
from snapshots import START, Shown, World
from qpanalytics.sources.base import QueueLook, WorkerLook

world = World(Path(sys.argv[1]))
shop = Shown()
known = world.state.cursors("shop").get("snapshot", {"next": {"seen": 0}})["next"]["seen"]
print("ready", flush=True)
for k in range(known, 100_000):
    world.now = shop.taken_at = START + timedelta(seconds=k)
    shop.queues = [QueueLook(f"q{n}", depth=k, processed_total=2 * k) for n in range(20)]
    shop.workers = [WorkerLook("w", "alive", busy=k)]
    world.collect(shop)
"""


def test_a_collector_killed_at_any_moment_loses_and_doubles_no_look(tmp_path: Path) -> None:
    for kill in range(3):
        collector = subprocess.Popen(
            [sys.executable, "-c", _COLLECTOR, str(tmp_path), str(Path(__file__).parent)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert collector.stdout is not None and collector.stdout.readline() == b"ready\n"
            time.sleep(0.4 + 0.17 * kill)
        finally:
            collector.send_signal(signal.SIGKILL)
            collector.communicate(timeout=30)
    world = World(tmp_path)
    feed(world.store, world.state)
    seen = world.state.cursors("shop")["snapshot"]["next"]["seen"]
    world.state.close()
    rows = world.rows("select queue, epoch_us(taken_at), depth from store.queue_snapshots")
    begin = round(START.timestamp())
    assert seen > 2 and Counter(rows) == Counter(
        (f"q{n}", (begin + k) * 1_000_000, k) for k in range(seen) for n in range(20)
    )
    assert world.rows("select count(*), count(distinct taken_at) from store.worker_snapshots") == [(seen, seen)]


# Thinning -------------------------------------------------------------------------------------------------------------

_figure = st.none() | st.integers(0, 50)


@st.composite
def series(draw: st.DrawFn) -> list[tuple[datetime, QueueLook, WorkerLook]]:
    """Looks over three days in bursts, with unknown figures, and counters that begin anew."""
    found, at, total = [], START, 0
    for _ in range(draw(st.integers(1, 40))):
        at += timedelta(seconds=draw(st.sampled_from([20, 60, 150, 400, 4000, 30_000])))
        total = draw(st.integers(0, 30)) if draw(st.integers(0, 9)) == 0 else total + draw(st.integers(0, 30))
        known = draw(st.integers(0, 9)) > 0
        queue = QueueLook(
            "q", depth=draw(_figure), active=draw(_figure), dead=draw(_figure), orphaned=draw(_figure),
            oldest_age_s=draw(st.none() | st.floats(0, 1e6)), processed_total=total if known else None,
            paused=draw(st.booleans()),
        )  # fmt: skip
        state = draw(st.sampled_from(["alive", "stale", "gone"]))
        found.append((at, queue, WorkerLook("w", state, busy=draw(_figure), restarts=total)))
    return found


_KEPT: list[MemoryStore] = []


def stored(looks: list[tuple[datetime, QueueLook, WorkerLook]]) -> MemoryStore:
    """A store in memory that holds these looks as they were, and nothing else."""
    if not _KEPT:
        _KEPT.append(MemoryStore())
    shared = {"source": "s", "system": "x", "looks": 1}
    queues = [{**shared, **asdict(q), "taken_at": at} for at, q, _ in looks]
    workers = [{**shared, **asdict(w), "taken_at": at} for at, _, w in looks]
    with _KEPT[0].write() as con:
        con.execute("delete from store.settings")
        for table, rows in (("queue_snapshots", queues), ("worker_snapshots", workers)):
            con.execute(f"delete from store.{table}")  # noqa: S608 - ours
            tables.append(con, f"store.{table}", pa.Table.from_pylist(rows))
    return _KEPT[0]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(series(), st.lists(st.integers(0, 40 * 86_400), max_size=2))
def test_thinned_once_or_often_the_extremes_the_last_and_what_counters_moved_stay(
    looks: list[tuple[datetime, QueueLook, WorkerLook]], later: list[int]
) -> None:
    store = stored(looks)
    now = end = looks[-1][0]
    with store.write() as con:
        full = said(con, thinning.QUEUES), said(con, thinning.WORKERS)
        for seconds in (*sorted(later), 40 * 86_400):
            now = end + timedelta(seconds=seconds)
            thinning.thin(con, now)
        kept = said(con, thinning.QUEUES), said(con, thinning.WORKERS)
        assert thinning.thin(con, now, everything=True) == 0, "what is thinned is thinned"
        assert (said(con, thinning.QUEUES), said(con, thinning.WORKERS)) == kept
    hours = {int(us // 3_600_000_000) for us in (row["us"] for row in full[0])}
    assert [row["us"] for row in kept[0]] == sorted(
        max(row["us"] for row in full[0] if row["us"] // 3_600_000_000 == hour) for hour in hours
    )
    for all_rows, few in zip(full, kept, strict=True):
        for row in few:
            mine = [r for r in all_rows if r["us"] // 3_600_000_000 == row["us"] // 3_600_000_000]
            assert {n: row[n] for n in LAST if n in row} == {n: mine[-1][n] for n in LAST if n in row}
            for name in row:
                if name.endswith("_min"):
                    assert row[name] == min((r[name] for r in mine if r[name] is not None), default=None), name
                elif "_max" in name:
                    assert row[name] == max((r[name] for r in mine if r[name] is not None), default=None), name
                elif name in ("looks", "resets", "stale_looks", "gone_looks", "paused_looks"):
                    assert row[name] == sum(r[name] for r in mine), name
                elif name in ("processed_gain", "restarts_gain", "gain_s"):
                    known = [r[name] for r in mine if r[name] is not None]
                    assert row[name] == (pytest.approx(sum(known)) if known else None), name


#: What a thinned row has of the last look.
LAST = ("depth", "active", "dead", "oldest_age_s", "processed_total", "paused", "state", "busy", "restarts")


def said(con: Any, kind: thinning.Kind) -> list[dict[str, Any]]:
    """The rows of a table with every column said, as plain values, by time."""
    rows = thinning.whole(kind, f"store.{kind.table}", seconds=False)
    sql = f"select epoch_us(taken_at) as us, * exclude (taken_at, since_at) from ({rows}) order by 1"  # noqa: S608 - ours
    table = con.sql(sql).to_arrow_table()
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def test_48_hours_are_kept_whole_30_days_by_5_minutes_and_the_rest_by_the_hour(tmp_path: Path) -> None:
    store = Store(tmp_path / "qpa.duckdb")
    now = START + timedelta(days=40)
    with store.write() as con:
        con.execute(
            """
            insert into store.queue_snapshots by name
            select 's' as source, 'x' as system, 'q' as queue, t as taken_at, '' as why, 1 as looks,
                epoch(t)::bigint // 60 as depth
            from range($now::timestamptz - interval 40 days, $now::timestamptz, interval 1 minute) r(t)
            """,
            {"now": now},
        )
        thinning.thin(con, now)
        kept = con.execute(
            """
            select (epoch_us($now::timestamptz) - epoch_us(taken_at) - 1) // 86400000000 as age, count(*)
            from store.queue_snapshots group by 1
            """,
            {"now": now},
        ).fetchall()
        ((looks, reach),) = con.execute(
            "select sum(looks), max(coalesce(depth_max, depth)) - min(coalesce(depth_min, depth)) from store.queue_snapshots"
        ).fetchall()
    assert (looks, reach) == (40 * 1440, 40 * 1440 - 1)
    assert dict(kept) == {age: 1440 if age < 2 else 288 if age < 30 else 24 for age in range(40)}


def test_a_reset_between_two_kept_looks_is_told_after_thinning_too(tmp_path: Path) -> None:
    # 10 a minute, and the counter begins anew in minute 7: 100, 110, ..., 160, 5, 15, ...
    totals = [100 + 10 * k for k in range(7)] + [5 + 10 * k for k in range(60)]
    h = filled(tmp_path, {minutes(k): [QueueLook("q", depth=0, processed_total=total)] for k, total in enumerate(totals)})
    before = qpa.flow(h).iloc[0]
    with h.store.write() as con:
        thinning.thin(con, START + timedelta(days=5))
    after = qpa.flow(filled_again(h)).iloc[0]
    assert len(filled_again(h).queues) == 14 and (before["resets"], after["resets"]) == (1, 1)
    # by hand: 6 steps of 10, one of 5 (what the new counter shows), 59 of 10, in 66 minutes
    assert before["service_per_min"] == pytest.approx(655 / 66)
    # after thinning the first look kept is that of minute 4: two steps of 10, 5, 59 of 10, in 62 minutes
    assert after["service_per_min"] == pytest.approx(615 / 62)


def filled_again(h: Any) -> Any:
    """The same history, read anew."""
    return h.window(h.since, h.until)


def test_feeding_thins_once_an_hour_and_prune_thins_at_once(world: World) -> None:
    shop = Shown()
    for k in range(10):
        world.now = shop.taken_at = minutes(k)
        shop.queues = [QueueLook("q", depth=k)]
        world.look(shop)
    feed(world.store, world.state)
    assert len(world.history().queues) == 10
    world.now = shop.taken_at = START + timedelta(days=3)
    world.collect(shop)
    assert world.history().queues["looks"].tolist() == [5, 5, 1]
    assert world.rows("select count(*) from store.fetches") == [(3,)], "looks themselves are thinned, too"
    world.now = shop.taken_at = START + timedelta(days=60)
    world.look(shop)
    world.now = shop.taken_at = START + timedelta(days=60, minutes=1)
    world.look(shop)
    feed(world.store, world.state)
    assert world.history().queues["looks"].tolist() == [10, 1, 1, 1]
    as_of = START + timedelta(minutes=30)
    world.now = as_of
    assert qpa.queues(world.history())["depth"].tolist() == [9], "the last look is found in what was thinned"


def test_a_year_of_queues_takes_little_room(tmp_path: Path) -> None:
    """Five of the 200 queues of the bench (tests/bench/looks.py), which has the real size."""
    from bench.looks import NOW, year

    store = Store(tmp_path / "qpa.duckdb")
    made = year(5)
    with store.write() as con:
        for part in made:
            tables.append(con, "store.queue_snapshots", part)
        assert thinning.thin(con, NOW) == 0, "the bench makes what thinning leaves"
    store.compact()
    size = store.path.stat().st_size
    assert size / 5 * 200 < 1e9, f"{size / sum(map(len, made)):.0f} bytes a row"


# There and back -------------------------------------------------------------------------------------------------------


def test_an_export_takes_looks_along_and_brings_them_once(world: World, tmp_path: Path) -> None:
    shop = Shown(queues=[MAIL, QueueLook("naïve 💥")], workers=[WORKER])
    for k in range(20):
        world.now = shop.taken_at = minutes(k)
        world.look(shop)
    feed(world.store, world.state)
    export(world.store, tmp_path / "raw")
    with world.store.write() as con:
        thinning.thin(con, START + timedelta(days=3))
    export(world.store, tmp_path / "thin")
    other = Store(tmp_path / "other.duckdb")
    for folder in ("thin", "raw", "thin"):  # the raw looks of a time that thinned rows stand for are no more of them
        with other.write() as con:
            take_export(con, tmp_path / folder)
    for table in ("queue_snapshots", "worker_snapshots"):
        wanted = f"select columns(*)::varchar from store.{table} order by all"  # noqa: S608 - ours
        with other.read() as con:
            assert con.execute(wanted).fetchall() == world.rows(wanted)
    # The other way round the raw ones were there first, and stay until they are thinned here.
    third = Store(tmp_path / "third.duckdb")
    for folder in ("raw", "thin"):
        with third.write() as con:
            take_export(con, tmp_path / folder)
    with third.read() as con:
        assert con.execute("select count(*), sum(looks) from store.queue_snapshots").fetchall() == [(40, 40)]


def test_sources_that_are_not_known_are_named_with_those_that_are(world: World) -> None:
    world.collect(Shown(queues=[MAIL]))
    with pytest.raises(UsageError, match="no queues of source prod were seen; the store knows those of shop"):
        qpa.queues(world.history(sources=("prod",)))
    with pytest.raises(UsageError, match="no queue matches mial; there are mail"):
        qpa.queues(world.history(), queue=["mial"])
    assert len(qpa.queues(world.history(sources=("shop",)), queue=["m*"])) == 1


def test_a_store_of_frames_or_pings_alone_has_no_queues_and_says_so_by_an_empty_frame(world: World) -> None:
    with world.store.write():
        pass
    h = world.history()
    for frame in (h.queues, h.workers, qpa.queues(h), qpa.workers(h), qpa.flow(h)):
        assert len(frame) == 0 and "source" in frame.columns


# A real server --------------------------------------------------------------------------------------------------------

_TINY = '''
"""A reader of plain lists, as small as one can be."""
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook
from qpanalytics.sources.queues.gate import from_table


class Lists:
    system = "tiny-list"

    def __init__(self, table, password, clock):
        self.name, self.clock, self.names, self.gate = table.name, clock, table.queues, from_table(table, password)

    def snapshot(self, cursor):
        *lengths, time = self.gate.trip([*(("LLEN", name) for name in self.names), ("TIME",)])
        now = self.clock()
        looks = [QueueLook(n, depth=d, why="active: a plain list has no workers") for n, d in zip(self.names, lengths)]
        return Snapshot(now, looks, (WorkerLook("w1", "gone", queues=("mail",)),), {"looks": cursor.get("looks", 0) + 1},
                        offset_s=(self.gate.clock(time) - now).total_seconds(), notes=("jobs hold no time",))

    def close(self):
        self.gate.close()


def from_settings(table, password, clock):
    return Lists(table, password, clock)
'''
_CONFIG = """
[[source]]
name = "shop"
kind = "tiny"
url = "{url}"
password = "env:QPA_TEST_PASSWORD"
queues = ["mail", "naïve: 💥"]
every = "1 h"
[[promise]]
queue = "mail"
depth = 2
"""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`qpa` in this process, in a folder of its own, with the reader known; exit status and what it said."""
    (tmp_path / "qpa_tiny_list.py").write_text(_TINY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(SNAPSHOTS, "tiny", "qpa_tiny_list")
    monkeypatch.setenv("QPA_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.chdir(tmp_path)

    def qpa_(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["qpa", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return qpa_


def test_from_a_real_server_to_the_table_and_the_exit_status(tmp_path: Path, run: Run) -> None:
    with running() as server:
        (tmp_path / "qpa.toml").write_text(_CONFIG.format(url=server.url(2)), encoding="utf-8")
        _, out, _ = run("doctor")
        assert "source shop: it answers, with 2 queues and 1 worker" in out
        assert "worker w1 is gone" in out and "jobs hold no time" in out
        server.client(2).rpush("mail", "a", "b")
        assert run("collect") == (0, "shop: 2 queues, 1 worker\n", "qpa: shop: jobs hold no time\n")
        status, out, _ = run("queues", "--fail-on", "promise", "--format", "json")
        rows = json.loads(out)
        assert status == 0 and [(r["queue"], r["depth"], r["active"], r["promise"]) for r in rows] == [
            ("mail", 2, None, "kept"), ("naïve: 💥", 0, None, "")
        ]  # fmt: skip
        assert rows[0]["taken_at"].endswith("Z") and rows[0]["system"] == "tiny-list"
        server.client(2).rpush("mail", "c")
        assert run("collect", "--due")[1] == "", "an hour has not passed"
        assert run("collect")[0] == 0
        status, out, _ = run("queues", "--fail-on", "promise")
        assert status == 1 and "mail" in out and "broken" in out
        assert [run("workers", "--fail-on", word)[0] for word in ("gone", "stale", "dead")] == [1, 0, 2]
        _, out, _ = run("queues", "--queue", "mail", "--history", "--format", "json")
        assert [r["depth"] for r in json.loads(out)] == [2, 3]
        assert server.denied() == []
        server.client(2).set("naïve: 💥", "no list")
        status, out, err = run("collect")
        assert status == 3 and "holds another type" in err and PASSWORD not in out + err
        assert len(json.loads(run("queues", "--history", "--format", "json")[1])) == 4, "no row of a failed look"
        status, out, _ = run("prune")
        assert status == 0 and "6 looks at queues and workers kept" in out
