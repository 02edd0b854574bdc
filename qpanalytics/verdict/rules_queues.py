"""Rules about queues: what fills, breaks its promise, storms, dies or is empty. Figures -> Finding, no words.

Told is what the looks can carry: rates with an interval, stretches of several looks. What is so now is told only where
the last look is recent. A queue has at most one row that asks for somebody; the rest of its troubles stands in `also`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis import rates
from qpanalytics.instants import instant, micros
from qpanalytics.thresholds import LEAST_DIED, STANDS_S
from qpanalytics.verdict import rules_workers
from qpanalytics.verdict.finding import ASKING, Finding, Kind
from qpanalytics.verdict.queue_cases import Breach, Looked, QueueCase
from qpanalytics.verdict.rules_seen import Span

FEW_LOOKS = rates.LEAST
"""Fewer steps between looks carry no judgement at all."""

LONG_S = 600.0
"""Where nothing was promised, waiting for less is nobody's trouble: each morning's batch fills a queue for a while."""

MANY = 10
"""Fewer jobs are no backlog worth a line."""

WAS_MANY = 20
"""A retry storm that is over was one if it grew by so many: of hundreds of queues, some wave a little each week."""

MORE = 3.0

TOGETHER = 3
"""From so many queues of a source on, the same trouble is told once."""


def judge(looked: Looked, span: Span) -> list[Finding]:
    """What is worth saying of queues, workers and their sources, worst first, without words."""
    found = [finding for case in looked.queues for finding in _one(_told(case, span))]
    found += rules_workers.told(looked, span)
    return sorted(_folded(found), key=lambda finding: finding.order)


def _told(case: QueueCase, span: Span) -> list[Finding]:
    told = (
        alive_not_draining(case),
        promise_broken(case),
        not_draining(case),
        retry_storm(case),
        orphaned(case),
        too_few_workers(case),
        dead_grew(case),
        empty_unexplained(case),
        job_silent(case),
    )
    return [finding for finding in told if finding is not None]


def _one(told: Sequence[Finding]) -> list[Finding]:
    """The worst finding about a queue takes the others that ask with it; a queue that fills is told why it breaks its promise."""
    asking = sorted((f for f in told if f.asks), key=lambda f: ASKING.index(f.kind))
    kinds = {f.kind for f in asking}
    # a queue that does not drain says itself what was promised, and why its job's queue does not move
    covered: set[Kind] = {"promise_broken"} if "not_draining" in kinds else set()
    covered |= {"not_draining", "promise_broken"} if "alive_not_draining" in kinds else set()
    asking = [f for f in asking if f.kind not in covered]
    rest = [f for f in told if not f.asks]
    return [replace(asking[0], also=tuple(asking[1:])), *rest] if asking else rest


def promise_broken(case: QueueCase) -> Finding | None:
    """The oldest job waited longer, or more jobs waited, than was promised: in the window, or now."""
    if case.n < FEW_LOOKS and not _broken_now(case):
        return None
    if not case.breaches and not _broken_now(case):
        return None
    worst = max(case.breaches, key=lambda b: (b.of == "oldest", b.seconds), default=None)
    now = _broken_now(case)
    figures = _figures(case) | _breach(worst) | {"broken_now": now, "also_depth": _breach_of(case, "depth") if worst else {}}
    if worst is None:  # only after the window, or at the only look
        of = "oldest" if "oldest" in _parts_broken(case) else "depth"
        promised = case.promise.oldest_s if of == "oldest" else case.promise.depth
        seen = _now(case, "oldest_age_s" if of == "oldest" else "depth")
        figures |= {"of": of, "promised": promised, "worst": seen, "worst_at": _iso(case.taken_at), "spells": 1, "broken_s": None}
        since = case.taken_at
    else:
        # where it is broken still, since when; else when it was worst
        since = instant(worst.spells[-1][0] if now else worst.worst_us)
    size = (figures["worst"] or 0.0) / max(figures["promised"] or 0.0, 1.0)
    return _finding("promise_broken", case, case.promise.severity, since, figures, size)


def not_draining(case: QueueCase) -> Finding | None:
    """More comes than goes: at certain hours of each day, or now; or jobs wait and nothing is taken at all."""
    if case.queue == "*" or case.n < FEW_LOOKS or _paused(case):
        return None
    stands = _stands(case)
    grows = _grows(case)
    fills = _matter(case)
    if not stands and not grows and not fills:
        return None
    age = case.range_of("oldest_age_max_s")
    oldest = next((b for b in case.breaches if b.of == "oldest"), None)
    figures = _figures(case) | {
        "stands_s": stands,
        "grows_per_min": grows,
        "depth": _now(case, "depth"),
        "oldest_age_s": _now(case, "oldest_age_s") if case.fresh else None,
        "oldest_is": _now(case, "oldest_is"),
        "worst_age_s": oldest.worst if oldest else age[1] if age else None,
        "promised_s": case.promise.oldest_s,
        "promised_depth": case.promise.depth,
        "depth_max": (case.range_of("depth") or (None, None))[1],
        "broken_now": _broken_now(case),
        "windows": [
            {name: row[name] for name in _WINDOW}
            for row in fills
        ],
        **({} if stands else _staffed(case)),
    }
    severity = case.promise.severity
    if fills and not stands and not grows and not case.promise.any and figures["worst_age_s"] is None:
        severity = "info"  # how long jobs wait is not known, and nobody said how long they may
    return _finding("not_draining", case, severity, _waits_since(case) if stands or grows else None, figures,
                    (stands or 0.0) + (figures["depth_max"] or 0.0))  # fmt: skip


_WINDOW = ("day", "from_minute", "to_minute", "n", "grows_by", "arrivals_per_min", "service_per_min")


def _stands(case: QueueCase) -> float | None:
    """For how long nothing was finished while jobs waited, seconds; None where something moves or it is not known."""
    recent = case.recent
    if not case.fresh or recent is None or len(recent.seconds) < FEW_LOOKS or not (recent.looks["depth"] > 0).all():
        return None
    seconds = float(recent.seconds.sum())
    done = recent.service[np.isfinite(recent.service)]
    if len(done):
        if seconds < STANDS_S or float(done.sum()) != 0 or not np.isfinite(recent.service).all():
            return None
        return seconds
    age = _now(case, "oldest_age_s")
    ages = recent.looks["oldest_age_s"]
    aged = bool(np.isfinite(ages).all()) and float(ages[-1] - ages[0]) > 0.9 * seconds
    return float(age) if age is not None and aged and age >= STANDS_S else None


def _grows(case: QueueCase) -> float | None:
    """By how many jobs a minute it grows now, where that matters; None where it does not, or cannot be told."""
    now = case.now
    if not case.fresh or now is None or now["drains"] != "no" or now["n"] < FEW_LOOKS:
        return None
    if now["net_lo"] is None or now["net_lo"] <= 0 or (now["depth"] or 0) < MANY:
        return None
    if case.promise.oldest_s is not None or case.promise.depth is not None:
        return float(now["net_per_min"]) if _broken_now(case) else None
    if now["oldest_age_s"] is not None:
        return float(now["net_per_min"]) if now["oldest_age_s"] >= LONG_S else None
    most = case.range_of("depth")
    return float(now["net_per_min"]) if most is not None and now["depth"] >= most[1] else None


def _matter(case: QueueCase) -> list[dict[str, Any]]:
    """The hours in which it fills, where people wait for it: longer than promised, or where nothing was, than ten minutes."""
    fills = [row for row in case.fills if row["grows_by"] >= MANY]
    if case.promise.oldest_s is not None or case.promise.depth is not None:
        return fills if case.breaches else []
    age = case.range_of("oldest_age_max_s")
    return fills if age is None or age[1] >= LONG_S else []


def alive_not_draining(case: QueueCase) -> Finding | None:
    """The job of the queue reports that all is well, and the queue does not move."""
    row = _job(case, "alive but not draining")
    if row is None or not case.fresh or _paused(case):
        return None
    figures = _figures(case) | {"job": row["check"], **{name: row[name] for name in ("why", "depth", "net_per_min")}}
    figures |= {"oldest_age_s": _now(case, "oldest_age_s"), "promised_s": case.promise.oldest_s, **_staffed(case)}
    return _finding("alive_not_draining", case, case.promise.severity, _waits_since(case), figures, row["depth"] or 0.0)


def job_silent(case: QueueCase) -> Finding | None:
    """The queue drains and its job is down: the work is done and the pings are not. The check itself asks for somebody."""
    row = _job(case, "draining but the job does not report")
    if row is None or not case.fresh:
        return None
    figures = _figures(case) | {name: row[name] for name in ("depth", "service_per_min", "net_per_min")} | {"job": row["check"]}
    return _finding("job_silent", case, "info", None, figures, row["service_per_min"] or 0.0)


def empty_unexplained(case: QueueCase) -> Finding | None:
    """Empty because nothing arrives where by the weeks before something should, or because what fills it is down."""
    row = _job(case, "empty: nothing arrives") or _job(case, "empty: the producer's check is down")
    if row is None or not case.fresh:
        return None
    figures = _figures(case) | {
        "job": row["check"],
        "producer": row["producer"] or None,
        "usual_per_min": row["usual_per_min"],
        "weeks": row["n"],
        "over_s": None if case.recent is None else float(case.recent.seconds.sum()),
    }
    # the check that is down is told by itself
    severity = "info" if row["producer"] else case.promise.severity
    return _finding("empty_unexplained", case, severity, None, figures, row["usual_per_min"] or 0.0)


def retry_storm(case: QueueCase) -> Finding | None:
    """Retries grew while no more jobs got done. One that is over is worth knowing and asks for nobody."""
    storms = [s for s in case.storms if s["retrying_most"] - s["retrying_before"] >= (MANY if s["lasts"] else WAS_MANY)]
    if not storms:
        return None
    lasting = [storm for storm in storms if storm["lasts"] and case.fresh]
    storm = lasting[-1] if lasting else max(storms, key=lambda s: s["retrying_most"])
    figures = _figures(case) | {
        "lasts": bool(lasting),
        "lasted": storm["lasts"],
        "storms": len(storms),
        "began_at": _iso(storm["began_at"]),
        "ended_at": _iso(storm["ended_at"]),
        **{
            name: storm[name]
            for name in ("retrying_before", "retrying_most", "grows_per_min", "service_per_min", "service_before_per_min")
        },
        "retrying": _now(case, "retrying") if case.fresh else None,
    }
    severity = case.promise.severity if lasting else "info"
    return _finding("retry_storm", case, severity, storm["began_at"], figures, storm["retrying_most"])


def dead_grew(case: QueueCase) -> Finding | None:
    """More jobs were given up than in the window before, beyond scatter; or some, where that window showed none."""
    dead, before = case.dead, case.dead_before
    if dead is None or dead["died"] is None or dead["n"] < FEW_LOOKS or dead["died"] < LEAST_DIED:
        return None
    compared = before is not None and before["n"] >= FEW_LOOKS and before["died"] is not None
    if compared and not _above(dead, before):
        return None
    figures = _figures(case) | {
        "died": int(dead["died"]),
        "died_before": int(before["died"]) if compared and before else None,
        "dead": None if dead["dead"] is None else int(dead["dead"]),
        "per_day": dead["per_day"],
        "last_at": _iso(dead["last_at"]),
    }
    severity = case.promise.severity if compared else "info"  # how it was before nobody saw
    return _finding("dead_grew", case, severity, dead["last_at"], figures, dead["died"])


def _above(now: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Whether the intervals lie apart; one burst has a wide one, so three times as many are more, too."""
    if before is None or now["per_day"] is None or before["per_day"] is None:
        return False
    apart = now["per_day_lo"] is not None and before["per_day_hi"] is not None and now["per_day_lo"] > before["per_day_hi"]
    return bool(apart or now["per_day"] >= MORE * before["per_day"])


def orphaned(case: QueueCase) -> Finding | None:
    """Jobs whose worker is gone, at more than one look: nobody will finish them by itself."""
    row = case.orphaned
    if row is None or not case.fresh or row["taken_at"] <= row["since_at"]:
        return None
    figures = _figures(case) | {"orphaned": int(row["orphaned"]), "most": int(row["most"]), "since": _iso(row["since_at"])}
    return _finding("orphaned", case, case.promise.severity, row["since_at"], figures, row["orphaned"])


def too_few_workers(case: QueueCase) -> Finding | None:
    """Fewer workers alive than promised at the last look."""
    if case.promise.workers is None or case.alive is None or not case.fresh or case.alive >= case.promise.workers:
        return None
    if case.now is None or "workers" not in case.now["promise_why"] or case.now["promise"] != "broken":
        return None
    figures = _figures(case) | {"alive": case.alive, "promised": int(case.promise.workers), "usual": case.usual, **_staffed(case)}
    return _finding("too_few_workers", case, case.promise.severity, None, figures, case.promise.workers - case.alive)


# Pieces ---------------------------------------------------------------------------------------------------------------


def _finding(
    kind: Kind, case: QueueCase, severity: str, since: datetime | None, figures: dict[str, Any], size: float | None
) -> Finding:
    return Finding(kind, severity, (case.label,), case.source, since, figures, size=float(size or 0.0), about="queue")


def _figures(case: QueueCase) -> dict[str, Any]:
    return {"queue": case.queue, "source": case.source, "n": case.n, "taken_at": _iso(case.taken_at)}


def _breach(of: Breach | None) -> dict[str, Any]:
    if of is None:
        return {}
    return {
        "of": of.of, "promised": of.promised, "worst": of.worst, "worst_at": spell.iso(of.worst_us), "broken_s": of.seconds,
        "spells": len(of.spells), "spells_at": [[spell.iso(a), spell.iso(b)] for a, b in of.spells[:20]],
    }  # fmt: skip


def _breach_of(case: QueueCase, of: str) -> dict[str, Any]:
    found = next((b for b in case.breaches if b.of == of), None)
    return {} if found is None else {"promised": found.promised, "worst": found.worst}


def _parts_broken(case: QueueCase) -> set[str]:
    """Which parts of the promise the last look broke: `oldest`, `depth`."""
    if case.now is None:
        return set()
    age, depth, said = case.now["oldest_age_s"], case.now["depth"], case.promise
    found = {"oldest"} if said.oldest_s is not None and age is not None and age > said.oldest_s else set()
    return found | ({"depth"} if said.depth is not None and depth is not None and depth > said.depth else set())


def _broken_now(case: QueueCase) -> bool:
    return case.fresh and bool(_parts_broken(case))


def _paused(case: QueueCase) -> bool:
    return case.now is not None and bool(case.now["paused"])  # whoever paused it knows


def _now(case: QueueCase, name: str) -> Any:
    return None if case.now is None else case.now[name]


def _job(case: QueueCase, state: str) -> dict[str, Any] | None:
    return next((row for row in case.jobs if row["state"] == state), None)


def _staffed(case: QueueCase) -> dict[str, Any]:
    """Little's law, where it says that there are too few: slots needed and there, and the time one job takes."""
    row = case.staffing
    if row is None or not row["too_few"] or row["slots"] < 1:
        return {}
    return {"slots": int(row["slots"]), "needed": int(row["needed"]), "service_s": row["service_s"]}


def _waits_since(case: QueueCase) -> datetime | None:
    """Since when the oldest job waits, else since when the looks show waiting jobs."""
    if case.now is not None and case.taken_at is not None and case.now["oldest_age_s"] is not None:
        return case.taken_at - timedelta(seconds=float(case.now["oldest_age_s"]))
    if case.recent is None or not len(case.recent.at):
        return None
    return instant(round(float(case.recent.at[0]) * 1e6))


def _iso(at: datetime | None) -> str | None:
    return None if at is None else spell.iso(micros(at))


def _folded(found: Iterable[Finding]) -> list[Finding]:
    """Queues of one source in the same trouble are told together: they usually have one cause."""
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for number, finding in enumerate(found):
        alone = finding.about != "queue" or finding.figures["queue"] == "*" or finding.also or finding.kind not in _SAME
        groups.setdefault((number,) if alone else (finding.kind, finding.asks, finding.source), []).append(finding)
    out: list[Finding] = []
    for members in groups.values():
        out += [_together(members)] if len(members) >= TOGETHER else members
    return out


_SAME: tuple[Kind, ...] = ("promise_broken", "not_draining", "alive_not_draining", "empty_unexplained", "too_few_workers")


def _together(members: Sequence[Finding]) -> Finding:
    members = sorted(members, key=lambda finding: finding.order)
    first = members[0]
    figures = first.figures | {"queues": [m.figures["queue"] for m in members], "checks": len(members)}
    return replace(
        first,
        checks=tuple(member.check for member in members),
        severity=min((m.severity for m in members), key=("critical", "warning", "info").index),
        figures=figures,
        size=sum(m.size for m in members if isfinite(m.size)),
    )
