"""The evidence: dots with a line for durations and lateness, and steps for how late runs arrive, as inline SVG.

Labels stand at the line they name, there is no legend; the unit is on the uppermost tick. A figure holds at most some
600 dots in one path however many runs there were. Figures are drawn 400 units wide so that a phone can show them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from qpanalytics import spell
from qpanalytics.instants import instant
from qpanalytics.report import svg, wording
from qpanalytics.report.model import Arrivals, Dots

WIDE, HIGH = 400.0, 156.0
TOP, FOOT, LEFT, RIGHT = 26.0, 20.0, 8.0, 21.0
"""On the right there is room for half of the last tick's label, which is then centred under its place."""

LETTER = svg.LETTER
BOLD = 6.5
"""The same of bold letters, which name what is promised."""

STEPS = {
    "s": (1.0, (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30)),
    "min": (60.0, (1, 2, 5, 10, 15, 20, 30)),
    "h": (3600.0, (0.5, 1, 2, 3, 4, 6, 8, 12)),
    "d": (86400.0, (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
}
"""Units of an axis of time: seconds in one, and the steps its ticks may take."""


LINE = 13.0
"""From one line of a label to the next."""

Box = tuple[float, float, float, float]
"""What something covers: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: `low` to `high` in the figure's own unit lies on `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; what is beyond the ends is drawn at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def time_ticks(low_s: float, high_s: float, most: int = 5) -> list[tuple[float, str]]:
    """Round ticks that enclose [low_s, high_s], some `most` of them: (seconds, label); only the last names its unit."""
    size = max(high_s, -low_s, 1e-9)
    unit = next((u for u in ("d", "h", "min") if size >= 2 * STEPS[u][0]), "s")
    factor, steps = STEPS[unit]
    span = (high_s - low_s) / factor
    step = next((s for s in steps if span / s <= most), None) or 10 ** math.ceil(math.log10(span / most))
    first, last = math.floor(low_s / factor / step + 1e-9), math.ceil(high_s / factor / step - 1e-9)
    last = max(last, first + 1)
    labels = [f"{i * step:.10g}" for i in range(first, last + 1)]
    labels[-1] += f" {unit}"
    return [(i * step * factor, label) for i, label in zip(range(first, last + 1), labels, strict=True)]


YEARS_FROM = 500
"""Of a longer window, in days, the axis names years."""


def day_ticks(since_us: int, until_us: int, tz: str, most: int = 5) -> list[tuple[int, str]]:
    """Midnights of the zone, full hours in a window under three days, years in one of many: (epoch microseconds, label)."""
    zone = ZoneInfo(tz)
    start = _local(since_us, zone)
    hours = (until_us - since_us) / 3_600_000_000
    years = hours / 24 > YEARS_FROM
    if years:  # days without their year would say nothing
        last = _local(until_us, zone).year
        step = math.ceil((last - start.year + 1) / most)
        marks = [datetime(year, 1, 1, tzinfo=zone) for year in range(start.year, last + 1, step)]
    elif hours < 72:
        step = next(s for s in (1, 2, 3, 6, 12, 24) if hours / s <= most or s == 24)
        first = start.replace(minute=0, second=0, microsecond=0)
        marks = [first + timedelta(hours=i) for i in range(int(hours) + 3)]
        marks = [m for m in marks if m.hour % step == 0]
    else:
        days = hours / 24
        step = next((s for s in (1, 2, 4, 7, 14, 28, 56, 91, 182, 365) if days / s <= most), math.ceil(days / most))
        first = start.replace(hour=0, minute=0, second=0, microsecond=0)
        marks = [first + timedelta(days=i * step) for i in range(int(days / step) + 2)]
    ticks = []
    for mark in marks:
        us = round(mark.timestamp() * 1_000_000)
        if since_us <= us <= until_us:
            day = f"{mark.year}" if years else spell.day(mark, tz).partition(" ")[2]
            ticks.append((us, f"{mark:%H:%M}" if hours < 72 and mark.hour else day))
    return ticks


def dots(of: Dots) -> Markup:
    """Durations or lateness of single runs over time, with the line that holds and the limit above it.

    Points far above all others are drawn at the upper edge and counted, so that one bad night does not flatten the
    rest; a limit far above them is named and not drawn.
    """
    values = sorted(v for _, v in of.points)
    levels = [*(level.value_s for level in of.levels), *(value for _, value in of.path)]
    low, top = _reach(values, levels)
    near = of.limit_s is not None and of.limit_s <= 4 * top
    ticks = time_ticks(low, max(top, of.limit_s if near and of.limit_s else 0.0))
    left = LEFT + max(len(label) for _, label in ticks) * LETTER
    y = Axis(ticks[0][0], ticks[-1][0], HIGH - FOOT, TOP)
    x = Axis(float(of.since_us), float(max(of.until_us, of.since_us + 1)), left, WIDE - RIGHT)

    body = [_grid(y, ticks, left)]
    days = day_ticks(of.since_us, of.until_us, of.tz)
    body += [_label(x.at(us), HIGH - 4, text, "q-tick") for us, text in days]
    body.append(f'<path class="q-dots" d="{_scatter([(x.at(us), y.at(v)) for us, v in of.points])}"/>')
    above = [v for v in values if v > ticks[-1][0]]
    free = WIDE
    if above:
        said = f"{spell.number(len(above))} higher, up to {spell.duration(above[-1])}"
        body.append(_text(WIDE, 9, said, "q-label", "end"))
        free -= (len(said) + 1) * LETTER
    for us, text in sorted(of.changes, reverse=True):  # the latest matters most: where two names collide, it stays
        at, half = x.at(us), len(text) * LETTER / 2
        body.append(f'<path class="q-upright" d="M{svg.number(at)} 13V{svg.number(HIGH - FOOT)}"/>')
        middle = min(at, free - half)
        if middle > half and at - middle < half:
            body.append(_text(middle, 9, text, "q-label", "middle"))
            free = middle - half - LETTER
    for level in of.levels:
        start, end, height = x.at(level.since_us), x.at(level.until_us), y.at(level.value_s)
        body.append(f'<path class="q-level" d="M{svg.number(start)} {svg.number(height)}H{svg.number(end)}"/>')
        if level.label:
            middle = (start + end) / 2
            body.append(_label(middle, height - 5, level.label, "q-label", left + 2))
    if of.path or of.ahead:
        body += _led(of, x, y, left)
    if of.limit_s is not None and near:
        edge = svg.number(y.at(of.limit_s))
        body.append(f'<path class="q-limit" d="M{svg.number(left)} {edge}H{WIDE - RIGHT:g}"/>')
        body.append(_text(left + 2, y.at(of.limit_s) - 4, of.limit_label, "q-limit-label"))
    elif of.limit_s is not None:
        body.append(_text(left + 2, TOP - 4, f"{of.limit_label}, far above", "q-limit-label"))
    return svg.picture(WIDE, HIGH, of.alt, "".join(body), "q-figure", hover=False)


def _led(of: Dots, x: Axis, y: Axis, left: float) -> list[str]:
    """The line that need not be level, and where it leads: dashes in a cone, up to the point at which it meets the limit."""
    at = [(x.at(us), y.at(value)) for us, value in of.path]
    body = [f'<path class="q-level" d="{_joined(at)}"/>'] if at else []
    if of.ahead is not None:
        way = [(x.at(us), y.at(value)) for us, value in of.ahead.path]
        (start_x, start_y), (met_x, met_y) = way[0], way[-1]
        lo, hi = x.at(of.ahead.lo_us), x.at(of.ahead.hi_us)
        cone = _joined([(start_x, start_y), (lo, met_y), (hi, met_y)])
        body.append(f'<path class="q-cone" d="{cone}Z"/><path class="q-ahead" d="{_joined(way)}"/>')
        body.append(f'<circle class="q-met" cx="{svg.number(met_x)}" cy="{svg.number(met_y)}" r="3"/>')
        body.append(_label(met_x, met_y + 16, of.ahead.label, "q-limit-label", left + 2))
    if at and of.path_label:
        body.append(_text(at[-1][0] - 6, at[-1][1] - 5, of.path_label, "q-label", "end"))
    return body


def _joined(at: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{svg.number(px)} {svg.number(py)}" for px, py in at)


SHARES = {0.0: 0.25, 0.5: 0.25, 0.8: 0.1, 0.9: 0.05, 0.95: 0.01, 0.97: 0.01, 0.99: 0.005}
"""Where an axis of shares may start, and the step of its ticks from there to 100 %."""


def arrivals_start(of: Arrivals) -> float:
    """Where the axis of shares starts: zero, or as high as the first mark and the number of runs allow."""
    n = len(of.lateness_s) + of.never
    if not n:
        return 0.0
    came = sorted(of.lateness_s)
    first = min((mark.value_s for mark in of.marks), default=math.inf)
    reached = bisect_right(came, first) / n
    # Five runs at least must fit between the start and 100 %, and the first mark lies above the lower two fifths.
    return max(s for s in SHARES if s == 0 or (n * (1 - s) >= 5 and reached >= s + 0.4 * (1 - s)))


def arrivals_caption(of: Arrivals) -> str:
    """The caption, which says so where the axis of shares does not start at zero."""
    start = arrivals_start(of)
    return f"{of.caption}; axis starts at {round(start * 100)} %" if start else of.caption


def arrivals(of: Arrivals) -> Markup:
    """How late runs arrive: steps of the share that had come by then, with the grace now and others as uprights."""
    came = sorted(of.lateness_s)
    n = len(came) + of.never
    start = arrivals_start(of)
    marks = sorted(of.marks, key=lambda mark: (mark.value_s, mark.label))
    low, top = _reach(came)
    ticks = time_ticks(low, max([top, *(mark.value_s * 1.25 for mark in marks if mark.value_s <= 6 * top)]))
    # Runs that come 20 s early would begin an axis of minutes at -1 min, a third of a figure in which nothing is.
    begins = ticks[0][0]
    if low < 0 and begins < 1.5 * low:
        begins, ticks = low, ticks[1:]
    rungs = round((1 - start) / SHARES[start])
    shares = [
        (1 - i * SHARES[start], f"{100 - i * SHARES[start] * 100:.4g}" + (" %" if i == 0 else ""))
        for i in range(rungs + 1)
    ]
    left = LEFT + 6 * LETTER
    y = Axis(start, 1.0, HIGH - FOOT, 10.0)
    x = Axis(begins, ticks[-1][0], left, WIDE - RIGHT)

    body = [_grid(y, shares, left)]
    body += [_label(x.at(s), HIGH - 4, text, "q-tick") for s, text in ticks]
    steps: list[tuple[float, float]] = []
    for i, s in enumerate(came):
        if s > ticks[-1][0]:
            break
        at, share = x.at(s), (i + 1) / n
        if steps and steps[-1][0] > at - 0.5:  # a step narrower than half a pixel only makes the file larger
            steps[-1] = (steps[-1][0], share)
        else:
            steps.append((at, share))
    path, below, curve = [], True, list[Box]()
    for i, (at, share) in enumerate(steps):
        previous = steps[i - 1][1] if i else 0.0
        if share < start:
            continue
        if below:
            path.append(f"M{svg.number(at)} {svg.number(y.at(previous))}")
            below = False
        path.append(f"H{svg.number(at)}V{svg.number(y.at(share))}")
        until = steps[i + 1][0] if i + 1 < len(steps) else WIDE - RIGHT
        curve += [(at, y.at(share), at, y.at(max(previous, start))), (at, y.at(share), until, y.at(share))]
    if path:
        body.append(f'<path class="q-line" d="{"".join(path)}H{svg.number(WIDE - RIGHT)}"/>')
    for i, mark in enumerate(marks):
        at = x.at(mark.value_s)
        far = mark.value_s > ticks[-1][0]  # named at the edge: drawn, it would press all steps to the left
        if not far:
            body.append(f'<path class="q-upright" d="M{svg.number(at)} 10V{svg.number(HIGH - FOOT)}"/>')
        said = f"{mark.label}, far beyond" if far else mark.label
        style = "q-limit-label" if mark.tone == "bad" else "q-label"
        body += _placed(at, said, style, curve, HIGH - FOOT - 6 - LINE * (i % 3))
    later = sum(1 for s in came if s > ticks[-1][0])
    if later:
        said = f"{spell.number(later)} later still, up to {spell.duration(came[-1])}"
        body.append(_text(WIDE - RIGHT, 24, said, "q-label", "end"))
    return svg.picture(WIDE, HIGH, of.alt, "".join(body), "q-figure", hover=False)


def _placed(at: float, said: str, style: str, taken: list[Box], lowest: float) -> list[str]:
    """A label beside an upright, where neither the curve nor another label crosses it: right of it in one line or in two,
    else left of it, as low as possible. Where there is no such place it stands low. What it covers is added to `taken`.
    """
    head, colon, rest = said.partition(": ")
    places = []
    for lines, side in (([said], 1), ([f"{head}:", rest], 1), ([said], -1), ([f"{head}:", rest], -1)):
        wide = max(map(len, lines)) * (BOLD if style == "q-limit-label" else LETTER)
        near = at + 4 * side
        left, right = (near, near + wide) if side > 0 else (near - wide, near)
        if (len(lines) == 1 or colon) and left >= 0 and right <= WIDE:
            places += [(lines, side, near, (left, top, right, top + LINE * len(lines))) for top in _tops(lowest, len(lines))]
    clear = (place for place in places if not any(_cross(place[3], other) for other in taken))
    fall_back = next(iter(places), ([said], -1, at - 4, (at - 4, lowest, at, lowest)))
    lines, side, near, box = next(clear, fall_back)
    taken.append(box)
    return [_text(near, box[1] + LINE * i + 10, line, style, "end" if side < 0 else "") for i, line in enumerate(lines)]


def _tops(lowest: float, lines: int) -> list[float]:
    """Where a label of so many lines may begin, lowest first; `lowest` is the foot of its letters."""
    first = lowest - 10 - LINE * (lines - 1)
    return [top for i in range(12) if (top := first - i * LINE) >= 0]


def _cross(a: Box, b: Box) -> bool:
    return a[0] < b[2] + 1 and b[0] < a[2] + 1 and a[1] < b[3] + 1 and b[1] < a[3] + 1


def _reach(values: Sequence[float], lines: Sequence[float] = ()) -> tuple[float, float]:
    """What an axis shows of sorted values: zero to the largest, unless that lies far above nearly all of them.

    Under twenty values all are shown: which of them are usual cannot be said.
    """
    few = len(values) < 20
    at = len(values) - 1 if few else int(0.98 * (len(values) - 1))
    usual = max([values[at] if values else 0.0, *lines, 0.0])
    top = max(values[-1] if values and values[-1] <= 3 * usual else 1.5 * usual, 1e-3)
    low = min(values[0] if values else 0.0, 0.0)
    return low if few else max(low, -3 * max(top, 1.0)), top


def _local(us: int, zone: ZoneInfo) -> datetime:
    return instant(us).astimezone(zone)


def _grid(y: Axis, ticks: Sequence[tuple[float, str]], left: float) -> str:
    lines = "".join(f"M{svg.number(left)} {svg.number(y.at(value))}H{svg.number(WIDE - RIGHT)}" for value, _ in ticks)
    return f'<path class="q-grid" d="{lines}"/>' + "".join(
        _text(left - 5, y.at(value) + 3.5, label, "q-tick", "end") for value, label in ticks
    )


def _text(x: float, y: float, text: str, style: str, anchor: str = "") -> str:
    at = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{style}" x="{svg.number(x)}" y="{svg.number(y)}"{at}>{escape(wording.shown(text))}</text>'


def _label(x: float, y: float, text: str, style: str, left: float = 0.0) -> str:
    """A text centred on x, pushed in where it would leave the picture, or go left of `left`."""
    half = len(text) * LETTER / 2
    return _text(min(max(x, left + half), WIDE - half), y, text, style, "middle")


def _scatter(at: Sequence[tuple[float, float]], most: int = 600) -> str:
    """All points as one path of strokes without length; of too many, each column keeps its ends and its middle."""
    points = sorted({(round(px), round(py, 1)) for px, py in at})
    if len(points) > most:
        columns: dict[int, list[float]] = {}
        for px, py in points:
            columns.setdefault(px // 2 * 2, []).append(py)
        points = [
            (px, py)
            for px, ys in sorted((px, sorted(ys)) for px, ys in columns.items())
            for py in sorted({ys[0], ys[len(ys) // 2], ys[-1]})
        ]
    return "".join(f"M{px} {svg.number(py)}h0" for px, py in points)
