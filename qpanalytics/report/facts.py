"""The store's figures and the verdicts of one window, gathered into `Facts`: what page, text and fragment only format."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from qpanalytics import spell
from qpanalytics.analysis.coverage import coverage, gaps
from qpanalytics.analysis.durations import durations
from qpanalytics.analysis.lateness import lateness
from qpanalytics.analysis.success import success
from qpanalytics.report import pictures
from qpanalytics.report.model import CheckRow, Facts, Finding, Gaps, Period, Quantile, Tally, Trend, Window, figures
from qpanalytics.report.window import days_before
from qpanalytics.verdict import findings

if TYPE_CHECKING:
    from qpanalytics.history import History
    from qpanalytics.verdict.finding import Finding as Said

#: How far back the strips and small curves of the table reach.
STRIP_DAYS = 28
#: Names listed of checks that were not seen before the rest is counted.
NAMED = 3

RULES = (
    "On time: a success arrived by the deadline, expected time plus grace. Late: after it. Missed: nothing came. "
    "Failed: it reported failure and no success followed. Hung: it began and did not end within its limit.",
    "Rates are over the runs that we could have seen; excused, pending and unseen runs are left out, and said. "
    "Time down runs from the first failed, hung or missed deadline to the next success, within this window.",
    "Where completions come at any time between two expected times there is no rate: which run was late has no answer.",
)


def facts(history: History, *, period: Period, tz: str = "UTC", command: str = "", made_by: str = "") -> Facts:
    """Everything that a digest of `history`'s window shows; days and clock times in `tz`."""
    before = history.before()
    with history.session(), before.session():
        now = success(history, against_before=False)
        then = success(before)
        late = lateness(history, against_before=True)
        long = durations(history, against_before=True)
        extra = history.sql("report_extra").to_pylist()
        seen = coverage(history)
        holes = gaps(history)
        said = findings(history, tz=tz)
        first, begin = days_before(history.until, STRIP_DAYS, tz)
        month = history.window(begin, history.until)
        with month.session():
            strips = pictures.strips(month, first, STRIP_DAYS, tz)
            trends = pictures.trends(month, first, STRIP_DAYS, tz)
            evidence = pictures.evidence(month, history, said, tz)
    rows = _rows(extra, _by(now), _by(late), _by(long), strips, trends)
    earlier = _by(then)
    was = Tally.total(_tally(earlier[e["check"]], 0) for e in extra if _told(e) and e["check"] in earlier)
    ordered, kept = _sorted(rows, extra, said)
    totals = Tally.total(row.tally for row in (*ordered, *kept))
    share, unseen_s = _share(seen)
    shown = [_shown(f, strips, trends) for f in said]
    return Facts(
        window=Window(period, history.since, history.until, history.as_of, tz),
        totals=totals,
        figures=figures(totals, was, (*ordered, *kept)),
        rows=tuple(ordered),
        kept=tuple(kept),
        needs=tuple(f for f, s in zip(shown, said, strict=True) if s.asks),
        better=tuple(f for f, s in zip(shown, said, strict=True) if not s.asks and s.kind == "recovered"),
        notes=tuple(f for f, s in zip(shown, said, strict=True) if not s.asks and s.kind != "recovered"),
        evidence=evidence,
        coverage=share,
        unseen_s=unseen_s,
        unseen=tuple(_unseen(holes, history, tz)),
        notices=(f"{history.why_as_of[0].upper()}{history.why_as_of[1:]}.",) if history.why_as_of else (),
        rules=RULES,
        command=command,
        made_by=made_by,
    )


def _by(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {str(row["check"]): row for row in frame.to_dict("records")}


def _told(extra: dict[str, Any]) -> bool:
    """Whether the check's runs can be judged by their expected times."""
    return extra["schedule"] is not None and not extra["cannot_tell"]


def _rows(
    extra: list[dict[str, Any]],
    now: dict[str, dict[str, Any]],
    late: dict[str, dict[str, Any]],
    long: dict[str, dict[str, Any]],
    strips: dict[int, Any],
    trends: dict[int, Trend],
) -> dict[str, CheckRow]:
    rows = {}
    for e in extra:
        name = e["check"]
        told = _told(e)
        rows[name] = CheckRow(
            check=name,
            schedule=e["schedule"],
            tz=e["tz"],
            strip=strips[e["check_id"]],
            tally=_tally(now[name], e["pending"]) if told else Tally(),
            lateness=_quantile(late[name]) if told else Quantile(None),
            duration=_quantile(long[name]),
            trend=trends.get(e["check_id"]),
            grace_s=e["grace_s"],
            gaps=Gaps(e["gap_n"], e["gap_p50_s"], e["gap_p95_s"], e["gap_max_s"]) if e["cannot_tell"] else None,
            runs=e["runs"],
            failures=e["failures"],
            tags=tuple(e["tags"] or ()),
        )
    return rows


def _tally(row: dict[str, Any], pending: int) -> Tally:
    counts = {k: int(row[k]) for k in ("on_time", "late", "missed", "failed", "hung", "excused", "unknown")}
    downs = 0 if pd.isna(row["downs"]) else int(row["downs"])
    return Tally(**counts, pending=pending, downs=downs, down_s=None if pd.isna(row["down_s"]) else float(row["down_s"]))


def _quantile(row: dict[str, Any]) -> Quantile:
    """The 95th percentile with its interval, and the one before where the median really moved."""
    value, n = _known(row["p95_s"]), int(row["n"])
    why = str(row["why"])
    never = int(why.split()[0]) if value is None and "never came" in why.split(";")[0] and why[0].isdigit() else 0
    moved = _known(row["change_lo_s"]) is not None and _known(row["change_hi_s"]) is not None and (
        row["change_lo_s"] > 0 or row["change_hi_s"] < 0
    )
    short = "" if value is not None or never else "not reported" if not n else "too few"
    return Quantile(
        value, short, never, n, _known(row["p95_lo_s"]), _known(row["p95_hi_s"]),
        _known(row["p95_before_s"]) if moved else None,
    )  # fmt: skip


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _sorted(
    rows: dict[str, CheckRow], extra: list[dict[str, Any]], said: list[Said]
) -> tuple[list[CheckRow], list[CheckRow]]:
    """Checks worst first, and those that kept every promise."""
    place: dict[str, int] = {}
    for number, finding in enumerate(f for f in said if f.asks):
        for check in finding.checks:
            place.setdefault(check, number)
    kept, others = [], []
    for e in extra:
        row = rows[e["check"]]
        t = row.tally
        good = t.n > 0 and t.on_time == t.n and not t.unknown and e["status"] in ("up", "started", "grace")
        (kept if good and row.check not in place else others).append(row)

    def badness(row: CheckRow) -> tuple[Any, ...]:
        t = row.tally
        return (
            place.get(row.check, len(said)), -(t.down_s or 0.0), -(t.missed + t.failed + t.hung), -t.late,
            row.gaps is None, -t.n, row.check,
        )  # fmt: skip

    return sorted(others, key=badness), sorted(kept, key=lambda row: row.check)


def _share(seen: pd.DataFrame) -> tuple[float | None, float | None]:
    """The vouched share of the window over all checks, by time, and the seconds that are missing."""
    known = seen[seen["coverage"].notna() & seen["since_at"].notna()]
    if not len(known):
        return None, None
    spans = (known["until_at"] - known["since_at"]).dt.total_seconds()
    whole = float(spans.sum())
    if whole <= 0:
        return None, None
    missing = round(float((spans * (1 - known["coverage"])).sum()), 6)
    return 1 - missing / whole, missing or None


def _unseen(holes: pd.DataFrame, history: History, tz: str) -> list[str]:
    """A sentence for each stretch that nobody watched, checks with the same stretch told together."""
    groups: defaultdict[tuple[Any, ...], list[str]] = defaultdict(list)
    for hole in holes.to_dict("records"):
        groups[hole["since_at"], hole["until_at"], hole["source"], hole["why"]].append(str(hole["check"]))
    out = []
    for (since, until, source, why), names in sorted(groups.items(), key=lambda item: (str(item[0]), item[1])):
        who = ", ".join(spell.plain(n) for n in names[:NAMED])
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        whole = since <= history.since and until >= min(history.until, history.as_of)
        when = (
            "the whole window"
            if whole
            else f"{spell.moment(since, tz, near=history.until)} to {spell.moment(until, tz, near=history.until)}"
        )
        out.append(f"{spell.plain(str(source))}: {when} not seen for {who}{more} ({why}).")
    return out


def _shown(finding: Said, strips: dict[int, Any], trends: dict[int, Trend]) -> Finding:
    ids = getattr(strips, "ids", {})
    check_id = ids.get(finding.check)
    picture: Any = None
    if len(finding.checks) == 1 and check_id is not None:
        picture = trends.get(check_id) if finding.kind == "slower" else strips.get(check_id)
    return Finding(
        kind=finding.kind,
        label=finding.label,
        tone=finding.tone,
        sentence=finding.sentence,
        subject=finding.subject,
        checks=finding.checks,
        detail=finding.detail,
        command=finding.command,
        picture=picture,
    )


