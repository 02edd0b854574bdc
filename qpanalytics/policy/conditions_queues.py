"""What can be wrong with a queue: broken promises, nothing that drains, retries that grow, jobs that die or lie orphaned.

Thresholds are those of the analyses (`qpanalytics.thresholds`); here they are met look by look.
"""

from __future__ import annotations

from math import sqrt
from statistics import median

from qpanalytics.policy.sign import HOUR, SECOND, Condition, Fact, Memory, Setting, Sign, held, over, sign
from qpanalytics.thresholds import (
    LEAST_DIED,
    STANDS_S,
    STORM_BEFORE_S,
    STORM_GROWTH,
    STORM_LOOKS,
    STORM_SCATTER,
    STORM_STEPS,
)

#: Looks of an hour, one a minute; of denser ones the last are kept.
KEPT = 64
#: Of looks at least so far apart each is noted.
APART = 45 * SECOND


def oldest(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """The oldest job waits longer than promised. A lower bound breaks a promise and never proves one kept."""
    look, most = fact.seen, setting.promise.oldest_s
    age = 0.0 if look.oldest_age_s is None and look.depth == 0 else look.oldest_age_s
    bad = over(memory, age, most)
    if bad is False and look.oldest_is == "lower_bound":
        bad = None
    figures = {"oldest_age_s": age, "promised_s": most, "depth": look.depth, "oldest_is": look.oldest_is}
    return sign("oldest", held(memory, bad, fact.at, setting.table.hold), fact.at, **figures)


def depth(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """More jobs wait than promised."""
    most = setting.promise.depth
    bad = over(memory, fact.seen.depth, most)
    return sign("depth", held(memory, bad, fact.at, setting.table.hold), fact.at, depth=fact.seen.depth, promised=most)


def not_draining(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Jobs wait, and for half an hour none was finished; where that is not counted, the oldest grew older all the time."""
    look = fact.seen
    if look.paused:
        memory.pop("from", None)
        return None
    count, age = look.processed_total, look.oldest_age_s
    start = memory.get("from")
    if look.depth is None:
        return None
    moved = start is None or not look.depth
    if start is not None and count is not None and start[1] is not None:
        moved = moved or count != start[1]
    elif start is not None:
        grew = None if age is None or start[2] is None else age - start[2]
        moved = moved or grew is None or grew <= 0.9 * (fact.at - start[0]) / SECOND
    if moved:
        memory["from"] = [fact.at, count, age] if look.depth else None
        if memory.pop("on", False):
            return Sign(False, fact.at, "not_draining", {"depth": look.depth})
        return None
    stands_s = (fact.at - memory["from"][0]) / SECOND
    if stands_s < STANDS_S or memory.get("on"):
        return None
    memory["on"] = True
    figures = {"stands_s": stands_s, "depth": look.depth, "oldest_age_s": age, "since_at": memory["from"][0]}
    return Sign(True, fact.at, "not_draining", figures)


def retry_storm(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Retries grow by more than chance over three steps while no more jobs succeed: told when it starts (`analysis.storms`).

    Over when half of the growth is gone.
    """
    look = fact.seen
    if look.retrying is None:
        return None
    last = memory.setdefault("last", [])
    if last and fact.at - last[-1][0] < APART:
        return None
    succeeded = None if look.processed_total is None else look.processed_total - (look.failed_total or 0)
    last.append([fact.at, look.retrying, succeeded])
    del last[:-KEPT]
    on = memory.get("on")
    if on:
        on[1] = max(on[1], look.retrying)
        if look.retrying > on[0] + (on[1] - on[0]) / 2:
            return None
        del memory["on"]
        return Sign(False, fact.at, "retry_storm", {"retrying": look.retrying, "retrying_before": on[0]})
    if len(last) <= STORM_STEPS:
        return None
    base = _usual(last[:-STORM_STEPS])
    limit = base + max(STORM_GROWTH, STORM_SCATTER * sqrt(base + 1))
    first, one, two, now = (row[1] for row in last[-STORM_STEPS - 1 :])
    if two < limit or now < limit or now < max(first, one, two) or now <= first:
        return None
    began = max((n for n, row in enumerate(last[:-2]) if row[1] <= base), default=len(last) - STORM_STEPS - 1)
    if _more_of_everything(last, began):
        return None
    memory["on"] = [last[began][1], now]
    figures = {"retrying": now, "retrying_before": last[began][1], "began_at": last[began][0]}
    return Sign(True, fact.at, "retry_storm", figures)


def _usual(looks: list[list[int]]) -> float:
    """The median of the hour up to a look, or of the last eight looks where they are rare."""
    hour = [row[1] for row in looks if row[0] > looks[-1][0] - STORM_BEFORE_S * SECOND]
    return float(median(hour if len(hour) >= STORM_LOOKS else [row[1] for row in looks[-STORM_LOOKS:]]))


def _more_of_everything(looks: list[list[int]], began: int) -> bool:
    """Whether what succeeds grew, too, by more than twice its scatter."""
    now, before = looks[began:], looks[: began + 1]
    if len(before) < 2 or any(row[2] is None for row in (now[0], now[-1], before[0])):
        return False
    took = [(part[-1][0] - part[0][0]) / SECOND for part in (now, before)]
    rates = [(part[-1][2] - part[0][2]) / s if s else 0.0 for part, s in zip((now, before), took, strict=True)]
    if min(rates) < 0 or not all(took):  # a counter that began anew
        return False
    scatter = sqrt(rates[0] / took[0] + rates[1] / took[1])
    return rates[0] - rates[1] > 2 * scatter


def dead_grew(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Five jobs or more were given up within an hour; over after an hour without any."""
    dead = fact.seen.dead
    if dead is None:
        return None
    was = memory.get("dead")
    memory["dead"] = dead
    died = memory.setdefault("died", [])  # [when, how many]
    if was is not None and dead > was:
        died.append([fact.at, dead - was])
    died[:] = [row for row in died if row[0] > fact.at - HOUR]
    n = sum(row[1] for row in died)
    if n >= LEAST_DIED and not memory.get("on"):
        memory["on"] = True
        return Sign(True, fact.at, "dead_grew", {"died": n, "dead": dead})
    if not n and memory.pop("on", False):
        return Sign(False, fact.at, "dead_grew", {"dead": dead})
    return None


def orphaned(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Jobs whose worker is gone, at two looks in a row."""
    n = fact.seen.orphaned
    return sign("orphaned", held(memory, None if n is None else n > 0, fact.at, 0.0), fact.at, orphaned=n)


CONDITIONS = (
    Condition("oldest", "queue", "the oldest job waits longer than promised", oldest),
    Condition("depth", "queue", "more jobs wait than promised", depth, covered_by=("oldest",)),
    Condition("not_draining", "queue", "jobs wait and none is finished", not_draining, covered_by=("oldest", "depth")),
    Condition("retry_storm", "queue", "retries grow while no more jobs succeed", retry_storm),
    Condition("dead_grew", "queue", "jobs are given up", dead_grew, covered_by=("retry_storm",)),
    Condition("orphaned", "queue", "jobs lie with workers that are gone", orphaned),
)
