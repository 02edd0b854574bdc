"""How many runs became what: bars of days or weeks, for one check or summed over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from qpanalytics import spell
from qpanalytics.plot.calendar import RANKS, Days, cut_words, day_words, days, period
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.reading import checks, days_axis, nothing, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

DAYS = 120
"""Longer windows are counted by weeks."""
ORDER = ("on_time", "ran", "late", "missed", "failed", "hung", "excused", "unknown", "pending")
"""From the foot of a bar to its head."""
PATTERNS = {"hung": "/"}


def outcomes(history: History, *, check: str | None = None, tz: str = "UTC") -> Figure:
    """What became of the expected runs, counted by day (by week in windows of more than 120 days).

    Without `check` all checks are added up, so one that runs every minute outweighs all that run daily. Checks without a
    schedule, or that cannot be judged by their ticks, count what ran and what failed.
    """
    where = zone(tz)
    with history.session():
        known = checks(history, check)
        told = days(history, tz)
        name = None if check is None else known[0].check
        title = "What became of the runs" if name is None else f"{known[0].title}: what became of its runs"
        return figure(_drawing(history, title, name, [told.get(one.check_id, Days()) for one in known], where))


def _drawing(history: History, title: str, check: str | None, of: Iterable[Days], tz: tzinfo) -> Drawing:
    counts: dict[date, Counter[str]] = {}
    parts = [part for part in of if part]
    for part in parts:
        for day, outcomes_of in part.items():
            counts.setdefault(day, Counter()).update(outcomes_of)
    if not counts:
        why = nothing(history, None, "run", tz)
        return empty(title, why[:1].upper() + why[1:], f"{title if check is None else check}: {why}")
    first, last = min(counts), max(counts)
    weekly = (last - first).days > DAYS
    bins: dict[date, Counter[str]] = {}
    for day, some in counts.items():
        bins.setdefault(day - timedelta(days=day.weekday()) if weekly else day, Counter()).update(some)
    total = sum(counts.values(), Counter())
    data = [_bars(outcome, bins, weekly) for outcome in ORDER if outcome in total]
    unit = "week" if weekly else "day"
    cut = cut_words(any(part.cut for part in parts))
    summed = f"{spell.plural(len(parts), 'check')} added up." if check is None else ""
    note = f"A bar is a {unit} and its runs. {summed}".strip()
    said = ", ".join(f"{spell.number(total[o])} {palette.word(o)}" for o in sorted(total, key=RANKS.index, reverse=True))
    worst_bin = max(bins, key=lambda b: (sum(bins[b][o] for o in ("missed", "failed", "hung")), -b.toordinal()))
    bad = sum(bins[worst_bin][o] for o in ("missed", "failed", "hung"))
    alt = f"{title if check is None else check}: {spell.plural(total.total(), 'run')} {period(first, last)}: {said}."
    if bad:
        began = "began" if weekly else "was"
        alt += f" The worst {unit} {began} {day_words(worst_bin)}, with {spell.number(bad)} missed, failed or hung."
    high = max(some.total() for some in bins.values())
    y: dict[str, Any] = {"rangemode": "tozero", "nticks": 6, "tickformat": ",d"} | ({"dtick": 1} if high <= 5 else {})
    air = timedelta(weeks=1) if weekly else timedelta(0)
    look = layout(x=days_axis(min(bins), last + air), y=y, barmode="stack", bargap=0.12, showlegend=True)
    return Drawing(title, note, " ".join(part for part in (alt, summed, cut) if part), data, look, cut)


def _bars(outcome: str, bins: dict[date, Counter[str]], weekly: bool) -> dict[str, Any]:
    keys = sorted(b for b in bins if bins[b][outcome])
    colour = palette.light(outcome)
    marker: dict[str, Any] = {"color": colour}
    if outcome == "missed":  # hollow, as in the strips
        marker = {"color": palette.light("paper"), "line": {"color": colour, "width": 1.5}}
    elif PATTERNS.get(outcome):
        marker["pattern"] = {"shape": PATTERNS[outcome], "fgcolor": palette.light("paper"), "bgcolor": colour, "size": 5}
    when = "week of %{x|%a %-d %b}" if weekly else "%{x|%a %-d %b}"
    return {
        "type": "bar",
        "name": palette.word(outcome),
        "x": [key.isoformat() for key in keys],
        "y": [bins[key][outcome] for key in keys],
        "marker": marker,
        "hovertemplate": f"{when}<br>%{{y:,}} {palette.word(outcome)}<extra></extra>",
    }
