"""The simulated fleet: the analyses find what was planted in it, all of it and nothing else."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import qpanalytics as qpa
from qpanalytics import settings, simulated
from qpanalytics.analysis.hangs import crashes, zombies
from qpanalytics.analysis.pairs import jobs
from qpanalytics.analysis.promise import promise
from qpanalytics.analysis.storms import dead, orphaned, storms
from qpanalytics.analysis.tides import windows
from qpanalytics.collect import pieces
from qpanalytics.collect.feed import feed
from qpanalytics.history import History
from qpanalytics.instants import TICK
from qpanalytics.simulated import fleet
from qpanalytics.sources.base import QueueLook, Snapshot, WorkerLook
from qpanalytics.store.db import MemoryStore, Store
from qpanalytics.store.state import State

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=[fleet.SEED, 7])
def h(request: pytest.FixtureRequest) -> History:
    """The fleet as everybody sees it, and with other chances: what is found hangs on the faults, not on luck."""
    if request.param == fleet.SEED:
        return qpa.demo("queues")
    store = MemoryStore()
    simulated.fill(store, now=fleet.AS_OF, seed=request.param)
    return History(
        store, as_of=fleet.AS_OF, since=fleet.SINCE, until=fleet.AS_OF + TICK, promises=fleet.PROMISES, joins=fleet.JOINS
    )


def truth(fault: str) -> Any:
    """The one planted fault of a kind."""
    rows = simulated.planted().query("fault == @fault")
    assert len(rows) == 1
    return rows.iloc[0]


def near(at: pd.Timestamp, planted: datetime, minutes: int = 3) -> bool:
    """Whether something was told within so many minutes of when it happened."""
    return abs(at - planted) <= minutes * MINUTE


def test_each_analysis_finds_what_was_planted_and_nothing_else(h: History) -> None:
    (fills,) = windows(h).itertuples()
    assert (fills.queue, fills.day, fills.from_hour, fills.to_hour) == (truth("fills")["name"], "weekday", 8, 10)

    (storm,) = storms(h).itertuples()
    assert storm.queue == truth("retry storm")["name"] and pd.isna(storm.ended_at)
    assert near(storm.began_at, truth("retry storm").since_at) and storm.retrying_before < 5 < 300 < storm.retrying_most
    assert storm.service_per_min < storm.service_before_per_min
    died = dead(h).query("died > 0")
    assert died["queue"].tolist() == ["reports"]

    (lost,) = orphaned(h).itertuples()
    assert (lost.queue, lost.orphaned) == ("video", 1) and near(lost.since_at, truth("worker killed").since_at)

    found = zombies(h)
    assert found[found["zombie"].fillna(False)]["worker"].tolist() == [truth("hangs")["name"]]
    (loop,) = crashes(h).itertuples()
    assert (loop.worker, loop.n, loop.looping) == (truth("crash loop")["name"], 15, True)

    flows = qpa.flow(h).set_index("queue")
    assert flows[flows["resets"] > 0].index.tolist() == [truth("counters reset")["name"]]
    assert flows["service_per_min"].dropna().gt(0).all() and pd.isna(flows.loc["thumbnails", "service_per_min"])

    states = jobs(h).set_index("check")
    assert states["state"].to_dict() == {
        "close-books": "empty: done", "load-orders": "empty: the producer's check is down", "reindex": "alive but not draining"
    }  # fmt: skip
    assert states.loc["load-orders", "producer"] == truth("producer down")["name"]

    broken = promise(h).query("state != 'kept'")
    assert set(zip(broken["queue"], broken["of"], broken["state"], strict=True)) == {
        ("mailers", "oldest", "broken"), ("search", "oldest", "broken"), ("video", "workers", "broken")
    }  # fmt: skip

    processes = qpa.workers(h).set_index("worker")["state"]
    assert processes[processes != "alive"].to_dict() == {truth("worker killed")["name"]: "gone"} and len(processes) == 12
    down = h.checks.query("status == 'down'")
    assert down["check"].tolist() == ["extract-orders"]
    assert near(down["down_since_at"].iloc[0], truth("producer down").since_at)


def test_every_fault_is_told_with_the_analysis_that_finds_it() -> None:
    told = simulated.planted()
    assert len(told) == 7 and told["since_at"].is_monotonic_increasing
    assert told["since_at"].between(fleet.SINCE, fleet.AS_OF).all()
    assert told["source"].str.startswith("simulated-").all() and not (told == "").any().any()


def test_all_of_the_fleet_is_called_simulated_and_what_is_not_known_says_why() -> None:
    h = qpa.demo("queues")
    for frame, figures in (
        (qpa.queues(h), ("active", "orphaned", "retrying", "dead", "failed", "processed_total", "paused")),
        (qpa.workers(h), ("busy", "restarts", "queues")),
    ):
        assert frame["source"].str.startswith("simulated-").all() and (frame["system"] == "simulated").all()
        for figure in figures:
            unknown = frame[figure].isna()
            assert frame.loc[unknown, "why"].str.contains(figure).all(), figure
    assert h.checks["tags"].map(list).tolist() == [["simulated"]] * 4


def test_its_looks_are_as_a_collector_would_have_stored_them(tmp_path: Path) -> None:
    """One look out of the fleet, taken as a snapshot through pieces and feed, is the same row."""
    h = qpa.demo("queues")
    with h.store.read() as con:
        rows = {
            name: con.sql(
                f"from store.{name}_snapshots where source = '{fleet.SHOP}' and taken_at = $at order by {name}",
                params={"at": fleet.AS_OF},
            )
            .to_arrow_table()
            .to_pylist()
            for name in ("queue", "worker")
        }
    kinds: list[tuple[str, Any]] = [("queue", QueueLook), ("worker", WorkerLook)]
    shown = {name: [kind(**{f.name: row[f.name] for f in fields(kind)}) for row in rows[name]] for name, kind in kinds}
    store = Store(tmp_path / "qpa.duckdb")
    state = State.beside(store.path)
    seen = Snapshot(fleet.AS_OF, shown["queue"], shown["worker"])
    end = pieces.end("one", fleet.SHOP, fleet.AS_OF, "snapshot", "")
    state.keep([pieces.snapshot("one", fleet.SHOP, fleet.SYSTEM, fleet.AS_OF, seen), end])
    feed(store, state)
    state.close()
    with store.read() as con:
        for name in ("queue", "worker"):
            again = con.sql(f"from store.{name}_snapshots order by {name}").to_arrow_table().to_pylist()
            assert again == rows[name]


def test_the_fleet_is_the_same_each_time(tmp_path: Path) -> None:
    other = MemoryStore()
    simulated.fill(other, now=datetime(2027, 1, 1, tzinfo=UTC))
    sums = []
    for store in (qpa.demo("queues").store, other):
        with store.read() as con:
            sums.append(
                [con.execute(f"select sum(hash(t)::hugeint) from store.{name} t").fetchall()  # noqa: S608
                 for name in ("queue_snapshots", "worker_snapshots", "pings")]
            )  # fmt: skip
    assert sums[0] == sums[1]


def test_the_written_configuration_says_what_the_demo_says(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(simulated.configuration("demo-queues.duckdb"), encoding="utf-8")
    read = settings.load(path)
    assert tuple(read.promise) == fleet.PROMISES
    assert tuple((e.check, e.queue, e.after) for e in read.check) == fleet.JOINS
    assert Path(read.store.path).name == "demo-queues.duckdb"
