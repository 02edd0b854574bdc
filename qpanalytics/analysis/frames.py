"""The plain frames: checks, pings, runs and occurrences under their public names, with units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from qpanalytics.history import History

CHECKS = Columns(
    check="name of the check, fixed at first sight",
    source="the system or file that knows it",
    key="the source's own stable id",
    name="the present name at the source",
    status="`new`, `up`, `started`, `grace`, `down`, `paused`, `unknown` at as_of",
    schedule="cron expressions, `every ...` or `OnCalendar=...`; missing where no run is promised",
    tz="time zone of the schedule",
    grace_s="how late a completion may be, seconds; the default where none was given",
    max_runtime_s="how long a run may take, seconds; missing where not promised",
    next_expected_at="the run due now, else the next to come",
    deadline_at="when that run is late",
    last_ping_at="the last ping of any kind",
    last_duration_s="duration of the last completed run that has one, seconds",
    down_since_at="since when it is down; missing where it is not",
    severity="`critical`, `warning`, `info`; `warning` where not given",
    tags="labels, for picking and grouping",
)
PINGS = Columns(
    check="name of the check",
    key="the source's own stable id",
    source="where the ping was seen",
    received_at="when the monitor received it",
    kind="`start`, `success`, `fail`, `log`, `ign`",
    n="the source's own number of the ping; missing where it does not number them",
    run_id="the run it belongs to; missing where the job sends none",
    duration_s="run time as the job stated it, seconds; missing where it did not",
    exit_status="exit status, where the job sent one",
    host="where the ping came from, where known",
)
RUNS = Columns(
    check="name of the check",
    run_id="the job's own id of the run; missing where it sends none",
    started_at="time of the start ping; missing where none was sent",
    completed_at="time of the finishing ping; missing for open and abandoned runs",
    duration_s="stated duration, else finish minus start, seconds; missing where neither is known",
    result="`success`, `fail`, `open`, `abandoned`",
    exit_status="exit status of the finishing ping, where sent",
    overran="ran past its limit, also if it finished",
    expected_at="the expected run it belongs to; missing outside every window",
)
OCCURRENCES = Columns(
    check="name of the check",
    expected_at="when the run was expected",
    deadline_at="expected time plus grace",
    started_at="start of the run that settled it, else of the oldest one under way",
    completed_at="completion that settled it: the first success, else the first failure",
    outcome="`on_time`, `late`, `missed`, `failed`, `hung`, `excused`, `pending`, `unknown` at as_of",
    lateness_s="completion minus expected time, seconds, negative is early; missing unless a success completed it",
    start_delay_s="start minus expected time, seconds; missing without a start ping",
    duration_s="duration of the settling run, seconds; missing where not known",
    attempts="completions up to the settling one",
    failures="failed completions in the window of this occurrence",
    extra="successes beyond the first",
    vouched="observed from the window's start to the deadline",
    why="for `excused` and `unknown` the reason, else empty; of a pause, between which looks it is known to lie",
)
DECLARED = {"checks": CHECKS, "pings": PINGS, "runs": RUNS, "occurrences": OCCURRENCES}


def read(history: History, name: str) -> pd.DataFrame:
    """The frame `name` of `history` (`checks`, `pings`, ..., `queues`, `workers` or `coverage`), columns as declared."""
    if name == "coverage":
        from qpanalytics.analysis.coverage import coverage

        return coverage(history)
    if name in ("queues", "workers"):
        from importlib import import_module

        every: pd.DataFrame = import_module(f"qpanalytics.analysis.{name}").looks(history)
        return every
    return DECLARED[name].order(to_pandas(history.sql(name)))


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas without loss: whole numbers with gaps stay whole, text stays text, instants stay UTC."""
    import pandas as pd
    import pyarrow as pa

    whole = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
    }
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=lambda t: whole.get(t), timestamp_as_object=False, date_as_object=False
    )
    for column in table.schema:
        if pa.types.is_integer(column.type) and table[column.name].null_count == 0:
            frame[column.name] = frame[column.name].astype("int64")
    return frame
