"""Figures of queues in words, for page and terminal."""

from __future__ import annotations

from qpanalytics import spell
from qpanalytics.report.queue_model import PerMinute, QueueFacts, QueueRow, WorkersLine
from qpanalytics.report.wording import about


def depth(row: QueueRow) -> tuple[str, str]:
    """What waits now, and the range of the window: ("12", "0 to 460")."""
    if not row.shown:
        return "gone", _range(row)
    return ("n/a" if row.depth is None else spell.number(row.depth)), _range(row)


def _range(row: QueueRow) -> str:
    if row.depth_range is None:
        return ""
    low, high = row.depth_range
    return f"{spell.number(low)} to {spell.number(high)}" if low != high else f"always {spell.number(low)}"


def age(row: QueueRow) -> tuple[str, str]:
    """How long the oldest waits now, and the most in the window: ("12 min", "at most 14 min")."""
    most = "" if row.age_max_s is None else f"at most {about(row.age_max_s)}"
    if row.age_s is None:
        empty = row.shown and row.depth == 0
        return ("none waits" if empty else "n/a"), most
    return f"{'over ' if row.age_least else ''}{about(row.age_s)}", most


def over(row: QueueRow) -> bool:
    """Whether the oldest waits longer now than promised."""
    return row.age_s is not None and row.promised_s is not None and row.age_s > row.promised_s


def promise(row: QueueRow) -> str:
    """What was promised: "promised 10 min and 500 jobs"; empty where nothing was."""
    parts = [
        *([spell.duration(row.promised_s)] if row.promised_s is not None else []),
        *([f"{spell.number(row.promised_depth)} jobs"] if row.promised_depth is not None else []),
    ]
    said = f"promised {' and '.join(parts)}" if parts else ""
    return f"{said}, broken" if said and row.broken else f"{said}, kept" if said and row.fresh else said


def rate(of: PerMinute) -> str:
    """Jobs a minute in the figures that a reader can use: "26", "4.8", "0.3"."""
    if of.value is None:
        return "n/a"
    return spell.number(round(of.value)) if of.value >= 10 else f"{of.value:.2g}"


def sure(of: PerMinute) -> str:
    """How sure a rate is, for hover: "95 % sure between 24 and 28 a minute, from 2,016 steps between looks"."""
    if of.value is None:
        return "finished jobs are not counted"
    steps = f"from {spell.plural(of.n, 'step')} between looks"
    if of.lo is None or of.hi is None:
        return steps
    ends = (rate(PerMinute(end)) for end in (of.lo, of.hi))
    return f"95 % sure between {' and '.join(ends)} a minute, {steps}"


def drain(row: QueueRow) -> tuple[str, str]:
    """When it is empty if all goes on as now, with the interval: ("12 min", "9 min to 18 min")."""
    if row.paused:
        return "paused", ""
    if not row.fresh:
        return "n/a", ""
    if row.drains == "empty":
        return "empty", ""
    if row.drains == "no":
        return "does not drain", ""
    if row.drain_s is None:
        return "n/a", ""
    lo = "" if row.drain_lo_s is None else about(row.drain_lo_s)
    if row.drains == "maybe":
        return f"maybe in {about(row.drain_s)}", f"{lo} at the soonest, or never"
    hi = "" if row.drain_hi_s is None else about(row.drain_hi_s)
    return about(row.drain_s), f"{lo} to {hi}" if lo and hi else ""


def count(value: int | None) -> str:
    """A number, or n/a."""
    return "n/a" if value is None else spell.number(value)


def workers(row: QueueRow) -> str:
    """Live workers of those expected: "1 of 4"."""
    if row.alive is None:
        return "n/a"
    return spell.number(row.alive) if row.expected is None else f"{spell.number(row.alive)} of {spell.number(row.expected)}"


def workers_from(row: QueueRow) -> str:
    """What the expected number is, for hover."""
    if row.alive is None:
        return "workers are not seen, or do not say from which queues they take"
    return "alive, of those promised" if row.promised_workers else "alive, of the usual number"


def line(of: WorkersLine) -> str:
    """The workers of a source in a sentence: "shop: 2 of the usual 4 workers alive; batch-1 gone."."""
    usual = f" of the usual {of.usual}" if of.usual is not None and of.usual != of.alive else ""
    alive = "not known how many" if of.alive is None else f"{spell.number(of.alive)}{usual}"
    noun = "worker" if of.alive == 1 and not usual else "workers"
    lost = f"; gone or silent: {', '.join(of.lost[:5])}" if of.lost else ""
    more = f" and {len(of.lost) - 5} more" if len(of.lost) > 5 else ""
    return f"{of.source}: {alive} {noun} alive{lost}{more}."


def well(of: QueueFacts) -> str:
    """The folded line: "4 more queues are well"."""
    n = len(of.well)
    more = f"{spell.number(n)} more {'queue' if n == 1 else 'queues'}" if of.rows else spell.plural(n, "queue")
    return f"{more} {'is' if n == 1 else 'are'} well"


def letters(row: QueueRow) -> list[str]:
    """The cells of one row for a terminal."""
    now, span = depth(row)
    old, most = age(row)
    when, between = drain(row)
    return [
        f"{now} now, {span}" if span and row.shown else now,
        ", ".join(filter(None, (old, most, promise(row)))),
        rate(row.arrivals),
        rate(row.service),
        when + (f" ({between})" if between else ""),
        count(row.retrying),
        count(row.dead),
        workers(row),
    ]


HEADS = ("Depth", "Oldest", "In/min", "Out/min", "Empty in", "Retrying", "Dead", "Workers")
SAID = ("age", "count", "depth", "drain", "line", "over", "promise", "rate", "sure", "well", "workers", "workers_from")
"""What templates ask for."""
