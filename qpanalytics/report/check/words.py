"""The figures of one check in words; page and text take them from here, and what a digest words too from `wording`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from qpanalytics import spell
from qpanalytics.instants import instant
from qpanalytics.report import palette, wording
from qpanalytics.report.check.model import CheckFacts, Down, GracePrice, RunLine, Share
from qpanalytics.report.model import FEW, Quantile, Strip
from qpanalytics.verdict.voice import Voice

Box = tuple[str, str, tuple[str, ...]]
"""A large number: its label, the number, what stands under it."""

_CAUSES = {"missed": "did not come", "failed": "failed", "hung": "did not end", "late": "came late"}
_RESULTS = {"success": "success", "fail": "failed", "open": "under way", "abandoned": "given up"}


def headline(facts: CheckFacts) -> tuple[str, str]:
    """How it stands, as what goes before and after its name."""
    status, promise = facts.promise.status, facts.promise
    if status == "down" and facts.row.down_since_at is not None:
        return "", f" is down since {_voice(facts).moment(facts.row.down_since_at)}"
    if facts.needs:
        return "", " needs you"
    if status == "paused":
        ended = promise.ended_at is not None and promise.ended_at <= facts.window.as_of
        return "", " has ended" if ended else " is paused"
    if promise.began_at is not None and promise.began_at >= facts.window.as_of:
        return "", " had not begun by then"
    if promise.began_at is not None and promise.began_at >= facts.window.until_at:
        return "", " had not begun in this window"
    if promise.last_ping_at is None:
        return "", " has never pinged"
    if status == "new":
        return "", " has not finished a run yet"
    if status == "unknown" or not facts.coverage:
        return "", " cannot be seen now" if status == "unknown" else " was not seen in this window"
    return "Nothing about ", " needs you"


def title(facts: CheckFacts) -> str:
    """Headline and days, for a tab or a bookmark."""
    before, after = headline(facts)
    return f"{before}{facts.check}{after}, {wording.when(facts.window)}"


def boxes(facts: CheckFacts) -> list[Box]:
    """The large numbers: rates and their intervals where runs can be judged, else what ran."""
    made = _judged(facts) if facts.row.judged and facts.row.tally.n else _ran(facts)
    return [*made, _quantile("Duration, p95", facts.row.duration, facts.duration_p50)]


def _judged(facts: CheckFacts) -> list[Box]:
    t, was = facts.row.tally, facts.before
    earlier = "the 90 days before" if _ninety(facts) else "the window before"

    def count(label: str, *outcomes: str) -> Box:
        n = sum(getattr(t, outcome) for outcome in outcomes)
        ago = () if was is None else (f"{spell.number(sum(getattr(was, o) for o in outcomes))} {earlier}",)
        return label, spell.number(n), (f"of {spell.plural(t.n, 'run')}", *ago)

    ago = () if was is None else (f"{wording.share(was.on_time, was.n)} {earlier}",)
    counts = (f"{spell.number(t.on_time)} of {spell.plural(t.n, 'run')}",) if t.n >= FEW else ()
    found = [("On time", wording.share(t.on_time, t.n), (*counts, sure(facts.on_time), *ago))]
    if t.late:
        came = facts.came
        notes = (f"{spell.number(came.k)} of {spell.number(came.n)}",) if came.n >= FEW else ()
        found.append(("Came at all", wording.share(came.k, came.n), (*notes, sure(came), f"{spell.number(t.late)} of them late")))
    found += [count("Missed", "missed"), count("Failed or hung", "failed", "hung")]
    if t.down_s is not None:
        ago = () if was is None or was.down_s is None else (f"{wording.amount(was.down_s)} {earlier}",)
        found.append(("Time down", wording.amount(t.down_s), (*((spell.plural(t.downs, "time"),) if t.downs else ()), *ago)))
    return [*found, _quantile("Lateness, p95", facts.row.lateness, facts.lateness_p50)]


def _ran(facts: CheckFacts) -> list[Box]:
    failed = facts.failed
    if not failed.n:
        found: list[Box] = [("Runs that ended", "0", ())]
    else:
        counts = (f"{spell.number(failed.k)} of {spell.plural(failed.n, 'run')}",) if failed.n >= FEW else ()
        found = [
            ("Runs that ended", spell.number(failed.n), ()),
            ("Reported failure", wording.share(failed.k, failed.n), (*counts, sure(failed))),
        ]
    p50, p95 = facts.gap_p50, facts.gap_p95
    if p50.value_s is not None and p95.value_s is not None:
        most = f"p95 {wording.about(p95.value_s)}{_between(p95)}, longest {spell.duration(facts.gap_max_s)}"
        gaps = f"{spell.plural(p50.n, 'gap')}; 95 % intervals in brackets"
        found.append(("Between completions", wording.about(p50.value_s), (f"median{_between(p50)}", most, gaps)))
    return found


def _quantile(label: str, p95: Quantile, p50: Quantile) -> Box:
    if p50.value_s is None and p95.value_s is None:
        return label, wording.quantile(p95), (f"of {spell.plural(p50.n, 'run')}",) if p50.n else ()
    median = () if p50.value_s is None else (f"median {wording.about(p50.value_s)}{_between(p50)}",)
    carried = p95.lo_s is not None and p95.hi_s is not None
    if p95.value_s is None:
        interval = f"of {spell.plural(p50.n, 'run')}"
    else:
        interval = wording.interval(p95) if carried else f"{wording.interval(p95)}, too few for an interval"
    return label, wording.quantile(p95), (interval, *median)


def box_columns(facts: CheckFacts) -> int:
    """How many boxes stand side by side on a desktop, so that the rows come out even."""
    return 3 if len(boxes(facts)) in (3, 5, 6) else 4


def _between(of: Quantile) -> str:
    if of.lo_s is None or of.hi_s is None:
        return ""
    return f" ({spell.duration(of.lo_s)} to {spell.duration(of.hi_s)})"


def sure(of: Share) -> str:
    """The interval of a share: "95 % sure between 92.3 % and 99.4 %"."""
    if of.lo is None or of.hi is None:
        return ""
    if of.n >= FEW:
        return f"95 % sure between {spell.percent(of.lo)} and {spell.percent(of.hi)}"
    # of few runs the share itself is no percentage, and the interval no finer than it deserves
    return f"95 % sure between {of.lo * 100:.0f} and {of.hi * 100:.0f} of 100"


def promise(facts: CheckFacts) -> list[tuple[str, str]]:
    """What was promised and how it stands, as label and value."""
    p, voice = facts.promise, _voice(facts)
    found = [("Schedule", wording.schedule(facts.row))]
    if p.schedule is not None and p.grace_s is not None:
        found.append(("Grace", wording.amount(p.grace_s)))
    if p.max_runtime_s is not None:
        found.append(("May run for", spell.duration(p.max_runtime_s)))
    if p.next_expected_at is not None and not facts.cannot_tell:
        late = "" if p.deadline_at is None else f", late from {voice.moment(p.deadline_at)}"
        due = "Due" if p.next_expected_at <= facts.window.as_of else "Next due"
        found.append((due, f"{voice.moment(p.next_expected_at)}{late}"))
    found.append(("Last ping", "none yet" if p.last_ping_at is None else voice.moment(p.last_ping_at)))
    found.append(("Severity", p.severity))
    if p.tags:
        found.append(("Tags", ", ".join(p.tags)))
    known = [p.source, f"key {p.key}" if p.key != facts.check else "", f"as {p.name}" if p.name != facts.check else ""]
    found.append(("Source", ", ".join(filter(None, known))))
    return found


def days(of: Strip) -> str:
    """Under a strip: "27 Aug to 25 Sep"."""
    ends = [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (of.days[0], of.days[-1])]
    first, last = (spell.day(end, UTC).partition(" ")[2] for end in ends)
    whole = first if first == last else f"{first} to {last}"
    if not of.before or of.before >= len(of.cells):
        return whole
    began = of.days[of.before]
    return f"{whole}, began {spell.day(datetime(began.year, began.month, began.day, tzinfo=UTC), UTC).partition(' ')[2]}"


def legend(facts: CheckFacts) -> list[tuple[str, str]]:
    """The kinds of cell that its strips hold, and what each means."""
    used = {cell for strip in facts.strips for cell in strip.cells}
    ran = "ran, tick unknown" if facts.row.gaps is not None else "ran, no schedule"
    return [(cell, ran if cell == "ran" else palette.word(cell)) for cell in palette.OUTCOMES if cell in used]


def strip_note(facts: CheckFacts) -> str:
    """What the strips do not show; empty if they show the whole window."""
    if not facts.days_left_out:
        return ""
    return f"The first {spell.plural(facts.days_left_out, 'day')} of the window are counted and not drawn."


DOWN_HEADS = ("Down since", "For", "Why", "Runs lost", "Known after")


def down(of: Down, facts: CheckFacts) -> tuple[str, str, str, str, str]:
    """One stretch of down time: since, for how long, why, what was lost, how soon it could be known."""
    voice = _voice(facts)
    since = instant(of.since_us)
    for_ = wording.amount(of.down_s)
    if of.until_us is None:
        for_ += ", still" if facts.window.as_of < facts.window.until_at else ", and on"
    elif instant(of.until_us) > facts.window.until_at:
        for_ += " of this window"
    if since < facts.window.since_at:
        for_ += ", began before it"
    why = _CAUSES[of.cause]
    if of.cause == "missed" and not of.runs:
        why = "was silent" if facts.cannot_tell else "did not come in time"
    if of.cause == "missed" and of.runs and of.never_began == of.runs:
        why += ", never began"
    elif of.cause == "missed" and of.never_began:
        why += f", {spell.number(of.never_began)} never began"
    runs = spell.number(of.runs) if of.runs else "none"
    known = "n/a" if of.known_after_s is None else wording.amount(of.known_after_s)
    return voice.moment(since), for_, why, runs, known


def downs_more(facts: CheckFacts) -> str:
    """What is not listed: "and 12 more before, 3 h 5 min in all"; empty if all is."""
    if not facts.downs_more:
        return ""
    return f"and {spell.number(facts.downs_more)} more before these, {wording.amount(facts.downs_more_s)} in all"


PRICE_HEADS = ("Grace", "Late, and came by itself", "False alarms a month", "Never came is told after", "Real ones missed")


def price(of: GracePrice) -> tuple[str, str, str, str, str]:
    """One grace: itself, what it would have called late, a month's worth with its interval, how soon a miss is told, and
    what it would have hidden.
    """
    grace = ", ".join((wording.amount(of.grace_s), *of.names))
    month = f"{_few(of.a_month)} ({_few(of.lo)} to {_few(of.hi)})"
    return grace, spell.plural(of.told, "run"), month, wording.amount(of.grace_s), spell.number(of.missed)


def _few(value: float) -> str:
    """A number of messages in two figures or so."""
    if 0 < value < 0.995:
        return f"{max(value, 0.01):.2g}"
    return spell.number(value) if value < 9.95 else spell.number(round(value))


def priced(facts: CheckFacts) -> str:
    """What is suggested, or why nothing is."""
    p = facts.prices
    if p is None:
        return ""
    if p.suggested_s is None:
        return f"No grace is suggested: {p.why}."
    found = f"{wording.amount(p.suggested_s)} keeps to {p.budget:g} false alarms a month."
    if p.stratum_s is not None and p.elsewhere_s is not None:
        found += (
            f" Two graces would keep to it as well: {wording.amount(p.stratum_s)} for {p.stratum} and "
            f"{wording.amount(p.elsewhere_s)} for the other days."
        )
    return found


def priced_by(facts: CheckFacts) -> str:
    """What the table of graces was counted over; empty where there is none."""
    p = facts.prices
    if p is None or not p.rows:
        return ""
    first = instant(p.since_us)
    since = f"{spell.day(first, facts.window.tz)} {first.astimezone(ZoneInfo(facts.window.tz)).year}"
    return (
        f"{spell.plural(p.n, 'run')} since {since}{', when lateness changed' if p.changed else ''}. "
        "In brackets: with 95 % so many a month in the next 60 days."
    )


RUN_HEADS = ("Ended", "Expected", "Late by", "Took", "Result")


def run(of: RunLine, facts: CheckFacts) -> tuple[str, str, str, str, str]:
    """One run: ended (or began), expected, lateness, duration, result with its exit status."""
    voice = _voice(facts)
    at = of.completed_us if of.completed_us is not None else of.started_us
    ended = "" if at is None else voice.moment(instant(at))
    if of.completed_us is None:
        ended = f"began {ended}"
    expected = "" if of.expected_us is None else _near(instant(of.expected_us), at, voice)
    late = "" if of.lateness_s is None or facts.cannot_tell else wording.about(of.lateness_s)
    took = "" if of.duration_s is None else spell.duration(of.duration_s)
    result = _RESULTS[of.result]
    if of.exit_status is not None and (of.exit_status or of.result != "success"):
        result += f", exit {of.exit_status}"
    if of.overran:
        result += ", over its limit"
    return ended, expected if not facts.cannot_tell else "", late, took, result


def _near(expected: datetime, at: int | None, voice: Voice) -> str:
    """Only the clock where it is the day of the run itself."""
    if at is not None and voice.day(expected) == voice.day(instant(at)):
        return spell.clock(expected, voice.tz)
    return voice.moment(expected)


def runs_heading(facts: CheckFacts) -> str:
    """ "The last 20 of 1,204 runs", or "All 12 runs" where that is all of them."""
    n = len(facts.runs)
    if facts.runs_more > 0:
        return f"The last {spell.number(n)} of {spell.plural(n + facts.runs_more, 'run')}"
    return "The only run" if n == 1 else f"All {spell.plural(n, 'run')}, the last first"


def columns(table: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns of a table hold anything at all."""
    return [any(cell not in ("", "none") for cell in cells) for cells in zip(*table, strict=True)]


def when(facts: CheckFacts) -> str:
    """The days of the window; the end of one that reaches to as_of is that instant."""
    return wording.when(facts.window)


def kind(facts: CheckFacts) -> str:
    """What the page is."""
    return "90 days of one check" if _ninety(facts) else "One check"


def _ninety(facts: CheckFacts) -> bool:
    window = facts.window
    return 89 <= (window.until_at - window.since_at).total_seconds() / 86_400 <= 90.1


def _voice(facts: CheckFacts) -> Voice:
    window = facts.window
    return Voice(window.since_at, window.until_at, window.as_of, window.tz)
