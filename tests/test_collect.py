"""Collecting from a live source: what it showed is stored once, what it lost is counted, whatever happens in between."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from healthchecks_server import READ_ONLY, READ_WRITE, Fleet, Recorded, Server, recorded, recorded_json

from qpanalytics.collect.feed import Fed, fed_up_to, feed
from qpanalytics.collect.run import Collector, Look, agree_on_cursors
from qpanalytics.errors import StoreBusy, StoreError
from qpanalytics.history import History, Pick
from qpanalytics.settings import SourceTable
from qpanalytics.sources import open_source
from qpanalytics.store.db import Store
from qpanalytics.store.state import State

START = datetime(2026, 11, 1, tzinfo=UTC)


def table(server: Server, name: str = "prod", timeout: str = "2 s") -> SourceTable:
    return SourceTable.model_validate({"name": name, "kind": "healthchecks", "url": server.url, "timeout": timeout})


class World:
    """A store with its state, a clock, and looks at servers. The clock stands unless it is told to go."""

    def __init__(self, folder: Path, now: datetime = START + timedelta(days=20)) -> None:
        self.store = Store(folder / "qpa.duckdb", patience_s=0.2)
        self.state = State.beside(self.store.path)
        self.now = now

    def look(self, *servers: Server, key: str = READ_WRITE, timeout: str = "2 s") -> list[Look]:
        """One look at each; nothing is fed."""
        sources = [
            open_source(table(server, f"prod-{n}" if n else "prod", timeout), key, lambda: self.now)
            for n, server in enumerate(servers)
        ]
        try:
            return Collector(self.state, lambda: self.now).collect(sources)
        finally:
            for source in sources:
                source.close()

    def collect(self, *servers: Server, key: str = READ_WRITE) -> tuple[Look, Fed]:
        """One look at each, fed to the store."""
        looks = self.look(*servers, key=key)
        return looks[0], feed(self.store, self.state)

    def history(self) -> History:
        return History(
            self.store, as_of=self.now, since=START - timedelta(days=90), until=self.now + timedelta(seconds=1), pick=Pick()
        )

    def numbers(self) -> Counter[tuple[str, int]]:
        """How often each ping is stored, by key and number."""
        with self.store.read() as con:
            rows = con.execute("select key, n from store.pings join store.checks using (check_id)").fetchall()
        return Counter(rows)

    def lost(self) -> dict[str, int]:
        frame = self.history().coverage
        return {row.check: int(row.lost) for row in frame.itertuples() if row.lost}


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path)
    yield made
    made.state.close()


def key_of(fleet: Fleet, number: int = 0) -> str:
    return fleet.jobs[number].key


# What is stored -------------------------------------------------------------------------------------------------------


def test_every_ping_that_any_recorded_look_showed_is_stored_once_with_its_number_and_kind(tmp_path: Path) -> None:
    world = World(tmp_path, datetime(2026, 10, 20, 6, 30, tzinfo=UTC))
    shown: dict[tuple[str, int], str] = {}
    with Server() as server:
        assert isinstance(server.answers, Recorded)
        for look, at in ((1, "2026-10-20"), (2, "2026-11-22"), (3, "2026-11-24")):
            world.now = datetime.fromisoformat(f"{at}T06:30:00+00:00")
            server.poll(look)
            world.collect(server)
            for name in recorded():
                if name.startswith(f"p{look}_pings_"):
                    for ping in recorded_json(name)["pings"]:
                        shown[name.removeprefix(f"p{look}_pings_"), ping["n"]] = ping["type"]
    pings = world.history().pings
    assert Counter(zip(pings["key"], pings["n"], strict=True)).most_common(1)[0][1] == 1
    assert len(pings) == len(shown)
    assert Counter(pings["kind"]) == Counter(shown.values())
    assert world.lost() == {"hourly-sync": 532}


def test_a_second_look_adds_nothing_and_asks_for_nothing_but_the_list(world: World) -> None:
    with Server(Fleet(checks=3, pings=20)) as server:
        world.collect(server)
        server.asked.clear()
        look, fed = world.collect(server)
    assert (look.asked, fed.pings) == (0, 0) and server.asked == ["/api/v3/checks/"]
    assert world.history().coverage["coverage"].tolist() == [1.0, 1.0, 1.0]


def test_what_the_window_dropped_between_two_looks_is_counted_exactly(world: World) -> None:
    fleet = Fleet(checks=2, pings=50)
    with Server(fleet) as server:
        world.collect(server)
        fleet.ping(0, times=337)
        fleet.ping(1, times=100)
        look, _ = world.collect(server)
        assert look.lost == 237
        assert world.lost() == {"job-0": 237}
        fleet.clear(1)
        fleet.ping(1, times=5)
        fleet.clear(1)
        world.collect(server)
    # five came and were cleared before we looked: only the server's count tells of them
    assert world.lost() == {"job-0": 237, "job-1": 5}
    assert set(world.numbers().values()) == {1}


@pytest.mark.parametrize("how", ["never pinged", "cleared"])
def test_what_was_dropped_before_the_first_ping_that_we_saw_counts_from_the_first_look(world: World, how: str) -> None:
    fleet = Fleet(checks=1, pings=0 if how == "never pinged" else 50)
    fleet.clear(0)
    with Server(fleet) as server:
        world.collect(server)
        fleet.ping(0, times=350)
        look, _ = world.collect(server)
    # 50 + 350 ends at a multiple of 100, where the server prunes; 350 alone leaves 50 more until the next, unshown
    assert look.lost == 250 and world.lost() == {"job-0": 250}


def test_a_ping_dated_after_the_look_is_not_lost(world: World) -> None:
    world.now = START + timedelta(minutes=4)
    with Server(Fleet(checks=2, pings=10)) as server:  # five of them are dated later than now
        world.collect(server)
        world.collect(server)
    assert world.lost() == {}


def test_a_check_that_is_listed_twice_is_one(world: World) -> None:
    fleet = Fleet(checks=1, pings=10)
    fleet.jobs.append(fleet.jobs[0])
    with Server(fleet) as server:
        world.collect(server)
        fleet.ping(0, times=140)
        look, _ = world.collect(server)
    assert look.checks == 1 and world.lost() == {"job-0": 40} and len(world.history().checks) == 1


def test_between_the_neighbours_of_a_hole_nothing_is_missed_only_unknown(world: World) -> None:
    # the clock of the second look is hours before the pings that it shows: numbers prove the loss, not times
    fleet = Fleet(checks=1, pings=100, period_s=3600)
    fleet.jobs[0].extra.update(schedule="0 * * * *", tz="UTC")
    with Server(fleet) as server:
        world.collect(server)
        fleet.ping(0, times=400)
        world.collect(server)
    outcomes = Counter(world.history().occurrences["outcome"])
    assert outcomes["missed"] == 0 and outcomes["unknown"] >= 300, outcomes


def test_time_in_which_pings_were_lost_is_not_vouched_for(world: World) -> None:
    fleet = Fleet(checks=1, pings=50, period_s=3600)
    world.now = START + timedelta(hours=50)
    with Server(fleet) as server:
        world.collect(server)
        fleet.ping(0, times=250)
        world.now = START + timedelta(hours=300)
        world.collect(server)
    success = world.history().frame("coverage")
    assert 0.3 < success["coverage"][0] < 0.55
    outcomes = Counter(world.history().occurrences["outcome"])
    assert outcomes["missed"] == 0


def test_a_renamed_check_keeps_its_name_here_and_twins_are_told_apart(world: World) -> None:
    fleet = Fleet(checks=2, pings=3)
    for job in fleet.jobs:
        job.extra["slug"] = job.extra["name"] = "twin"
    with Server(fleet) as server:
        world.collect(server)
        fleet.jobs[0].extra["name"] = fleet.jobs[0].extra["slug"] = "renamed"
        world.collect(server)
    checks = world.history().checks.set_index("key")
    assert sorted(checks["check"]) == sorted(["twin", f"twin-{max(key_of(fleet, 0), key_of(fleet, 1))[:6]}"])
    assert checks["name"][key_of(fleet)] == "renamed"


def test_a_check_that_is_deleted_expects_nothing_more_and_its_successor_is_another(world: World) -> None:
    fleet = Fleet(checks=1, pings=3)
    world.now = START + timedelta(minutes=5)
    with Server(fleet) as server:
        world.collect(server)
        fleet.recreate(0)
        fleet.ping(0, times=2)
        world.now += timedelta(days=2)
        world.collect(server)
        world.now += timedelta(days=2)
        world.collect(server)
    checks = world.history().checks.set_index("check")
    assert sorted(checks.index) == ["job-0", f"job-0-{key_of(fleet)[:6]}"]
    assert checks["status"]["job-0"] == "paused"
    assert checks["last_ping_at"]["job-0"] == START + timedelta(minutes=2, microseconds=1)


def test_a_change_of_schedule_holds_from_the_look_that_showed_it(world: World) -> None:
    fleet = Fleet(checks=1, pings=5, period_s=3600)
    world.now = START + timedelta(hours=5)
    with Server(fleet) as server:
        world.collect(server)
        fleet.jobs[0].extra["grace"] = 7200
        world.now = START + timedelta(hours=10)
        fleet.ping(0, times=5)
        world.collect(server)
        fleet.ping(0, times=3)
        world.now = START + timedelta(hours=13)
        world.collect(server)
    found = world.history().occurrences
    graces = (found["deadline_at"] - found["expected_at"]).dt.total_seconds().tolist()
    assert graces[:4] == [60.0] * 4 and graces[-1] == 7200.0, graces
    assert world.history().checks["grace_s"][0] == 7200.0


def test_a_pause_excuses_and_says_between_which_looks_it_is_known_to_lie(world: World) -> None:
    fleet = Fleet(checks=1, pings=5, period_s=3600)
    job = fleet.jobs[0]
    world.now = START + timedelta(hours=4, minutes=30)
    with Server(fleet) as server:
        job.extra.update(schedule="0 * * * *", tz="UTC", timeout=None)
        del job.extra["timeout"]
        world.collect(server)
        job.extra["status"] = "paused"
        world.now += timedelta(hours=1)
        world.collect(server)
        assert world.history().checks["status"][0] == "paused"
        world.now += timedelta(hours=5)
        job.extra["status"] = "up"
        fleet._start += timedelta(hours=5)
        fleet.ping(0)
        world.collect(server)
    found = world.history().occurrences.set_index("expected_at")
    excused = found[found["outcome"] == "excused"]
    assert [at.hour for at in excused.index] == [5, 6, 7, 8, 9]
    assert excused["why"].iloc[0].startswith("paused between 2026-11-01T04:30:00Z and 2026-11-01T05:30:00Z")
    assert "missed" not in set(found["outcome"])


def test_a_check_of_the_configuration_is_the_one_that_the_source_shows_under_its_name(world: World) -> None:
    from qpanalytics.collect.configured import agree
    from qpanalytics.settings import Settings

    settings = Settings.model_validate({"check": [{"check": "job-0", "severity": "critical"}]}, context="toml")
    with Server(Fleet(checks=1, pings=3)) as server:
        with world.store.write():
            pass
        agree(world.store, settings, now=world.now)
        world.collect(server)
    (row,) = world.history().checks.itertuples()
    assert (row.check, row.source, row.severity) == ("job-0", "prod", "critical")


# What goes wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["429", "503", "500", "cut", "html", "text"])
def test_a_fault_that_passes_costs_nothing(world: World, kind: str) -> None:
    fleet = Fleet(checks=4, pings=30)
    with Server(fleet) as server:
        server.fault(kind, n=2, on="pings")
        look, fed = world.collect(server)
        if look.why:
            look, more = world.collect(server)
            fed.pings += more.pings
    assert (look.why, fed.pings) == ("", 120)
    assert world.lost() == {}


def test_a_source_that_fails_never_stops_the_others(world: World) -> None:
    with Server(Fleet(checks=2, pings=5)) as bad, Server(Fleet(checks=2, pings=5)) as good:
        bad.fault("500", n=1000)
        looks = world.look(bad, good)
        feed(world.store, world.state)
    assert "500" in looks[0].why and looks[1].why == ""
    assert len(world.history().pings) == 10
    with world.store.read() as con:
        tries = con.execute("select source, why from store.fetches order by source").fetchall()
    assert [source for source, _ in tries] == ["prod", "prod-1"] and "500" in tries[0][1] and tries[1][1] == ""


def test_a_server_that_hangs_is_given_up_in_time_and_the_others_are_read(world: World) -> None:
    with Server(Fleet(checks=1, pings=5)) as hung, Server(Fleet(checks=2, pings=5)) as good:
        hung.fault("hang", n=10)
        looks = world.look(hung, good, timeout="1 s")
    assert looks[0].why and looks[1].pings == 10


def test_a_read_only_key_tells_what_it_may_and_says_what_it_may_not(world: World) -> None:
    with Server(Fleet(checks=2, pings=5)) as server:
        look, _ = world.collect(server, key=READ_ONLY)
        assert "read-only" in look.why and READ_ONLY not in look.why
        assert world.history().checks["check"].tolist() == ["job-0", "job-1"]
        # with a better key the same checks are read from as far back as the source goes
        world.collect(server)
    assert len(world.history().pings) == 10 and world.lost() == {}


def test_a_source_that_asks_to_be_left_alone_is(world: World) -> None:
    with Server(Fleet(checks=1, pings=5)) as server:
        server.fault("429", n=100)
        first = world.look(server)[0]
        server.asked.clear()
        second = world.look(server)[0]
        assert server.asked == [] and "left alone until" in second.why and first.why
        world.now += timedelta(minutes=2)
        world.look(server)
        assert server.asked


# The store and the state ----------------------------------------------------------------------------------------------


def test_while_somebody_holds_the_store_nothing_is_lost_and_it_is_there_afterwards(world: World) -> None:
    fleet = Fleet(checks=2, pings=5)
    with Server(fleet) as server:
        world.collect(server)
        with Held(world.store.path):
            for _ in range(4):
                fleet.ping_all(60)
                world.look(server)
                with pytest.raises(StoreBusy):
                    feed(world.store, world.state)
            assert world.state.waiting() > 0
        fed = feed(world.store, world.state)
    assert fed.pings == 480 and world.state.waiting() == 0
    assert world.lost() == {} and set(world.numbers().values()) == {1}


class Held:
    """Another process with the store open for writing."""

    def __init__(self, path: Path) -> None:
        import subprocess
        import sys

        code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('ready', flush=True); sys.stdin.read()"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate("")


def test_feeding_again_what_was_fed_but_not_forgotten_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(Fleet(checks=2, pings=40)) as server:
        world.look(server)
    with monkeypatch.context() as patched:  # killed between the store's commit and ours
        patched.setattr(State, "drop", lambda self, up_to: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            feed(world.store, world.state)
    before = world.numbers()
    assert world.state.waiting() > 0 and sum(before.values()) == 80
    assert feed(world.store, world.state).pings == 0
    assert world.numbers() == before and world.state.waiting() == 0


@pytest.mark.parametrize("how", ["deleted", "put back"])
def test_a_store_that_lacks_what_it_was_fed_is_filled_again_from_the_source(world: World, tmp_path: Path, how: str) -> None:
    fleet = Fleet(checks=2, pings=30)
    with Server(fleet) as server:
        world.collect(server)
        copy = world.store.path.read_bytes()
        fleet.ping_all(30)
        world.collect(server)
        if how == "deleted":
            world.store.path.unlink()
            assert agree_on_cursors(world.state, 0)
        else:
            world.store.path.write_bytes(copy)
            with world.store.read() as con:
                assert agree_on_cursors(world.state, fed_up_to(con, world.state.identity))
        world.collect(server)
    assert len(world.numbers()) == 120 and set(world.numbers().values()) == {1} and world.lost() == {}


def test_two_collectors_and_a_reader_on_one_store_lose_and_double_nothing(world: World) -> None:
    fleet = Fleet(checks=6, pings=10)
    errors: list[BaseException] = []
    stop = threading.Event()

    def collector() -> None:
        mine = State.beside(world.store.path)
        store = Store(world.store.path, patience_s=20)
        try:
            while not stop.is_set():
                source = open_source(table(server), READ_WRITE, lambda: world.now)
                Collector(mine, lambda: world.now).collect([source])
                source.close()
                feed(store, mine)
        except BaseException as error:
            errors.append(error)
        finally:
            mine.close()

    def reader() -> None:
        try:
            while not stop.is_set():
                if world.store.exists():
                    assert world.history().coverage["lost"].fillna(0).sum() == 0
        except StoreError as error:
            if "no store" not in str(error):
                errors.append(error)
        except BaseException as error:
            errors.append(error)

    with Server(fleet) as server:
        world.collect(server)
        threads = [threading.Thread(target=run) for run in (collector, collector, reader)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            fleet.ping_all(20)
            stop.wait(0.4)
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors, errors
        world.collect(server)
    assert set(world.numbers().values()) == {1} and len(world.numbers()) == 6 * 250 and world.lost() == {}


def test_a_state_of_a_newer_program_or_of_something_else_is_refused_in_a_line(tmp_path: Path) -> None:
    import sqlite3

    with State(tmp_path / "newer"):
        pass
    with sqlite3.connect(tmp_path / "newer") as con:
        con.execute("pragma user_version = 99")
    with pytest.raises(StoreError, match="newer than this program"):
        State(tmp_path / "newer")
    (tmp_path / "other").write_text("no database" * 200)
    with pytest.raises(StoreError, match="damaged or no file of ours"):
        State(tmp_path / "other")


def test_the_store_of_before_live_sources_is_brought_up_to_date(world: World) -> None:
    from qpanalytics.store.db import migrations

    with duckdb.connect(str(world.store.path)) as con:
        con.execute(migrations()[0])
    with Server(Fleet(checks=1, pings=3)) as server:
        world.collect(server)
    with world.store.read() as con:
        assert con.execute("select version from store.meta").fetchall() == [(len(migrations()),)]
    assert len(world.history().pings) == 3
