"""How worker processes look: each at the last look at its source, and all looks of the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

_LOOK = {
    "source": "name of the source",
    "system": "what it is: `sidekiq`, `celery`, `systemd`, `supervisor`, ...",
    "worker": "name of the worker process at its source",
    "taken_at": "when it looked so, by our clock",
    "state": "`alive`, `stale` (listed, and silent for longer than its period allows), `gone` (listed, and dead), `unknown`",
    "busy": "jobs that it runs",
    "last_seen_at": "its last sign of life",
    "expected_period_s": "how often it gives one, seconds",
    "oldest_running_s": "how long the longest of its running jobs has run, seconds",
    "queues": "the queues that it takes jobs from, in its order",
    "restarts": "how often it was started again, as its supervisor counts",
    "why": "reason for each figure that the system cannot give, else empty",
}
COLUMNS = Columns(**_LOOK)
LOOKS = Columns(
    **_LOOK,
    looks="looks that the row stands for: 1, or more where old ones were thinned; the figures above are the last one's",
    since_at="the first of them",
    busy_min="fewest jobs among them",
    busy_max="most jobs among them",
    busy_mean="mean of them",
    oldest_running_max_s="the longest that a job had run at one of them, seconds",
    stale_looks="looks at which it was stale",
    gone_looks="looks at which it was gone",
    restarts_gain="how often it was started again since the look before",
)


def workers(history: History, *, worker: Sequence[str] = ()) -> pd.DataFrame:
    """Each worker process as the last look at its source showed it, by source and name.

    A process that the last look no longer showed is not in it: after a deploy the old ones are gone for good. `worker`
    takes shell patterns.
    """
    from qpanalytics.analysis.frames import to_pandas
    from qpanalytics.analysis.queues import last_looks, picked

    return COLUMNS.order(to_pandas(picked(last_looks(history, "worker"), "worker", worker, history)))


def looks(history: History, *, worker: Sequence[str] = ()) -> pd.DataFrame:
    """All looks at worker processes in the window, by worker, then by time; `worker` takes shell patterns."""
    from qpanalytics.analysis.frames import to_pandas
    from qpanalytics.analysis.queues import LEAD, picked

    return LOOKS.order(to_pandas(picked(history.looks("worker_looks", lead=LEAD), "worker", worker, history)))
