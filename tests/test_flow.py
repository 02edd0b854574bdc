"""What the figures of queues say, against numbers worked out by hand and against simulations whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshots import START, Shown, World, minutes

import qpanalytics as qpa
from qpanalytics.analysis import rates
from qpanalytics.analysis.hangs import crashes, zombies
from qpanalytics.analysis.pairs import jobs
from qpanalytics.analysis.promise import promise
from qpanalytics.analysis.staffing import staffing
from qpanalytics.analysis.storms import dead, orphaned, storms
from qpanalytics.analysis.tides import tides, windows
from qpanalytics.history import History
from qpanalytics.ledger import tables
from qpanalytics.ledger.build import build
from qpanalytics.settings import PromiseTable
from qpanalytics.sources.base import QueueLook, WorkerLook
from qpanalytics.store import thinning
from qpanalytics.store.db import MemoryStore

Look = Callable[[int], QueueLook | WorkerLook | list[QueueLook | WorkerLook]]


def shown(looks: int, look: Look, *, every: float = 1.0, until: datetime | None = None, **more: Any) -> History:
    """A history of looks every so many minutes; `look` says what the k-th shows."""
    import dataclasses

    import pyarrow as pa

    store = emptied()
    rows: dict[str, list[dict[str, Any]]] = {"queue_snapshots": [], "worker_snapshots": []}
    for k in range(looks):
        found = look(k)
        for row in found if isinstance(found, list) else [found]:
            table = "queue_snapshots" if isinstance(row, QueueLook) else "worker_snapshots"
            at = minutes(every * k)
            rows[table].append({"source": "shop", "system": "x", "looks": 1, "taken_at": at, **dataclasses.asdict(row)})
    end = until or minutes(every * (looks - 1))
    with store.write() as con:
        for table, some in rows.items():
            if some:
                tables.append(con, f"store.{table}", pa.Table.from_pylist(some))
        con.execute(
            "insert into store.fetches values (0, 0, 'shop', 'snapshot', '', null, $at, null, $at, 1, 1, 0, '')", {"at": end}
        )
    since = more.pop("since", START)
    return History(store, as_of=end, since=since, until=end + timedelta(microseconds=1), **more)


_STORE: list[MemoryStore] = []


def emptied() -> MemoryStore:
    """A store in memory with nothing in it: one for all tests, for making one takes longer than most of them."""
    if not _STORE:
        _STORE.append(MemoryStore())
    with _STORE[0].write() as con:
        names = con.execute(
            "select table_name from duckdb_tables() where schema_name = 'store' and table_name <> 'meta'"
        ).fetchall()
        for (name,) in names:
            con.execute(f"delete from store.{name}")  # noqa: S608 - ours
    return _STORE[0]


def only(frame: Any) -> Any:
    """The one row of a frame."""
    assert len(frame) == 1, frame
    return frame.iloc[0]


# Rates ----------------------------------------------------------------------------------------------------------------


def test_rates_follow_from_counters_and_depths_as_by_hand() -> None:
    # In ten minutes the counter goes from 100 to 150, 20 jobs more wait and 2 more run: 50 done, 72 came.
    h = shown(11, lambda k: QueueLook("mail", depth=5 + 2 * k, active=1 + (k >= 5) + (k >= 8), processed_total=100 + 5 * k,
                                      failed_total=k))  # fmt: skip
    row = only(qpa.flow(h))
    assert (row["n"], row["since_at"], row["until_at"], row["resets"]) == (10, START, minutes(10), 0)
    assert (row["service_per_min"], row["arrivals_per_min"], row["net_per_min"]) == pytest.approx((5.0, 7.2, 2.0))
    assert row["capacity_per_min"] == pytest.approx(5.0) and row["utilisation"] == pytest.approx(7.2 / 5)
    assert row["fail_rate"] == pytest.approx(0.2) and row["depth_max"] == 25 and row["why"] == ""
    assert row["service_lo"] < 5 < row["service_hi"] and row["arrivals_lo"] < 7.2 < row["arrivals_hi"]


def test_a_counter_that_goes_backwards_begins_anew() -> None:
    totals = [1000, 1010, 1020, 4, 14, 24, 34]  # 10 + 10 + 4 + 10 + 10 + 10 in 6 minutes
    row = only(qpa.flow(shown(7, lambda k: QueueLook("q", depth=0, processed_total=totals[k]))))
    assert row["service_per_min"] == pytest.approx(54 / 6) and row["resets"] == 1 and row["service_lo"] > 0
    assert isnan(row["utilisation"]) and row["why"] == "utilisation: jobs never waited long enough to show what it can do"


def test_without_counters_only_the_net_rate_is_known_and_it_is_said_why() -> None:
    row = only(qpa.flow(shown(9, lambda k: QueueLook("q", depth=80 - 3 * k))))
    assert row["net_per_min"] == pytest.approx(-3.0) and isnan(row["service_per_min"]) and isnan(row["arrivals_per_min"])
    assert row["why"] == "arrivals, service: the system does not count finished jobs"


def test_counters_of_all_queues_together_give_the_rates_of_all_together() -> None:
    h = shown(9, lambda k: [QueueLook("*", processed_total=10 * k), QueueLook("a", depth=50 - k), QueueLook("b", depth=9)])
    rows = qpa.flow(h).set_index("queue")
    assert rows.loc["*", ["service_per_min", "arrivals_per_min", "net_per_min"]].tolist() == pytest.approx([10.0, 9.0, -1.0])
    assert rows.loc["a", "why"] == "arrivals, service: the system counts finished jobs for all queues together, see queue *"
    assert rows.loc["a", "net_per_min"] == pytest.approx(-1.0)


def test_a_look_that_was_missed_widens_a_step_and_loses_nothing() -> None:
    def look(k: int) -> list[QueueLook | WorkerLook]:
        return [] if k in (3, 4, 5, 9) else [QueueLook("q", depth=7, processed_total=6 * k)]

    row = only(qpa.flow(shown(13, look)))
    assert (row["n"], row["service_per_min"]) == (8, pytest.approx(6.0))


def test_too_few_looks_give_a_rate_without_an_interval_and_one_gives_none() -> None:
    row = only(qpa.flow(shown(3, lambda k: QueueLook("q", depth=k, processed_total=k))))
    assert row["net_per_min"] == 1.0 and isnan(row["net_lo"]) and "2 steps between looks, at least 4 are needed" in row["why"]
    row = only(qpa.queues(shown(1, lambda k: QueueLook("q", depth=5))))
    assert isnan(row["net_per_min"]) and row["flow_why"] == "there is no look before this one" and row["drains"] == ""


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 30)), min_size=2, max_size=60),
    st.integers(0, 3),
)
def test_no_rate_is_negative_and_thinning_changes_no_total(steps: list[tuple[int, bool, int]], hours: int) -> None:
    totals, total = [], 100
    for more, reset, _ in steps:
        total = more if reset else total + more
        totals.append(total)
    resets = sum(a > b for a, b in pairwise(totals))
    done = sum(b - a if b >= a else b for a, b in pairwise(totals))
    h = shown(len(steps), lambda k: QueueLook("q", depth=steps[k][2], processed_total=totals[k]), every=7.0)
    row = only(qpa.flow(h))
    seconds = 420 * (len(steps) - 1)
    assert row["service_per_min"] == pytest.approx(done / seconds * 60) and row["resets"] == resets
    assert row["service_per_min"] >= 0 and row["arrivals_per_min"] >= 0
    assert not row["service_lo"] < 0 and not row["arrivals_lo"] < 0
    with h.store.write() as con:
        thinning.thin(con, START + timedelta(days=3 + 30 * hours))
    looks = h.window(h.since, h.until).queues
    first = looks["taken_at"].iloc[0]
    place = round((first - START).total_seconds() / 420)
    kept = sum(b - a if b >= a else b for a, b in pairwise(totals[place:]))
    assert looks["processed_gain"].iloc[1:].sum() == kept
    assert looks["depth_max"].max() == max(s[2] for s in steps) and looks["depth_min"].min() == min(s[2] for s in steps)


# Intervals and draining -----------------------------------------------------------------------------------------------


def coverage(draw: Callable[[np.random.Generator], tuple[rates.Rate, float]], runs: int = 1500) -> float:
    """How often the interval of a rate holds the truth."""
    chance = np.random.default_rng(20261124)
    hits = 0
    for _ in range(runs):
        found, truth = draw(chance)
        hits += found.lo <= truth <= found.hi
    return hits / runs


def test_the_interval_of_a_rate_holds_the_truth_in_19_of_20_cases() -> None:
    seconds = np.full(60, 60.0)
    for per_step, most in ((0.02, 1.0), (0.3, 0.995), (4.0, 0.99), (200.0, 0.99)):  # 1.2 events in all: whole numbers err wide
        held = coverage(lambda g, m=per_step: (rates.rate(g.poisson(m, 60).astype(float), seconds), m / 60))  # type: ignore[misc]
        assert 0.93 <= held <= most, (per_step, held)

    def batches(g: np.random.Generator) -> tuple[rates.Rate, float]:
        """Jobs come 50 at a time, some three times an hour: counting noise alone would be seven times too narrow."""
        return rates.rate(50.0 * g.poisson(0.05, 120), np.full(120, 60.0)), 50 * 0.05 / 60

    assert 0.75 <= coverage(batches) <= 0.99  # six bursts in all: that they are few is what it costs
    assert coverage(lambda g: (rates.rate(50.0 * g.poisson(0.5, 120), np.full(120, 60.0)), 25 / 60)) >= 0.92


@pytest.mark.parametrize(("arrivals", "service", "depth", "n"), [(20, 26, 900, 60), (3, 5, 4000, 60), (100, 130, 9000, 12)])
def test_the_time_to_drain_holds_the_truth_in_90_to_99_of_100_cases(arrivals: float, service: float, depth: int, n: int) -> None:
    chance = np.random.default_rng(7)
    hits = told = 0
    for _ in range(1000):
        grown = chance.poisson(arrivals, n) - chance.poisson(service, n)
        left = float(depth + grown.sum())
        found = rates.drain(left, rates.rate(grown.astype(float), np.full(n, 60.0), counts=False))
        truth = left / (service - arrivals) * 60
        told += found.drains == "yes"
        hits += found.lo <= truth and not found.hi < truth
    assert 0.90 <= hits / 1000 <= 0.99 and told > 800


def test_draining_jobs_come_in_spells_and_the_interval_knows() -> None:
    """Arrivals that stay high or low for some minutes: steps depend on one another, stretches hardly do."""
    chance = np.random.default_rng(11)
    hits = 0
    for _ in range(600):
        high = np.repeat(chance.random(60) < 0.5, 4)[:240]
        grown = chance.poisson(np.where(high, 30, 10)) - chance.poisson(30, 240)
        found = rates.drain(5000.0, rates.rate(grown.astype(float), np.full(240, 60.0), counts=False))
        hits += found.lo <= 5000 / 10 * 60 and not found.hi < 5000 / 10 * 60
    assert 0.90 <= hits / 600 <= 0.99


def test_time_to_drain_by_hand_and_queues_that_do_not() -> None:
    def look(k: int) -> list[QueueLook | WorkerLook]:
        depths = {"falls": 200 - 5 * k, "grows": 10 + k, "stands": 4, "empty": 0, "wavers": 50 + (k % 3) - (k == 20)}
        return [QueueLook(name, depth=depth) for name, depth in depths.items()]

    h = shown(21, look)
    rows = qpa.queues(h).set_index("queue")
    assert rows.loc["falls", ["drains", "drain_s", "drain_lo_s", "drain_hi_s"]].tolist() == ["yes", 1200.0, 1200.0, 1200.0]
    assert rows["drains"].to_dict() == {"falls": "yes", "grows": "no", "stands": "no", "empty": "empty", "wavers": "no"}
    assert "it does not drain: more jobs come than go" in rows.loc["grows", "flow_why"]
    assert isnan(rows.loc["grows", "drain_s"]) and rows.loc["empty", "drain_s"] == 0
    maybe = rates.drain(50.0, rates.Rate(20, 1200.0, -0.01, -0.05, 0.03))
    assert (maybe.drains, maybe.seconds, maybe.lo) == ("maybe", 5000.0, 1000.0) and isnan(maybe.hi)


def test_the_rates_of_now_are_those_of_the_last_hour_of_looks() -> None:
    row = only(qpa.queues(shown(200, lambda k: QueueLook("q", depth=1000 + (k if k < 139 else 278 - k)))))
    assert (row["n"], row["net_per_min"], row["drains"]) == (60, pytest.approx(-1.0), "yes")
    rare = only(qpa.queues(shown(40, lambda k: QueueLook("q", depth=100 - k), every=30.0)))
    assert (rare["n"], rare["over_s"]) == (8, 8 * 1800.0)


# Promises -------------------------------------------------------------------------------------------------------------


def test_each_part_of_a_promise_is_kept_broken_or_not_to_be_told() -> None:
    said = [
        {"queue": "mail", "oldest": "10 min", "depth": 100, "workers": 2}, {"queue": "low*", "oldest": "1 min"},
        {"queue": "gone", "depth": 5}, {"queue": "mail", "source": "other", "depth": 1},
    ]  # fmt: skip
    looks = [
        QueueLook("mail", depth=101, oldest_age_s=720.0, oldest_is="exact"),
        QueueLook("low", depth=3, oldest_age_s=30.0, oldest_is="lower_bound"),
        QueueLook("low2", depth=3, oldest_age_s=120.0, oldest_is="lower_bound"),
        QueueLook("low3", depth=0),
        QueueLook("low4", depth=2),
        *(WorkerLook(state, state, queues=("mail",)) for state in ("alive", "stale", "unknown")),
    ]
    h = shown(1, lambda k: looks, promises=tuple(PromiseTable.model_validate(one) for one in said))
    frame = promise(h)
    assert set(frame.loc[frame["source"] == "other", "state"]) == {"unknown"}
    frame = frame[frame["source"] != "other"]
    assert {(r.queue, r.of): r.state for r in frame.itertuples()} == {
        ("mail", "oldest"): "broken", ("mail", "depth"): "broken", ("mail", "workers"): "unknown", ("low", "oldest"): "unknown",
        ("low2", "oldest"): "broken", ("low3", "oldest"): "kept", ("low4", "oldest"): "unknown", ("gone", "depth"): "unknown",
    }  # fmt: skip
    whys = frame.set_index(["queue", "of"])["why"]
    assert whys["mail", "oldest"] == "the oldest job waits 12 min, more than the promised 10 min"
    assert whys["low2", "oldest"] == "the oldest job waits at least 2 min, more than the promised 1 min"
    assert whys["gone", "depth"] == "no look shows this queue"
    rows = qpa.queues(h).set_index("queue")
    assert rows.loc["mail", "promise"] == "broken" and "101 jobs wait, promised at most 100" in rows.loc["mail", "promise_why"]
    assert rows.loc["low3", "promise"] == "kept"


# By the hour ----------------------------------------------------------------------------------------------------------


def test_hours_that_fill_are_found_in_the_zone_of_the_reader_and_weekends_apart() -> None:
    # Looks every half hour for two weeks from Monday 00:00 UTC. On weekdays from 09:00 to 12:00 in Berlin (08:00 to 11:00 UTC)
    # 40 jobs an hour come more than go, then 20 an hour go until 17:00 UTC. Weekends are flat.
    depth, depths, done = 10.0, [], []
    chance = np.random.default_rng(3)
    for k in range(2 * 14 * 24 + 1):
        at = START + timedelta(minutes=30 * k)
        depths.append(depth)
        done.append(50 * k)
        if at.weekday() < 5:
            depth += 20 if 8 <= at.hour < 11 else -10 if 11 <= at.hour < 17 else 0
        depth += chance.integers(-1, 2)
    h = shown(len(depths), lambda k: QueueLook("q", depth=max(int(depths[k]), 0), processed_total=done[k]), every=30.0)
    found = windows(h, tz="Europe/Berlin")
    row = only(found)
    assert (row["day"], row["from_hour"], row["to_hour"], row["n"]) == ("weekday", 9, 12, 10)
    assert row["grows_by"] == pytest.approx(120, abs=5) and row["service_per_min"] == pytest.approx(100 / 60)
    cells = tides(h, tz="UTC")
    assert len(cells) == 48 and cells.loc[cells["fills"], "hour"].tolist() == [8, 9, 10]
    assert only(windows(h, tz="Asia/Tokyo"))["from_hour"] == 17


# Storms, dead, orphaned ------------------------------------------------------------------------------------------------


def test_a_retry_storm_is_seen_within_three_looks_of_its_start() -> None:
    def look(k: int) -> QueueLook:
        storm = max(min(k, 100) - 60, 0)  # from minute 60 on nothing succeeds: each try fails and waits for another
        back = max(k - 100, 0)
        return QueueLook("q", depth=0, retrying=max(3 + 4 * storm - 8 * back, 3), processed_total=10 * k,
                         failed_total=10 * max(min(k, 100) - 60, 0))  # fmt: skip

    row = only(storms(shown(150, look)))
    assert row["began_at"] == minutes(60) and row["seen_at"] <= minutes(63)
    assert row["retrying_before"] == 3 and row["retrying_most"] == 163 and row["grows_per_min"] == pytest.approx(4.0)
    assert row["service_per_min"] == 0 and row["service_before_per_min"] == pytest.approx(10.0)
    assert row["ended_at"] == minutes(110)
    assert storms(shown(90, look))["ended_at"].isna().tolist() == [True]


def test_more_retries_because_there_is_more_of_everything_are_no_storm_and_neither_is_noise() -> None:
    def busy(k: int) -> QueueLook:
        more = max(k - 60, 0)
        return QueueLook("q", retrying=5 + 3 * more, processed_total=10 * k + 90 * more, failed_total=0)

    assert len(storms(shown(80, busy))) == 0
    chance = np.random.default_rng(5)
    noise = chance.poisson(20, 1500)
    h = shown(1500, lambda k: QueueLook("q", retrying=int(noise[k]), processed_total=10 * k, failed_total=k))
    assert len(storms(h)) == 0


def test_a_storm_where_nothing_is_counted_is_told_with_its_reservation() -> None:
    row = only(storms(shown(20, lambda k: QueueLook("q", retrying=2 if k < 10 else 2 + 9 * (k - 9)))))
    assert row["began_at"] == minutes(9) and row["why"] == "service: finished jobs are not counted, so growth alone is told"


def test_dead_jobs_count_also_when_somebody_emptied_the_set() -> None:
    sizes = [5] * 6 + [9] * 6 + [0] * 6 + [2] * 6  # 4 died, emptied, 2 died
    row = only(dead(shown(24, lambda k: QueueLook("q", dead=sizes[k]), every=60.0)))
    assert (row["dead"], row["died"], row["last_at"]) == (2, 6, minutes(18 * 60))
    assert row["per_day"] == pytest.approx(6 / 23 * 24)
    assert len(dead(shown(24, lambda k: QueueLook("q", depth=1)))) == 0


def test_orphaned_jobs_are_told_with_the_time_since_when() -> None:
    numbers = [0, 2, 0, 1, 4, 3]
    row = only(orphaned(shown(6, lambda k: [QueueLook("q", orphaned=numbers[k]), QueueLook("r", orphaned=0), QueueLook("s")])))
    assert (row["queue"], row["orphaned"], row["most"], row["since_at"]) == ("q", 3, 4, minutes(3))


# Workers --------------------------------------------------------------------------------------------------------------


def test_a_worker_whose_job_runs_five_times_longer_than_any_is_a_zombie() -> None:
    def look(k: int) -> list[QueueLook | WorkerLook]:
        running = float(10 + k % 50) if k < 150 else 60.0 * (k - 149)
        return [WorkerLook("w1", "alive", 1, oldest_running_s=running, queues=("mail",)),
                WorkerLook("w2", "alive", 1, oldest_running_s=30.0, queues=("mail",)),
                WorkerLook("w3", "alive", 1, oldest_running_s=30.0, queues=("other",)), WorkerLook("w4", "alive", 0)]  # fmt: skip

    rows = zombies(shown(160, look)).set_index("worker")
    # p99 of running times of workers of mail before: 10 to 59 s; five times that is just under 5 min, w1 is at 10 min
    assert list(rows.index) == ["w1", "w2", "w3"] and rows.loc["w1", "zombie"] and not rows.loc["w2", "zombie"]
    assert rows.loc["w1", "of"] == "looks" and 280 <= rows.loc["w1", "limit_s"] <= 300
    few = zombies(shown(10, look)).set_index("worker")
    assert few["zombie"].isna().all() and "0 runs of at least 50" in few.loc["w1", "why"]


@pytest.mark.parametrize(("runs", "of", "limit", "zombie"), [(0, "max_runtime", 1800.0, False), (60, "runs", 200.0, True)])
def test_what_a_job_usually_takes_is_taken_from_the_runs_of_its_check_else_its_max_runtime(
    runs: int, of: str, limit: float, zombie: bool
) -> None:
    worker = WorkerLook("w", "alive", 1, oldest_running_s=600.0, queues=("mail",))
    h = shown(10, lambda k: worker, since=START - timedelta(days=9))
    with h.store.write() as con:
        con.execute("insert into store.checks values (1, 'sender', 'prod', 'sender', 'sender', $at)", {"at": START})
        con.execute("insert into store.versions values (1, 'source', null, null, 'every 1 h', 'UTC', 300, null, 1800, null, [])")
        for k in range(runs):  # each takes 40 s
            con.execute(
                """
                insert into store.pings (check_id, received_at, kind, duration_s, k, fetch_id, row_no)
                values (1, ?, 'success', 40, 1, 0, ?)
                """,
                [START - timedelta(hours=k + 1), k],
            )
        build(con)
    known = History(h.store, as_of=h.as_of, since=h.since, until=h.until, joins=(("sender", "mail", None),))
    row = only(zombies(known))
    assert (row["of"], row["limit_s"], row["zombie"]) == (of, limit, zombie)


def test_a_crash_loop_is_told_from_a_deploy() -> None:
    row = only(crashes(shown(70, lambda k: WorkerLook("w", "alive", restarts=0 if k < 40 else k - 39))))
    assert (row["of"], row["n"], row["looping"], row["since_at"]) == ("restarts", 30, True, minutes(9))
    h = shown(70, lambda k: [WorkerLook("w", "alive", restarts=int(k > 40)), WorkerLook("v", "alive", restarts=7)])
    one = only(crashes(h))
    assert (one["worker"], one["n"], one["looping"]) == ("w", 1, False)

    def deploy(k: int) -> list[QueueLook | WorkerLook]:
        return [WorkerLook(f"host:{n + 100 * (k >= 30)}", "alive") for n in range(4)]

    row = only(crashes(shown(60, deploy)))
    assert (row["of"], row["n"], row["workers"], row["looping"]) == ("replaced", 4, 4, False)
    row = only(crashes(shown(60, lambda k: WorkerLook(f"host:{k // 2}", "alive"))))
    assert row["looping"] and row["n"] == 29


def test_workers_are_too_few_by_littles_law_with_the_numbers() -> None:
    # 30 jobs a minute come, 24 go, 4 at a time: a job takes 4 / 24 min = 10 s, so 30 a minute keep 5 busy
    h = shown(121, lambda k: QueueLook("q", depth=10 + 6 * k, active=4, processed_total=24 * k))
    row = only(staffing(h))
    assert (row["arrivals_per_min"], row["service_s"], row["load"]) == pytest.approx((30.0, 10.0, 5.0))
    assert (row["slots"], row["needed"], row["too_few"]) == (4, 6, True) and 4 < row["load_lo"] < 5 < row["load_hi"]
    enough = only(staffing(shown(121, lambda k: QueueLook("q", depth=500 - 3 * k, active=4, processed_total=24 * k))))
    assert not enough["too_few"] and enough["load"] == pytest.approx(21 / 6)
    idle = only(staffing(shown(50, lambda k: QueueLook("q", depth=0, active=1, processed_total=k))))
    assert isnan(idle["slots"]) and "never all busy" in idle["why"]


# Jobs and their queues ------------------------------------------------------------------------------------------------


def joined(depths: Look, *, last_ping_min: float, looks: int = 121, every: float = 1.0, after_down: bool = False,
           explicit: bool = True) -> Any:  # fmt: skip
    """The row of `jobs` for a check that pings each hour until so many minutes after the start."""
    end = minutes(every * (looks - 1))
    h = shown(looks, depths, every=every, since=START)
    with h.store.write() as con:
        lasts = {"sender": last_ping_min, "extract": -120.0 if after_down else last_ping_min}
        for number, (name, last) in enumerate(lasts.items(), 1):
            con.execute("insert into store.checks values (?, ?, 'prod', ?, ?, ?)", [number, name, name, name, START])
            tags = ["mail"] if number == 1 and not explicit else []
            con.execute(
                "insert into store.versions values (?, 'source', ?, null, 'every 1 h', 'UTC', 300, null, null, null, ?)",
                [number, START - timedelta(days=1), tags],
            )
            con.execute(
                "insert into store.fetches values (?, ?, 'prod', 'file', '', '', ?, ?, ?, 0, 0, 0, '')",
                [number, number, end, START - timedelta(days=1), end],
            )
            con.execute("insert into store.fetch_checks values (?, ?)", [number, number])
            at, row = minutes(last), 0
            while at >= START - timedelta(days=1):
                con.execute(
                    """
                    insert into store.pings (check_id, received_at, kind, k, fetch_id, row_no) values (?, ?, 'success', 1, ?, ?)
                    """,
                    [number, at, number, row],
                )
                at, row = at - timedelta(hours=1), row + 1
        build(con)
    joins = (("sender", "mail", "extract" if after_down else None),) if explicit else ()
    return only(jobs(History(h.store, as_of=end, since=START, until=end + timedelta(microseconds=1), joins=joins)))


def test_alive_but_not_draining() -> None:
    row = joined(lambda k: QueueLook("mail", depth=50 + k, active=0, processed_total=900), last_ping_min=90)
    assert (row["state"], row["status"], row["depth"]) == ("alive but not draining", "up", 170)
    assert row["why"] == "jobs wait and none was finished in 1 h"


def test_draining_but_the_job_does_not_report() -> None:
    row = joined(lambda k: QueueLook("mail", depth=500 - k, processed_total=5 * k), last_ping_min=-60)
    assert (row["state"], row["status"]) == ("draining but the job does not report", "down")


def test_what_an_empty_queue_means() -> None:
    row = joined(lambda k: QueueLook("mail", depth=0, processed_total=5 * k), last_ping_min=90, explicit=False)
    assert row["state"] == "empty: done" and row["queue"] == "mail"

    def quiet(k: int) -> QueueLook:  # 100 jobs an hour in the week before, none since
        return QueueLook("mail", depth=0, processed_total=min(k * 25, 25 * 4 * 24 * 7))

    row = joined(quiet, last_ping_min=7 * 24 * 60 + 115, looks=4 * 24 * 7 + 9, every=15.0)
    assert row["state"] == "empty: nothing arrives" and row["usual_per_min"] == pytest.approx(25 / 15) and row["n"] == 1
    row = joined(quiet, last_ping_min=7 * 24 * 60 + 115, looks=4 * 24 * 7 + 9, every=15.0, after_down=True)
    assert (row["state"], row["producer"]) == ("empty: the producer's check is down", "extract")


def test_a_check_without_a_queue_has_no_row_and_a_queue_that_nobody_sees_is_unknown(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        world.collect(Shown(queues=[QueueLook("mail", depth=1)]))
        assert len(jobs(world.history())) == 0
    finally:
        world.state.close()
