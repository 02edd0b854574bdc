"""Whether queues keep what people were promised of them: how old the oldest job may get, how deep, how many workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.analysis.flow import frame
from qpanalytics.analysis.reading import Row
from qpanalytics.promised import meant
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from qpanalytics.history import History
    from qpanalytics.settings import PromiseTable

COLUMNS = Columns(
    source="name of the source",
    queue="name of the queue; of a promise that no queue matches, the promise's",
    of="what was promised: `oldest`, `depth`, `workers`",
    state="`kept`, `broken`, `unknown`",
    promised="the promise: seconds, jobs or workers",
    seen="what the last look showed of it; NaN with why",
    taken_at="when that was",
    why="reason where it is unknown, and what a broken one is over or under, else empty",
)


def promise(history: History) -> pd.DataFrame:
    """Each promise of the configuration at the last look as of the history's instant: kept, broken, or not to be told.

    One row for each part of each promise and each queue that it is for (a promise may name queues by a shell pattern). An
    age that is only a lower bound breaks a promise and never proves one kept. Workers are those alive that take from the
    queue; those whose queues are not known count for none.
    """
    from qpanalytics.analysis.queues import last_looks

    queues = last_looks(history, "queue").to_pylist()
    workers = last_looks(history, "worker").to_pylist()
    rows: list[Row] = []
    for said in history.promises:
        mine = [q for q in queues if meant(said, q["source"], q["queue"])]
        for queue in mine:
            rows += parts(said, queue, workers)
        if not mine and (said.source is None or not history.pick.sources or said.source in history.pick.sources):
            rows += [
                {"source": said.source or "", "queue": said.queue, "of": of, "state": "unknown", "promised": value, "seen": None,
                 "taken_us": None, "why": "no look shows this queue"}
                for of, value in _said(said)
            ]  # fmt: skip
    return frame(COLUMNS, rows)


def states(history: History, table: pa.Table) -> list[tuple[str, str]]:
    """For each row of a table of last looks: `kept`, `broken` or `unknown` and why; empty where nothing was promised."""
    from qpanalytics.analysis.queues import last_looks

    workers = last_looks(history, "worker").to_pylist() if history.promises else []
    found = []
    for queue in table.to_pylist():
        rows = [
            row
            for said in history.promises
            if meant(said, queue["source"], queue["queue"])
            for row in parts(said, queue, workers)
        ]
        worst = next((s for s in ("broken", "unknown", "kept") if any(row["state"] == s for row in rows)), "")
        found.append((worst, "; ".join(f"{row['of']}: {row['why']}" for row in rows if row["why"])))
    return found


def parts(said: PromiseTable, queue: Row, workers: list[Row]) -> list[Row]:
    """What became of each part of one promise at one look at a queue."""
    found: list[Row] = []
    for of, value in _said(said):
        if of == "oldest":
            state, seen, why = _oldest(value, queue)
        elif of == "depth":
            state, seen, why = _depth(value, queue)
        else:
            state, seen, why = _workers(value, queue, workers)
        found.append(
            {"source": queue["source"], "queue": queue["queue"], "of": of, "state": state, "promised": value, "seen": seen,
             "taken_us": _micros(queue["taken_at"]), "why": why}
        )  # fmt: skip
    return found


def _said(said: PromiseTable) -> list[tuple[str, float]]:
    every = (("oldest", said.oldest), ("depth", said.depth), ("workers", said.workers))
    return [(of, float(value)) for of, value in every if value is not None]


def _oldest(most_s: float, queue: Row) -> tuple[str, float | None, str]:
    age = queue["oldest_age_s"]
    if age is None:
        if queue["depth"] == 0:
            return "kept", 0.0, ""
        return "unknown", None, "the age of the oldest job is not known"
    if age > most_s:
        over = "at least " if queue["oldest_is"] == "lower_bound" else ""
        return "broken", age, f"the oldest job waits {over}{spell.duration(age)}, more than the promised {spell.duration(most_s)}"
    if queue["oldest_is"] == "lower_bound":
        return "unknown", age, f"the oldest job waits at least {spell.duration(age)}, maybe longer"
    return "kept", age, ""


def _depth(most: float, queue: Row) -> tuple[str, float | None, str]:
    if queue["depth"] is None:
        return "unknown", None, "the depth is not known"
    if queue["depth"] > most:
        return "broken", queue["depth"], f"{spell.plural(queue['depth'], 'job')} wait, promised at most {spell.number(most)}"
    return "kept", queue["depth"], ""


def _workers(least: float, queue: Row, workers: list[Row]) -> tuple[str, float | None, str]:
    there = [w for w in workers if w["source"] == queue["source"]]
    told = [w for w in there if w["queues"] is not None]
    if not there:
        if not any(w["queues"] is not None and queue["queue"] in w["queues"] for w in workers):
            return "unknown", None, "no workers of this source are seen"
        told = [w for w in workers if w["queues"] is not None]
    alive = sum(w["state"] == "alive" and queue["queue"] in w["queues"] for w in told)
    maybe = sum(w["state"] == "unknown" and queue["queue"] in w["queues"] for w in told)
    maybe += sum(w["state"] in ("alive", "unknown") for w in there if w["queues"] is None)
    if alive >= least:
        return "kept", alive, ""
    if alive + maybe >= least:
        return "unknown", alive, f"{alive} are known to be alive and to take from it, {maybe} more cannot be told"
    return "broken", alive, f"{spell.plural(alive, 'worker')} alive, promised {spell.number(least)}"


def _micros(at: object) -> int | None:
    from datetime import datetime

    from qpanalytics.instants import micros

    return micros(at) if isinstance(at, datetime) else None
