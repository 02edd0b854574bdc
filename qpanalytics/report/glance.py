"""What a notebook shows of a `History`: the digest of its own window, small and static."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from qpanalytics.verdict.cases import instant

if TYPE_CHECKING:
    from qpanalytics.history import History


def glance(history: History) -> str:
    """A fragment of HTML with styles of its own, escaped, without scripts.

    A window that begins before anything was promised or seen (that of plain frames begins in 1970) is shown from the
    day on which something was.
    """
    from qpanalytics.report import report
    from qpanalytics.report.page import fragment

    with history.session():
        began = [us for us in history.sql("standing").column("began_us").to_pylist() if us is not None]
        first = instant(min(began)) if began else None
        day = None if first is None else first.replace(hour=0, minute=0, second=0, microsecond=0)
        if day is None or day <= history.since or day >= history.until - timedelta(days=1):
            return fragment(report(history, period="custom").facts)
    return fragment(report(history.window(day, history.until), period="custom").facts)
