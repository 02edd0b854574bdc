"""The small pictures and the evidence of a digest, from the 28 days before the window's end."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.report.model import Arrivals, Dots, Level, Mark, Strip, Trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qpanalytics.history import History
    from qpanalytics.verdict.finding import Finding

#: Figures of evidence on one page; more would not be read.
MOST_FIGURES = 6
_RANKS = {8: "failed", 7: "missed", 6: "hung", 5: "late", 4: "on_time", 3: "unknown", 2: "excused", 1: "pending", 0: "ran"}


class Strips(dict[int, Strip]):
    """Strips by check id; `ids` gives the id of a name."""

    ids: dict[str, int]


def strips(month: History, first: date, days: int, tz: str) -> Strips:
    """One strip per check: the worst outcome of each local day."""
    cells: dict[int, list[str | None]] = {}
    ids: dict[str, int] = {}
    for row in month.sql("report_extra").to_pylist():
        ids[row["check"]] = row["check_id"]
        cells[row["check_id"]] = [None] * days
    for row in month.sql("strip_days", tz=tz).to_pylist():
        place = (row["day"] - first).days
        if 0 <= place < days:
            cells[row["check_id"]][place] = _RANKS[row["worst"]]
    out = Strips({check: Strip(first, tuple(days_of)) for check, days_of in cells.items()})
    out.ids = ids
    return out


def trends(month: History, first: date, days: int, tz: str) -> dict[int, Trend]:
    """The median duration of each local day, for checks with any."""
    values: dict[int, list[float | None]] = {}
    for row in month.sql("duration_days", tz=tz).to_pylist():
        place = (row["day"] - first).days
        if 0 <= place < days:
            values.setdefault(row["check_id"], [None] * days)[place] = round(row["p50_s"], 6)
    return {check: Trend(first, tuple(of)) for check, of in values.items()}


def evidence(month: History, history: History, said: Sequence[Finding], tz: str) -> tuple[Dots | Arrivals, ...]:
    """A figure for each check that a finding names alone and that one helps: dots for a change, steps for late runs."""
    out: list[Dots | Arrivals] = []
    named: set[str] = set()
    for finding in said:
        if len(out) == MOST_FIGURES:
            break
        if len(finding.checks) != 1 or finding.check in named:
            continue
        made = None
        if finding.kind in ("slower", "later"):
            made = _dots(month, history, finding, "duration_s" if finding.kind == "slower" else "lateness_s", tz)
        elif finding.kind in ("missing", "late", "down", "failing"):
            made = _arrivals(history, finding)
        if made is not None:
            named.add(finding.check)
            out.append(made)
    return tuple(out)


def _dots(month: History, history: History, finding: Finding, of: str, tz: str) -> Dots | None:
    rows = month.sql("dots_of", name=finding.check).to_pylist()
    points = [(row["us"], row[of]) for row in rows if row[of] is not None]
    edge = _us(history, before=True)
    earlier, later = [v for at, v in points if at < edge], [v for at, v in points if at >= edge]
    if len(earlier) < 2 or len(later) < 2:
        return None
    what = "duration of each run" if of == "duration_s" else "how late each run completes"
    low, high = _median(earlier), _median(later)
    return Dots(
        check=finding.check,
        title=f"{finding.check}: {what}",
        caption="Dots are runs, the line is the median",
        alt=finding.sentence,
        since_us=_begin(month),
        until_us=_us(history),
        points=tuple(points),
        tz=tz,
        levels=(
            Level(_begin(month), edge, low, f"median {spell.duration(low)}"),
            Level(edge, _us(history), high, f"median {spell.duration(high)}"),
        ),
        changes=((edge, "this window"),),
    )


def _arrivals(history: History, finding: Finding) -> Arrivals | None:
    came: list[float | None] = history.sql("arrivals_of", name=finding.check).column("lateness_s").to_pylist()
    arrived = [v for v in came if v is not None]
    if len(came) < 5 or not arrived:
        return None
    row = history.checks.loc[history.checks["check"] == finding.check].iloc[0]
    grace = float(row["grace_s"])
    after = sum(v > grace for v in arrived)
    never = len(came) - len(arrived)
    words = f"{spell.plural(len(came), 'run')} expected, {after} after the grace of {spell.duration(grace)}, {never} never came"
    return Arrivals(
        check=finding.check,
        title=f"{finding.check}: how late runs arrive",
        caption=f"Share of {spell.plural(len(came), 'expected run')} that had arrived by then",
        alt=f"{spell.plain(finding.check)}: {words}.",
        lateness_s=tuple(arrived),
        never=never,
        marks=(Mark(grace, f"grace {spell.duration(grace)}", "bad"),),
    )


def _median(values: Sequence[float]) -> float:
    import statistics

    return float(statistics.median(values))


def _begin(month: History) -> int:
    return _micros(month.since)


def _us(history: History, *, before: bool = False) -> int:
    return _micros(history.since if before else history.until)


def _micros(at: object) -> int:
    from datetime import UTC, datetime

    assert isinstance(at, datetime)
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
