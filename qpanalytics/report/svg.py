"""Small pictures as inline SVG text: strips, sparklines, legend marks. The larger figures are in `evidence`.

Each is one element with a sentence for those who do not see it. All cells of one outcome are one path, so that fifty
checks stay within a few hundred nodes. Colours come from classes (`q-late`) of the style sheet; nothing has an id.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from qpanalytics import spell
from qpanalytics.report import palette, wording
from qpanalytics.report.model import Strip, Trend

LETTER = 5.9
"""The mean width of a letter at the size of labels (10.5 units) in DejaVu Sans, the widest of the usual fonts."""

PITCH, BAR, HIGH = 7, 6, 20
"""A cell of a strip: pixels from one to the next, its width, the height of the tallest."""


def number(value: float) -> str:
    """A coordinate with at most one decimal and no needless zero: smaller files, same picture."""
    rounded = round(value, 1)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def picture(width: float, height: float, label: str, body: str, classes: str, hover: bool = True) -> Markup:
    """An SVG with its sentence: read out by a screen reader, shown on hover. `body` must be escaped already."""
    said = escape(spell.plain(label))
    tip = f"<title>{said}</title>" if hover else ""
    return Markup(
        f'<svg class="{classes}" viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" '
        f'height="{number(height)}" role="img" aria-label="{said}">{tip}{body}</svg>'
    )


def strip(of: Strip) -> Markup:
    """A strip of days: the worst outcome of each as colour and shape, nothing where no run was expected."""
    where: dict[str, list[int]] = {}
    for i, cell in enumerate(of.cells):
        if cell is not None:
            where.setdefault(cell, []).append(i)
    # A foot line under the days keeps a check that runs once a month from looking like an empty cell. It begins with the
    # check: days on which there was none yet are not days on which nothing was due.
    width = max(len(of.cells), 1) * PITCH - (PITCH - BAR)
    begins = of.before * PITCH
    line = f"h{width - begins}" if begins < width else ""
    foot = f'<path class="q-foot" d="M{begins} {HIGH + 0.5}{line}"/>'
    body = foot + "".join(cells(cell, where[cell]) for cell in palette.OUTCOMES if cell in where)
    return picture(width, HIGH + 1, wording.strip(of), body, "q-strip")


def cells(cell: str, at: Iterable[int]) -> str:
    """The cells of one outcome as one path; `at` are their places in the strip."""
    return f'<path class="q-{cell.replace("_", "-")}" d="{"".join(_cell(cell, i * PITCH) for i in at)}"/>'


def mark(cell: str) -> Markup:
    """One cell alone, for the legend; its word stands beside it, so it is hidden from screen readers."""
    return Markup(f'<svg class="q-mark" viewBox="0 0 {BAR} {HIGH}" aria-hidden="true">{cells(cell, [0])}</svg>')


def _cell(cell: str, x: int) -> str:
    shape = palette.SHAPES[cell]
    high = HIGH * shape.height
    if shape.form == "hollow":  # a stroke is drawn half inside, half outside: half a pixel in keeps it sharp
        return f"M{x + 0.5} {number(HIGH - high + 0.5)}h{BAR - 1}v{number(high - 1)}h{1 - BAR}z"
    if shape.form == "split":
        half = number((high - 4) / 2)
        bar = f"h{BAR}v{half}h-{BAR}z"
        return f"M{x} {number(HIGH - high)}{bar}M{x} {number(HIGH - (high - 4) / 2)}{bar}"
    if shape.form == "dot":
        radius = number(BAR / 2)
        return f"M{x} {number(HIGH - 4)}a{radius} {radius} 0 1 1 {BAR} 0a{radius} {radius} 0 1 1 -{BAR} 0z"
    return f"M{x} {number(HIGH - high)}h{BAR}v{number(high)}h-{BAR}z"


def sparkline(of: Trend, width: int = 100, height: int = 24, *, fit: bool = False) -> Markup:
    """A line of one value a day with a dot at the last.

    It bridges up to a week without a value, so that a weekly job has a line, and spans at least 0.4 to 1.6 times the
    median: noise stays small, a doubling shows. `fit` scales it to its values, for a growth that is known to be real; then
    the first and the last value stand beside it, since the height alone tells nothing.
    """
    known = sorted(v for v in of.values_s if v is not None)
    if not known:
        return Markup("")
    median = known[len(known) // 2]
    top, low = max(known[-1], 1.6 * median, 1e-6), min(known[0], 0.4 * median)
    pen, left, right = 3.0, 3.0, width - 5.0
    first, last = (wording.about(next(v for v in days if v is not None)) for days in (of.values_s, of.values_s[::-1]))
    if fit:
        top, low = max(known[-1], 1.05 * known[0], 1e-6), known[0]
        left, right = len(first) * LETTER + 5, right - len(last) * LETTER - 3
    step = (right - left) / max(len(of.values_s) - 1, 1)
    dots = [
        (left + i * step, pen + (height - 2 * pen) * (1 - (v - low) / (top - low)))
        for i, v in enumerate(of.values_s)
        if v is not None
    ]
    path = "".join(
        f"{'L' if i and dot[0] - dots[i - 1][0] < 7.5 * step else 'M'}{number(dot[0])} {number(dot[1])}"
        for i, dot in enumerate(dots)
    )
    x, y = (number(c) for c in dots[-1])
    body = f'<path class="q-line" d="{path}"/><circle class="q-end" cx="{x}" cy="{y}" r="2.4"/>'
    if fit:
        beside = ((dots[0][0] - 5, dots[0][1], "end", first), (dots[-1][0] + 6, dots[-1][1], "start", last))
        body += "".join(
            f'<text class="q-tick" x="{number(x)}" y="{number(min(y + 3.5, height - 2))}" text-anchor="{anchor}">{said}</text>'
            for x, y, anchor, said in beside
        )
    return picture(width, height, wording.trend(of), body, "q-spark")
