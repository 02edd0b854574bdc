"""What is said of queues and workers: whole weeks with planted faults, and each rule where it must and must not speak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest
import queue_weeks as weeks
import telling

import qpanalytics as qpa
from qpanalytics.history import History, Pick
from qpanalytics.settings import PromiseTable
from qpanalytics.sources.base import QueueLook, WorkerLook
from qpanalytics.store.db import Store
from qpanalytics.verdict import findings, worded
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.queue_cases import looked

Rows = list[QueueLook | WorkerLook]


def said(
    look: Callable[[int], Any], n: int, minutes: float, promise: tuple[dict[str, Any], ...] = (), **more: Any
) -> list[Finding]:
    """The findings about looks of which the last is at as_of, over the days up to it; checks are left out, for speed."""
    until = weeks.AS_OF + timedelta(microseconds=1)
    shown = weeks.every(minutes, n, look)
    since = until - timedelta(minutes=minutes * n)
    return about(weeks.history(shown, promises=promise, since=since, until=until, store=weeks.emptied(), **more))


def about(h: History, tz: str = "UTC") -> list[Finding]:
    """The findings about queues and workers of a history."""
    with h.session():
        return worded((), h, tz=tz, queues=looked(h, tz=tz))


def one(found: list[Finding]) -> Finding:
    """The only finding."""
    assert len(found) == 1, [(f.kind, f.sentence) for f in found]
    return found[0]


@cache
def bad_week() -> tuple[Finding, ...]:
    """Everything that is said of the week with planted faults, in Berlin."""
    berlin = timedelta(hours=1)  # the week of the reader
    h = weeks.history(weeks.looks(), since=weeks.SINCE - berlin, until=weeks.UNTIL - berlin)
    return tuple(findings(h, tz="Europe/Berlin"))


# Whole weeks ----------------------------------------------------------------------------------------------------------


def test_a_week_with_planted_faults_says_each_of_them_once_and_in_order() -> None:
    assert [(f.kind, f.check, f.severity, f.asks) for f in bad_week()] == [
        ("workers_gone", "batch-1:7", "warning", True),
        ("not_draining", "mailers", "critical", True),
        ("not_draining", "exports", "warning", True),
        ("retry_storm", "images", "warning", True),
        ("dead_grew", "webhooks", "warning", True),
        ("retry_storm", "webhooks", "info", False),
    ]


def test_sentences_have_the_hours_of_the_reader_and_what_was_promised() -> None:
    gone, mailers, exports, storm, dead, over = bad_week()
    assert mailers.sentence.startswith("mailers fills faster than it drains from 08:50 to 10:50 on weekdays; oldest job waited ")
    assert mailers.sentence.endswith(", promised 10 min.")
    assert gone.sentence == "batch-1:7 and batch-2:8 are gone since Sun 22:30; 2 of the usual 4 workers of shop are alive."
    assert exports.sentence.startswith("exports stands still: ") and "none was taken in 1 h" in exports.sentence
    assert exports.detail.endswith("It also has no worker alive, promised 2.")
    assert storm.sentence.startswith("images has a retry storm since Sun 20:50: retries grew from ")
    assert "while 0 tries a minute succeeded, 3.9 before" in storm.sentence
    assert dead.sentence == "webhooks gave up 24 jobs this week; none the week before."
    assert over.sentence.startswith("webhooks had a retry storm Thu 09:")


def test_a_week_in_which_all_drain_says_nothing() -> None:
    assert findings(weeks.history(weeks.looks(busy=False))) == []


def test_queues_that_behave_at_random_give_nothing_to_say() -> None:
    chance = np.random.default_rng(8)
    n, names = 288, [f"q{k}" for k in range(20)]
    depth = np.zeros((len(names), n), dtype=int)
    done = np.zeros((len(names), n), dtype=int)
    for k in range(1, n):
        came, can = chance.poisson(20, len(names)), chance.poisson(24, len(names))
        out = np.minimum(depth[:, k - 1] + came, can)
        depth[:, k] = depth[:, k - 1] + came - out
        done[:, k] = done[:, k - 1] + out
    retries = chance.poisson(6, (len(names), n))

    def look(k: int) -> Rows:
        queues = [
            QueueLook(name, depth=int(depth[i, k]), oldest_age_s=float(depth[i, k]) * 15, oldest_is="exact", active=2,
                      processed_total=int(done[i, k]), failed_total=k, retrying=int(retries[i, k]), dead=3, orphaned=0)
            for i, name in enumerate(names)
        ]  # fmt: skip
        return [*queues, *(WorkerLook(f"w{i}", "alive", 1, queues=tuple(names)) for i in range(3))]

    promise = ({"queue": "q*", "oldest": "30 min", "workers": 2},)
    assert [f.sentence for f in said(look, n, 5.0, promise)] == []


# What the data cannot carry -------------------------------------------------------------------------------------------


def test_few_looks_are_not_judged() -> None:
    for n in (1, 2, 3):
        assert said(lambda k: QueueLook("q", depth=100 + 90 * k, processed_total=0, retrying=30 * k, dead=9 * k), n, 5.0) == []


def test_a_store_without_looks_is_not_asked_for_more_and_says_the_same() -> None:
    h = telling.week(telling.Job("a", "60x28"))
    assert looked(h, tz="UTC") is None and findings(h) == []


def test_old_looks_say_nothing_of_now_but_that_nobody_looked() -> None:
    last = weeks.AS_OF - timedelta(days=2)
    shown = weeks.every(5.0, 200, lambda k: QueueLook("q", depth=50 + k, processed_total=0), until=last)
    f = one(about(weeks.history(shown, promises=({"queue": "q", "oldest": "1 min"},), store=weeks.emptied())))
    assert (f.kind, f.about, f.asks, f.check) == ("unwatched", "source", True, "shop")
    assert f.sentence == "no look at shop since Sat 01:00; its 1 queue has not been judged since."


# Each rule ------------------------------------------------------------------------------------------------------------


def test_a_promise_that_was_broken_for_a_while_is_told_with_its_worst_and_one_that_was_kept_is_not() -> None:
    def look(k: int) -> QueueLook:
        late = 100 <= k < 106  # half an hour, at most 14 min
        age = 840.0 if late else 60.0
        return QueueLook("mail", depth=5, oldest_age_s=age, oldest_is="exact", active=1, processed_total=9 * k)

    f = one(said(look, 200, 5.0, ({"queue": "mail", "oldest": "10 min", "severity": "critical"},)))
    assert (f.kind, f.severity, f.figures["queue"], f.figures["broken_s"]) == ("promise_broken", "critical", "mail", 1800.0)
    assert f.sentence.startswith("mail broke its promise in this window")
    assert f.sentence.endswith("oldest job waited 14 min, promised 10 min.")
    assert said(look, 200, 5.0, ({"queue": "mail", "oldest": "15 min"},)) == []
    assert said(look, 200, 5.0) == []


def test_a_promise_that_is_broken_now_says_since_when() -> None:
    f = one(said(lambda k: QueueLook("mail", depth=900 if k >= 190 else 20 + k % 2, active=1, processed_total=9 * k), 200, 5.0,
                 ({"queue": "mail", "depth": 500},)))  # fmt: skip
    assert f.sentence == "mail has broken its promise since Mon 00:15: 900 jobs waited, promised at most 500."


def test_a_queue_that_grows_is_told_where_people_wait_and_not_where_it_is_a_batch() -> None:
    def look(age: float) -> Callable[[int], QueueLook]:
        return lambda k: QueueLook("q", depth=10 + 4 * max(k - 40, 0), oldest_age_s=age, oldest_is="exact", active=2,
                                   processed_total=30 * k)  # fmt: skip

    f = one(said(look(1500.0), 60, 5.0))
    assert (f.kind, f.severity) == ("not_draining", "warning")
    assert f.sentence == "q fills faster than it drains: it grows by 0.8 jobs a minute; oldest job waited 25 min."
    assert said(look(120.0), 60, 5.0) == []


def test_a_paused_queue_asks_for_nobody() -> None:
    def look(k: int) -> QueueLook:
        return QueueLook("q", depth=80 + k, oldest_age_s=300.0 * k, oldest_is="exact", active=0, processed_total=5, paused=True)

    assert said(look, 60, 5.0) == []


def test_orphaned_jobs_count_once_two_looks_show_them() -> None:
    def look(first: int) -> Callable[[int], QueueLook]:
        return lambda k: QueueLook("q", depth=0, orphaned=3 if k >= first else 0, processed_total=k)

    f = one(said(look(50), 60, 5.0))
    assert f.sentence == "3 jobs of q are in the hands of workers that are gone, since Mon 00:15."
    assert said(look(59), 60, 5.0) == []


def test_dead_jobs_are_told_against_the_window_before() -> None:
    def history(died: Callable[[int], int]) -> History:
        shown = weeks.every(60.0, 14 * 24 + 1, lambda k: QueueLook("q", depth=0, dead=died(k), processed_total=9 * k))
        return weeks.history(shown, promises=(), store=weeks.emptied())

    f = one(about(history(lambda k: 4 + max(k - 200, 0) // 10)))
    assert f.kind == "dead_grew" and f.sentence == "q gave up 13 jobs this week; none the week before."
    assert about(history(lambda k: k // 10)) == []  # as many each week


def test_no_worker_is_told_from_a_deploy_and_from_fewer() -> None:
    def look(states: tuple[str, ...], name: str = "w") -> Callable[[int], Rows]:
        def shown(k: int) -> Rows:
            now = k >= 50
            each = states if now else ("alive", "alive", "alive")
            workers: Rows = [WorkerLook(f"{name if now else 'w'}{i}", s, 0, queues=("q",)) for i, s in enumerate(each)]
            return [QueueLook("q", depth=0, processed_total=k), *workers]

        return shown

    f = one(said(look(()), 60, 5.0))
    assert f.kind == "workers_gone" and f.sentence.startswith("no worker of shop is alive since Mon 00:")
    assert f.sentence.endswith("; usually there are 3.")
    f = one(said(look(("alive", "gone", "alive")), 60, 5.0))
    assert f.sentence == "w1 is gone since Mon 00:15; 2 of the usual 3 workers of shop are alive."
    assert said(look(("alive", "alive", "alive"), "new"), 60, 5.0) == []  # a deploy
    assert said(look(("alive", "alive")), 60, 5.0) == []  # somebody took one away
    f = one(said(look(("alive", "alive")), 60, 5.0, ({"queue": "q", "workers": 3},)))
    assert (f.kind, f.sentence) == ("too_few_workers", "q has 2 workers alive, promised 3.")


def test_a_worker_that_hangs_and_one_that_crashes() -> None:
    def look(k: int) -> Rows:
        running = float(10 + k % 50) if k < 150 else 60.0 * (k - 149)
        return [WorkerLook("w1", "alive", 1, oldest_running_s=running, queues=("mail",)),
                WorkerLook("w2", "alive", 1, oldest_running_s=30.0, queues=("mail",))]  # fmt: skip

    f = one(said(look, 160, 1.0))
    assert (f.kind, f.about, f.figures["queue"]) == ("stuck", "worker", "mail")
    assert f.sentence == "a job of w1 has run for 10 min, since Mon 00:50; 99 of 100 jobs there run for less than 58 s."
    f = one(said(lambda k: WorkerLook("w", "alive", restarts=max(k - 39, 0)), 70, 1.0))
    assert (f.kind, f.sentence) == ("crash_loop", "w was started again 30 times within an hour.")


def test_a_job_and_its_queue_are_told_together() -> None:
    """A check that is well over a queue that stands; one that is down over a queue that drains."""
    h = telling.week(telling.Job("sender", "60x28"), telling.Job("etl", "60x26 M M"))

    def look(k: int) -> Rows:
        stands = QueueLook("mail", depth=50 + k, active=0, processed_total=7)
        return [stands, QueueLook("load", depth=900 - k, processed_total=5 * k)]

    weeks.filled(h.store, weeks.every(5.0, 300, look))
    h = replace(h, joins=(("sender", "mail", None), ("etl", "load", None)), _frames={}, _answers={})
    found = {f.kind: f for f in findings(h)}
    assert list(found) == ["down", "alive_not_draining", "job_silent"]
    assert found["alive_not_draining"].sentence == (
        "mail does not drain, though sender reports: jobs wait and none was finished in 1 h."
    )
    assert found["job_silent"].sentence == "load drains (1 tries a minute), but its job etl does not report."
    assert not found["job_silent"].asks
    picked = replace(h, pick=Pick(checks=("sender",)), _frames={}, _answers={})
    assert [f.kind for f in findings(picked)] == ["alive_not_draining"]  # other queues are not asked about


def test_an_empty_queue_is_told_where_jobs_should_come() -> None:
    h = telling.week(telling.Job("sender", "60x28"))
    week = 7 * 24 * 12
    shown = weeks.every(5.0, week + 40, lambda k: QueueLook("mail", depth=0, processed_total=30 * min(k, week)))
    weeks.filled(h.store, shown)
    f = one(findings(replace(h, joins=(("sender", "mail", None),), _frames={}, _answers={})))
    assert f.kind == "empty_unexplained" and f.asks
    assert f.sentence == "mail is empty, and nothing arrives: at this hour of the week before 6 jobs a minute came."


def test_many_queues_in_the_same_trouble_are_told_once() -> None:
    def look(k: int) -> Rows:
        return [QueueLook(f"q{i}", depth=900 if k > 150 else 3, active=1, processed_total=9 * k) for i in range(5)]

    f = one(said(look, 200, 5.0, ({"queue": "q*", "depth": 100},)))
    assert f.checks == ("q0", "q1", "q2", "q3", "q4")
    assert f.sentence.startswith("5 queues of shop broke what was promised of them: in q0 900 jobs waited")
    assert f.detail == "These are q0, q1, q2 and 2 more."


# Outside --------------------------------------------------------------------------------------------------------------


def test_verdicts_name_the_queue_and_the_command_that_shows_its_looks(tmp_path: Any) -> None:
    store = Store(tmp_path / "qpa.duckdb")
    evil = "mail'; rm *"
    shown = weeks.every(5.0, 60, lambda k: QueueLook(evil, depth=0, orphaned=int(k > 50), processed_total=k))
    table = qpa.verdicts(weeks.history(shown, store=store, promises=()))
    row = table.iloc[0]
    assert (row["kind"], row["check"], row["figures"]["queue"], row["checks"]) == ("orphaned", evil, evil, [evil])
    assert row["command"].startswith("qpa queues --queue 'mail'\"'\"'; rm *' --source shop --history --since 2026-11-16 --until ")


def test_sources_of_queues_can_be_asked_for_by_name() -> None:
    shown = weeks.every(5.0, 60, lambda k: QueueLook("q", orphaned=int(k > 50)))
    h = weeks.history(shown, promises=(), pick=Pick(sources=("shop",)))
    assert [f.kind for f in findings(h)] == ["orphaned"]
    with pytest.raises(qpa.QpaError, match="no check matches"):
        findings(replace(h, pick=Pick(sources=("shoop",)), _frames={}, _answers={}))


def test_a_promise_may_have_a_severity_and_no_other_word() -> None:
    assert PromiseTable.model_validate({"queue": "q", "depth": 1, "severity": "critical"}).severity == "critical"
    with pytest.raises(ValueError, match="severity"):
        PromiseTable.model_validate({"queue": "q", "depth": 1, "severity": "loud"})
