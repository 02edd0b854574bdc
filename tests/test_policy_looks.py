"""What looks at queues and workers set off, and that a value on the border does not flap."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from policy_world import MINUTE, World, us

from qpanalytics.policy.events import Covered, QueueLook, Told, WorkerSeen, WorkersLook

PROMISE = [{"queue": "mail", "source": "shop", "oldest": "10 min", "depth": 1000, "workers": 2, "severity": "critical"}]


def shop() -> World:
    return World(promise=PROMISE)


def looks(world: World, minutes: int, begin: str = "06:00", **columns: Sequence[float | None]) -> list[str]:
    """A look a minute from `begin` on, each with the next of its figures (the last stays)."""
    lines = []
    for n in range(minutes):
        figures = {name: values[min(n, len(values) - 1)] for name, values in columns.items()}
        at = us(begin) + n * MINUTE
        world.feed(QueueLook("shop", "mail", at, **figures))  # type: ignore[arg-type]
        lines += world.until(f"{at // (60 * MINUTE) % 24:02}:{at // MINUTE % 60:02}")
    return [line for line in lines if "oncall" not in line]


def test_a_promise_is_broken_when_it_was_for_two_minutes_and_kept_again_when_it_is_well_under() -> None:
    ages = [300.0, 650.0, 650.0, 650.0, 650.0, 590.0, 610.0, 590.0, 590.0, 590.0, 500.0]
    said = looks(shop(), 14, oldest_age_s=ages)
    assert said == ["06:03 opened oldest mail", "06:12 resolved oldest mail"]


def test_an_age_on_the_border_opens_nothing() -> None:
    assert looks(shop(), 30, oldest_age_s=[601.0, 599.0] * 15) == []


def test_a_lower_bound_breaks_a_promise_and_proves_none_kept() -> None:
    world = shop()
    looks(world, 4, oldest_age_s=[700.0])
    for minute in range(10, 20):
        world.feed(QueueLook("shop", "mail", us(f"06:{minute}"), oldest_age_s=10.0, oldest_is="lower_bound"))
    world.until("06:20")
    assert len(world.engine.incidents()) == 1


def test_a_queue_stands_still_when_nothing_was_finished_for_half_an_hour_while_jobs_wait() -> None:
    world = shop()
    said = looks(world, 45, depth=[5], processed_total=[100.0])
    assert said == ["06:30 opened not_draining mail"]
    assert looks(world, 2, "06:50", depth=[5], processed_total=[101.0]) == ["06:50 resolved not_draining mail"]


def test_a_retry_storm_is_told_when_it_starts_and_more_of_everything_is_none() -> None:
    calm = [3.0] * 40
    storm = looks(shop(), 46, retrying=[*calm, 10.0, 18.0, 27.0, 36.0], processed_total=[float(n) for n in range(46)])
    assert storm == ["06:42 opened retry_storm mail"]
    busy = [float(n) for n in range(40)] + [40.0 + 400 * n for n in range(1, 7)]
    assert looks(shop(), 46, retrying=[*calm, 10.0, 18.0, 27.0, 36.0], processed_total=busy) == []


def test_jobs_that_die_and_jobs_left_behind_are_told() -> None:
    assert looks(shop(), 75, dead=[2, 4, 8]) == ["06:02 opened dead_grew mail", "07:02 resolved dead_grew mail"]
    assert looks(shop(), 5, orphaned=[0, 1, 1]) == ["06:02 opened orphaned mail"]


def worker(name: str, **known: object) -> WorkerSeen:
    return WorkerSeen(name, "alive", ("mail",), **known)  # type: ignore[arg-type]


def test_fewer_workers_than_promised_a_hang_and_a_crash_loop_are_told_and_a_process_that_is_gone_takes_its_trouble() -> None:
    world = shop()
    lines = []
    for minute in range(6):
        workers = (worker("w1", restarts=minute, limit_s=60.0, oldest_running_s=600.0),)
        world.feed(WorkersLook("shop", us(f"06:0{minute}"), workers))
        lines += [line for line in world.until(f"06:0{minute}") if "oncall" not in line]
    assert lines == ["06:01 opened stuck w1", "06:02 opened too_few mail", "06:03 opened crash_loop w1"]
    for at in ("06:10", "06:13"):
        world.feed(WorkersLook("shop", us(at), (worker("w2"), worker("w3"))))
    resolved = [line for line in world.until("06:13") if "resolved" in line]
    assert resolved == [
        "06:10 resolved stuck w1 (no longer there)",
        "06:10 resolved crash_loop w1 (no longer there)",
        "06:13 resolved too_few mail",
    ]


def test_no_worker_left_where_there_were_some() -> None:
    world = World()
    for minute in range(20):
        world.feed(WorkersLook("shop", us(f"06:{minute:02}"), (worker("w1"), worker("w2")) if minute < 15 else ()))
    assert "06:16 opened workers_gone shop" in world.until("06:20")


def test_what_a_day_showed_is_told_once() -> None:
    world = World()
    world.pings("1 03:01 a")
    world.feed(Told("a", us("06:00"), "drifting", True, {"before_s": 60.0, "after_s": 600.0}), Covered("prod", us("06:00"), 0.5))
    opened = [line for line in world.until("06:01") if "opened" in line]
    assert opened == ["06:00 opened drifting a", "06:00 opened coverage prod"]
    world.feed(Told("a", us("3 06:00"), "drifting", False), Covered("prod", us("3 06:00"), 0.91))
    assert [line for line in world.until("3 06:01") if "resolved" in line] == ["3 06:00 resolved drifting a"]


def test_runs_that_end_far_too_soon_are_told_at_the_second() -> None:
    world = World()
    for hour in range(24):
        world.pings(f"{hour:02}:00 a start, {hour:02}:{5 if hour < 22 else 0:02}:01 a")
    assert [line for line in world.until("3 00:00") if "opened" in line] == ["23:00:01 opened too_fast a"]


@pytest.mark.parametrize(
    "did",
    [
        "bbnbbbnbbbbbbbbbbbbbbnbbbnbbnnbnnnbbn",  # of the first twenty runs two found nothing to do
        "bbbbbbbbbbbbbbbbbbbbbnbbnbbnnbnnnbbnn",  # none did, and later ones did alone before two in a row did
    ],
)
def test_a_job_that_often_finds_nothing_to_do_is_not_too_fast(did: str) -> None:
    world = World()
    said: list[str] = []
    for minute, busy in enumerate(did):
        world.pings(f"04:{minute:02}:00 a start, 04:{minute:02}:{40 if busy == 'b' else 1:02} a")
        said += world.until(f"04:{minute:02}:50")
        world.again()
    assert [line for line in said if "opened" in line] == []
