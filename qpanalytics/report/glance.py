"""What a notebook shows of a `History`: the digest of its own window, small and static."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qpanalytics.history import History


def glance(history: History) -> str:
    """A fragment of HTML with styles of its own, escaped, without scripts."""
    from qpanalytics.report import report
    from qpanalytics.report.page import fragment

    return fragment(report(history, period="custom").facts)
