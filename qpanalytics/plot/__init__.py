"""Figures for notebooks: `qpa.plot.lateness(h, check="backup-db")` returns a Plotly figure in the report's colours.

    >>> fig = qpa.plot.runs(qpa.demo("recorded"), check="db-backup")
    >>> qpa.plot.alt(fig)
    'db-backup: 80 runs from ...'

Each figure carries a plain sentence with what a reader would see (`alt`); it also says what was left out, and an empty
history gives a figure that says why it is empty. Needs the extra `plot`; the explorable report is drawn from the same
`Drawing`s and needs nothing but the package.
"""

from qpanalytics.plot.calendar import calendar
from qpanalytics.plot.depth import depth
from qpanalytics.plot.drawing import alt
from qpanalytics.plot.drift import drift
from qpanalytics.plot.durations import durations
from qpanalytics.plot.flow import flow
from qpanalytics.plot.grace import grace
from qpanalytics.plot.lateness import lateness
from qpanalytics.plot.outcomes import outcomes
from qpanalytics.plot.runs import runs
from qpanalytics.plot.saturation import saturation
from qpanalytics.plot.workers import workers

__all__ = [
    "alt", "calendar", "depth", "drift", "durations", "flow", "grace", "lateness", "outcomes", "runs", "saturation", "workers",
]  # fmt: skip
