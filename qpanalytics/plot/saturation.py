"""At which hours of the week a queue's workers are never out of work: hours across, weekdays down."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import tides
from qpanalytics.instants import EPOCH
from qpanalytics.plot import moving
from qpanalytics.plot.drawing import Drawing, empty, figure, layout
from qpanalytics.plot.moving import Shown
from qpanalytics.plot.reading import window, zone
from qpanalytics.report import palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from qpanalytics.history import History

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHARES = ((0.0, "never"), (0.25, "up to a quarter"), (0.5, "up to half"), (0.75, "up to three quarters"), (1.0, "more"))
"""Upper ends of the share of an hour in which jobs waited, and what it is called; a colour each."""


def saturation(history: History, queue: str, *, source: str | None = None, tz: str = "UTC") -> Figure:
    """For each hour of the week how much of it jobs waited in a queue without a break, on the average of its weeks.

    While jobs wait all workers are busy (or none takes any), so dark is where there is no room left. A `+` stands in hours
    in which more comes than goes on most days, as `tides` tells weekdays and weekends apart.
    """
    where = zone(tz)
    with history.session():
        one = moving.queue(history, queue, source)
        return figure(drawing(history, one, where, tz))


def drawing(history: History, one: Shown, tz: tzinfo, named: str) -> Drawing:
    """The week of one queue by the clock of `tz`, called `named`."""
    title = f"{one.title}: when jobs wait"
    shares = _shares(one, tz)
    if not shares:
        why = "No two looks lie so near that an hour can be told."
        return empty(title, why, f"{one.title}: {why}")
    found = tides.tides(history, tz=named)
    mine = found[(found["source"] == one.source) & (found["queue"] == one.queue) & found["fills"].fillna(False).astype(bool)]
    fills = set(zip(mine["day"], mine["hour"].astype(int), strict=True))
    data = []
    for place, (most, word) in enumerate(SHARES):
        least = SHARES[place - 1][0] if place else -1.0
        cells = [cell for cell, (share, _) in shares.items() if least < share <= most]
        if cells:
            data.append(_cells(place, word, cells, shares, fills))
    x = {
        "tickvals": list(range(0, 24, 3)), "ticktext": [f"{hour:02}:00" for hour in range(0, 24, 3)],
        "range": [-0.6, 23.6], "fixedrange": True, "title": {"text": named},
    }  # fmt: skip
    y = {"tickvals": list(range(7)), "ticktext": list(WEEKDAYS), "range": [6.55, -0.55], "showgrid": False, "fixedrange": True}
    look = layout(height=270, x=x, y=y, barmode="overlay", showlegend=True, dragmode=False)
    unseen = 168 - len(shares)
    left_out = f"{spell.plural(unseen, 'hour of the week was', 'hours of the week were')} not looked at." if unseen else ""
    note = "Share of the hour in which jobs waited all the time. + : more comes than goes on most of such days."
    alt = f"{_alt(history, one, shares, fills, tz)} {left_out}".strip()
    return Drawing(title, note, alt, data, look, left_out)


def _shares(one: Shown, tz: tzinfo) -> dict[tuple[int, int], tuple[float, int]]:
    """Of each weekday (0 Monday) and hour the share in which jobs waited, and on how many days it was looked at."""
    steps = one.steps
    known = np.isfinite(steps.looks["depth"][:-1]) & np.isfinite(steps.looks["depth"][1:])
    inside = known & (steps.seconds <= tides.LONGEST_S)
    middles = (steps.at[:-1] + steps.seconds / 2)[inside]
    cells: dict[tuple[int, int], list[float]] = {}
    days: dict[tuple[int, int], set[int]] = {}
    local: dict[int, datetime] = {}
    for middle, seconds, waited in zip(
        middles.tolist(), steps.seconds[inside].tolist(), steps.waited[inside].tolist(), strict=True
    ):
        quarter = int(middle // 900)
        if quarter not in local:
            local[quarter] = (EPOCH + timedelta(seconds=900 * quarter)).astimezone(tz)
        cell = local[quarter].weekday(), local[quarter].hour
        sums = cells.setdefault(cell, [0.0, 0.0])
        sums[0] += seconds * waited
        sums[1] += seconds
        days.setdefault(cell, set()).add(local[quarter].toordinal())
    return {cell: (waited / seconds, len(days[cell])) for cell, (waited, seconds) in cells.items()}


def _cells(
    place: int,
    word: str,
    cells: list[tuple[int, int]],
    shares: dict[tuple[int, int], tuple[float, int]],
    fills: set[tuple[str, int]],
) -> dict[str, Any]:
    text = [
        f"{WEEKDAYS[day]} {hour:02}:00<br>jobs waited in {_percent(shares[day, hour][0])} of it, "
        f"{spell.plural(shares[day, hour][1], 'day')}"
        for day, hour in cells
    ]
    dark = place >= 3
    return {
        "type": "bar", "name": word, "x": [hour for _, hour in cells], "base": [day - 0.44 for day, _ in cells],
        "y": [0.88] * len(cells), "width": 0.88, "marker": {"color": shade(place)},
        "text": ["+" if _fills(day, hour, fills) else "" for day, hour in cells],
        "textposition": "inside", "insidetextanchor": "middle", "textangle": 0, "constraintext": "none",
        "textfont": {"color": "white" if dark else palette.light("ink"), "size": 13},
        "customdata": text, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _fills(day: int, hour: int, fills: set[tuple[str, int]]) -> bool:
    return ("weekend" if day >= 5 else "weekday", hour) in fills


def shade(place: int) -> str:
    """The colour of a share: from the page's wash to the blue of what goes well, darker the fuller."""
    from_, to = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (palette.light("hair"), palette.light("on_time")))
    part = place / (len(SHARES) - 1)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in zip(from_, to, strict=True))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} &#37;"


def _alt(
    history: History, one: Shown, shares: dict[tuple[int, int], tuple[float, int]], fills: set[tuple[str, int]], tz: tzinfo
) -> str:
    where = f"{one.title}, {window(history, [one.at_us[0], one.at_us[-1]], tz)}"
    full = sorted(((share, cell) for cell, (share, _) in shares.items() if share > 0.5), key=lambda s: (-s[0], s[1]))
    if not full:
        said = f"{where}: in no hour of the week jobs waited for more than half of it."
    else:
        most = ", ".join(f"{WEEKDAYS[day]} {hour:02}:00 ({100 * share:.0f} %)" for share, (day, hour) in full[:5])
        said = f"{where}: in {spell.plural(len(full), 'hour')} of the week jobs waited for more than half of it, most on {most}."
    told = ", ".join(f"{day}s at {hour:02}:00" for day, hour in sorted(fills))
    return f"{said} More comes than goes on {told}." if fills else f"{said} In no hour more comes than goes day by day."
