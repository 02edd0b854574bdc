"""The larger figures of queues as inline SVG: panels over time, what comes and goes, a week by the hour.

Drawn as those of `evidence`: labels at the line, the unit on the uppermost tick, one path for all marks of one kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from qpanalytics import spell
from qpanalytics.report import svg
from qpanalytics.report.evidence import LETTER, WIDE, Axis, _label, _text, day_ticks, time_ticks
from qpanalytics.report.queue_model import Heat, Levels, Line, Rates

PANEL, TOP, BETWEEN, FOOT, RIGHT = 88.0, 16.0, 24.0, 20.0, 21.0
CELL, ROW = 14.2, 16.0
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def drawn(of: Levels | Rates | Heat) -> Markup:
    """The figure."""
    if isinstance(of, Levels):
        return levels(of)
    return rates(of) if isinstance(of, Rates) else heat(of)


def count_ticks(top: float, unit: str, most: int = 4) -> list[tuple[float, str]]:
    """Round ticks from zero to at least `top`; only the last names its unit."""
    top = max(top, 1.0)
    size = 10 ** math.floor(math.log10(top / most))
    step = max(next(s * size for s in (1, 2, 5, 10) if top / (s * size) <= most), 1.0)
    last = math.ceil(top / step - 1e-9)
    ticks = [(i * step, spell.number(i * step)) for i in range(last + 1)]
    noun = unit.removesuffix("s") if ticks[-1][0] == 1 else unit
    ticks[-1] = (ticks[-1][0], f"{ticks[-1][1]} {noun}")
    return ticks


def levels(of: Levels) -> Markup:
    """Panels over one axis of time: a line each, with the promise as a line of its own across it."""
    ticks = [_ticks(panel) for panel in of.panels]
    left = 8 + max((len(label) for some in ticks for _, label in some), default=1) * LETTER
    high = TOP + len(of.panels) * PANEL + (len(of.panels) - 1) * BETWEEN + FOOT
    x = Axis(float(of.since_us), float(max(of.until_us, of.since_us + 1)), left, WIDE - RIGHT)
    body: list[str] = []
    for place, (panel, some) in enumerate(zip(of.panels, ticks, strict=True)):
        top = TOP + place * (PANEL + BETWEEN)
        body += _panel(panel, some, x, Axis(some[0][0], some[-1][0], top + PANEL, top), left, top)
    body += _marks(of.marks, x, TOP, high - FOOT)
    body += [_label(x.at(us), high - 4, text, "q-tick") for us, text in day_ticks(of.since_us, of.until_us, of.tz)]
    return svg.picture(WIDE, high, of.alt, "".join(body), "q-figure", hover=False)


def _ticks(panel: Line) -> list[tuple[float, str]]:
    values = [value for _, value in panel.points if value is not None]
    top = max([*values, 0.0])
    if panel.limit is not None and panel.limit <= 4 * max(top, 1e-9):
        top = max(top, panel.limit * (1.2 if panel.usual else 1.0))
    return time_ticks(0.0, max(top, 1.0), 4) if panel.unit == "s" else count_ticks(top, panel.unit)


def _panel(panel: Line, ticks: Sequence[tuple[float, str]], x: Axis, y: Axis, left: float, top: float) -> list[str]:
    body = [_grid(y, ticks, left)]
    path, area = _path(panel, x, y)
    if panel.filled and area:
        body.append(f'<path class="q-area" d="{area}"/>')
    if path:
        body.append(f'<path class="q-line" d="{path}"/>')
    body.append(_text(WIDE - RIGHT, top - 5, panel.name, "q-tick", "end"))
    if panel.limit is not None and panel.limit <= ticks[-1][0]:
        edge = y.at(panel.limit)
        stroke, letters = ("q-upright", "q-label") if panel.usual else ("q-limit", "q-limit-label")
        body.append(f'<path class="{stroke}" d="M{svg.number(left)} {svg.number(edge)}H{WIDE - RIGHT:g}"/>')
        body.append(_text(left + 2, edge - 4, panel.limit_label, letters))
    elif panel.limit is not None:
        body.append(_text(left + 2, top - 5, f"{panel.limit_label}, far above", "q-limit-label"))
    return body


def _path(panel: Line, x: Axis, y: Axis) -> tuple[str, str]:
    """The line, and the shape below it; both break where nothing is known."""
    line, area = [], []
    run: list[tuple[float, float]] = []
    for us, value in [*panel.points, (0, None)]:
        if value is not None:
            run.append((x.at(us), y.at(value)))
            continue
        if run:
            joined = "L".join(f"{svg.number(px)} {svg.number(py)}" for px, py in run)
            line.append(f"M{joined}" + ("h0" if len(run) == 1 else ""))
            foot = svg.number(y.start)
            area.append(f"M{svg.number(run[0][0])} {foot}L{joined}V{foot}z")
        run = []
    return "".join(line), "".join(area)


def rates(of: Rates) -> Markup:
    """What comes as a line, what goes as a shaded one; their names stand at the figure's head, each in its own stroke."""
    values = [v for *_, came, went in of.steps for v in (came, went) if v is not None]
    ticks = count_ticks(max([*values, 0.0]), "a min")
    if max([*values, 0.0]) < 2:
        ticks = [(0.0, "0"), (0.5, "0.5"), (1.0, "1"), (1.5, "1.5"), (2.0, "2 a min")]
    left = 8 + max(len(label) for _, label in ticks) * LETTER
    foot = TOP + 120.0
    x = Axis(float(of.since_us), float(max(of.until_us, of.since_us + 1)), left, WIDE - RIGHT)
    y = Axis(0.0, ticks[-1][0], foot, TOP)
    body = [_grid(y, ticks, left)]
    went = _stairs([(a, b, v) for a, b, _, v in of.steps], x, y)
    came = _stairs([(a, b, v) for a, b, v, _ in of.steps], x, y)
    body.append(f'<path class="q-line" d="{went}"/><path class="q-in" d="{came}"/>')
    end = WIDE - RIGHT
    body.append(f'<path class="q-in" d="M{svg.number(end - 148)} 6h14"/>' + _text(end - 130, 9.5, "comes", "q-tick"))
    body.append(f'<path class="q-line" d="M{svg.number(end - 62)} 6h14"/>' + _text(end - 44, 9.5, "goes", "q-tick"))
    body += _marks(of.marks, x, TOP, foot)
    body += [_label(x.at(us), foot + 16, text, "q-tick") for us, text in day_ticks(of.since_us, of.until_us, of.tz)]
    return svg.picture(WIDE, foot + FOOT, of.alt, "".join(body), "q-figure", hover=False)


def _stairs(steps: Sequence[tuple[int, int, float | None]], x: Axis, y: Axis) -> str:
    path, last = [], None
    for since, until, value in steps:
        if value is None:
            last = None
            continue
        height = svg.number(y.at(value))
        path.append(f"V{height}" if last == since else f"M{svg.number(x.at(since))} {height}")
        path.append(f"H{svg.number(x.at(until))}")
        last = until
    return "".join(path)


def heat(of: Heat) -> Markup:
    """Seven rows of 24 places: a square where more comes than goes, its side by how much; a dot where not; else nothing."""
    top = max((cell for day in of.cells for cell in day if cell is not None), default=0.0)
    left, begin = 34.0, 8.0
    squares, dots, body = [], [], []
    for day, cells in enumerate(of.cells):
        middle = begin + (day + 0.5) * ROW
        body.append(_text(left - 8, middle + 3.5, DAYS[day], "q-tick", "end"))
        for hour, cell in enumerate(cells):
            if cell is None:
                continue
            at = left + (hour + 0.5) * CELL
            side = (CELL - 2) * math.sqrt(cell / top) if top > 0 and cell > 0 else 0.0
            if side < 3:
                dots.append(f"M{svg.number(at)} {svg.number(middle)}h0")
            else:
                corner = f"{svg.number(at - side / 2)} {svg.number(middle - side / 2)}"
                squares.append(f"M{corner}h{svg.number(side)}v{svg.number(side)}h-{svg.number(side)}z")
    foot = begin + 7 * ROW
    for hour in range(0, 25, 6):
        label = f"{hour:02d}:00"
        body.append(_label(left + hour * CELL, foot + 15, label, "q-tick", left))
    body.append(f'<path class="q-dots" d="{"".join(dots)}"/><path class="q-fills" d="{"".join(squares)}"/>')
    return svg.picture(WIDE, foot + FOOT, of.alt, "".join(body), "q-figure", hover=False)


def _grid(y: Axis, ticks: Sequence[tuple[float, str]], left: float) -> str:
    lines = "".join(f"M{svg.number(left)} {svg.number(y.at(value))}H{svg.number(WIDE - RIGHT)}" for value, _ in ticks)
    return f'<path class="q-grid" d="{lines}"/>' + "".join(
        _text(left - 5, y.at(value) + 3.5, label, "q-tick", "end") for value, label in ticks
    )


def _marks(marks: Sequence[tuple[int, str]], x: Axis, top: float, foot: float) -> list[str]:
    """Dotted uprights; the last one is named."""
    body = [f'<path class="q-upright" d="M{svg.number(x.at(us))} {svg.number(top)}V{svg.number(foot)}"/>' for us, _ in marks]
    if marks:
        us, said = marks[-1]
        body.append(_label(x.at(us), top - 7, said, "q-label"))
    return body
