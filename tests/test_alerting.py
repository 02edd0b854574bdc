"""How alerting itself did: pages and which were needless, time to notice, flaps, deliveries that failed; and where it is told."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from command import qpa
from hypothesis import given
from hypothesis import strategies as st
from telling import AS_OF, SINCE, UNTIL, Job, week
from watching import Watched, at, check

from qpanalytics import history as histories
from qpanalytics.analysis.alerting import alerting, figures, flaps, pages
from qpanalytics.analysis.delivered import Message
from qpanalytics.analysis.needless import needless
from qpanalytics.collect.fromfiles import take_files
from qpanalytics.history import History, Pick
from qpanalytics.policy.changes import Incident, Member
from qpanalytics.report import report
from qpanalytics.report.mail import mail
from qpanalytics.settings_grace import GraceTable
from qpanalytics.store.db import Store
from qpanalytics.store.state import State
from qpanalytics.verdict import say_alerting
from qpanalytics.verdict.voice import Voice

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def hourly(check: str, expected: int) -> int | None:
    return expected + HOUR


def incident(name: str, opened: int, lasted: int | None, *members: Member, **more: object) -> Incident:
    """One of a check that is due each hour with a grace of 10 min, from its deadline on; minutes."""
    due, deadline = (opened - 10) * MINUTE, opened * MINUTE
    one = Member("check", "a", "missed", "warning", deadline, evidence={"expected_at": due, "deadline_at": deadline})
    resolved = None if lasted is None else (opened + lasted) * MINUTE
    given = Incident(name, "missed", "warning", members or (one,), deadline, deadline, resolved_at=resolved)
    return replace(given, **more)  # type: ignore[arg-type]


def sent(
    incident: str | None, event: str, minute: float, channel: str = "oncall", *, state: str = "sent", why: str = ""
) -> Message:
    """A message that was made at a minute and whose try ended 6 s later."""
    made = round(minute * MINUTE)
    ended = made + MINUTE // 10
    return Message(incident, channel, event, state, made, ended if state == "sent" else None, ended, why)


# What was needless ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lasted", "expected"),
    [(5, True), (9, True), (20, True), (21, False), (40, False), (None, False)],
    ids=["within its grace", "just so", "half of the hour", "really late", "nearly the next", "still open"],
)
def test_a_page_was_needless_if_its_run_came_before_half_of_the_time_to_the_next(lasted: int | None, expected: bool) -> None:
    assert needless(incident("i", 70, lasted), hourly) is expected


def test_from_when_a_late_run_is_a_real_problem_is_what_the_configuration_says() -> None:
    late = incident("i", 70, 25)  # 35 min after its time
    assert not needless(late, hourly) and needless(late, hourly, 40 * 60.0) and not needless(late, hourly, 20 * 60.0)


def test_a_failure_is_needless_only_if_it_was_made_good_within_the_grace() -> None:
    def failed(**evidence: object) -> Member:
        known = {"expected_at": 60 * MINUTE, "deadline_at": 70 * MINUTE, **evidence}
        return Member("check", "a", "failed", "warning", 61 * MINUTE, evidence=known)

    assert needless(incident("i", 61, 4, failed()), hourly)
    assert not needless(incident("i", 61, 15, failed()), hourly)
    # the second failure in a row: the run before it never succeeded
    assert not needless(incident("i", 61, 4, failed(occurrences=[0, 60 * MINUTE])), hourly)


def test_several_with_one_cause_went_by_alone_only_together_and_a_queue_or_a_hand_never_does() -> None:
    quick, slow = incident("i", 70, 5).members[0], replace(incident("i", 70, 5).members[0], name="b")
    assert needless(incident("i", 70, 5, quick, slow), hourly)
    assert not needless(incident("i", 70, 45, replace(quick, resolved_at=75 * MINUTE), slow), hourly)
    assert not needless(incident("i", 70, 5, why="closed"), hourly)
    assert not needless(incident("i", 70, 5, Member("queue", "mail", "oldest", "warning", 70 * MINUTE)), hourly)


# What was sent --------------------------------------------------------------------------------------------------------


def test_a_page_is_one_however_many_channels_took_it_and_an_escalation_is_another() -> None:
    every = [
        sent("i", "open", 1, "oncall"),
        sent("i", "open", 1, "mail"),
        sent("i", "remind", 5),
        sent("i", "escalate", 9, "boss"),
    ]
    assert pages([*every, sent("i", "resolve", 20)]) == [round(1.1 * MINUTE), round(9.1 * MINUTE)]


def test_a_reminder_is_the_page_where_nobody_took_the_opening() -> None:
    assert pages([sent("i", "open", 1, state="superseded"), sent("i", "remind", 5), sent("i", "remind", 9)]) == [
        round(5.1 * MINUTE)
    ]
    assert pages([sent("i", "open", 1, state="failed"), sent("i", "resolve", 5)]) == []


def test_the_figures_of_a_night_worked_out_by_hand() -> None:
    night = [
        incident("real", 70, 45, acked_at=80 * MINUTE),
        incident("alone", 140, 5),
        incident("again", 155, 2),
        incident("open", 220, None),
        incident("untold", 290, 3),
    ]
    messages = [
        sent("real", "open", 70), sent("real", "escalate", 90, "boss"), sent("alone", "open", 143), sent("again", "open", 155),
        sent("open", "open", 220), sent("untold", "open", 290, state="failed", why="401: wrong token."),
        sent(None, "digest", 295, "mail", state="failed", why="refused"),
    ]  # fmt: skip
    found = figures(night, messages, 0, 600 * MINUTE, hourly)
    assert (found.pages, found.real, found.needless, found.open) == (5, 2, 2, 1)
    assert (found.before, found.incidents, found.told, found.acked) == (0, 4, 4, 1)
    assert (found.noticed_p50_s, found.noticed_max_s) == (6.0, 186.0)
    assert found.flaps == (("a", 1),)
    assert flaps(night) == {"real": 0, "alone": 0, "again": 1, "open": 0, "untold": 0}
    (paged,) = found.paged
    assert (paged.name, paged.pages, paged.needless, paged.back_s, paged.enough_s) == ("a", 5, 2, 114.0, (900.0, 720.0))
    assert [(lost.channel, lost.n, lost.why) for lost in found.lost] == [
        ("mail", 1, "refused"),
        ("oncall", 1, "401: wrong token."),
    ]
    later = figures(night, messages, 600 * MINUTE, 1200 * MINUTE, hourly)
    assert (later.pages, later.before, later.paged, later.lost) == (0, 5, (), ())


@given(st.lists(st.tuples(st.integers(10, 500), st.none() | st.integers(0, 60), st.integers(0, 3)), max_size=12))
def test_the_parts_of_the_pages_add_up_and_no_window_counts_a_page_twice(rows: list[tuple[int, int | None, int]]) -> None:
    night = [incident(str(n), opened, lasted) for n, (opened, lasted, _) in enumerate(rows)]
    messages = [
        sent(str(n), "open" if k == 0 else "escalate", opened + 7 * k)
        for n, (opened, _, many) in enumerate(rows)
        for k in range(many)
    ]
    whole = figures(night, messages, 0, 600 * MINUTE, hourly)
    first, second = (
        figures(night, messages, 0, 300 * MINUTE, hourly),
        figures(night, messages, 300 * MINUTE, 600 * MINUTE, hourly),
    )
    assert whole.pages == whole.real + whole.needless + whole.open == len(messages)
    assert sum(n for n, _ in say_alerting.parts(whole)) == whole.pages
    assert first.pages + second.pages == whole.pages and first.told + second.told == whole.told
    assert second.before == first.pages


# Words ----------------------------------------------------------------------------------------------------------------


def test_what_is_said_of_it_has_the_figures_and_nothing_where_there_are_none() -> None:
    voice = Voice(SINCE, UNTIL, AS_OF)
    night = [incident("real", 70, 45, acked_at=80 * MINUTE), incident("alone", 140, 5), incident("again", 155, 2)]
    messages = [sent(one.incident, "open", one.opened_at / MINUTE) for one in night]
    messages.append(sent(None, "digest", 200, "mail", state="failed", why="550: no such user."))
    assert say_alerting.lines(figures(night, messages, 0, 600 * MINUTE, hourly), voice) == [
        "3 pages this week, 0 the week before: 1 real and 2 went by alone, of 3 incidents.",
        "Told 6 s after things went wrong (median of 3 incidents), at most 6 s; 1 of 3 acknowledged.",
        "Most pages: a 3 (2 went by alone).",
        "Opened again within an hour of the time before: a once.",
        "Channel mail gave up 1 message; the last: 550: no such user.",
    ]
    assert say_alerting.lines(figures(night, messages, 600 * MINUTE, 1200 * MINUTE, hourly), voice) == [
        "0 pages this week, 3 the week before."
    ]
    assert say_alerting.lines(figures([], [], 0, MINUTE, hourly), voice) == []


# The whole way --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A morning: `sync` comes 2 min late, `backup` stays away, and one channel refuses; the store holds the same pings."""
    folder = tmp_path_factory.mktemp("morning")
    refusing = '[[channel]]\nname = "broken"\nkind = "file"\npath = "missing/folder/x.jsonl"\n'
    made = Watched(folder, check("sync", "0 * * * *", "1 min", tags="web"), check("backup", "0 * * * *", "1 min"), refusing)
    made.pings("sync", "05:00:10", "06:03:00", "07:00:05")
    made.pings("backup", "05:00:10")
    made.rounds(at("05:30"), at("05:30"))
    made.rounds(at("06:01:30"), at("06:04:30"))
    made.rounds(at("07:30"), at("07:30"))
    with Store(made.store).write() as con:
        take_files(
            con, [folder / "pings.csv"], made.settings.check, source="jobs", covers_until=at("08:00"), tried_at=at("08:00")
        )
    return made


def of(watched: Watched, pick: Pick = Pick()) -> History:
    day = histories.History(Store(watched.store), as_of=at("08:00"), since=at("00:00"), until=at("08:00"), pick=pick)
    return replace(day, budgets=GraceTable())


def test_a_digest_tells_what_was_sent_the_same_in_page_text_and_mail(watched: Watched) -> None:
    facts = report(of(watched), period="custom").facts
    pages_sent = facts.figures[-1]
    assert (pages_sent.key, pages_sent.value) == ("pages", len([e for e, _ in watched.news() if e == "open"]))
    assert facts.alerts[0].startswith(f"{pages_sent.value:.0f} pages in this window: ")
    made = report(of(watched), period="custom")
    for shown in (made.html, made.text, mail(facts).html, mail(facts).text):
        plain = " ".join(shown.replace("&nbsp;", " ").replace("\u00a0", " ").split())
        assert "Pages sent" in plain and "Alerts" in plain and "went by alone" in plain
        assert "Channel broken gave up" in plain


def test_a_digest_of_some_checks_tells_of_their_pages_alone(watched: Watched) -> None:
    web = alerting(of(watched, Pick(tags=("web",))))
    assert web is not None and [paged.name for paged in web.paged] == ["sync"]
    assert (web.pages, web.needless, web.lost[0].channel) == (1, 1, "broken")


def test_what_came_after_the_instant_asked_about_is_not_known_then(watched: Watched) -> None:
    early = alerting(replace(of(watched), as_of=at("06:02"), until=at("06:02")))
    assert early is not None and (early.needless, early.real) == (0, 0) and early.open == early.pages


def test_a_store_without_incidents_says_what_it_always_said(tmp_path: Path) -> None:
    memory = report(week(Job("a", "60x40")))
    assert [f.key for f in memory.facts.figures][-1] == "down_s" and memory.facts.alerts == ()
    history = histories.History(Store(tmp_path / "qpa.duckdb"), as_of=AS_OF, since=SINCE, until=UNTIL)
    assert alerting(history) is None
    State.beside(tmp_path / "qpa.duckdb").close()
    assert alerting(history) is None
    # what an older program left has no incidents yet, and is not migrated by a report
    path = State.path_beside(tmp_path / "qpa.duckdb")
    path.unlink()
    with sqlite3.connect(path) as con:
        con.execute("pragma user_version = 3")
    con.close()
    assert alerting(history) is None
    with sqlite3.connect(path) as con:
        assert con.execute("pragma user_version").fetchone() == (3,)
    con.close()


def test_a_state_that_cannot_be_read_is_something_that_could_not_be_seen(watched: Watched, tmp_path: Path) -> None:
    for content, why in ((b"no database at all, but long enough", "cannot be read"), (None, "newer than this program")):
        store = tmp_path / f"{len(why)}.duckdb"
        store.write_bytes(watched.store.read_bytes())
        if content is not None:
            State.path_beside(store).write_bytes(content)
        else:
            with sqlite3.connect(State.path_beside(store)) as con:
                con.execute("pragma user_version = 99")
            con.close()
        facts = report(replace(of(watched), store=Store(store)), period="custom").facts
        assert facts.alerts == () and why in facts.unseen[-1] and "What alerts were sent is not known" in facts.unseen[-1]


def test_the_list_of_incidents_has_what_is_needless_and_when_it_was_told(watched: Watched) -> None:
    done = qpa(watched.folder, "incidents", "--format", "json")
    rows = {row["check"]: row for row in json.loads(done.stdout)}
    sync = rows["sync"]
    assert (sync["needless"], sync["enough_s"], sync["told_s"]) == (True, 180.0, 30.0)
    assert (rows["backup"]["needless"], rows["backup"]["enough_s"]) == (False, None)
    assert sum(row["undelivered"] for row in rows.values()) >= 1


def test_a_report_reads_the_state_while_a_watch_writes_it(watched: Watched) -> None:
    with State.beside(watched.store) as state, state.transaction() as con:
        con.execute("insert into channel_rests values ('oncall', 1)")
        assert alerting(of(watched)) is not None
