"""Colours and shapes of outcomes, in light and dark: the one place that page, mail, notebook and plots take them from.

The outcome colours were searched so that the nearest two of them stay well apart (CIEDE2000 above 13 in light) also for
people who see no red, no green or no blue; hence blue for good. Colour is never alone: each outcome has its own shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OUTCOMES = {
    # outcome: (light on #ffffff, dark on #14181d, what people call it)
    "on_time": ("#2b6fa3", "#649ad9", "on time"),
    "late": ("#edac1f", "#dcb73d", "late"),
    "missed": ("#a81f45", "#d3546d", "missed"),
    "failed": ("#39204b", "#785599", "failed"),
    "hung": ("#b7681c", "#d44c14", "hung"),
    "excused": ("#7e8287", "#92969c", "excused"),
    "unknown": ("#ced3d9", "#414446", "not seen"),
    "pending": ("#7e8287", "#92969c", "not due yet"),
    "ran": ("#2b6fa3", "#649ad9", "ran"),
}

MIDDLE = {
    # Where nobody knows the paper (a mail): at least 2.9:1 on white and on dark paper, except late, which has a letter.
    "on_time": "#3a7cb3",
    "late": "#dba520",
    "missed": "#c23a5c",
    "failed": "#785599",
    "hung": "#b7681c",
    "excused": "#7e8287",
    "unknown": "#7e8287",
    "pending": "#7e8287",
    "ran": "#3a7cb3",
}
"""What the paper is not known of has letters beside colour, so three kinds of grey can be one."""

TEXT = {
    # use: (light, dark); every text colour reaches 4.5:1 on its paper, a test measures it
    "paper": ("#ffffff", "#14181d"),
    "ink": ("#1c2530", "#e7ebef"),
    "soft": ("#5a6673", "#a3adb8"),
    "link": ("#1f5c8b", "#8cc0ee"),
    "bad": ("#a81f45", "#ff8aa2"),
    "hair": ("#e3e7eb", "#2b323a"),
    "wash": ("#f4f6f8", "#1f252c"),
    "on-bad": ("#ffffff", "#14181d"),
}

LETTERS = {
    "on_time": ".",
    "late": "L",
    "missed": "M",
    "failed": "F",
    "hung": "H",
    "excused": "e",
    "unknown": "?",
    "pending": "~",
    "ran": "o",
}
"""The same strip where there is neither colour nor shape: a terminal, a mail without pictures."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a cell is drawn: a bar that rises `height` of the strip from its foot, or a form of its own."""

    form: Literal["solid", "hollow", "split", "dot"]
    height: float


SHAPES = {
    "on_time": Shape("solid", 0.6),
    "late": Shape("solid", 0.8),
    "missed": Shape("hollow", 1.0),
    "failed": Shape("solid", 1.0),
    "hung": Shape("split", 1.0),
    "excused": Shape("solid", 0.2),
    "unknown": Shape("solid", 0.08),
    "pending": Shape("hollow", 0.4),
    "ran": Shape("dot", 0.3),
}


def light(name: str) -> str:
    """The colour of an outcome or a use of text on white paper."""
    return (OUTCOMES.get(name) or TEXT[name])[0]


def dark(name: str) -> str:
    """The same on dark paper."""
    return (OUTCOMES.get(name) or TEXT[name])[1]


def middle(cell: str) -> str:
    """The colour of a cell on paper that may be light or dark."""
    return MIDDLE[cell]


def ink_on(cell: str) -> str:
    """The colour of a letter in such a cell: the darkest or the lightest, whichever is read better."""
    return max(light("ink"), light("paper"), key=lambda ink: contrast(ink, MIDDLE[cell]))


def word(cell: str) -> str:
    """What people call an outcome."""
    return OUTCOMES[cell][2]


def variables(theme: Literal["light", "dark"]) -> str:
    """All colours as CSS custom properties, `--qpa-on-time:#2b6fa3;...`."""
    colour = light if theme == "light" else dark
    return "".join(f"--qpa-{name.replace('_', '-')}:{colour(name)};" for name in (*TEXT, *OUTCOMES))


def contrast(colour: str, paper: str) -> float:
    """How well one colour reads on another, 1 to 21 (WCAG 2.1, relative luminance)."""

    def luminance(hexed: str) -> float:
        channels = (int(hexed[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(colour), luminance(paper)), reverse=True)
    return (high + 0.05) / (low + 0.05)
