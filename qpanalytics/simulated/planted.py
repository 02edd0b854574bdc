"""What was planted in the simulated fleet: the truth that the analyses are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpanalytics.simulated import fleet
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = Columns(
    fault="what goes wrong, in a word",
    source="the simulated source that shows it",
    name="the queue, worker or check that it befalls",
    since_at="since when (of what happens each day: the first time)",
    found_by="the analysis that is to find it",
    story="what happens",
)

_FAULTS = (
    ("fills", fleet.SHOP, "mailers", fleet.SINCE.replace(day=11, hour=8, minute=50), "tides.windows, promise",
     "from 08:50 to 09:40 on weekdays 83 jobs a minute come, and 60 can be done; the oldest was promised within 10 min"),
    ("counters reset", fleet.SHOP, "billing", fleet.RESET, "flow", "its counters begin at 0 again"),
    ("worker killed", fleet.SHOP, "video-2", fleet.KILLED, "workers, storms.orphaned, promise",
     "it dies with a job in hand, which is orphaned; one worker of the promised two is left for video"),
    ("producer down", fleet.CHECKS, "extract-orders", fleet.PRODUCER_DOWN, "pairs.jobs",
     "it fails each hour, so imports, which it fills, is empty"),
    ("hangs", fleet.SHOP, "search-1", fleet.HUNG, "hangs.zombies, pairs.jobs, promise",
     "both of its jobs hang while it goes on beating, so search does not drain; the oldest was promised within 15 min"),
    ("crash loop", fleet.HOSTS, "thumbs-2", fleet.CRASHING, "hangs.crashes", "it ends and is started again every 4 min"),
    ("retry storm", fleet.SHOP, "reports", fleet.STORM, "storms.storms, storms.dead",
     "9 of 10 tries fail and wait for another one; 1 of 5 that fail again is given up"),
)  # fmt: skip


def planted() -> pd.DataFrame:
    """The planted faults, by time: one row each. Everything else in the fleet does well.

    >>> planted()["fault"].tolist()[:3]
    ['fills', 'counters reset', 'worker killed']
    """
    import pandas as pd

    frame = pd.DataFrame(_FAULTS, columns=list(COLUMNS))
    frame["since_at"] = frame["since_at"].astype("datetime64[us, UTC]")
    return COLUMNS.order(frame)
