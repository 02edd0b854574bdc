"""What comes into a queue against what goes out of it, hour by hour, with the counters' new beginnings."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from math import isfinite
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.analysis.flow import rates_of
from qpanalytics.instants import instant
from qpanalytics.plot import moving
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.moving import Hour, Shown
from qpanalytics.plot.points import rounded
from qpanalytics.plot.reading import axis, walls, window, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

RESETS = 12
"""New beginnings of counters that are marked, the latest; more would hide the lines."""


def flow(history: History, queue: str, *, source: str | None = None, tz: str = "UTC") -> Figure:
    """Jobs that came into a queue and tries that were finished, by hour of the reader's clock; dotted where counters began anew.

    Where the system does not count what is finished, how much the depth grew in each hour is drawn instead.
    """
    where = zone(tz)
    with history.session():
        return figure(drawing(history, moving.queue(history, queue, source), where, tz))


def drawing(history: History, one: Shown, tz: tzinfo, named: str) -> Drawing:
    """What came and went of one queue; times in `tz`, called `named`."""
    hours = moving.hours(one.steps, tz)
    counted = any(isfinite(hour.done) for hour in hours)
    title = f"{one.title}: what comes and what goes" if counted else f"{one.title}: how much more waits"
    if not any(isfinite(hour.grown) or isfinite(hour.done) for hour in hours):
        why = "No two looks lie so near that an hour can be told."
        return empty(title, why, f"{one.title}: {why}")
    if counted:
        data = [
            _steps("come", hours, [h.came for h in hours], palette.light("hung"), "dash"),
            _steps("go", hours, [h.done for h in hours], palette.light("on_time"), "solid"),
        ]
        note = "Whole hours. Dashed: jobs that came. Solid: tries that were finished."
        left_out = ""
    else:
        data = [_bars(hours)]
        note = "A bar is how much the depth grew in the hour, below zero how much it fell."
        left_out = "What comes and goes is not known: " + (rates_of(one.steps).why.partition(": ")[2].partition(";")[0] + ".")
    shapes, notes = [], []
    resets = _resets(one)
    for number, at in enumerate(resets[-RESETS:]):
        (wall,) = walls([round(at * 1e6)], tz)
        line, text = moving.upright(wall or "", "counters began anew" if number == 0 else "", palette.light("bad"))
        shapes.append(line)
        notes += [text] if number == 0 else []
    since, until = instant(one.at_us[0]), instant(one.at_us[-1])
    y = {"title": {"text": "jobs an hour"}, "nticks": 6} | ({"rangemode": "tozero"} if counted else {"zeroline": True})
    look = layout(left=64, x=axis(since, until, tz, named), y=y, showlegend=counted, shapes=shapes, annotations=notes)
    look["legend"] = look["legend"] | {"itemclick": False}
    alt = " ".join([_alt(history, one, hours, counted, resets, tz), left_out]).strip()
    return Drawing(title, note, alt, data, look, left_out)


def _steps(name: str, hours: list[Hour], values: list[float], colour: str, dash: str) -> dict[str, Any]:
    """A stair over the hours, broken where an hour was not looked at."""
    at: list[str] = []
    drawn: list[float | None] = []
    text: list[str] = []
    for place, (hour, value) in enumerate(zip(hours, values, strict=True)):
        if place and hour.at - hours[place - 1].at > timedelta(hours=1):
            at.append(_wall(hours[place - 1]))
            drawn.append(None)
            text.append("")
        known = isfinite(value)
        at.append(_wall(hour))
        drawn.append(rounded(value) if known else None)
        text.append(f"{spell.number(value)} an hour {name}" if known else "")
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": at, "y": drawn, "text": text, "connectgaps": False,
        "hovertemplate": "%{x|%a %-d %b %H:%M}<br>%{text}<extra></extra>",
        "line": {"color": colour, "width": 1.5, "dash": dash, "shape": "hvh"},
    }  # fmt: skip


def _bars(hours: list[Hour]) -> dict[str, Any]:
    known = [hour for hour in hours if isfinite(hour.grown)]
    return {
        "type": "bar", "name": "growth", "x": [_wall(hour) for hour in known], "y": [rounded(hour.grown) for hour in known],
        "text": [f"{hour.grown:+.0f}" for hour in known], "textposition": "none",
        "hovertemplate": "%{x|%a %-d %b %H:%M}<br>%{text} jobs an hour<extra></extra>",
        "marker": {"color": palette.light("on_time")}, "showlegend": False,
    }  # fmt: skip


def _wall(hour: Hour) -> str:
    """The middle of an hour; its `at` is the reader's clock already."""
    return (hour.at + timedelta(minutes=30)).strftime("%Y-%m-%d %H:%M:%S")


def _resets(one: Shown) -> list[float]:
    """The looks that first showed counters anew, epoch seconds."""
    found: list[float] = one.steps.at[1:][one.steps.looks["resets"][1:] > 0].tolist()
    return found


def _alt(history: History, one: Shown, hours: list[Hour], counted: bool, resets: list[float], tz: tzinfo) -> str:
    told = rates_of(one.steps)
    where = f"{one.title}, {window(history, [one.at_us[0], one.at_us[-1]], tz)}"
    if not counted:
        most = max((hour for hour in hours if isfinite(hour.grown)), key=lambda h: h.grown)
        if most.grown <= 0:
            return f"{where}: in no hour more waited at its end than at its beginning."
        by = spell.plural(round(most.grown), "job")
        return f"{where}: it grew most in the hour from {most.at:%H:%M} on {_day(most)}, by {by}."
    over = [hour for hour in hours if isfinite(hour.came) and hour.came > hour.done]
    come = f"{_whole(told.arrivals.value * 3600)} jobs come an hour" if told.arrivals.n else "what comes is not known"
    said = [f"{where}: {come} and {_whole(told.service.value * 3600)} are finished, on the average."]
    if over:
        most = max(over, key=lambda h: h.came - h.done)
        said.append(
            f"Most was left over in the hour from {most.at:%H:%M} on {_day(most)}: {_whole(most.came)} came, "
            f"{_whole(most.done)} were finished."
        )
    idle = [hour for hour in hours if hour.done == 0 and isfinite(hour.came) and hour.came > 0]
    if idle:
        last = f"last from {idle[-1].at:%H:%M} on {_day(idle[-1])}"
        said.append(f"In {spell.plural(len(idle), 'hour')} jobs came and none was finished, {last}.")
    if resets:
        last = ", ".join(moving.clock(at, tz) for at in resets[-3:])
        times = "once" if len(resets) == 1 else f"{spell.number(len(resets))} times, last"
        said.append(f"Its counters began anew {times}: {last}.")
    return " ".join(said)


def _whole(value: float) -> str:
    """A rate of jobs for a reader: whole, unless there are few."""
    return spell.number(round(value) if value >= 10 else value)


def _day(hour: Hour) -> str:
    from datetime import UTC

    return spell.day(hour.at, UTC)
