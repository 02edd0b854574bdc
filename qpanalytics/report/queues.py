"""Cases and findings about queues and workers as the part of a digest that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from qpanalytics.analysis.rates import Rate
from qpanalytics.report.queue_model import Heat, Levels, PerMinute, QueueFacts, QueueRow, Rates, WorkersLine
from qpanalytics.report.queue_pictures import Picked, pictures
from qpanalytics.verdict.queue_cases import Looked, QueueCase
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.verdict.finding import Finding

MOST_BESIDE = 3
"""So many of the larger figures of a page may be of queues where checks have more to show than there is room for."""


def queue_facts(looked: Looked, said: Sequence[Finding], figures: Sequence[Levels | Rates | Heat], voice: Voice) -> QueueFacts:
    """The table, its order and the figures; `said` are all findings, ranked."""
    place: dict[str, int] = {}
    for number, finding in enumerate(said):
        if finding.about == "queue":
            for label in finding.checks:
                place.setdefault(label, number)
    worse: list[tuple[tuple[object, ...], QueueRow]] = []
    well: list[QueueRow] = []
    for case in looked.queues:
        row = queue_row(case)
        unknown = not row.fresh or (row.depth is None and case.queue != "*")
        if case.label in place or row.broken or unknown or (row.alive == 0 and row.expected):
            worse.append(((place.get(case.label, len(said)), not row.broken, case.label), row))
        else:
            well.append(row)
    lines = [
        WorkersLine(source.source, source.alive, source.workers, source.usual, source.lost)
        for source in looked.sources
        if source.workers or source.usual
    ]
    last = sorted({source.taken_at for source in looked.sources} or {c.taken_at for c in looked.queues if c.taken_at})
    taken = " to ".join(voice.moment(at) for at in (last if len(last) < 2 else (last[0], last[-1])))
    return QueueFacts(tuple(row for _, row in sorted(worse, key=lambda pair: pair[0])), tuple(well), tuple(lines),
                      tuple(figures), taken)  # fmt: skip


def queue_row(case: QueueCase) -> QueueRow:
    """One queue as the table shows it."""
    now = case.now or {}
    promise, rates = case.promise, case.rates
    ages = case.range_of("oldest_age_max_s")
    depth = now.get("depth")
    if case.queue == "*" and depth is None and case.recent is not None and len(case.recent.at):
        last = float(case.recent.looks["depth"][-1])
        depth = last if isfinite(last) else None
    waits = depth is None or depth > 0
    return QueueRow(
        label=f"{case.source} (all queues)" if case.queue == "*" else case.label,
        whole=case.queue == "*",
        depth=_whole(depth),
        depth_range=case.range_of("depth"),
        promised_depth=promise.depth,
        age_s=(now.get("oldest_age_s") if waits else None),
        age_least=now.get("oldest_is") == "lower_bound",
        age_max_s=ages[1] if ages else None,
        promised_s=promise.oldest_s,
        arrivals=_rate(rates.arrivals if rates else None),
        service=_rate(rates.service if rates else None),
        drains=str(now.get("drains") or ""),
        drain_s=now.get("drain_s"),
        drain_lo_s=now.get("drain_lo_s"),
        drain_hi_s=now.get("drain_hi_s"),
        retrying=_whole(now.get("retrying")),
        dead=_whole(now.get("dead")),
        alive=case.alive,
        expected=int(promise.workers) if promise.workers is not None else case.usual if case.alive is not None else None,
        promised_workers=promise.workers is not None,
        broken=bool(case.breaches) or (case.fresh and now.get("promise") == "broken"),
        paused=bool(now.get("paused")),
        shown=case.now is not None,
        fresh=case.fresh,
        taken_at=case.taken_at,
        why=str(now.get("why") or ""),
    )


def figures_of(
    history: History, looked: Looked, said: Sequence[Finding], most: int, voice: Voice
) -> tuple[Levels | Rates | Heat, ...]:
    """At most so many larger figures, of the queues that findings name."""
    by_label = {case.label: case for case in looked.queues}
    named: list[Picked] = []
    for finding in said:
        if finding.about == "queue" and finding.asks and finding.check in by_label:
            named.append((by_label[finding.check], finding))
        elif finding.kind == "workers_gone" and finding.asks:
            named.append((None, finding))
    return pictures(history, named, most, voice)


def _rate(of: Rate | None) -> PerMinute:
    if of is None or not of.n:
        return PerMinute()
    return PerMinute(_known(of.value * 60), _known(of.lo * 60), _known(of.hi * 60), of.n)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
