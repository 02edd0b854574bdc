"""What can be wrong with workers: too few, none at all, one that hangs in a job, one that is started again and again."""

from __future__ import annotations

from statistics import median_low

from qpanalytics.policy.sign import HOUR, Condition, Fact, Memory, Setting, Sign, held, sign
from qpanalytics.thresholds import CRASH_LOOP, WORKER_LOOKS

#: The usual number of workers is taken from so many looks.
KEPT = 60


def too_few(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Fewer workers alive that take from the queue than promised. Those that do not say from which may be any."""
    promised = setting.promise.workers
    if promised is None:
        return None
    queue, workers = fact.evidence["queue"], fact.seen.workers
    alive = sum(w.state == "alive" and w.queues is not None and queue in w.queues for w in workers)
    maybe = sum(w.state == "unknown" and w.queues is not None and queue in w.queues for w in workers)
    maybe += sum(w.state in ("alive", "unknown") and w.queues is None for w in workers)
    bad = False if alive >= promised else None if alive + maybe >= promised else True
    return sign("too_few", held(memory, bad, fact.at, setting.table.hold), fact.at, alive=alive, promised=promised)


def gone(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """No worker of the source is alive where there usually are some, at two looks."""
    workers = fact.seen.workers
    if any(w.state == "unknown" for w in workers):
        return None
    alive = sum(w.state == "alive" for w in workers)
    last = memory.setdefault("last", [])
    usual = median_low(last) if len(last) >= WORKER_LOOKS else 0
    turned = held(memory, False if alive else (True if usual else None), fact.at, 0.0)
    if alive:
        last.append(alive)
        del last[:-KEPT]
    return sign("workers_gone", turned, fact.at, alive=alive, usual=usual)


def stuck(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """A live worker whose job runs far longer than its like ever do, at two looks."""
    worker = fact.seen
    if worker.limit_s is None:
        return None
    bad = worker.state == "alive" and worker.oldest_running_s is not None and worker.oldest_running_s > worker.limit_s
    figures = {"running_s": worker.oldest_running_s, "limit_s": worker.limit_s}
    return sign("stuck", held(memory, bad, fact.at, 0.0), fact.at, **figures)


def crash_loop(memory: Memory, fact: Fact, setting: Setting) -> Sign | None:
    """Started again three times within an hour; over after an hour without."""
    count = fact.seen.restarts
    if count is None:
        return None
    was = memory.get("count")
    memory["count"] = count
    times = memory.setdefault("at", [])
    if was is not None:
        # a counter that went backwards began anew
        times.extend([fact.at] * min(count if count < was else count - was, CRASH_LOOP))
    times[:] = [at for at in times if at > fact.at - HOUR]
    if len(times) >= CRASH_LOOP and not memory.get("on"):
        memory["on"] = True
        return Sign(True, fact.at, "crash_loop", {"restarts": len(times), "since_at": times[0]})
    if not times and memory.pop("on", False):
        return Sign(False, fact.at, "crash_loop", {"restarts": 0})
    return None


OF_QUEUES = (Condition("too_few", "queue", "fewer workers are alive than promised", too_few),)
OF_SOURCES = (Condition("workers_gone", "source", "no worker is alive where there were some", gone),)
CONDITIONS = (
    Condition("stuck", "worker", "a worker hangs in a job", stuck),
    Condition("crash_loop", "worker", "a worker is started again and again", crash_loop),
)
