"""When runs happen: each run of a check at its day and time of day, or of all checks in a lane each."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.instants import TICK, instant
from qpanalytics.plot.drawing import NAME_MOST, Drawing, empty, figure, layout, marks, safe
from qpanalytics.plot.reading import Drawn, axis, checks, days_axis, nothing, rows, span, walls, window, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

MOST = 800
"""Runs of one check in a figure, the latest."""
ALL_MOST = 6000
"""Runs in a figure of all checks, shared out evenly."""
LANES = 60
"""Checks in a figure of all."""
LONG_S = 300.0
"""Shorter runs are a dot; of longer ones the time that they took is drawn."""

RESULTS = {
    "success": ("ran", "succeeded"),
    "fail": ("failed", "failed"),
    "open": ("unknown", "still open"),
    "abandoned": ("hung", "abandoned: it never ended"),
}


def runs(history: History, *, check: str | None = None, tz: str = "UTC") -> Figure:
    """When each run of `check` began, its day across and its time of day up; without `check` a lane for each check.

    Runs longer than five minutes have a line to their end. The latest 800 runs are drawn, and the figure says so where
    there are more. Start pings that are missing are replaced by the completion.
    """
    where = zone(tz)
    with history.session():
        known = checks(history, check)
        return figure(_lanes(history, known, where, tz) if check is None else drawing(history, known[0], where, tz))


def drawing(history: History, one: Drawn, tz: tzinfo, named: str) -> Drawing:
    """The runs of one check by day and time of day in `tz`, called `named`."""
    title = f"{one.title}: when it runs"
    found = rows(history, "drawn_runs", [one.check_id], most=MOST)
    results = found["result"]
    if not results:
        why = nothing(history, one, "run", tz)
        return empty(title, why[:1].upper() + why[1:], f"{one.check}: {why}")
    begins = [s if s is not None else c for s, c in zip(found["started_us"], found["completed_us"], strict=True)]
    local = [instant(us).astimezone(tz) for us in begins]
    data = _spans(found, tz)
    for result, (outcome, words) in RESULTS.items():
        some = [i for i, r in enumerate(results) if r == result]
        if some:
            took = [_took(found["duration_s"][i], words) for i in some]
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": words.partition(":")[0],
                    "x": [f"{local[i]:%Y-%m-%d}" for i in some],
                    "y": [_hour(local[i]) for i in some],
                    "customdata": [f"{local[i]:%H:%M:%S}" for i in some],
                    "text": took,
                    "hovertemplate": "%{x|%a %-d %b} %{customdata}<br>%{text}<extra></extra>",
                    "marker": marks(outcome, 5 if result == "success" else 8) | {"opacity": 0.7 if result == "success" else 1},
                }
            )
    since, until = span(history, begins)
    if found["n"][0] > len(results):
        since = max(since, instant(min(begins)))
    starts = any(s is not None for s in found["started_us"])
    hours = [0, 6, 12, 18, 24]
    y = {"range": [24.6, -0.6], "tickvals": hours, "ticktext": [f"{h:02}:00" for h in hours], "title": {"text": ""}}
    days = days_axis(since.astimezone(tz).date(), (until - TICK).astimezone(tz).date(), named)
    left_out = ""
    if found["n"][0] > len(results):
        left_out = f"The latest {spell.number(len(results))} of {spell.plural(found['n'][0], 'run')} are drawn."
    how = f"Across: the day; down: the time of day at which it {'began' if starts else 'ended'}."
    look = layout(x=days, y=y, showlegend=len(set(results)) > 1)
    return Drawing(title, how, _alt(history, one, found, begins, local, tz, starts, left_out), data, look, left_out)


def _spans(found: dict[str, list[Any]], tz: tzinfo) -> list[dict[str, Any]]:
    """Lines from begin to end of long runs, cut where the clock passes midnight."""
    x: list[str | None] = []
    y: list[float | None] = []
    for started, completed in zip(found["started_us"], found["completed_us"], strict=True):
        if started is None or completed is None or completed - started < LONG_S * 1e6:
            continue
        at, end = instant(started).astimezone(tz), instant(completed).astimezone(tz)
        for _ in range(8):  # a run of more than a week is a line of a week
            last = at.date() == end.date()
            x += [f"{at:%Y-%m-%d}", f"{at:%Y-%m-%d}", None]
            y += [_hour(at), _hour(end) if last else 24.0, None]
            if last:
                break
            at = datetime.combine(at.date() + timedelta(days=1), datetime.min.time(), at.tzinfo)
    if not x:
        return []
    line = {"color": palette.light("ran"), "width": 2}
    return [{"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "opacity": 0.4, "hoverinfo": "skip",
             "showlegend": False}]  # fmt: skip


def _hour(at: datetime) -> float:
    return round(at.hour + at.minute / 60 + at.second / 3600, 3)


def _took(duration_s: float | None, words: str) -> str:
    return words if duration_s is None else f"{words} after {spell.duration(duration_s)}"


def _alt(
    history: History,
    one: Drawn,
    found: dict[str, list[Any]],
    begins: list[int],
    local: list[datetime],
    tz: tzinfo,
    starts: bool,
    left_out: str,
) -> str:
    results = found["result"]
    told = [f"{spell.number(results.count(r))} {words.partition(':')[0]}" for r, (_, words) in RESULTS.items() if r in results]
    said = f"{one.check}: {spell.plural(len(results), 'run')} {window(history, begins, tz)}: {', '.join(told)}"
    do = "begin" if starts else "end"
    hours = sorted(_hour(at) for at in local)
    half = (len(hours) + 1) // 2
    if len(hours) >= 4:
        # the shortest stretch of the clock, also over midnight, that holds half of them
        turned = hours + [h + 24 for h in hours]
        wide, begin = min((turned[i + half - 1] - turned[i], turned[i]) for i in range(len(hours)))
        if wide <= 6:
            first, last = (f"{int(h % 24):02}:{int(h * 60) % 60:02}" for h in (begin, begin + wide))
            said += f"; half of them {do} {f'at {first}' if first == last else f'between {first} and {last}'}"
        else:
            said += f"; they {do} at all hours"
    return f"{said}.{f' {left_out}' if left_out else ''}"


def _lanes(history: History, known: list[Drawn], tz: tzinfo, named: str) -> Drawing:
    title = "When checks run"
    lanes = known[:LANES]
    each = max(ALL_MOST // max(len(lanes), 1), 20)
    found = rows(history, "drawn_runs", [one.check_id for one in lanes], most=each)
    if not found["result"]:
        why = nothing(history, None, "run", tz)
        return empty(title, why[:1].upper() + why[1:])
    at_us = [c if c is not None else s for s, c in zip(found["started_us"], found["completed_us"], strict=True)]
    there = set(found["check_id"])
    lanes = [one for one in lanes if one.check_id in there]
    place = {one.check_id: i for i, one in enumerate(lanes)}
    at = walls(at_us, tz)
    data = []
    for result, (outcome, words) in RESULTS.items():
        some = [i for i, r in enumerate(found["result"]) if r == result]
        if some:
            good = result == "success"
            marker = marks(outcome, 8) | ({"symbol": "line-ns-open"} if good else {})
            marker["line"] = {"color": palette.light(outcome), "width": 1.5}
            data.append({"type": "scatter", "mode": "markers", "name": words.partition(":")[0], "x": [at[i] for i in some],
                         "y": [place[found["check_id"][i]] for i in some],
                         "text": [_took(found["duration_s"][i], words) for i in some],
                         "hovertemplate": "%{x|%a %-d %b %H:%M}<br>%{text}<extra></extra>", "marker": marker})  # fmt: skip
    since, until = span(history, at_us)
    left_out = []
    if any(n > each for n in found["n"]):
        left_out.append(f"Of checks with more than {spell.number(each)} runs the latest {spell.number(each)} are drawn.")
    if len(known) > LANES:
        left_out.append(f"{LANES} of {spell.plural(len(known), 'check')} are drawn, by name.")
    silent = min(len(known), LANES) - len(lanes)
    if silent:
        left_out.append(f"{spell.plural(silent, 'check')} without a run left out.")
    names = [safe(one.check, NAME_MOST // 2) for one in lanes]
    y = {"tickvals": list(range(len(lanes))), "ticktext": names, "range": [len(lanes) - 0.4, -0.6], "fixedrange": True,
         "showgrid": True}  # fmt: skip
    room = 20 + 7 * max(len(one.check[: NAME_MOST // 2]) for one in lanes)
    look = layout(height=84 + 18 * len(lanes), left=room, x=axis(since, until, tz, named), y=y, showlegend=True)
    totals = {one.check_id: 0 for one in lanes} | dict(zip(found["check_id"], found["n"], strict=True))
    all_of = sum(totals.values())
    bad = found["result"].count("fail")
    alt = (
        f"{title}: {spell.plural(all_of, 'run')} of {spell.plural(len(lanes), 'check')} {window(history, at_us, tz)}"
        f"; {spell.number(bad)} of those drawn failed. {' '.join(left_out)}"
    ).strip()
    return Drawing(title, "A mark is a run, at its end.", alt, data, look, " ".join(left_out))
