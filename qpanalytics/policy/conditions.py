"""The registry: everything that can be wrong. A new condition is one entry in the file of what it is about."""

from __future__ import annotations

from qpanalytics.policy import conditions_checks, conditions_queues, conditions_sources, conditions_workers
from qpanalytics.policy.changes import DOWN
from qpanalytics.policy.sign import Condition

OF_CHECKS = conditions_checks.CONDITIONS
OF_QUEUES = conditions_queues.CONDITIONS
OF_QUEUES_BY_WORKERS = conditions_workers.OF_QUEUES
OF_WORKERS = conditions_workers.CONDITIONS
OF_SOURCES = conditions_sources.CONDITIONS
OF_SOURCES_BY_WORKERS = conditions_workers.OF_SOURCES

EVERY: dict[str, Condition] = {
    one.kind: one
    for one in (*OF_CHECKS, *OF_QUEUES, *OF_QUEUES_BY_WORKERS, *OF_WORKERS, *OF_SOURCES, *OF_SOURCES_BY_WORKERS)
}
#: What incidents can be about, as routes name it: the stages of `down` each have their own name.
KINDS = (*DOWN, *(kind for kind in EVERY if kind != "down"))
