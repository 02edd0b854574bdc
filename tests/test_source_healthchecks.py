"""Healthchecks: recorded replies become our rows, and what one look after another proves is exact and honest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from healthchecks_server import READ_ONLY, READ_WRITE, Fleet, Job, Reply, Server, recorded, recorded_json
from hypothesis import given, settings
from hypothesis import strategies as st

from qpanalytics import schedules
from qpanalytics.errors import ConfigError, SourceError
from qpanalytics.settings import SourceTable
from qpanalytics.sources.base import Batch, Cursor, Ping, SeenCheck, Source
from qpanalytics.sources.healthchecks import Healthchecks, from_settings
from qpanalytics.sources.healthchecks_replies import Flip, to_batch, to_check, to_flips, to_ping, unique_key, usual
from qpanalytics.sources.http import Http, HttpError

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
POLLS = ("2026-10-20T06:30:00Z", "2026-11-22T06:30:00Z", "2026-11-24T06:30:00Z")
ROW: dict[str, Any] = {
    "type": "success", "date": "2026-11-24T02:30:17.482910+00:00", "n": 7, "scheme": "https", "remote_addr": "203.0.113.5",
    "method": "GET", "ua": "curl/8.5.0", "rid": None, "body_url": None,
}  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


OPEN: list[Healthchecks] = []


def healthchecks(
    server: Server, key: str = READ_WRITE, *, bodies: bool = False, now: datetime = NOW, **options: float
) -> Healthchecks:
    http = Http(server.url, source="prod", clock=lambda: now, headers={"X-Api-Key": key}, **options)  # type: ignore[arg-type]
    OPEN.append(Healthchecks(http, name="prod", bodies=bodies))
    return OPEN[-1]


@pytest.fixture(autouse=True)
def _close_sources() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def by_label(checks: list[SeenCheck]) -> dict[str, SeenCheck]:
    return {check.label: check for check in checks}


def listed(look: int) -> dict[str, SeenCheck]:
    return by_label([to_check(row) for row in recorded_json(f"p{look}_list_checks")["checks"]])


def one(source: Healthchecks, check: SeenCheck, cursor: Cursor) -> Batch:
    """What a look without bodies brings."""
    (batch,) = source.pings(check, cursor)
    return batch


def row(n: int, minute: int | None = None, **others: Any) -> dict[str, Any]:
    """A ping as the server lists it; ping n came in minute n."""
    at = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=n if minute is None else minute)
    return {**ROW, "n": n, "date": at.isoformat(), **others}


def shown(first: int, last: int) -> list[dict[str, Any]]:
    """Pings first to last, newest first."""
    return [row(n) for n in range(last, first - 1, -1)]


def minute(m: float) -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=m)


def look(rows: list[Any], cursor: Cursor | None = None, *, at: float, count: int | None = None) -> Batch:
    """A look in minute `at`."""
    counted = max((r["n"] for r in rows), default=0) if count is None else count
    return to_batch(rows, cursor or {}, count=counted, until=minute(at))


def numbers(batch: Batch) -> list[int | None]:
    return [ping.n for ping in batch.rows]


# Checks ---------------------------------------------------------------------------------------------------------------


def test_the_key_of_a_check_is_the_same_with_either_api_key() -> None:
    rows = recorded_json("p3_list_checks")["checks"]
    read_only = [row["unique_key"] for row in recorded_json("list_checks_readonly")["checks"]]

    assert [unique_key(row["uuid"]) for row in rows] == read_only
    assert [to_check(row).key for row in rows] == read_only


def test_a_cron_check_and_its_promise() -> None:
    check = listed(1)["db-backup"]

    assert (check.name, check.label, check.schedule, check.tz) == ("DB backup", "db-backup", "30 2 * * *", "Europe/Berlin")
    assert (check.grace_s, check.max_runtime_s, check.tags) == (1800.0, 1800.0, ("prod", "db"))
    assert (check.count, check.paused, check.why) == (79, False, "")
    assert check.handle == "38b80a02-f0c3-4cab-9af6-6fb4b1bf4dde"
    assert check.handle not in repr(check)


def test_every_recorded_check_has_a_schedule_that_parses() -> None:
    for number in (1, 2, 3):
        for row in recorded_json(f"p{number}_list_checks")["checks"]:
            check = to_check(row)
            assert check.why == ""
            parsed = schedules.parse(check.schedule or "", check.tz)
            assert parsed.period_s == row.get("timeout")


@pytest.mark.parametrize(
    ("fields", "schedule", "tz"),
    [
        ({"timeout": 3600}, "every 1 h", "UTC"),
        ({"timeout": 5400}, "every 1 h 30 min", "UTC"),
        ({"timeout": 90_061}, "every 1 d 1 h 1 min 1 s", "UTC"),
        ({"timeout": 31_536_000}, "every 365 d", "UTC"),
        ({"schedule": "*/5 * * * *", "tz": "America/New_York"}, "*/5 * * * *", "America/New_York"),
        ({"schedule": "Mon..Fri *-*-* 22:15:00", "tz": "Europe/Berlin"}, "OnCalendar=Mon..Fri *-*-* 22:15:00", "Europe/Berlin"),
        (
            {"schedule": "*-*-* 02:30 Asia/Tokyo\n\n *-*-* 14:30 \r\n", "tz": "Europe/Berlin"},
            "OnCalendar=*-*-* 02:30 Asia/Tokyo ; OnCalendar=*-*-* 14:30",
            "Europe/Berlin",
        ),
        ({"schedule": "daily"}, "OnCalendar=daily", "UTC"),
    ],
)
def test_schedules_are_written_as_ours(fields: dict[str, Any], schedule: str, tz: str) -> None:
    check = to_check({"uuid": "38b80a02-f0c3-4cab-9af6-6fb4b1bf4dde", "name": "x", "grace": 60, **fields})

    assert (check.schedule, check.tz, check.why) == (schedule, tz, "")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"schedule": "99 * * * *"}, '"99 * * * *"'),
        ({"schedule": "0 0 31 2 *"}, '"0 0 31 2 *"'),
        ({"schedule": "nonsense \x1b[31m"}, "holds characters that no schedule has"),
        ({"schedule": "0 3 * * *", "tz": "Mars/Olympus"}, '"Mars/Olympus" is not a time zone'),
        ({"timeout": 10**12}, "is not a period"),
        ({"timeout": 0}, "no schedule that can be read"),
        ({"timeout": "3600"}, "no schedule that can be read"),
        ({}, "no schedule that can be read"),
        ({"timeout": 3600, "grace": -5}, "no grace that can be read"),
        ({"timeout": 3600, "grace": None}, "no grace that can be read"),
    ],
)
def test_a_promise_that_cannot_be_read_is_told_and_the_check_is_kept(fields: dict[str, Any], why: str) -> None:
    check = to_check({"uuid": "38b80a02-f0c3-4cab-9af6-6fb4b1bf4dde", "name": "x", "grace": 60, **fields})

    assert why in check.why
    assert (check.schedule is None) != ("grace" in fields)
    assert "\x1b" not in check.why


def test_names_may_be_missing_repeated_or_strange() -> None:
    unnamed, *_ = [check for check in listed(2).values() if not check.label]
    workers = [row for row in recorded_json("p3_list_checks")["checks"] if row["slug"] == "worker"]

    assert (unnamed.name, unnamed.label) == (None, "")
    assert len({to_check(row).key for row in workers}) == 2
    assert to_check({"uuid": ROW_UUID, "name": " only a name ", "timeout": 60, "grace": 1}).label == "only a name"


ROW_UUID = "38B80A02-f0c3-4cab-9af6-6fb4b1bf4dde"


def test_a_paused_check_is_paused() -> None:
    assert listed(2)["paused-import"].paused
    assert not listed(1)["paused-import"].paused


def test_older_servers_tell_the_uuid_in_addresses_only() -> None:
    uuid = ROW_UUID.lower()
    check = to_check({"name": "x", "timeout": 60, "grace": 1, "update_url": f"https://hc.example/api/v1/checks/{uuid}"})

    assert (check.handle, check.key) == (uuid, unique_key(uuid))


@pytest.mark.parametrize("bad", [None, [], "x", {}, {"uuid": "x"}, {"unique_key": 5}, {"unique_key": "../../x"}])
def test_a_check_without_identity_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="an entry"):
        to_check(bad)


# Pings ----------------------------------------------------------------------------------------------------------------


def test_a_ping_with_and_without_microseconds() -> None:
    assert to_ping(ROW) == Ping(datetime(2026, 11, 24, 2, 30, 17, 482910, tzinfo=UTC), "success", 7, host="203.0.113.5")
    assert to_ping({**ROW, "date": "2026-11-24T02:30:17+00:00"}).received_at == datetime(2026, 11, 24, 2, 30, 17, tzinfo=UTC)


@pytest.mark.parametrize("date", ["2026-11-24T03:30:17+01:00", "2026-11-24T02:30:17Z", "2026-11-24 02:30:17+0000"])
def test_other_ways_to_write_the_same_instant(date: str) -> None:
    at = to_ping({**ROW, "date": date}).received_at

    assert at == datetime(2026, 11, 24, 2, 30, 17, tzinfo=UTC)
    assert at.tzinfo is UTC


@pytest.mark.parametrize("kind", ["success", "start", "fail", "log", "ign"])
def test_the_kinds_of_pings(kind: str) -> None:
    assert to_ping({**ROW, "type": kind, "rid": "a-run"}) == Ping(utc(ROW["date"]), kind, 7, "a-run", host="203.0.113.5")


def test_what_the_server_leaves_out_is_left_out() -> None:
    assert to_ping({"type": "log", "date": ROW["date"], "n": 1}) == Ping(utc(ROW["date"]), "log", 1)
    assert to_ping({**ROW, "rid": "", "remote_addr": ""}) == Ping(utc(ROW["date"]), "success", 7)
    assert len(to_ping({**ROW, "remote_addr": "x" * 10_000}).host or "") == 200


def test_the_servers_durations_are_not_taken() -> None:
    assert to_ping({**ROW, "duration": 5.25}).duration_s is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"date": "yesterday"}, 'the date of ping 7 is not a time: "yesterday"'),
        ({"date": "2026-11-24T02:30:17"}, "the date of ping 7 is not a time"),
        ({"date": "2026-11-24"}, "the date of ping 7 is not a time"),
        ({"date": "0001-01-01T00:00:00+14:00"}, "the date of ping 7 is not a time"),
        ({"date": "9999-12-31T23:59:59-14:00"}, "the date of ping 7 is not a time"),
        ({"date": 1_700_000_000}, "the date of ping 7 is not a time"),
        ({"n": None}, "a ping has no number"),
        ({"n": "7"}, "a ping has no number"),
        ({"n": True}, "a ping has no number"),
        ({"n": -1}, "a ping has no number"),
        ({"n": 10**30}, "a ping has no number"),
        ({"type": "\x1b[31mboo"}, 'ping 7 is of type "\\x1b[31mboo", which is not known'),
        ({"type": ["success"]}, "ping 7 is of type nothing"),
        ({"rid": 5}, "ping 7 has a run id that is none"),
        ({"rid": "x" * 1000}, "ping 7 has a run id that is none"),
    ],
)
def test_a_ping_that_cannot_be_read_says_why(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError) as caught:
        to_ping({**ROW, **fields})

    assert why in str(caught.value)


@pytest.mark.parametrize("bad", [None, 5, "x", [], [1]])
def test_a_ping_that_is_none(bad: Any) -> None:
    with pytest.raises(ValueError, match="not an object"):
        to_ping(bad)


def test_rows_that_cannot_be_read_are_counted_and_the_others_kept() -> None:
    rows: list[Any] = shown(1, 6)
    rows[1] = {**rows[1], "date": "?"}  # number 5
    rows[3] = {**rows[3], "type": "later"}  # number 3
    batch = look(rows, at=10)

    assert numbers(batch) == [1, 2, 4, 6]
    assert (batch.bad, batch.why) == (2, 'the date of ping 5 is not a time: "?"')
    # Nobody can vouch for a time in which something arrived that could not be read.
    assert batch.vouches_for == (minute(6), minute(10))
    after = look(shown(1, 8), batch.next_cursor, at=20)
    assert (after.bad, after.lost, after.vouches_for) == (0, 0, (minute(10), minute(20)))


def test_the_newest_ping_cannot_be_read() -> None:
    batch = look([{**row(4), "date": None}, *shown(1, 3)], at=10)

    assert (numbers(batch), batch.bad, batch.lost, batch.vouches_for) == ([1, 2, 3], 1, 0, None)
    after = look([row(5), {**row(4), "date": None}, *shown(1, 3)], batch.next_cursor, at=20)
    assert (after.bad, after.lost, after.vouches_for) == (0, 0, (minute(10), minute(20)))


def test_half_a_million_pings_are_read_in_a_moment() -> None:
    rows = shown(1, 1000)
    started = time.process_time()
    for _ in range(100):
        assert len(look(rows, at=2000).rows) == 1000

    assert time.process_time() - started < 1.0  # a fifth of them; measured 0.1 s


# What looks prove -----------------------------------------------------------------------------------------------------


def test_the_first_look_loses_nothing_and_vouches_from_the_oldest_ping() -> None:
    batch = look(shown(41, 140), at=150)

    assert (len(batch.rows), batch.rows[0].n, batch.lost, batch.why) == (100, 41, 0, "")
    assert batch.vouches_for == (minute(41), minute(150))
    assert batch.next_cursor == {
        "n": 140, "newest": "2026-11-01T02:20:00Z", "at": "2026-11-01T02:30:00Z", "window": 100
    }  # fmt: skip


def test_the_next_look_shows_what_is_new_and_vouches_from_the_last_one() -> None:
    first = look(shown(1, 50), at=55)
    batch = look(shown(1, 60), first.next_cursor, at=65)

    assert numbers(batch) == list(range(46, 61))
    assert (batch.lost, batch.vouches_for) == (0, (minute(55), minute(65)))


def test_pings_that_were_pushed_out_between_two_looks_are_counted() -> None:
    first = look(shown(1, 100), at=105)
    batch = look(shown(151, 250), first.next_cursor, at=255)

    assert (batch.lost, batch.rows[0].n, batch.vouches_for) == (50, 151, (minute(151), minute(255)))
    assert batch.why == "50 pings came and went between two looks; a reply reaches back 1 h 44 min; look more often"
    assert look(shown(151, 250), batch.next_cursor, at=260).lost == 0


def test_a_window_that_just_reaches_back_loses_nothing() -> None:
    first = look(shown(1, 100), at=105)

    assert look(shown(101, 200), first.next_cursor, at=205).vouches_for == (minute(105), minute(205))
    assert look(shown(102, 201), first.next_cursor, at=205).lost == 1


def test_a_look_that_brings_nothing_new_still_vouches() -> None:
    first = look(shown(1, 50), at=55)
    batch = look(shown(1, 50), first.next_cursor, at=500)

    assert (numbers(batch), batch.lost, batch.vouches_for) == ([46, 47, 48, 49, 50], 0, (minute(55), minute(500)))


def test_a_check_that_was_never_pinged() -> None:
    first = look([], at=10)
    assert (first.rows, first.lost, first.vouches_for, first.why) == ([], 0, None, "")
    quiet = look([], first.next_cursor, at=20)
    assert (quiet.lost, quiet.vouches_for, quiet.why) == (0, (minute(10), minute(20)), "")
    batch = look(shown(1, 3), quiet.next_cursor, at=30)
    assert (batch.lost, batch.vouches_for) == (0, (minute(20), minute(30)))
    assert look(shown(5, 9), quiet.next_cursor, at=30).lost == 4


def test_cleared_events_that_we_had_are_no_loss() -> None:
    first = look(shown(1, 50), at=55)
    cleared = look([], first.next_cursor, at=65, count=50)

    assert (cleared.lost, cleared.vouches_for, cleared.why) == (
        0,
        (minute(55), minute(65)),
        "its events were cleared on the server",
    )
    after = look(shown(51, 53), cleared.next_cursor, at=75)
    assert (after.lost, after.vouches_for) == (0, (minute(65), minute(75)))


def test_events_cleared_before_we_saw_them_are_lost_once() -> None:
    first = look(shown(1, 50), at=55)
    cleared = look([], first.next_cursor, at=65, count=57)

    assert (cleared.lost, cleared.vouches_for) == (7, None)
    assert cleared.why == "its events were cleared on the server; 7 pings came and went between two looks; look more often"
    after = look(shown(58, 60), cleared.next_cursor, at=75)
    assert (after.lost, after.vouches_for) == (0, (minute(65), minute(75)))
    at_once = look(shown(58, 60), first.next_cursor, at=75)
    assert (at_once.lost, at_once.vouches_for) == (7, (minute(58), minute(75)))


def test_events_cleared_before_the_first_look_are_not_ours_to_lose() -> None:
    first = look([], at=10, count=5)

    assert (first.lost, first.vouches_for) == (0, None)
    assert look(shown(7, 9), first.next_cursor, at=20).lost == 1


def test_a_server_restored_from_a_backup_is_read_again_and_says_so() -> None:
    first = look(shown(1, 50), at=55)
    # Restored to ping 40; three more came since.
    rows = [row(43, 70), row(42, 65), row(41, 60), *shown(1, 40)]
    batch = look(rows, first.next_cursor, at=75)

    assert (len(batch.rows), batch.lost) == (43, 0)
    assert batch.vouches_for == (minute(60), minute(75))
    assert batch.why.startswith("its numbers went back, as after a restore from a backup")
    after = look([row(44, 80), *rows], batch.next_cursor, at=85)
    assert (numbers(after)[-1], after.lost, after.vouches_for, after.why) == (44, 0, (minute(75), minute(85)), "")


def test_a_restored_server_that_caught_up_is_known_by_the_time_of_a_ping() -> None:
    first = look(shown(1, 50), at=55)
    rows = [*[row(n, n + 20) for n in range(60, 40, -1)], *shown(1, 40)]
    batch = look(rows, first.next_cursor, at=90)

    assert batch.why.startswith("its numbers went back")
    assert (len(batch.rows), batch.vouches_for) == (60, (minute(61), minute(90)))


def test_a_counter_that_was_set_back_with_all_events_gone() -> None:
    first = look(shown(1, 50), at=55)
    batch = look([], first.next_cursor, at=65, count=3)

    assert (batch.lost, batch.vouches_for, batch.next_cursor["n"]) == (0, None, 3)
    assert batch.why.startswith("its numbers went back")
    assert look([row(4, 70)], batch.next_cursor, at=75).lost == 0


def test_a_server_whose_clock_went_back_vouches_for_nothing_until_it_is_past_that() -> None:
    first = look(shown(1, 50), at=155)
    back = look(shown(1, 50), first.next_cursor, at=60)

    assert back.vouches_for is None
    assert look(shown(1, 50), back.next_cursor, at=70).vouches_for == (minute(60), minute(70))


@pytest.mark.parametrize(
    "cursor", [{"n": "x"}, {"n": 5}, {"at": "2026-11-01T00:10:00Z"}, {"n": 5, "at": "?"}, {"n": -1, "at": None}]
)
def test_a_cursor_that_is_none_is_a_first_look(cursor: Cursor) -> None:
    assert look(shown(41, 60), cursor, at=65).lost == 0
    assert len(look(shown(41, 60), cursor, at=65).rows) == 20


def test_a_reply_out_of_order_with_a_row_twice_and_a_hole() -> None:
    first = look(shown(1, 4), at=5)
    batch = look([row(n) for n in (4, 9, 6, 7, 9, 3)], first.next_cursor, at=10)  # 5 and 8 are nowhere

    assert numbers(batch) == [3, 4, 6, 7, 9]
    assert (batch.lost, batch.vouches_for) == (2, (minute(9), minute(10)))


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ping"), st.integers(1, 12)),
        st.tuples(st.sampled_from(["clear", "look", "look", "recreate"]), st.just(0)),
    ),
    max_size=60,
)


class Collected:
    """What a collector has after looking at a fleet of one check, and what the server ever stored."""

    def __init__(self, window: int) -> None:
        self.fleet = Fleet(window=window, start=minute(0))
        self.cursors: dict[str, Cursor] = {}
        self.rows: set[tuple[str, int | None, datetime]] = set()
        self.truth: set[tuple[str, int | None, datetime]] = set()
        self.lost: dict[str, int] = {}
        #: Numbers that were there before the first look and could not be seen at it.
        self.before: dict[str, int] = {}
        self.vouched: list[tuple[str, datetime, datetime]] = []
        self.now = minute(0)
        self.restored = False

    def ping(self, times: int) -> None:
        job = self.fleet.jobs[0]
        for _ in range(times):
            self.now += timedelta(seconds=30)
            self.fleet._store(job, self.now, "success", None, b"")
            self.truth.add((job.key, job.n, self.now))

    def look(self) -> Batch:
        self.now += timedelta(seconds=1)
        self.restored = False
        job = self.fleet.jobs[0]
        check = to_check(json.loads(self.fleet.answer("/api/v3/checks/", READ_WRITE).body)["checks"][0])
        rows = json.loads(self.fleet.answer(f"/api/v3/checks/{job.id}/pings/", READ_WRITE).body)["pings"]
        batch = to_batch(rows, self.cursors.get(check.key, {}), count=check.count, until=self.now)
        if check.key not in self.cursors:
            self.before[check.key] = rows[-1]["n"] - 1 if rows else job.n
        self.cursors[check.key] = batch.next_cursor
        self.rows |= {(check.key, ping.n, ping.received_at) for ping in batch.rows}
        self.lost[check.key] = self.lost.get(check.key, 0) + batch.lost
        if batch.vouches_for:
            self.vouched.append((check.key, *batch.vouches_for))
        return batch

    def restore(self, saved: Job) -> None:
        """The server goes back; pings whose undoing leaves no trace at all are taken out of the truth."""
        seen = int(self.cursors.get(saved.key, {}).get("n") or 0)
        if saved.n >= seen or self.restored:
            self.truth = {one for one in self.truth if one in self.rows or one[1:] in {row[:2] for row in saved.rows}}
        self.restored = True
        self.fleet.restore(0, saved)

    def missing_though_vouched(self) -> list[tuple[str, int | None, datetime]]:
        missing = self.truth - self.rows
        return [one for one in missing for key, since, until in self.vouched if key == one[0] and since <= one[2] < until]


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([1, 2, 5, 100]))
def test_what_was_stored_is_either_collected_or_counted_as_lost(steps: list[tuple[str, int]], window: int) -> None:
    it = Collected(window)
    for what, times in steps:
        if what == "ping":
            it.ping(times)
        elif what == "look":
            it.look()
            job = it.fleet.jobs[0]
            collected = sum(key == job.key for key, _, _ in it.rows)
            assert it.before[job.key] + collected + it.lost[job.key] == job.n
        elif what == "clear":
            it.fleet.clear(0)
        else:
            it.fleet.recreate(0)

    assert it.missing_though_vouched() == []
    assert it.rows <= it.truth


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("ping"), st.integers(1, 12)),
            st.tuples(st.sampled_from(["look", "look", "save", "restore"]), st.just(0)),
        ),
        max_size=60,
    )
)
def test_a_restored_server_never_makes_us_vouch_for_what_is_missing(steps: list[tuple[str, int]]) -> None:
    it = Collected(window=10_000)
    saved = it.fleet.saved(0)
    for what, times in steps:
        if what == "ping":
            it.ping(times)
        elif what == "look":
            it.look()
        elif what == "save":
            saved = it.fleet.saved(0)
        else:
            it.restore(saved)

    assert it.missing_though_vouched() == []


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from([ROW["date"], "success"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(ROW)), inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(ANYTHING | st.builds(lambda n, more: {**row(n), **more}, st.integers(1, 60), st.dictionaries(
        st.sampled_from(list(ROW)), ANYTHING, max_size=2)), max_size=8),
    st.dictionaries(st.sampled_from(["n", "at", "newest", "window"]), ANYTHING),
    st.none() | st.integers(0, 100),
)  # fmt: skip
def test_whatever_a_server_sends_a_look_ends_well(rows: list[Any], cursor: dict[str, Any], count: int | None) -> None:
    batch = to_batch(rows, cursor, count=count, until=NOW)

    assert batch.lost >= 0
    assert len(batch.rows) + batch.bad <= len(rows)
    assert numbers(batch) == sorted({ping.n for ping in batch.rows if ping.n is not None})
    json.dumps(dict(batch.next_cursor), allow_nan=False)
    to_batch(rows, batch.next_cursor, count=count, until=NOW)


# Against a server -----------------------------------------------------------------------------------------------------


def test_three_recorded_looks_lose_exactly_what_was_pushed_out() -> None:
    cursors: dict[str, Cursor] = {}
    stored: dict[str, set[int | None]] = {}
    losses = {}
    with Server() as server:
        for number, at in enumerate(POLLS, 1):
            server.poll(number)
            source = healthchecks(server, now=utc(at))
            for check in source.checks():
                batch = one(source, check, cursors.get(check.key, {}))
                cursors[check.key] = batch.next_cursor
                stored.setdefault(check.key, set()).update(numbers(batch))
                assert batch.bad == 0
                if batch.lost:
                    losses[number, check.label] = batch.lost
                    continue
                assert batch.next_cursor["n"] == check.count
                if number > 1 and check.label != "auto-made":
                    assert batch.vouches_for == (utc(POLLS[number - 2]), utc(at))
        last = by_label(source.checks())

    # Hourly, start and finish: 2 pings an hour, 1,000 shown, 33 days between the first two looks.
    assert losses == {(2, "hourly-sync"): 532}
    hourly = last["hourly-sync"]
    assert stored[hourly.key] == set(range(923, 1923)) | set(range(2455, 3551))
    assert len(stored[last["db-backup"].key]) == 147
    assert cursors[hourly.key]["window"] == 1000


def test_the_protocol_is_the_one_of_all_sources() -> None:
    with Server() as server:
        source: Source = healthchecks(server)
        assert source.capabilities.numbered
        assert not source.capabilities.expected_times


def test_run_ids_hosts_and_kinds_of_the_recording() -> None:
    etl = to_batch(recorded_json("p3_pings_etl-overlap")["pings"], {}, count=758, until=NOW).rows
    cleanup = to_batch(recorded_json("p3_pings_nightly-cleanup")["pings"], {}, count=159, until=NOW).rows
    paused = to_batch(recorded_json("p3_pings_paused-import")["pings"], {}, count=76, until=NOW).rows

    assert all(ping.run_id for ping in etl)
    assert {ping.kind for ping in cleanup} == {"start", "log", "success"}
    assert "ign" in {ping.kind for ping in paused}
    assert all(ping.host and ping.duration_s is None and ping.exit_status is None for ping in etl)


def test_a_read_only_key_sees_checks_and_flips_but_no_pings() -> None:
    with Server() as server:
        server.poll(3)
        source = healthchecks(server, READ_ONLY)
        checks = by_label(source.checks())
        flappy = checks["flappy"]
        assert flappy.handle == flappy.key == "3391d93781cc34091321fb8896bde320de7431ff"
        with pytest.raises(SourceError) as caught:
            one(source, flappy, {})
        flips = source.flips(flappy)
        asked = server.asked

    assert caught.value.permanent
    assert "read-only" in str(caught.value)
    assert "Set api_key to a read-write key of the project; it could also change checks" in str(caught.value)
    assert len(flips) == 433
    assert asked == ["/api/v3/checks/", f"/api/v3/checks/{flappy.key}/flips/"]


def test_a_key_that_is_refused_for_pings_says_the_same() -> None:
    with Server() as server:
        readable = by_label(healthchecks(server).checks())["hourly-sync"]
        with pytest.raises(SourceError, match=r"read-only or no longer valid.*\(401\)") as caught:
            one(healthchecks(server, READ_ONLY), readable, {})

    assert caught.value.permanent
    assert recorded()["pings_readonly_key"]["response"]["status"] == 401


def test_a_wrong_key_is_refused_once_and_for_all() -> None:
    with Server() as server, pytest.raises(SourceError, match=r'the API key was refused \(401, "wrong api key"\)') as caught:
        healthchecks(server, "x" * 32).checks()

    assert caught.value.permanent


def test_flips_come_in_the_order_they_were_made_even_if_dated_otherwise() -> None:
    flips = to_flips(recorded_json("p3_flips_dst-nightly"))

    assert flips[1:4] == [
        Flip(utc("2026-10-25T01:00:00Z"), False),
        Flip(utc("2026-10-25T01:10:00Z"), True),
        Flip(utc("2026-10-25T01:00:00Z"), False),
    ]
    assert to_flips([{"timestamp": "2026-10-25T01:00:00+00:00", "up": 1}, {"timestamp": 5}, None]) == [
        Flip(utc("2026-10-25T01:00:00Z"), True)
    ]
    assert to_flips(None) == []


def test_flips_since_an_instant_are_asked_for_by_epoch_seconds() -> None:
    with Server(Fleet()) as server:
        source = healthchecks(server)
        (check,) = source.checks()
        assert source.flips(check, since=utc("2026-11-01T00:00:00Z")) == []

    assert server.asked[-1].endswith("/flips/?start=1793491200")


def test_a_check_that_vanishes_during_a_look_is_no_failure() -> None:
    fleet = Fleet(checks=2, pings=3)
    with Server(fleet) as server:
        source = healthchecks(server)
        gone, _ = source.checks()
        fleet.remove(0)
        batch = one(source, gone, {"n": 2, "at": "2026-11-01T00:00:00Z"})
        assert source.flips(gone) == []

    assert batch == Batch([], {"n": 2, "at": "2026-11-01T00:00:00Z"}, None, why='"job-0" is no longer on the server')


@pytest.mark.parametrize(
    ("fault", "permanent", "retry_after_s", "said"),
    [
        ("429", False, 1.0, "wants fewer requests"),
        ("503", False, 1.0, "failed over the pings"),
        ("500", False, None, "failed over the pings"),
        ("403", True, None, "does not let this key see the pings"),
        ("hang", False, None, "sent nothing of the pings"),
        ("drip", False, None, "took longer than"),
        ("cut", False, None, "broke off"),
        ("html", False, None, "answered with a web page"),
        ("text", False, None, 'answered with "text/plain"'),
        ("latin", False, None, "is not UTF-8"),
    ],
)
def test_a_fault_is_told_and_over_with_the_next_look(fault: str, permanent: bool, retry_after_s: float | None, said: str) -> None:
    with Server(Fleet(pings=5), base="/hc/", packed=fault == "403") as server:
        source = healthchecks(server, read_s=0.3, total_s=0.6)
        (check,) = source.checks()
        server.fault(fault, on="/pings/")
        with pytest.raises(SourceError) as caught:
            one(source, check, {})
        after = one(source, check, {})

    assert (caught.value.permanent, caught.value.retry_after_s) == (permanent, retry_after_s)
    assert said in str(caught.value)
    assert 'the pings of "job-0"' in str(caught.value) or fault in ("429", "drip")
    assert check.handle not in str(caught.value)
    assert numbers(after) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("reply", [b"[]", b"{}", b'{"checks": {}}', b'{"checks": [{}]}', b'{"checks": [5]}', b"null", b'"x"'])
def test_a_list_of_another_shape_is_told(reply: bytes) -> None:
    class Odd:
        def answer(self, path: str, key: str | None) -> Reply:
            return Reply(200, reply)

    with Server(Odd()) as server:
        source = healthchecks(server)
        with pytest.raises(SourceError, match="sent a list of checks that cannot be read") as caught:
            source.checks()
        with pytest.raises(SourceError, match='sent pings of "x" that cannot be read'):
            one(source, SeenCheck("k", "x", handle=ROW_UUID), {})

    assert not caught.value.permanent
    assert caught.value.__context__ is None


def test_the_servers_clock_dates_what_is_vouched() -> None:
    ahead = NOW + timedelta(minutes=5)
    with Server(Fleet(pings=5), clock=lambda: ahead) as server:
        source = healthchecks(server)
        (check,) = source.checks()
        batch = one(source, check, {})

    assert batch.vouches_for is not None
    assert ahead - timedelta(seconds=1) < batch.vouches_for[1] < ahead
    assert batch.next_cursor["offset_s"] == pytest.approx(300, abs=1)


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_bodies_are_fetched_for_pings_that_have_one() -> None:
    with Server() as server:
        server.poll(3)
        source = healthchecks(server, bodies=True)
        batch = one(source, by_label(source.checks())["bodies"], {})
    bodies = {ping.n: ping.body for ping in batch.rows}

    assert bodies[1] is None
    assert "/pings/1/body" not in "".join(server.asked)
    assert bodies[8] == "\ufffd\ufffd\ufffdbinary\ufffd\ufffd\ufffd"
    assert bodies[7] == "q" * 10_000
    assert bodies[10] == "é" * 5_000
    assert bodies[16] == "latin1: caf\ufffd"
    assert "could not be read" in batch.why  # those that were not recorded: 404


def test_without_being_asked_for_no_body_is_fetched() -> None:
    fleet = Fleet()
    fleet.ping(0, times=3, body=b"done")
    with Server(fleet) as server:
        source = healthchecks(server)
        (check,) = source.checks()
        assert [ping.body for ping in one(source, check, {}).rows] == [None, None, None]

    assert len(server.asked) == 2


@pytest.mark.parametrize("fault", ["404", "503", "500", "cut", "html"])
def test_a_body_that_cannot_be_had_does_not_fail_the_look(fault: str) -> None:
    fleet = Fleet()
    fleet.ping(0, times=3, body=b"done \x00 and over")
    with Server(fleet) as server:
        source = healthchecks(server, bodies=True)
        (check,) = source.checks()
        server.fault(fault, on="/2/body")
        batch = one(source, check, {})

    assert [ping.body for ping in batch.rows] == ["done \ufffd and over", None, "done \ufffd and over"]
    assert batch.why == "1 body could not be read"
    assert batch.next_cursor["n"] == 3


def test_bodies_that_were_fetched_are_not_fetched_again() -> None:
    fleet = Fleet()
    fleet.ping(0, times=3, body=b"done")
    with Server(fleet) as server:
        source = healthchecks(server, bodies=True)
        first = one(source, source.checks()[0], {})
        fleet.ping(0, body=b"again")
        server.asked.clear()
        batch = one(source, source.checks()[0], first.next_cursor)

    assert [path.rpartition("/pings/")[2] for path in server.asked if path.endswith("/body")] == ["4/body"]
    assert (batch.rows[-1].n, batch.rows[-1].body) == (4, "again")


def test_long_bodies_are_cut() -> None:
    fleet = Fleet()
    fleet.ping(0, body=b"x" * 50_000)
    with Server(fleet) as server:
        source = healthchecks(server, bodies=True)
        assert [len(ping.body or "") for ping in one(source, source.checks()[0], {}).rows] == [10_000]


def test_a_rate_limit_among_bodies_keeps_the_pieces_before_it() -> None:
    fleet = Fleet(window=1000)
    fleet.ping(0, times=120, body=b"done")
    got: list[Batch] = []
    with Server(fleet) as server:
        source = healthchecks(server, bodies=True, now=minute(130))
        (check,) = source.checks()
        server.fault("429", on="/110/body")
        with pytest.raises(HttpError) as caught:
            got.extend(source.pings(check, {}))  # keeps what came before the error
        first = got[:]
        got.extend(source.pings(check, first[-1].next_cursor))

    assert caught.value.retry_after_s == 1.0
    assert [numbers(batch)[-1] for batch in first] == [50, 100]
    assert all(batch.vouches_for is None for batch in first)
    with_body = {ping.n for batch in got for ping in batch.rows if ping.body == "done"}
    assert with_body == set(range(1, 121))
    assert sum(batch.lost for batch in got) == 0
    assert got[-1].vouches_for == (got[0].rows[0].received_at, minute(130))


def test_a_look_that_stops_among_bodies_vouches_for_no_more_than_it_may() -> None:
    fleet = Fleet(window=100)
    fleet.ping(0, times=10)
    with Server(fleet) as server:
        source = healthchecks(server, bodies=True, now=minute(11))
        (before,) = source.pings(source.checks()[0], {})
        fleet.ping(0, times=200, body=b"done")
        server.fault("429", on="/170/body")
        source = healthchecks(server, bodies=True, now=minute(215))
        (check,) = source.checks()
        got: list[Batch] = []
        with pytest.raises(HttpError):
            got.extend(source.pings(check, before.next_cursor))
        rest = list(source.pings(check, got[-1].next_cursor))
        undisturbed = list(source.pings(check, before.next_cursor))

    assert [batch.lost for batch in undisturbed] == [100, 0]
    assert (sum(batch.lost for batch in got), sum(batch.lost for batch in rest)) == (100, 0)
    assert rest[-1].vouches_for == (got[0].rows[0].received_at, minute(215))


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/", "/api/v3/", "/api/v3/checks/", "/api/"])
def test_a_source_is_made_from_its_settings(ending: str) -> None:
    with Server(Fleet(pings=1), base="/hc/") as server:
        table = SourceTable(name="prod", kind="healthchecks", url=server.url.rstrip("/") + ending)
        source = from_settings(table, READ_WRITE, lambda: NOW)
        OPEN.append(source)
        assert [check.label for check in source.checks()] == ["job-0"]
        assert source.name == "prod"


def test_the_time_for_an_answer_and_bodies_can_be_set() -> None:
    fleet = Fleet()
    fleet.ping(0, body=b"done")
    with Server(fleet) as server:
        table = SourceTable.model_validate(
            {"name": "prod", "kind": "healthchecks", "url": server.url, "timeout": "0.3 s", "bodies": True}
        )
        source = from_settings(table, READ_WRITE, lambda: NOW)
        OPEN.append(source)
        assert one(source, source.checks()[0], {}).rows[0].body == "done"
        server.fault("hang")
        with pytest.raises(SourceError, match=r"took longer than 0\.3 s over the list of checks|sent nothing .* for 0\.3 s"):
            source.checks()


def test_without_an_address_it_is_the_hosted_service() -> None:
    source = from_settings(SourceTable(name="prod", kind="healthchecks"), READ_WRITE, lambda: NOW)
    OPEN.append(source)

    assert source._http.where == "https://healthchecks.io/"
    with pytest.raises(ConfigError, match="url is not an address"):
        from_settings(SourceTable(name="prod", kind="healthchecks", url="hc.example"), READ_WRITE, lambda: NOW)


def test_a_usual_reply_read_as_columns_is_the_same_as_ping_by_ping() -> None:
    replies = [name for name in recorded() if "_pings_" in name and "body_json" in recorded()[name]["response"]]
    assert len(replies) > 5
    for name in replies:
        rows = recorded_json(name)["pings"]
        columns = usual(rows)
        assert (columns is None) == (not rows), name
        if columns is not None:
            assert list(columns) == [to_ping(row) for row in reversed(rows)]
            assert list(columns[3:7]) == list(columns)[3:7]
            assert columns[-1] == to_ping(rows[0])


@given(
    st.sampled_from(["type", "date", "n", "rid", "remote_addr"]),
    st.sampled_from([None, "", 0, -1, 2**60, 1.5, True, "x" * 70, "2026-11-24", "2026-11-24T02:30:17+01:00"])
    | st.sampled_from(["9999-01-01T00:00:00+00:00", "2026-11-24 02:30+00:00", "2026-11-24T02:30:17.1234567+00:00"])
    | st.text(max_size=8),
    st.booleans(),
)
def test_an_unusual_ping_is_never_read_as_columns_otherwise_than_by_itself(field: str, value: Any, absent: bool) -> None:
    odd = {**ROW, "n": 8, field: value}
    if absent:
        del odd[field]
    columns = usual([odd, ROW])
    if columns is not None:
        assert list(columns) == [to_ping(ROW), to_ping(odd)]
