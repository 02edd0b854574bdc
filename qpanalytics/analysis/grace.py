"""How long to wait before a page: for each check the grace that a budget of false alarms asks for, and what others cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, isnan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis import limited, pricing, reading
from qpanalytics.analysis.limited import Limited, Of
from qpanalytics.analysis.pricing import LEAST, Price, Sample
from qpanalytics.analysis.regime import Regime, matters, regime
from qpanalytics.analysis.settled import Present, present
from qpanalytics.analysis.strata import Stratum, stratum
from qpanalytics.errors import UsageError
from qpanalytics.instants import TICK, instant, micros
from qpanalytics.settings_grace import GraceTable
from qpanalytics.settings_grace import budget as checked_budget
from qpanalytics.words import Columns

if TYPE_CHECKING:
    from qpanalytics.history import History

_NOW: dict[Of, dict[str, str]] = {
    "grace": {"grace_s": "the present grace, seconds"},
    "max_runtime": {"max_runtime_s": "the present max runtime, seconds; NaN where none is promised"},
    "period": {"period_s": "the present period of an interval, seconds; NaN where its schedule is another or none"},
}
YEAR = timedelta(days=365)
_DELAY = "how long after its expected time (of a max runtime: its start) a run that never comes is told, seconds"
#: The metric of `qpa drift` that a limit is about.
_DRIFTS: dict[Of, str] = {"grace": "lateness", "max_runtime": "duration"}
_WHAT = {"grace": "lateness", "max_runtime": "duration", "period": "time between completions"}


def columns(of: Of = "grace") -> Columns:
    """The columns of `grace(of=...)`: they differ in the name of the present limit."""
    return Columns(
        check="name of the check",
        n="runs that the price rests on: those that `success` counts, since the last change (durations, gaps: all seen)",
        **_NOW[of],
        recommended_s="the smallest limit that keeps the budget, seconds; NaN with why",
        false_alarms_per_month="false alarms to be expected in 30 days under it",
        false_alarms_lo="lower end of the 95 % interval of their number in the next 60 days, per month",
        false_alarms_hi="upper end of that interval",
        detection_delay_s=_DELAY,
        false_alarms_now="false alarms to be expected in 30 days under the present limit; NaN where there is none or n < 20",
        budget="false alarms a month that were allowed",
        longest_s="the longest that came by itself before it was a real problem, seconds; beyond it nothing is known",
        missed_real="real problems since the last change that the recommended limit would not have told",
        since_at="the runs counted were expected from here on: the first of the window, or the last change",
        clusters="how many late runs come together, as far as that is more than chance; 1 is each on its own",
        stratum="days that need a longer limit than the others; empty where two limits would not halve the one",
        stratum_s="the limit for these days, seconds",
        elsewhere_s="the limit for the other days, seconds; the two together keep the budget",
        why="reason for a missing recommendation, else empty",
    )


COLUMNS = columns()
CANDIDATES = Columns(
    check="name of the check",
    candidate="`now`, `suggested`, `longest seen`, or a limit that people set",
    limit_s="the limit, seconds",
    n="runs that the price rests on",
    told="of these, how many would have been false alarms",
    false_alarms_per_month="false alarms to be expected in 30 days",
    false_alarms_lo="lower end of the 95 % interval of their number in the next 60 days, per month",
    false_alarms_hi="upper end of that interval",
    detection_delay_s=_DELAY,
    missed_real="real problems of these runs that it would not have told",
    why="reason where a check has no candidates, else empty",
)


@dataclass(frozen=True)
class Candidate:
    """One limit with its price; `names` say what it is: now, suggested, longest seen, or nothing of these."""

    names: tuple[str, ...]
    price: Price


@dataclass(frozen=True)
class Advice:
    """What is recommended for one check, and why not where it is not.

    `sample` holds the runs of the present regime; `best` is None where `why` says the reason.
    """

    limited: Limited
    sample: Sample
    regime: Regime
    budget: float
    clusters: float = 1.0
    best: Price | None = None
    now: Price | None = None
    stratum: Stratum | None = None
    why: str = ""

    def candidates(self) -> list[Candidate]:
        """The present limit, the suggested, the longest seen and some that people set, smallest first; none under 20 runs."""
        if self.sample.arrived < LEAST:
            return []
        named: dict[float, list[str]] = {}
        if self.now is not None:
            named.setdefault(self.now.limit_s, []).append("now")
        if self.best is not None:
            named.setdefault(self.best.limit_s, []).append("suggested")
        longest = self.sample.longest_s
        if not isnan(longest) and longest > 0:
            named.setdefault(pricing.rounded(longest), []).append("longest seen")
        for limit_s in pricing.ladder(self.sample):
            named.setdefault(limit_s, [])
        found: list[Candidate] = []
        for limit_s, names in sorted(named.items()):
            price = self._price(limit_s)
            if found:  # some prices allow for having been picked: none makes a longer limit dearer than a shorter one
                least = found[-1].price
                price = replace(
                    price, a_month=min(price.a_month, least.a_month), lo=min(price.lo, least.lo), hi=min(price.hi, least.hi)
                )
            found.append(Candidate(tuple(names), price))
        return found

    def _price(self, limit_s: float) -> Price:
        known = next((p for p in (self.best, self.now) if p is not None and p.limit_s == limit_s), None)
        chosen = limit_s == pricing.rounded(max(self.sample.longest_s, 0.0))
        return known or pricing.price(self.sample, limit_s, self.clusters, chosen=chosen)


def grace(
    history: History, *, of: str = "grace", budget: float | None = None, late_is_real_s: float | None = None
) -> pd.DataFrame:
    """The grace that each check needs to keep to a budget of false alarms, and what the present one costs.

    A false alarm is a page for a run that completes by itself inside its window, no later than `late_is_real_s` after its
    expected time (half of the time to the next one where not given); what is missed, failed or hung is never false. `budget` is
    in false alarms a check and 30 days. Without these two `[grace]` in `qpa.toml` holds, else 0.5 for every check.

    One row per check, by name. It suggests and changes nothing. The price is what is to be expected of runs like those of
    the window since the last change (`analysis.regime`), whatever the shape of their lateness; a limit longer than any seen has
    no price, so a budget below that of the longest is "not reachable". Refused with `why` under 20 runs, within 30 days of a
    change (its own or one of `qpa drift`), during a trend, where ticks cannot be told, and without a schedule. The
    interval is of the number that will come, not of a mean: in simulation it holds for 97 to 99 of 100 checks where 95 is
    asked (`tests/bench/grace.py`).

    `of="max_runtime"` prices how long a run may take, from its start ping; `of="period"` how long an interval check, or one whose
    ticks cannot be told, may be silent: then the period is that less the check's grace.
    """
    kind = limited.kind_of(of)
    (now,) = _NOW[kind]
    found = advise(history, of=kind, budget=budget, late_is_real_s=late_is_real_s)
    return _frame(columns(kind), [_row(advice) | {now: advice.limited.now_s} for advice in found])


def _row(a: Advice) -> reading.Row:
    row = {
        "check": a.limited.check, "n": len(a.sample), "budget": a.budget, "why": a.why,
        "longest_s": None if a.limited.unfit else a.sample.longest_s,
        "since_at": instant(int(a.sample.at_us[0])) if len(a.sample) else None,
        "clusters": a.clusters if a.sample.arrived >= LEAST else None,
        "false_alarms_now": None if a.now is None else a.now.a_month,
    }  # fmt: skip
    if a.best is not None:
        row |= _priced(a.best) | {"recommended_s": _told(a, a.best)}
    if a.stratum is not None:
        row |= {"stratum": a.stratum.name, "stratum_s": a.stratum.own_s, "elsewhere_s": a.stratum.elsewhere_s}
    return row


def _priced(price: Price) -> reading.Row:
    return {
        "false_alarms_per_month": price.a_month, "false_alarms_lo": price.lo, "false_alarms_hi": price.hi,
        "detection_delay_s": price.limit_s, "missed_real": price.hidden,
    }  # fmt: skip


_TEXTS = ("check", "candidate", "stratum", "why")
_COUNTS = ("told", "missed_real")


def _frame(columns: Columns, rows: list[reading.Row]) -> pd.DataFrame:
    """Rows as a frame; what a row does not say is not known."""
    data: dict[str, Any] = {}
    for name in columns:
        if name in _TEXTS:
            data[name] = reading.texts(row.get(name, "") for row in rows)
        elif name == "n":
            data[name] = reading.counts(row[name] for row in rows)
        elif name in _COUNTS:
            data[name] = reading.known_counts(row.get(name) for row in rows)
        elif name.endswith("_at"):
            data[name] = pd.Series([row[name] for row in rows], dtype="datetime64[us, UTC]")
        else:
            data[name] = reading.reals(row.get(name) for row in rows)
    return reading.frame(columns, data)


def candidates(
    history: History, *, of: str = "grace", budget: float | None = None, late_is_real_s: float | None = None
) -> pd.DataFrame:
    """What some limits of each check cost: the present, the suggested, the longest seen and some that people set.

    By name, then by limit; prices are as in `grace`. A check under 20 runs has one row without a limit, and `why`.
    """
    rows: list[reading.Row] = []
    for advice in advise(history, of=limited.kind_of(of), budget=budget, late_is_real_s=late_is_real_s):
        check = {"check": advice.limited.check, "n": len(advice.sample)}
        found = advice.candidates()
        rows += [
            check
            | _priced(one.price)
            | {"candidate": ", ".join(one.names), "limit_s": _told(advice, one.price), "told": one.price.told}
            for one in found
        ]
        if not found:
            rows.append(check | {"why": advice.why})
    return _frame(CANDIDATES, rows)


def advise(
    history: History,
    *,
    of: Of = "grace",
    budget: float | None = None,
    late_is_real_s: float | None = None,
    since: datetime | None = None,
    ids: Sequence[int] | None = None,
) -> list[Advice]:
    """The advice for each check of the history, by name; `UsageError` for a budget that is none.

    `since` and `ids` as in `limited`.
    """
    table = history.budgets or GraceTable()
    if budget is not None:
        try:
            table = GraceTable(budget=checked_budget(budget), late_is_real=table.late_is_real)
        except ValueError as error:
            raise UsageError(f"budget: {error}") from None
    real_s = table.late_is_real if late_is_real_s is None else late_is_real_s
    as_of_us = min(micros(history.as_of), micros(history.until))
    drifts = present(history, since=since, ids=ids, metrics=(_DRIFTS[of],)) if of in _DRIFTS else {}
    return [
        advised(one, table.of(one.severity), as_of_us, of, drifts.get(one.check, {}).get(_DRIFTS.get(of, "")))
        for one in limited.limited(history, of, real_s, since=since, ids=ids)
    ]


def a_year(history: History) -> History:
    """The same history over the year that its window ends with, or over the window where that is longer.

    A price is known from as many runs as there are, and what came before a change is left out anyway.
    """
    return history.window(year_before(history), history.until)


def year_before(history: History) -> datetime:
    """Where that year begins."""
    return min(history.since, min(history.until, history.as_of + TICK) - YEAR)


def advised(one: Limited, budget: float, as_of_us: int, of: Of = "grace", drift: Present | None = None) -> Advice:
    """What `budget` false alarms a month ask for, of one check at one instant (epoch microseconds).

    `drift` is what `qpa drift` knows of it: during a trend, and for 30 days after a step, it is refused. Older steps are left to
    `regime`, which is slower to believe in them: a small one leaves the latest runs as late as they were, and forgetting them
    costs more than it mends.
    """
    sample = one.sample
    since = regime(sample.at_us, sample.value_s)
    own = sample.part(np.arange(len(sample)) >= since.start)
    own = replace(own, a_month=sample.a_month)
    told = Advice(one, own, since, budget)
    if one.unfit or own.arrived < LEAST:
        return replace(told, why=one.unfit or _few(own, since, of))
    clusters = pricing.dispersion(own)
    now_s = one.now_s + one.told_less_s
    now = None if isnan(now_s) else pricing.price(own, now_s, clusters)
    told = replace(told, clusters=clusters, now=now)
    if since.recent(as_of_us):
        return replace(told, why=_changed(since, of))
    came = own.value_s[np.isfinite(own.value_s)]
    if drift is not None and matters(came, drift.before_s, drift.after_s):
        if drift.kind == "trend":
            return replace(told, why=_drifting(drift, of))
        stepped = Regime(0, micros(drift.since_at), True, drift.before_s, drift.after_s, "p50")
        if stepped.recent(as_of_us):
            return replace(told, why=_changed(stepped, of))
    limit_s = pricing.least_limit(own, budget, clusters)
    if isnan(limit_s):
        return replace(told, why=_unreachable(told))
    best = pricing.price(own, limit_s, clusters, chosen=True)
    return replace(told, best=best, stratum=stratum(one, since.start, budget, clusters, limit_s))


def _told(advice: Advice, of: Price) -> float:
    """A limit as it is set: a period is less the grace that follows it."""
    return max(of.limit_s - advice.limited.told_less_s, 1.0)


def _few(own: Sample, since: Regime, of: Of) -> str:
    after = f" since the change of {spell.day(instant(since.since_us), 'UTC')}" if since.changed else ""
    came = f"{spell.plural(own.arrived, 'run')} came under its present schedule"
    known = {
        "grace": came,
        "max_runtime": f"{spell.plural(len(own), 'duration')} known",
        "period": f"{spell.plural(len(own), 'gap')} known",
    }
    return f"{known[of]}{after}, at least {LEAST} are needed"


def _changed(since: Regime, of: Of) -> str:
    grew = f"{since.level} {spell.duration(since.before_s)} -> {spell.duration(since.after_s)}"
    day = spell.day(instant(since.since_us), "UTC")
    return f"its {_WHAT[of]} changed on {day} ({grew}), and 30 days are needed to know the new one"


def _drifting(drift: Present, of: Of) -> str:
    way = "growing" if drift.after_s > drift.before_s else "falling"
    return (
        f"its {_WHAT[of]} has been {way} since {spell.day(drift.since_at, 'UTC')} ({spell.duration(drift.before_s)} -> "
        f"{spell.duration(drift.after_s)}): what holds today need not hold in a month. See: qpa drift"
    )


def _unreachable(a: Advice) -> str:
    own = a.sample
    if isnan(own.longest_s):
        return f"{a.budget:g} a month is not reachable from n = {len(own)}: every run that came was a real problem"
    least = pricing.price(own, own.longest_s, a.clusters, chosen=True)
    longest = f"the longest seen, {spell.duration(own.longest_s)}, would cost about {least.a_month:.2g}"
    if a.now is not None and a.now.a_month <= a.budget:  # not chosen by these runs, so it has a price that no other has
        return (
            f"the present {spell.duration(_told(a, a.now))} keeps {a.budget:g} a month (about {a.now.a_month:.2g}), and none "
            f"that is shorter is known to from n = {len(own)}: {longest}"
        )
    needed, known = 30 / a.budget, 30 * len(own) / own.a_month
    more = f"; {spell.plural(ceil(needed), 'day')} of runs are needed at least" if known < needed else ""
    return f"{a.budget:g} a month is not reachable from n = {len(own)}: {longest}, and beyond it nothing is known{more}"
