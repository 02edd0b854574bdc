"""At which hours more comes into a queue than goes out of it, by the reader's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from qpanalytics.analysis import rates
from qpanalytics.analysis.flow import Steps, frame, steps
from qpanalytics.analysis.reading import Row
from qpanalytics.instants import EPOCH
from qpanalytics.schedules import zones
from qpanalytics.words import Columns

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.history import History

COLUMNS = Columns(
    source="name of the source",
    queue="name of the queue",
    day="`weekday` (Monday to Friday) or `weekend`, in the reader's zone",
    hour="hour of the day, 0 to 23, in the reader's zone",
    n="days with looks in that hour",
    arrivals_per_min="jobs that came, a minute; NaN with why",
    service_per_min="tries finished, a minute; NaN with why",
    net_per_min="growth of what waits, a minute",
    net_lo="lower end of its 95 % interval over the days",
    net_hi="upper end of its 95 % interval over the days",
    fills="more comes than goes: the whole interval is growth; missing where the days are too few",
    why="reason for each NaN, else empty",
)
WINDOWS = Columns(
    source="name of the source",
    queue="name of the queue",
    day="`weekday` or `weekend`, in the reader's zone",
    from_hour="first hour of the stretch, 0 to 23",
    to_hour="hour that it ends at, 1 to 24",
    n="days with looks in it, in the hour with the fewest",
    arrivals_per_min="jobs that came in it, a minute; NaN where not counted",
    service_per_min="tries finished in it, a minute; NaN where not counted",
    grows_by="jobs that wait more at its end than at its beginning, on a day",
    why="reason for each NaN, else empty",
)
#: The edges of a stretch are looked for in parts of so many minutes.
PART_MIN = 10
#: A step that is longer does not belong to one hour.
LONGEST_S = 5_400.0


def tides(history: History, *, tz: str = "UTC") -> pd.DataFrame:
    """Each queue by hour of the day, weekdays and weekends apart: what comes and goes, and whether it fills.

    One row per queue, kind of day and hour that was looked at. The interval takes a day for one observation, so one bad
    Tuesday does not make every weekday at ten a tide. A step between looks belongs to the hour of its middle.
    """
    return frame(COLUMNS, _cells(history, tz), counts=("hour", "n"), flags=("fills",))


def windows(history: History, *, tz: str = "UTC") -> pd.DataFrame:
    """The stretches of the day in which more comes than goes, by queue: hours that fill, joined where they meet."""
    found: list[Row] = []
    run: list[Row] = []
    for cell in [*_cells(history, tz), None]:
        if run and (cell is None or not cell["fills"] or _next(run[-1]) != _place(cell)):
            found.append(_window(run))
            run = []
        if cell is not None and cell["fills"]:
            run.append(cell)
    return frame(WINDOWS, found, counts=("from_hour", "to_hour", "n"))


def edges(found: Steps, window: Row, *, tz: str = "UTC") -> tuple[int, int]:
    """When within a stretch of hours (a row of `windows`) the queue grows: first and last minute of the day, by tens.

    An hour that fills often does so in a part of it. Of all stretches of ten-minute parts the one with the most growth is
    taken, added over the days; where looks are rarer than that, the hours stand as they are.
    """
    whole = (int(window["from_hour"]) * 60, int(window["to_hour"]) * 60)
    if not len(found.seconds) or float(np.median(found.seconds)) > PART_MIN * 60:
        return whole
    growth: dict[int, float] = {}
    days = _by_hour(found, zones.zone(tz))
    for hour in range(int(window["from_hour"]), int(window["to_hour"])):
        for places in days.get((window["day"] == "weekend", hour), {}).values():
            for place in places:
                # offsets are whole quarters of an hour: the minute within the hour may be another one than in UTC
                minute = int((found.at[place] + found.seconds[place] / 2) // 60) + _shift(found.at[place], zones.zone(tz))
                part = hour * 60 + minute % 60 // PART_MIN * PART_MIN
                grown = float(found.grown[place])
                growth[part] = growth.get(part, 0.0) + (grown if grown == grown else 0.0)
    best, first, run, began = 0.0, whole[0], 0.0, whole[0]
    end = whole[1]
    for part in sorted(growth):
        if run <= 0:
            run, began = 0.0, part
        run += growth[part]
        if run > best:
            best, first, end = run, began, part + PART_MIN
    return first, end


def _shift(at: float, zone: Any) -> int:
    offset = (EPOCH + timedelta(seconds=at)).astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


def _cells(history: History, tz: str) -> list[Row]:
    zone = zones.zone(tz)
    cells: list[Row] = []
    for (source, queue), found in steps(history).items():
        for (weekend, hour), one in sorted(_by_hour(found, zone).items()):
            cells.append(
                {"source": source, "queue": queue, "day": "weekend" if weekend else "weekday", "hour": hour, **_cell(found, one)}
            )
    return cells


def _by_hour(found: Steps, zone: Any) -> dict[tuple[bool, int], dict[int, list[int]]]:
    """Places of steps by kind of day and hour, and within that by day."""
    cells: dict[tuple[bool, int], dict[int, list[int]]] = {}
    middles = found.at[:-1] + found.seconds / 2
    # a zone's offset changes at quarters of an hour at most, so it is asked once for each
    quarters: dict[int, datetime] = {}
    for place, (middle, long) in enumerate(zip(middles.tolist(), (found.seconds > LONGEST_S).tolist(), strict=True)):
        if long:
            continue
        quarter = int(middle // 900)
        local = quarters.get(quarter)
        if local is None:
            local = quarters[quarter] = (EPOCH + timedelta(seconds=900 * quarter)).astimezone(zone)
        cells.setdefault((local.weekday() >= 5, local.hour), {}).setdefault(local.toordinal(), []).append(place)
    return cells


def _cell(found: Steps, days: dict[int, list[int]]) -> Row:
    seconds = np.array([found.seconds[p].sum() for p in days.values()])
    net = rates.rate(np.array([found.grown[p].sum() for p in days.values()]), seconds, counts=False)
    every = np.concatenate([np.array(p) for p in days.values()])
    arrivals = rates.rate(found.arrivals[every], found.seconds[every])
    service = rates.rate(found.service[every], found.seconds[every])
    few = net.n < rates.LEAST
    why = [] if arrivals.n else ["arrivals, service: finished jobs are not counted"]
    why += [f"{net.n} days of at least {rates.LEAST}"] if few else []
    return {
        "n": len(days), "arrivals_per_min": arrivals.value * 60, "service_per_min": service.value * 60,
        "net_per_min": net.value * 60, "net_lo": net.lo * 60, "net_hi": net.hi * 60,
        "fills": None if few else bool(net.lo > 0), "why": "; ".join(why), "seconds": float(seconds.mean()),
    }  # fmt: skip


def _place(cell: Row) -> tuple[Any, ...]:
    return cell["source"], cell["queue"], cell["day"], cell["hour"]


def _next(cell: Row) -> tuple[Any, ...]:
    return cell["source"], cell["queue"], cell["day"], cell["hour"] + 1


def _window(run: list[Row]) -> Row:
    return {
        **{name: run[0][name] for name in ("source", "queue", "day")},
        "from_hour": run[0]["hour"], "to_hour": run[-1]["hour"] + 1, "n": min(c["n"] for c in run),
        "arrivals_per_min": float(np.mean([c["arrivals_per_min"] for c in run])),
        "service_per_min": float(np.mean([c["service_per_min"] for c in run])),
        "grows_by": sum(c["net_per_min"] * 60 for c in run), "why": run[0]["why"],
    }  # fmt: skip
