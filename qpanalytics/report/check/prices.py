"""What the present grace of one check costs, and what others would: `qpa grace --candidates`, for its page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qpanalytics.analysis import grace
from qpanalytics.report.check.model import GracePrice, Prices

if TYPE_CHECKING:
    from qpanalytics.analysis.grace import Advice
    from qpanalytics.history import History
    from qpanalytics.verdict.cases import Case


def prices(history: History, case: Case) -> Prices | None:
    """The prices over the year up to the window's end, as `qpa grace` has them; None where nothing is promised or can be told."""
    if not case.judged:
        return None
    whole = case.began_at is not None and history.since <= case.began_at  # then there is no more to read
    advice = grace.advise(history if whole else grace.a_year(history))
    own = next((one for one in advice if one.limited.check_id == case.check_id), None)
    if own is None or own.limited.unfit or not len(own.sample):
        return None
    return _prices(own)


def _prices(advice: Advice) -> Prices:
    found = Prices(
        n=len(advice.sample),
        since_us=int(advice.sample.at_us[0]),
        changed=advice.regime.changed,
        budget=advice.budget,
        why=advice.why,
        suggested_s=None if advice.best is None else advice.best.limit_s,
    )
    rows = [
        GracePrice(one.price.limit_s, one.names, one.price.told, one.price.a_month, one.price.lo, one.price.hi, one.price.hidden)
        for one in advice.candidates()
    ]
    if advice.stratum is not None:
        s = advice.stratum
        found = replace(found, stratum=s.name, stratum_s=s.own_s, elsewhere_s=s.elsewhere_s)
    return replace(found, rows=tuple(rows))
