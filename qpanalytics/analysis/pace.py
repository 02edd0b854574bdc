"""How often a live source has to be looked at so that no ping is gone before we see it."""

from __future__ import annotations

import pandas as pd

from qpanalytics.analysis import reading
from qpanalytics.analysis.reading import Reading
from qpanalytics.words import Columns

COLUMNS = Columns(
    source="name of the source",
    check="name of the check",
    reply_rows="pings of one check that the source shows at most; 100 where no reply was longer",
    n="pings that the pace was measured on, of the last 30 days",
    fills_s="shortest time in which so many pings came as the source shows, seconds; in proportion where fewer came",
    every_s="median time between looks at the source in the last 7 days, seconds; NaN with fewer than two",
)
#: The smallest account limit known of any source (Healthchecks, hosted and self-hosted, without an admin's change).
LEAST_ROWS = 100


def pace(history: Reading) -> pd.DataFrame:
    """Per check of a live source, fastest first: how soon its pings push one another out of what the source shows.

    Looking less often than every `fills_s` loses pings. That is measured on the busiest stretch so far: a job that
    will be busier needs more.
    """
    table = history.sql("pace", least=LEAST_ROWS)
    return reading.frame(
        COLUMNS,
        {
            "source": reading.texts(table.column("source").to_pylist()),
            "check": reading.texts(table.column("check_name").to_pylist()),
            "reply_rows": reading.counts(table.column("reply_rows").to_pylist()),
            "n": reading.counts(table.column("n").to_pylist()),
            "fills_s": reading.reals(table.column("fills_s").to_pylist()),
            "every_s": reading.reals(table.column("every_s").to_pylist()),
        },
    )
