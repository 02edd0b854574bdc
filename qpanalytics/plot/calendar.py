"""What became of each day: a calendar of one check, weeks across and weekdays down, or a line of days for each check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.plot.drawing import NAME_MOST, Drawing, empty, figure, layout, safe
from qpanalytics.plot.reading import Drawn, checks, nothing, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

WEEKS = 53
"""A calendar shows no more, the latest."""
LANES = 50
"""Checks in a figure of all, the worst."""
RANKS = ("pending", "excused", "ran", "on_time", "unknown", "late", "missed", "failed", "hung")
"""From harmless to worst, as in the strips of the report: the worst outcome is what a day is called."""
BAD = ("late", "missed", "failed", "hung")


class Days(dict[date, dict[str, int]]):
    """What became of the runs of each day, and how many of each; `cut` where the window holds earlier days."""

    cut = False



_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_INK = {"late": "#1c2531", "unknown": palette.light("ink"), "pending": palette.light("ink")}
"""Letters on cells: dark ink on yellow in both themes (hence not exactly the colour of text), else white."""


def calendar(history: History, *, check: str | None = None, tz: str = "UTC") -> Figure:
    """The worst outcome of each day of `check` as a calendar; without `check` a line of days for each, worst first.

    Days are those of `tz`. Bad days carry a letter (L late, M missed, F failed, H hung) beside their colour. The last 53
    weeks at most, and the 50 worst checks; the figure says what it leaves out.
    """
    where = zone(tz)
    with history.session():
        known = checks(history, check)
        told = days(history, tz)
        if check is None:
            return figure(_lanes(history, known, told, where))
        return figure(drawing(history, known[0], told.get(known[0].check_id, Days()), where))


def days(history: History, tz: str) -> dict[int, Days]:
    """What became of each day of each check in the window, the last 53 weeks at most."""
    found: dict[int, Days] = {}
    for row in history.sql("day_outcomes", tz=tz, from_at=history.since, to_at=history.until).to_pylist():
        found.setdefault(row["check_id"], Days()).setdefault(row["day"], {})[row["outcome"]] = row["n"]
    latest = max((max(of) for of in found.values()), default=date.min)
    for check_id, of in list(found.items()):
        kept = Days((day, some) for day, some in of.items() if (latest - day).days < 7 * WEEKS)
        kept.cut = len(kept) < len(of)
        found[check_id] = kept
    return {check_id: of for check_id, of in found.items() if of}


def worst(outcomes: Mapping[str, int]) -> str:
    """What a day is called."""
    return max(outcomes, key=RANKS.index)


def told(outcomes: Mapping[str, int]) -> str:
    """A day in words: "22 on time, 2 late"."""
    return ", ".join(f"{spell.number(outcomes[o])} {palette.word(o)}" for o in reversed(RANKS) if o in outcomes)


def drawing(history: History, one: Drawn, of: Days, tz: tzinfo) -> Drawing:
    """The calendar of one check."""
    title = f"{one.title}: what became of each day"
    if not of:
        why = nothing(history, one, "run", tz)
        return empty(title, why[:1].upper() + why[1:], f"{one.check}: {why}")
    first, last = min(of), max(of)
    monday = first - timedelta(days=first.weekday())
    weeks = (last - monday).days // 7 + 1
    data = _cells({day: ((day - monday).days // 7, day.weekday()) for day in of}, of, {})
    step = next(s for s in (2, 4, 8) if weeks / s <= 9 or s == 8)
    ticks = list(range(0, weeks, step))
    starts = [monday + timedelta(weeks=week) for week in ticks]
    x = {
        "tickvals": ticks,
        "ticktext": [day_words(day) for day in starts],
        "tickangle": 0,
        "range": [-0.6, max(weeks, 18) - 0.4],
        "fixedrange": True,
    }
    y = {"tickvals": list(range(7)), "ticktext": list(_WEEKDAYS), "range": [6.55, -0.55], "showgrid": False, "fixedrange": True}
    cut = cut_words(of.cut)
    note = "A cell is a day and its worst outcome; weeks from left to right."
    look = layout(height=236, foot=28, x=x, y=y, barmode="overlay", showlegend=True, dragmode=False)
    return Drawing(title, note, _alt(one, of, cut), data, look, cut)


def _alt(one: Drawn, of: Days, cut: str) -> str:
    called = {day: worst(outcomes) for day, outcomes in sorted(of.items())}
    counts = Counter(called.values())
    said = ", ".join(f"{spell.number(counts[o])} {palette.word(o)}" for o in (*reversed(RANKS),) if o in counts)
    text = f"{one.check}: {spell.plural(len(of), 'day')} with expected runs {period(min(of), max(of))}"
    text += f", by their worst outcome: {said}"
    bad = [(day, outcome) for day, outcome in called.items() if outcome in BAD]
    if bad:
        latest = ", ".join(f"{day_words(day)} ({palette.word(outcome)})" for day, outcome in bad[-5:])
        text += f". {'The latest five bad days' if len(bad) > 5 else 'Bad days'}: {latest}"
    return f"{text}.{f' {cut}' if cut else ''}"


def period(first: date, last: date) -> str:
    """ "from 11 Sep to 24 Nov 2026"."""
    year = f" {first.year}" if first.year != last.year else ""
    if first == last:
        return f"on {day_words(first)} {first.year}"
    return f"from {day_words(first)}{year} to {day_words(last)} {last.year}"


def cut_words(cut: bool) -> str:
    """That only the latest weeks are drawn, where that is so."""
    return f"The last {WEEKS} weeks are drawn." if cut else ""


def day_words(day: date) -> str:
    """ "22 Sep"."""
    return spell.day(datetime.combine(day, datetime.min.time(), UTC), UTC).partition(" ")[2]


def _cells(
    places: Mapping[Any, tuple[float, float]], of: Mapping[Any, Mapping[str, int]], names: Mapping[Any, str]
) -> list[dict[str, Any]]:
    """Cells as bars, a trace for each outcome: bars keep their place in the grid at every width, marks would not."""
    made = []
    by: dict[str, list[Any]] = {}
    for key in sorted(places):
        by.setdefault(worst(of[key]), []).append(key)
    for outcome in sorted(by, key=RANKS.index):
        keys = by[outcome]
        colour = palette.light(outcome)
        letter = palette.LETTERS[outcome] if outcome in (*BAD, "excused", "unknown") else ""
        text = [f"{names.get(k, '')}{_full(k[1] if isinstance(k, tuple) else k)}<br>{told(of[k])}" for k in keys]
        made.append(
            {
                "type": "bar",
                "name": palette.word(outcome),
                "x": [places[k][0] for k in keys],
                "base": [places[k][1] - 0.44 for k in keys],
                "y": [0.88] * len(keys),
                "width": 0.88,
                "marker": {"color": colour},
                "text": letter,
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "constraintext": "none",
                "textfont": {"color": _INK.get(outcome, "white"), "size": 11},
                "customdata": text,
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    return made


def _full(day: date) -> str:
    return f"{spell.day(datetime.combine(day, datetime.min.time(), UTC), UTC)} {day.year}"


def _lanes(history: History, known: Sequence[Drawn], of: Mapping[int, Days], tz: tzinfo) -> Drawing:
    title = "What became of each day"
    there = [one for one in known if one.check_id in of]
    if not there:
        why = nothing(history, None, "run", tz)
        return empty(title, why[:1].upper() + why[1:])

    def badness(one: Drawn) -> tuple[int, str]:
        return -sum(worst(outcomes) in BAD for outcomes in of[one.check_id].values()), one.check

    shown = sorted(there, key=badness)[:LANES]
    first = min(min(of[one.check_id]) for one in shown)
    last = max(max(of[one.check_id]) for one in shown)
    width = (last - first).days + 1
    places = {(i, day): ((day - first).days, i) for i, one in enumerate(shown) for day in of[one.check_id]}
    cells = {(i, day): outcomes for i, one in enumerate(shown) for day, outcomes in of[one.check_id].items()}
    names = {key: f"{safe(shown[key[0]].check, 60)}<br>" for key in places}
    data = _cells(places, cells, names)
    for trace in data:
        if width > 60:
            trace["text"] = ""  # no room for letters; hover and the sentence say it
    step = max(7, -(-width // 10 // 7) * 7)
    ticks = list(range((7 - first.weekday()) % 7, width, step)) or [0]
    words = [day_words(first + timedelta(days=t)) for t in ticks]
    x = {"tickvals": ticks, "ticktext": words, "tickangle": 0, "range": [-0.8, max(width, 14) - 0.2]}
    y = {"tickvals": list(range(len(shown))), "ticktext": [safe(one.check, NAME_MOST // 2) for one in shown],
         "range": [len(shown) - 0.4, -0.6], "showgrid": False, "fixedrange": True}  # fmt: skip
    left_out = [cut] if (cut := cut_words(any(of[one.check_id].cut for one in shown))) else []
    if len(there) > len(shown):
        left_out.append(f"The {LANES} with the most bad days of {spell.plural(len(there), 'check')} are drawn.")
    if len(known) > len(there):
        left_out.append(f"{spell.plural(len(known) - len(there), 'check')} without a run left out.")
    bad = [(one.check, -badness(one)[0]) for one in shown if badness(one)[0]]
    most = f"most bad days: {', '.join(f'{name} {spell.number(n)}' for name, n in bad[:3])}" if bad else "no bad day"
    unseen = sum(worst(outcomes) == "unknown" for outcomes in cells.values())
    dark = f"; on {spell.plural(unseen, 'of the days', 'of the days')} nobody was looking" if unseen else ""
    alt = f"{title}, {spell.plural(len(shown), 'check')} {period(first, last)}; {most}{dark}."
    alt = " ".join([alt, *left_out])
    room = 20 + 7 * max(len(one.check[: NAME_MOST // 2]) for one in shown)
    look = layout(height=62 + 18 * len(shown), left=room, foot=28, x=x, y=y, barmode="overlay", showlegend=True)
    note = "A cell is a day and its worst outcome; worst checks first."
    return Drawing(title, note, alt, data, look, " ".join(left_out))
