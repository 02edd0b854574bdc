"""What waits to be sent, in which order, how often and for how long; and the ledger that tells of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from receiver import alert

from qpanalytics.alerts.base import Alert, DeliveryError, Digest, Sent
from qpanalytics.alerts.ledger import COLUMNS, deliveries, troubles
from qpanalytics.alerts.outbox import FIRST_S, LONGEST_S, Job, Learned, Outbox, retry_s
from qpanalytics.store.state import State

NOW = datetime(2026, 11, 27, 2, 35, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TELEGRAM, PAGERDUTY = "telegram", "pagerduty"


class Desk:
    """An outbox with a clock that is moved by hand."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, NOW
        self.state = State(path)
        self.outbox = Outbox(self.state)

    def put(self, *told: tuple[str, str], channels: tuple[str, ...] = (TELEGRAM,)) -> None:
        for incident, event in told:
            self.outbox.put(alert(incident, event), channels, self.now)

    def begin(self, channel: str = TELEGRAM) -> Job:
        job = self.outbox.begin(channel, self.now)
        assert isinstance(job, Job), job
        return job

    def take(self, channel: str = TELEGRAM) -> tuple[str, str]:
        """Sends what is next; incident and event."""
        job = self.begin(channel)
        self.outbox.sent(job, self.now, 0.2, Sent(200))
        assert isinstance(job.message, Alert)
        return job.message.incident, job.message.event

    def fail(self, job: Job, *, knows: bool = False, **how: object) -> str:
        error = DeliveryError(f"{job.channel}: it failed.", **how)  # type: ignore[arg-type]
        return self.outbox.failed(job, self.now, 0.2, error, distinguishes=knows, chance=0.5)

    def killed(self) -> None:
        """The program ends in the middle and is started again."""
        self.state.close()
        self.state = State(self.path)
        self.outbox = Outbox(self.state)
        self.outbox.recover(self.now)

    def told(self) -> list[tuple[str, str]]:
        """Event and status of each try, oldest first."""
        return [(row["event"], row["status"]) for row in reversed(deliveries(self.state))]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "qpa.duckdb-state")
    yield made
    made.state.close()


# Order ----------------------------------------------------------------------------------------------------------------


def test_what_is_put_first_is_sent_first_and_each_channel_gets_all(desk: Desk) -> None:
    desk.put(("i1", "open"), ("i2", "open"), channels=(TELEGRAM, PAGERDUTY))
    assert [desk.take(), desk.take(), desk.take(PAGERDUTY), desk.take(PAGERDUTY)] == [("i1", "open"), ("i2", "open")] * 2
    assert desk.outbox.begin(TELEGRAM, desk.now) is None and desk.outbox.waiting() == set()


def test_an_incident_that_resolves_before_it_was_told_is_told_once_as_resolved(desk: Desk) -> None:
    desk.put(("i1", "open"), ("i2", "open"), ("i1", "resolve"))
    assert [desk.take(), desk.take()] == [("i2", "open"), ("i1", "resolve")]
    assert desk.told() == [("open", "superseded"), ("open", "sent"), ("resolve", "sent")]


def test_an_open_that_fails_while_the_incident_resolves_is_not_tried_after_the_resolve(desk: Desk) -> None:
    desk.put(("i1", "open"))
    job = desk.begin()
    desk.put(("i1", "resolve"))
    assert desk.fail(job) == "retrying"
    desk.now += timedelta(hours=1)
    assert desk.take() == ("i1", "resolve")
    assert desk.outbox.begin(TELEGRAM, desk.now) is None
    assert desk.told() == [("open", "retrying"), ("open", "superseded"), ("resolve", "sent")]


def test_reminders_that_pile_up_behind_a_dead_channel_are_one(desk: Desk) -> None:
    desk.put(("i1", "open"), ("i1", "remind"), ("i1", "remind"), ("i1", "escalate"))
    assert desk.take() == ("i1", "escalate") and desk.outbox.begin(TELEGRAM, desk.now) is None


def test_what_was_told_is_followed_by_what_comes_after_it(desk: Desk) -> None:
    for event in ("open", "remind", "ack", "resolve"):
        desk.put(("i1", event))
        assert desk.take() == ("i1", event)


def test_digests_take_nobodys_place(desk: Desk) -> None:
    for subject in ("Monday", "Tuesday"):
        desk.outbox.put(Digest(subject, "all well", NOW), [TELEGRAM], NOW)
    assert [desk.begin().message.subject, desk.begin().message.subject] == ["Monday", "Tuesday"]  # type: ignore[union-attr]


def test_a_permanent_error_stops_and_the_next_word_goes(desk: Desk) -> None:
    desk.put(("i1", "open"))
    assert desk.fail(desk.begin(), permanent=True, http_status=401) == "failed"
    assert desk.outbox.begin(TELEGRAM, desk.now + timedelta(days=1)) is None
    desk.put(("i1", "resolve"))
    assert desk.take() == ("i1", "resolve")
    assert troubles(desk.state, NOW) == [(TELEGRAM, 1, "telegram: it failed.")]


# With the incident ----------------------------------------------------------------------------------------------------


def test_an_alert_and_its_incident_are_recorded_together_or_not_at_all(desk: Desk) -> None:
    with desk.state.transaction() as con:
        con.execute("create table opened (incident text)")
    with pytest.raises(RuntimeError), desk.state.transaction() as con:
        con.execute("insert into opened values ('i1')")
        desk.put(("i1", "open"))
        raise RuntimeError("the power fails")
    with desk.state.reading() as con:
        assert con.execute("select * from opened").fetchall() == []
    assert desk.outbox.begin(TELEGRAM, desk.now) is None
    with desk.state.transaction() as con:
        con.execute("insert into opened values ('i1')")
        desk.put(("i1", "open"))
        desk.state.rest("prod", NOW, "its own methods belong to it, too")
    assert desk.take() == ("i1", "open")


def test_figures_that_json_does_not_know_stop_nothing(desk: Desk) -> None:
    odd = alert(figures={"ratio": float("nan"), "at": NOW, "path": Path("x"), "inner": {"n": [float("inf")]}})
    desk.outbox.put(odd, [TELEGRAM], NOW)
    message = desk.begin().message
    assert isinstance(message, Alert)
    assert message.figures == {"ratio": None, "at": "2026-11-27T02:35:00Z", "path": "x", "inner": {"n": [None]}}
    assert message.origin == desk.state.identity


# Again ----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 200), st.floats(0, 1))
def test_retries_come_at_growing_distances_within_bounds(attempt: int, chance: float) -> None:
    wait = retry_s(attempt, chance)
    assert FIRST_S / 2 <= wait <= LONGEST_S * 1.5
    assert retry_s(attempt + 1, chance) >= wait
    assert 0.5 <= wait / min(FIRST_S * 2 ** (attempt - 1), LONGEST_S) <= 1.5


def test_the_key_is_the_same_on_each_retry_and_nobody_elses(desk: Desk) -> None:
    desk.put(("i1", "open"), channels=(TELEGRAM, PAGERDUTY))
    first, other = desk.begin(), desk.begin(PAGERDUTY)
    desk.fail(first)
    desk.killed()
    desk.now += timedelta(minutes=1)
    again = desk.begin()
    assert (again.key, again.attempt) == (first.key, 2) and other.key != first.key


def test_nothing_is_tried_before_its_time(desk: Desk) -> None:
    desk.put(("i1", "open"))
    desk.fail(desk.begin())
    assert desk.outbox.begin(TELEGRAM, desk.now) == desk.now + FIRST_S * SECOND
    desk.now += FIRST_S * SECOND
    assert desk.take() == ("i1", "open")


def test_a_channel_that_wants_to_be_left_alone_is_left_alone_by_all_messages_also_after_a_restart(desk: Desk) -> None:
    desk.put(("i1", "open"), ("i2", "open"), channels=(TELEGRAM, PAGERDUTY))
    desk.fail(desk.begin(), retry_after_s=90.0)
    desk.killed()
    desk.put(("i3", "open"))
    until = desk.now + timedelta(seconds=90)
    assert desk.outbox.begin(TELEGRAM, desk.now) == until
    assert desk.take(PAGERDUTY) == ("i1", "open")
    desk.now = until
    assert {desk.take(), desk.take(), desk.take()} == {(f"i{n}", "open") for n in (1, 2, 3)}


def test_a_message_is_given_up_after_a_day(desk: Desk) -> None:
    desk.put(("i1", "open"))
    tries = 0
    while isinstance(found := desk.outbox.begin(TELEGRAM, desk.now), Job | datetime):
        if isinstance(found, datetime):
            desk.now = found
        else:
            tries, status = tries + 1, desk.fail(found)
    assert status == "failed" and timedelta(days=1) <= desk.now - NOW < timedelta(days=1, minutes=20)
    assert 140 < tries < 160
    assert deliveries(desk.state)[0]["why"] == "telegram: it failed. Given up after 1 d."


def test_a_clock_that_is_set_back_holds_no_message_for_long(desk: Desk) -> None:
    desk.put(("i1", "open"))
    desk.fail(desk.begin())
    desk.now -= timedelta(days=30)
    assert desk.take() == ("i1", "open")


# Twice ----------------------------------------------------------------------------------------------------------------


def test_where_a_repetition_cannot_be_told_a_missing_answer_is_followed_by_one_more_try(desk: Desk) -> None:
    desk.put(("i1", "open"))
    assert desk.fail(desk.begin(), unclear=True) == "unclear"
    desk.now += timedelta(minutes=1)
    assert desk.fail(desk.begin()) == "retrying"  # that one surely did not arrive
    desk.now += timedelta(minutes=1)
    assert desk.fail(desk.begin(), unclear=True) == "unclear"
    assert desk.outbox.begin(TELEGRAM, desk.now + timedelta(hours=1)) is None
    assert deliveries(desk.state)[0]["why"].endswith("Given up: it may have arrived, and would arrive once more with each try.")
    assert [name for name, *_ in troubles(desk.state, NOW)] == [TELEGRAM]


def test_where_a_repetition_can_be_told_it_is_tried_until_there_is_an_answer(desk: Desk) -> None:
    desk.put(("i1", "open"), channels=(PAGERDUTY,))
    for _ in range(6):
        desk.fail(desk.begin(PAGERDUTY), knows=True, unclear=True)
        desk.now += timedelta(minutes=10)
    assert desk.take(PAGERDUTY) == ("i1", "open")


def test_a_try_that_was_cut_short_shows_and_is_made_again(desk: Desk) -> None:
    desk.put(("i1", "open"))
    desk.begin()
    (row,) = deliveries(desk.state)
    assert (row["status"], row["latency_s"]) == ("unknown", None) and row["why"].startswith("begun; it is under way, or")
    desk.killed()
    (row,) = deliveries(desk.state)
    assert (row["status"], row["next_at"], row["why"]) == (
        "unknown", NOW, "the program ended before the answer was known",
    )  # fmt: skip
    assert desk.take() == ("i1", "open")
    assert desk.told() == [("open", "unknown"), ("open", "sent")]


EVENTS = ("open", "remind", "escalate", "ack", "resolve")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_order_of_failures_and_kills_loses_turns_round_or_repeats_a_word(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder) / "state")
        arrived: dict[str, list[int]] = {}  # numbers of messages in the order in which they arrived, by incident
        put: dict[str, int] = {}
        kills = unclear = 0
        for step in data.draw(st.lists(st.sampled_from(["put", "put", "sent", "fails", "unclear", "killed"]), max_size=25)):
            desk.now += timedelta(minutes=15)
            if step == "put":
                incident = data.draw(st.sampled_from(["i1", "i2"]))
                put[incident] = put.get(incident, 0) + 1
                desk.put((incident, EVENTS[min(put[incident], 5) - 1]))
            elif isinstance(job := desk.outbox.begin(TELEGRAM, desk.now), Job):
                assert isinstance(job.message, Alert)
                if step in ("sent", "unclear", "killed"):  # at worst it had arrived before the kill, or the silence
                    arrived.setdefault(job.message.incident, []).append(job.number)
                if step == "sent":
                    desk.outbox.sent(job, desk.now, 0.1, Sent(200))
                elif step == "killed":
                    kills += 1
                    desk.killed()
                else:
                    unclear += step == "unclear"
                    desk.fail(job, unclear=step == "unclear")
        desk.now += timedelta(minutes=15)
        while isinstance(job := desk.outbox.begin(TELEGRAM, desk.now), Job):
            assert isinstance(job.message, Alert)
            arrived.setdefault(job.message.incident, []).append(job.number)
            desk.outbox.sent(job, desk.now, 0.1, Sent(200))
        with desk.state.reading() as con:
            last = dict(con.execute("select incident, max(message) from outbox group by incident").fetchall())
        for incident, number in last.items():
            assert arrived[incident][-1] == number, "the last word on each incident arrives"
            assert arrived[incident] == sorted(arrived[incident]), "no word overtakes another"
            doubled = len(arrived[incident]) - len(set(arrived[incident]))
            assert doubled <= kills + unclear, "nothing arrives twice but for a kill or a missing answer"
        desk.state.close()


# The ledger -----------------------------------------------------------------------------------------------------------


def test_the_ledger_has_the_declared_columns_newest_first_and_what_waits_before_all(desk: Desk) -> None:
    desk.put(("i1", "open"))
    desk.fail(desk.begin(), http_status=500)
    desk.now += timedelta(minutes=1)
    desk.take()
    desk.now += timedelta(minutes=1)
    desk.put(("i2", "open"), channels=(TELEGRAM, PAGERDUTY))
    desk.fail(desk.begin(), http_status=503, retry_after_s=30.0)
    rows = deliveries(desk.state)
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert [(row["channel"], row["status"], row["attempt"], row["http_status"]) for row in rows] == [
        (PAGERDUTY, "waiting", 0, None), (TELEGRAM, "retrying", 1, 503), (TELEGRAM, "sent", 2, 200),
        (TELEGRAM, "retrying", 1, 500),
    ]  # fmt: skip
    assert rows[1]["next_at"] == desk.now + timedelta(seconds=30) and rows[3]["next_at"] is None
    assert {row["sentence"] for row in rows} == {"[critical] " + alert().sentence}
    assert [row["status"] for row in deliveries(desk.state, since=desk.now, channels=[TELEGRAM])] == ["retrying"]
    assert {row["incident"] for row in deliveries(desk.state, incidents=["i1"])} == {"i1"}


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_kept(desk: Desk) -> None:
    memory = Learned(desk.state, TELEGRAM, lambda: NOW)
    memory.put("incident i1", "77")
    memory.put("chat -1", "-2")
    desk.put(("i1", "open"), ("i2", "open"))
    desk.take()
    desk.outbox.forget(NOW + timedelta(days=400))
    assert [row["incident"] for row in deliveries(desk.state)] == ["i2"]
    assert (memory.get("incident i1"), memory.get("chat -1")) == (None, "-2")
    assert desk.take() == ("i2", "open")
