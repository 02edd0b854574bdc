"""The changes in force of a fleet as verdicts and figures need them: since when, from what to what, and where it leads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from qpanalytics.analysis import meets, projection, stats
from qpanalytics.analysis.settled import MATTERS, MATTERS_OF_GRACE, Settled, settled
from qpanalytics.instants import TICK

if TYPE_CHECKING:

    from qpanalytics.analysis.breaks import Break
    from qpanalytics.analysis.reading import Row
    from qpanalytics.analysis.stats import Floats
    from qpanalytics.history import History

METRICS = ("duration", "lateness")
#: From so many runs on either side on, the 95th percentile is told; of fewer it is the largest, so the median is.
LEAST = 20
#: What changed and is in force shows in the runs of so long.
LATELY = timedelta(days=7)
#: Points of a line that bends.
CURVE = 8

Path = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """A change of one metric of one check, usually `in_force`. Instants are epoch microseconds, values seconds.

    `before_s` and `after_s` are levels (medians), `high_before_s` and `high_after_s` what one run in twenty is above; None
    where there are too few runs for it. `known_us` is when it could first be told. `weekday` is 1 to 7 where only runs of
    that day changed. `promised`: the schedule or a limit was changed at the same time.

    `meets` is the limit that it reaches, `limit_s` long, between `meets_lo_us` and `meets_hi_us`; the dates are None where
    they cannot be told, `reached` says that it is there already. `path` is the line from the change to the last run,
    `ahead` the way from there to the limit, both of what `after_s` (`high_after_s` where known) is of.
    """

    metric: str
    kind: str
    changed_us: int
    lo_us: int
    hi_us: int
    known_us: int
    before_s: float
    after_s: float
    n_before: int
    n_after: int
    in_force: bool = True
    high_before_s: float | None = None
    high_after_s: float | None = None
    weekday: int = 0
    promised: bool = False
    meets: str = ""
    limit_s: float | None = None
    meets_us: int | None = None
    meets_lo_us: int | None = None
    meets_hi_us: int | None = None
    reached: bool = False
    path: Path = ()
    ahead: Path = ()

    @property
    def told(self) -> str:
        """What is told of it: `p95`, or `median` where runs are too few."""
        return "p95" if self.high_before_s is not None and self.high_after_s is not None else "median"

    @property
    def pair_s(self) -> tuple[float, float]:
        """Before and after of that."""
        if self.high_before_s is not None and self.high_after_s is not None:
            return self.high_before_s, self.high_after_s
        return self.before_s, self.after_s


def moved(history: History, since: datetime, *, closely: bool = False) -> dict[int, tuple[Moved, ...]]:
    """The steps and trends in force at the end of the window, by check: of how long runs take and how late they come.

    They are looked for from `since` on (a session must reach back so far), and only in checks whose medians of the
    last week are not those from before it: what has changed long ago and stands moves nothing now. `closely` looks at all
    checks, and gives also the changes that others have followed.
    """
    ids = None if closely else _suspects(history, since)
    if ids is not None and not ids:
        return {}
    as_of_s = min(history.as_of, history.until - TICK).timestamp()
    found: dict[int, tuple[Moved, ...]] = {}
    for one in settled(history, since=since, ids=ids, metrics=METRICS):
        changes = (
            _moved(one, b, level, as_of_s, in_force=in_force)
            for b, level, in_force in zip(one.breaks, one.levels, one.in_force, strict=True)
            if in_force or (closely and b.kind != "blip")
        )
        if told := tuple(changes):
            found[one.check.check_id] = (*found.get(one.check.check_id, ()), *told)
    return found


def _suspects(history: History, since: datetime) -> list[int]:
    last = max(history.since, min(history.until, history.as_of) - LATELY)
    table = history.sql("drift_moved", from_at=since, to_at=history.until, since=last).to_pylist()
    return [row["check_id"] for row in table if _differs(row, "late", row["grace_s"]) or _differs(row, "ran", 0.0)]


def _differs(row: Row, of: str, grace_s: float) -> bool:
    then, now = row[f"{of}_then_s"], row[f"{of}_now_s"]
    if then is None or now is None:
        return then is not None  # no run in a week is so seldom one that to look is cheap
    return bool(abs(now - then) >= max(MATTERS * abs(then), MATTERS_OF_GRACE * grace_s, 1e-9))


def _moved(one: Settled, b: Break, level: tuple[float, float], as_of_s: float, *, in_force: bool) -> Moved:
    assert one.series is not None
    at_s, values = one.series.at_s, one.series.values
    begun = max((c.at for c in one.breaks if c.kind != "blip" and c.at < b.at and c.weekday in (0, b.weekday)), default=0)
    mine = np.ones(len(values), dtype=bool) if not b.weekday else one.series.weekday == b.weekday
    old, new = values[begun : b.at][mine[begun : b.at]], values[b.at : b.end][mine[b.at : b.end]]
    lines = meets.line(one.series, b, one.logs) if b.kind == "trend" and not b.weekday else None
    line = lines[0] if lines else None
    high_before, high_after = _high(old), _high(new)
    if b.kind == "trend":
        high_after = None if line is None else float(line.high(at_s[-1:])[0][0])
    many = high_before is not None and high_after is not None
    before, after = (high_before, high_after) if high_before is not None and high_after is not None else level
    row = meets.meets(one.check, one.metric, one.series, b, one.logs, as_of_s).row if in_force else {}
    met_s: float | None = row.get("meets_at")
    reached = met_s is not None and met_s <= as_of_s
    ahead: Path = ()
    if line is not None and met_s is not None and not reached and many:
        way = np.linspace(float(at_s[-1]), met_s, CURVE)
        ahead = _path(way, line.high(way)[0])
    return Moved(
        one.metric, b.kind, _us(at_s[b.at]), _us(at_s[b.lo]), _us(at_s[b.hi]), _us(at_s[b.known]), *level, len(old), len(new),
        in_force, high_before, high_after, b.weekday, one.promised(b),
        row.get("meets", ""), meets.limits(one.check, one.metric).get(row.get("meets", "")),
        _when(met_s), _when(row.get("meets_lo_at")), _when(row.get("meets_hi_at")), reached,
        _line(at_s, b, before, after, line if many else None), ahead,
    )  # fmt: skip


def _high(values: Floats) -> float | None:
    return float(stats.quantile(np.sort(values), projection.SHARE)) if len(values) >= LEAST else None


def _line(at_s: Floats, b: Break, before: float, after: float, line: projection.Line | None) -> Path:
    """From the change to the last run: level after a step; of a trend as it is fitted, from the level before on."""
    first, last = float(at_s[b.at]), float(at_s[-1])
    if b.kind == "step":
        return ((_us(first), after), (_us(last), after))
    if line is None:
        return ((_us(first), before), (_us(last), after))
    way = np.linspace(first, last, CURVE)[1:]
    return ((_us(first), before), *_path(way, line.high(way)[0]))


def _path(at_s: Floats, values: Floats) -> Path:
    return tuple((_us(at), float(value)) for at, value in zip(at_s.tolist(), values.tolist(), strict=True))


def _us(at_s: float) -> int:
    return round(float(at_s) * 1e6)


def _when(at_s: float | None) -> int | None:
    return None if at_s is None or not np.isfinite(at_s) else _us(at_s)
