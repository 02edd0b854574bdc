"""What the rules about queues look at: everything that the analyses know of one queue, worker or source of looks.

A store that was never pointed at queues costs one question here, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite, nan
from statistics import median_low
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics.analysis import flow, hangs, pairs, queues, staffing, storms, tides
from qpanalytics.analysis.flow import Flow, Steps, rates_of
from qpanalytics.analysis.reading import Row
from qpanalytics.instants import TICK, instant, micros
from qpanalytics.promised import SEVERITIES, Promise, meant, promised

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

RECENTLY = timedelta(hours=26)
"""What is so now is told from the looks of so long before the last."""

WEEKS = timedelta(days=57)
"""What is usual at an hour of the week is taken from so long before."""

FRESH_S = 3600.0
"""A last look that is older says nothing of now, unless looks are rarer than a third of that."""


@dataclass(frozen=True, slots=True)
class Breach:
    """When one part of a promise was broken in the window: `of` is `oldest` or `depth`; `worst` in seconds or jobs.

    `spells` are stretches of looks that showed it, from the first to the last of each, epoch microseconds; `seconds` how
    long they lasted together, counted from the look before each, so that a breach at one look lasts one step.
    """

    of: str
    promised: float
    worst: float
    worst_us: int
    seconds: float
    spells: tuple[tuple[int, int], ...]
    looks: int


@dataclass(frozen=True, slots=True)
class QueueCase:
    """One queue over one window, and as the last look showed it (`now`; None where it no longer does).

    `label` is its name, with the source before it where two have one of that name or it stands for all of a source.
    `fresh`: the last look is recent enough to say what is so now. `alive` workers that take from it, of `usual` ones in the
    window (None where workers are not seen).
    """

    source: str
    queue: str
    label: str
    system: str
    now: Row | None
    steps: Steps | None
    recent: Steps | None
    rates: Flow | None
    promise: Promise
    breaches: tuple[Breach, ...]
    fills: tuple[Row, ...]
    storms: tuple[Row, ...]
    dead: Row | None
    dead_before: Row | None
    orphaned: Row | None
    staffing: Row | None
    jobs: tuple[Row, ...]
    alive: int | None
    usual: int | None
    fresh: bool
    taken_at: datetime | None

    @property
    def n(self) -> int:
        """Steps between looks in the window."""
        return 0 if self.steps is None else len(self.steps.seconds)

    def range_of(self, name: str) -> tuple[float, float] | None:
        """The least and the most of a figure of the looks in the window; None where it is not known."""
        if self.steps is None:
            return None
        values = self.steps.looks[name]
        low = self.steps.looks["depth_min"] if name == "depth" else values
        high = self.steps.looks["depth_max"] if name == "depth" else values
        if not np.isfinite(values).any():
            return None
        return float(np.nanmin(low)), float(np.nanmax(high))


@dataclass(frozen=True, slots=True)
class WorkerCase:
    """One worker process as the last look showed it, with what says that it hangs or crashes."""

    source: str
    worker: str
    state: str
    busy: int | None
    queues: tuple[str, ...] | None
    severity: str
    zombie: Row | None
    crash: Row | None
    fresh: bool
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class SourceCase:
    """One source of looks: when it was last seen well, what it showed, and how many of its workers are alive.

    `usual` is the median number of live workers at the looks of the window, `short_us` the look from which on there were
    fewer.
    """

    source: str
    taken_at: datetime
    step_s: float
    fresh: bool
    queues: int
    workers: int
    alive: int | None
    usual: int | None
    looks: int
    short_us: int | None
    lost: tuple[str, ...]
    severity: str
    waiting: int
    lost_queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """Everything that looks at queues and workers say over one window."""

    queues: tuple[QueueCase, ...]
    workers: tuple[WorkerCase, ...]
    sources: tuple[SourceCase, ...]


def looked(history: History, *, tz: str) -> Looked | None:
    """The cases of the queues, workers and sources of looks; None where nothing was ever looked at.

    With checks or tags picked only the queues that belong to these are in it. Best asked within a session of `history`.
    """
    if not len(history.looks("looked_at")):
        return None
    with history.session():
        return _looked(history, tz)


def _looked(history: History, tz: str) -> Looked | None:
    last = queues.last_look_at(history)
    if not last:
        return None
    recently = history.over_looks(max(last.values()) - RECENTLY, history.as_of + TICK)
    paired = pairs.pairs(recently)
    only = {pair.queue for pair in paired} if history.pick.checks or history.pick.tags else None
    now = _by_queue(known(queues.queues(recently)))
    seen = flow.steps(history)
    lately = flow.steps(recently)
    told = sorted({*seen, *now})
    if only is not None:
        told = [name for name in told if name[1] in only]
    doubled = _doubled(told)
    step_s = _pace(seen, lately)
    fresh = {source: _fresh(history, at, step_s.get(source, 60.0)) for source, at in last.items()}
    fills = _grouped([_edged(seen[row["source"], row["queue"]], row, tz) for row in known(tides.windows(history, tz=tz))])
    every_storm = _storms(history, recently)
    died, died_before = _dead(history), _dead(history.before())
    left = _by_queue(known(storms.orphaned(recently)))
    staffed = _by_queue(known(staffing.staffing(history)))
    jobs = _jobs(history, paired, tz)
    listed = queues.last_looks(recently, "worker").to_pylist()
    alive = alive_at(history)
    made = [
        QueueCase(
            source=name[0],
            queue=name[1],
            label=f"{name[0]}/{name[1]}" if name[1] == "*" or name[1] in doubled else name[1],
            system=str(now[name]["system"]) if name in now else "",
            now=now.get(name),
            steps=seen.get(name),
            recent=flow.recent(lately.get(name), last[name[0]]) if name[0] in last else None,
            rates=rates_of(seen[name]) if name in seen else None,
            promise=(said := promised(history.promises, *name)),
            breaches=breaches(said, seen.get(name)),
            fills=tuple(fills.get(name, ())),
            storms=tuple(every_storm.get(name, ())),
            dead=died.get(name),
            dead_before=died_before.get(name),
            orphaned=left.get(name),
            staffing=staffed.get(name),
            jobs=tuple(jobs.get(name, ())),
            alive=_takers(listed, *name),
            usual=_usual(alive.get(name)),
            fresh=fresh.get(name[0], False) and name in now,
            taken_at=last.get(name[0]),
        )
        for name in told
    ]
    processes = () if only is not None else _workers(history, recently, listed, fresh)
    sources = () if only is not None else _sources(history, last, step_s, fresh, listed, alive, made)
    return Looked(tuple(made), tuple(processes), tuple(sources))


def breaches(said: Promise, found: Steps | None) -> tuple[Breach, ...]:
    """When the age or the depth at the looks of the window broke what was promised; empty where it never did."""
    if found is None:
        return ()
    made = []
    for of, most, name in (("oldest", said.oldest_s, "oldest_age_max_s"), ("depth", said.depth, "depth_max")):
        if most is None:
            continue
        values = found.looks[name]
        over = np.nan_to_num(values, nan=-1.0) > most
        if over.any():
            made.append(_breach(of, most, values, over, found))
    return tuple(made)


def _breach(of: str, most: float, values: Any, over: Any, found: Steps) -> Breach:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], over, [False])).astype(np.int8)))
    us = np.round(found.at * 1e6).astype(np.int64)
    spells = tuple((int(us[a]), int(us[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))
    worst = int(np.argmax(np.where(over, values, -1.0)))
    seconds = float(found.seconds[over[1:]].sum()) if len(found.seconds) else 0.0
    return Breach(of, most, float(values[worst]), int(us[worst]), seconds, spells, int(over.sum()))


def _by_queue(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["source"], row["queue"]): row for row in rows}


def _grouped(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["source"], row["queue"]), []).append(row)
    return found


def _doubled(names: Sequence[tuple[str, str]]) -> set[str]:
    every = [queue for _, queue in names]
    return {queue for queue in every if every.count(queue) > 1} if len(set(every)) < len(every) else set()


def _pace(*read: dict[tuple[str, str], Steps]) -> dict[str, float]:
    """The median time between looks at each source, seconds."""
    found: dict[str, float] = {}
    for steps in read:
        for (source, _), one in steps.items():
            if len(one.seconds):
                found[source] = float(np.median(one.seconds))
    return found


def _fresh(history: History, at: datetime, step_s: float) -> bool:
    return (history.looks_as_of - at).total_seconds() <= max(FRESH_S, 3 * step_s)


def _edged(found: Steps, row: Row, tz: str) -> Row:
    first, end = tides.edges(found, row, tz=tz)
    return row | {"from_minute": first, "to_minute": end}


def _storms(history: History, recently: History) -> dict[tuple[str, str], list[Row]]:
    """Storms of the window, and those after it that last; one that lasted at its end may be over by now."""
    every = known(storms.storms(history))
    since = [s for s in known(storms.storms(recently)) if s["began_at"] >= history.until]
    lately = flow.steps(recently)
    for storm in every:
        steps = lately.get((storm["source"], storm["queue"]))
        last = nan if steps is None else float(steps.looks["retrying"][-1])
        half = storm["retrying_before"] + (storm["retrying_most"] - storm["retrying_before"]) / 2
        storm["lasts"] = storm["ended_at"] is None and (not isfinite(last) or last > half)
    for storm in since:
        storm["lasts"] = storm["ended_at"] is None
    return _grouped([*every, *(s for s in since if s["lasts"])])


def _dead(history: History) -> dict[tuple[str, str], Row]:
    return _by_queue(known(storms.dead(history)))


def _jobs(history: History, paired: Sequence[pairs.Pair], tz: str) -> dict[tuple[str, str], list[Row]]:
    if not paired:
        return {}
    weeks = history.over_looks(history.as_of - WEEKS, history.as_of + TICK)
    return _grouped(known(pairs.jobs(weeks, tz=tz)))


def alive_at(history: History) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """How many workers were alive at each look of the window: (epoch microseconds, number) by source and queue ('' all)."""
    rows: dict[tuple[str, str], list[tuple[int, int]]] = {}
    table = history.looks("alive")
    columns = [table.column(name).to_pylist() for name in ("source", "queue", "at_us", "alive")]
    for source, queue, at, alive in zip(*columns, strict=True):
        rows.setdefault((source, queue), []).append((at, alive))
    return rows


def _usual(looks: Sequence[tuple[int, int]] | None) -> int | None:
    return None if not looks else median_low([alive for _, alive in looks])


def _takers(listed: Sequence[Row], source: str, queue: str) -> int | None:
    """The live workers that take from a queue at the last look; None where workers of the source do not say from which."""
    there = [w for w in listed if w["source"] == source]
    told = [w for w in there if w["queues"] is not None]
    if not there or (queue != "*" and len(told) < len(there)):
        return None
    return len([w for w in there if w["state"] == "alive" and (queue == "*" or queue in w["queues"])])


def _workers(history: History, recently: History, listed: Sequence[Row], fresh: dict[str, bool]) -> list[WorkerCase]:
    hung = {(z["source"], z["worker"]): z for z in known(hangs.zombies(history))} if listed else {}
    loops = {(c["source"], c["worker"]): c for c in known(hangs.crashes(recently))} if listed else {}
    made = []
    for row in listed:
        name = (row["source"], row["worker"])
        made.append(
            WorkerCase(
                row["source"], row["worker"], row["state"], _whole(row["busy"]),
                None if row["queues"] is None else tuple(row["queues"]), _severity(history, row["source"], row["queues"]),
                hung.get(name), loops.pop(name, None), fresh.get(row["source"], False), row["taken_at"],
            )
        )  # fmt: skip
    for (source, worker), loop in loops.items():  # replaced under new names, or not there at the last look
        at = loop["until_at"]
        made.append(
            WorkerCase(source, worker, "", None, None, _severity(history, source, None), None, loop, fresh.get(source, False), at)
        )
    return made


def _severity(history: History, source: str, names: Sequence[str] | None) -> str:
    """The most severe of the promises of the queues that workers take from; of all of the source where that is not known."""
    found = [
        said.severity or "warning"
        for said in history.promises
        if said.source in (None, source) and (names is None or any(meant(said, source, queue) for queue in names))
    ]
    return min(found, key=SEVERITIES.index, default="warning")


def _sources(
    history: History,
    last: dict[str, datetime],
    step_s: dict[str, float],
    fresh: dict[str, bool],
    listed: Sequence[Row],
    alive: dict[tuple[str, str], list[tuple[int, int]]],
    made: Sequence[QueueCase],
) -> list[SourceCase]:
    found = []
    for source, at in sorted(last.items()):
        mine = [w for w in listed if w["source"] == source]
        looks = alive.get((source, ""), [])
        usual = _usual(looks)
        there = sum(w["state"] == "alive" for w in mine) if looks or mine else None
        unknown = any(w["state"] == "unknown" for w in mine)
        own = [case for case in made if case.source == source and case.queue != "*"]
        names = [case.queue for case in own]
        lost = [w for w in mine if w["state"] in ("gone", "stale")]
        left = list(dict.fromkeys(queue for w in lost for queue in w["queues"] or ()))
        found.append(
            SourceCase(
                source, at, step_s.get(source, 60.0), fresh[source], len(own), len(mine), None if unknown else there, usual,
                len(looks), _short(looks, usual, micros(at)),
                tuple(w["worker"] for w in lost), _severity(history, source, (left if lost and there else names) or None),
                sum(_whole((case.now or {}).get("depth")) or 0 for case in own), tuple(left),
            )
        )  # fmt: skip
    return found


def _short(looks: Sequence[tuple[int, int]], usual: int | None, until_us: int) -> int | None:
    """The first look since which fewer were alive than usual."""
    if usual is None:
        return None
    enough = [place for place, (_, alive) in enumerate(looks) if alive >= usual]
    if not enough or enough[-1] + 1 >= len(looks):
        # at later looks none at all was listed: it was after the last that showed some
        return looks[-1][0] if looks and looks[-1][0] < until_us else None
    return looks[enough[-1] + 1][0]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def known(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame with None for whatever is missing, and plain UTC datetimes."""
    import pandas as pd

    def plain(value: Any) -> Any:
        if isinstance(value, pd.Timestamp):
            return instant(micros(value.to_pydatetime()))
        return None if value is None or (not isinstance(value, list | tuple) and pd.isna(value)) else value

    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
