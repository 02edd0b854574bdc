"""Figures of queues and workers: what they show of the simulated fleet, of names that mean harm, of little and of nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import filled, minutes

import qpanalytics as qpa
from qpanalytics.errors import UsageError
from qpanalytics.simulated import fleet
from qpanalytics.sources.base import QueueLook, WorkerLook

pytest.importorskip("plotly", reason="plotly is not installed")
HARM = "<b>a</b> &amp; %{x} $y$"


def trace(fig: Any, name: str) -> Any:
    (found,) = [one for one in fig.data if one.name == name]
    return found


def test_depth_shows_the_morning_and_the_promise_that_it_breaks() -> None:
    h = qpa.demo("queues")
    fig = qpa.plot.depth(h, "mailers")
    looks = h.queues[h.queues.queue == "mailers"]
    jobs, oldest = trace(fig, "jobs that wait"), trace(fig, "age of the oldest")
    assert max(v for v in jobs.y if v is not None) == looks.depth.max()
    assert max(v for v in oldest.y if v is not None) == pytest.approx(looks.oldest_age_s.max() / 60, rel=1e-3)
    (line,) = fig.layout.shapes
    assert (line.yref, line.y0, fig.layout.annotations[0].text) == ("y2", 10, "promised 10 min")
    over = int((looks.oldest_age_s > 600).sum())
    assert f"Promised: 10 min; above it at {over} of 6,337 looks." in qpa.plot.alt(fig)
    assert f"{int(looks.depth.iloc[-1]):,} jobs wait, the oldest for 13 min" in qpa.plot.alt(fig)


def test_flow_has_what_came_and_went_in_whole_hours_and_marks_counters_that_began_anew() -> None:
    h = qpa.demo("queues")
    fig = qpa.plot.flow(h, "billing")
    wall = f"{fleet.RESET + timedelta(minutes=3):%Y-%m-%d %H:%M:%S}"  # the first look at it, five minutes apart
    assert [shape.x0 for shape in fig.layout.shapes] == [wall]
    assert "Its counters began anew once: Thu 19 Nov 13:40." in qpa.plot.alt(fig)
    gone = np.array(trace(fig, "go").y, dtype=float)
    looks = h.queues[h.queues.queue == "billing"]
    # from 13:00 to 14:00 of the day before, by the counters alone
    day = looks[looks.taken_at.between("2026-11-18 13:00", "2026-11-18 14:00")]
    place = list(trace(fig, "go").x).index("2026-11-18 13:30:00")
    assert gone[place] == day.processed_total.iloc[-1] - day.processed_total.iloc[0]
    assert (gone >= 0).all() and len(gone) == 335  # fourteen days but for two parts of hours


def test_flow_of_a_queue_that_is_not_counted_draws_its_growth_and_says_why() -> None:
    fig = qpa.plot.flow(qpa.demo("queues"), "thumbnails")
    assert [one.name for one in fig.data] == ["growth"]
    assert "the system does not count finished jobs" in qpa.plot.alt(fig)
    assert "does not count" in fig.layout.title.subtitle.text


def test_saturation_is_dark_where_jobs_waited_and_has_a_plus_where_the_queue_fills() -> None:
    fig = qpa.plot.saturation(qpa.demo("queues"), "mailers")
    dark = trace(fig, "more")
    assert {(x, y + 0.44) for x, y in zip(dark.x, dark.base, strict=True)} == {(9, day) for day in range(5)}
    pluses = {x for one in fig.data for x, text in zip(one.x, one.text, strict=True) if text == "+"}
    assert pluses == {8, 9}
    assert sum(len(one.x) for one in fig.data) == 168
    assert "More comes than goes on weekdays at 08:00, weekdays at 09:00." in qpa.plot.alt(fig)
    # by the clock of Berlin it is an hour later
    assert "weekdays at 09:00, weekdays at 10:00" in qpa.plot.alt(
        qpa.plot.saturation(qpa.demo("queues"), "mailers", tz="Europe/Berlin")
    )


def test_workers_has_the_dead_one_on_top_and_marks_each_restart() -> None:
    fig = qpa.plot.workers(qpa.demo("queues"))
    assert fig.layout.yaxis.ticktext[:2] == ("video-2", "thumbs-2") and len(fig.layout.yaxis.ticktext) == 12
    said = qpa.plot.alt(fig)
    assert "at the last look 11 alive, 1 gone. Gone: video-2 since Mon 23 Nov 18:15." in said
    assert "thumbs-2 was started again 50 times, from Tue 24 Nov 06:20 to Tue 24 Nov 09:36." in said
    assert len(trace(fig, "started again").x) == 50
    gone = trace(fig, "gone: listed, and dead")
    lasted = fleet.AS_OF - fleet.KILLED - timedelta(minutes=3)
    assert gone.x[list(gone.y).index(0)] == lasted / timedelta(milliseconds=1)


def test_where_nobody_looked_the_line_is_broken_and_a_name_that_means_harm_is_shown_as_it_is(tmp_path: Path) -> None:
    def looks(k: int) -> list[QueueLook | WorkerLook]:
        return [QueueLook(HARM, depth=k, processed_total=k), WorkerLook(HARM, "alive", busy=1)]

    h = filled(tmp_path, {minutes(k): looks(k) for k in [*range(60), *range(200, 330)]})
    for fig in (qpa.plot.depth(h, HARM), qpa.plot.flow(h, HARM), qpa.plot.saturation(h, HARM), qpa.plot.workers(h)):
        assert HARM in qpa.plot.alt(fig) or "1 alive" in qpa.plot.alt(fig)
        fig.layout.meta = None  # the sentence is plain text; all else is read by Plotly
        assert "<b>a</b>" not in fig.to_json() and "%{x}" not in fig.to_json() and "$y$" not in fig.to_json()
    (line,) = qpa.plot.depth(h, HARM).data
    assert line.y[:62] == (*range(60), None, 200)
    alive = trace(qpa.plot.workers(h), "alive")
    assert alive.x == (59 * 60_000, 129 * 60_000)
    assert "the oldest waits is not known" in qpa.plot.alt(qpa.plot.depth(h, HARM))


def test_a_queue_that_is_not_there_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    for figure in (qpa.plot.depth, qpa.plot.flow, qpa.plot.saturation):
        with pytest.raises(UsageError, match='has no queue "mailer"; did you mean "mailers"'):
            figure(qpa.demo("queues"), "mailer")
        with pytest.raises(UsageError, match="no looks at queues at all"):
            figure(qpa.demo("recorded"), "mailers")
    assert qpa.plot.alt(qpa.plot.workers(qpa.demo("recorded"))) == "How workers were: No look shows a worker."


def test_one_look_alone_is_a_figure_too(tmp_path: Path) -> None:
    h = filled(tmp_path, {minutes(0): [QueueLook("q", depth=0), WorkerLook("w", "unknown")]})
    assert "0 jobs wait. No look showed one that waited." in qpa.plot.alt(qpa.plot.depth(h, "q"))
    for figure in (qpa.plot.flow, qpa.plot.saturation):
        assert "No two looks lie so near that an hour can be told." in qpa.plot.alt(figure(h, "q"))
    assert "1 worker, on Mon 2 Nov 2026; at the last look 1 not known." in qpa.plot.alt(qpa.plot.workers(h))
