"""The part of a digest about alerting itself: a large number and a few sentences, where there was anything to alert of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qpanalytics.analysis.alerting import Alerting, alerting
from qpanalytics.errors import StoreError
from qpanalytics.report.model import Figure
from qpanalytics.verdict import say_alerting
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.history import History


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What of the digest tells of alerts; all empty where there never was an incident.

    `of` are the figures that the others word, `unseen` why they are not known.
    """

    of: Alerting | None = None
    figures: tuple[Figure, ...] = ()
    lines: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def alert_facts(history: History, voice: Voice) -> AlertFacts:
    """How alerting did over the window of `history`. A state that cannot be read is something that could not be seen."""
    try:
        found = alerting(history)
    except StoreError as error:
        return AlertFacts(unseen=(f"What alerts were sent is not known: {error}",))
    if found is None:
        return AlertFacts()
    late_is_real_s = None if history.budgets is None else history.budgets.late_is_real
    return AlertFacts(
        found,
        (Figure("pages", "Pages sent", found.pages, before=found.before, parts=say_alerting.parts(found)),),
        tuple(say_alerting.lines(found, voice)),
        (say_alerting.rule(late_is_real_s),),
    )
