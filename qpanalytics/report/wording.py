"""Figures of a digest in words: the page, the fragment for notebooks and the terminal take every number from here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from qpanalytics import spell
from qpanalytics.ledger.reading import TRAILING
from qpanalytics.report import palette
from qpanalytics.report.model import FEW, CheckRow, Facts, Figure, Finding, Quantile, Strip, Tally, Trend, Window
from qpanalytics.verdict.voice import Voice, listed

if TYPE_CHECKING:
    from qpanalytics.report.check.model import CheckFacts

GAP_DAYS = TRAILING.days
"""The time between completions is that of so many days: the strip and the window beside it are shorter."""

NEEDS_SHOWN = 7
"""So many findings ask for somebody before the rest becomes one line: more are not read."""

_OPTION = re.compile(r" (?=--?[a-z])")
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:%|ms|s|min|h|d)(?![0-9A-Za-z]))")
_MARKS = "\u200e\u200f\u061c"
"""Left-to-right, right-to-left and Arabic letter marks: without them honest Arabic and Hebrew names read wrongly."""


def shown(text: str) -> str:
    """A name or sentence as a page may print it: as on a terminal, but with the marks that right-to-left names need.

    The template isolates names with `<bdi>`, so a mark moves nothing outside; overrides are made visible instead.
    """
    if text.isprintable():
        return text
    return "".join(char if char in _MARKS else spell.plain(char) for char in text)


def verdict(facts: Facts) -> str:
    """The headline: how many checks need somebody, and how many sources fell silent."""
    if not facts.checks and facts.queues is None:
        return "No checks yet"
    # A finding without a check, queue or worker is about a source that fell silent.
    silent = sum(1 for finding in facts.needs if not (finding.checks or finding.queues or finding.workers))
    all_queues = 0 if facts.queues is None else facts.queues.number
    told = [
        (facts.need, f"{spell.number(facts.need)} of {spell.plural(facts.checks, 'check')}"),
        (facts.need_queues, f"{spell.number(facts.need_queues)} of {spell.plural(all_queues, 'queue')}"),
        (facts.need_workers, spell.plural(facts.need_workers, "worker")),
        (silent, spell.plural(silent, "source")),
    ]
    if said := [words for number, words in told if number]:
        verb = "needs" if sum(number for number, _ in told) == 1 else "need"
        return f"{listed(said)} {verb} you"
    if facts.coverage == 0:
        return "Nothing could be seen"
    return "Nothing needs you"


def lead(facts: Facts) -> str:
    """The sentence that stands in place of a list where nothing needs anybody; empty otherwise."""
    queues = [] if facts.queues is None else [spell.plural(facts.queues.number, "queue")]
    if facts.needs or not (facts.checks and facts.totals.n):
        return f"{queues[0]}, none of which needs anybody." if queues and not facts.needs and not facts.checks else ""
    said = [
        spell.plural(facts.checks, "check"),
        spell.plural(facts.totals.n, "occurrence"),
        f"{share(facts.totals.on_time, facts.totals.n)} on time",
    ]
    if facts.coverage == 1:
        said.append("all seen")
    said += queues
    return ", ".join(said) + "."


def basis(facts: Facts) -> str:
    """How many checks the large numbers come from, where it is not all of them; empty otherwise."""
    rows = facts.all_rows
    told = sum(row.gaps is not None for row in rows)
    free = sum(row.schedule is None and row.gaps is None for row in rows)
    without = []
    if told:
        without.append(f"{spell.number(told)} cannot be judged by {'its' if told == 1 else 'their'} ticks")
    if free:
        without.append(f"{spell.number(free)} {'has' if free == 1 else 'have'} no schedule")
    if not without:
        return ""
    counted = f"{spell.number(facts.checks - told - free)} of {spell.plural(facts.checks, 'check')}"
    these = "it" if told + free == 1 else "these"
    return f"Counted over {counted}; {' and '.join(without)}: of {these} only reported failures count."


def when(window: Window) -> str:
    """The days of the window: "Mon 16 to Sun 22 Nov 2026"."""
    return spell.span(window.since_at, window.until_at, window.tz)


def kind(window: Window) -> str:
    """What the page is: "Weekly digest"."""
    return "Digest" if window.period == "custom" else f"{window.period.capitalize()} digest"


def subtitle(facts: Facts) -> str:
    """The line under the headline where nothing can be linked to: window, zone and what was seen."""
    told = ", ".join(said for said in (seen(facts), unseen(facts)) if said)
    words = f"{kind(facts.window)}, {when(facts.window)}, times in {facts.window.tz}."
    return f"{words} {told[:1].upper()}{told[1:]}." if told else words


def title(facts: Facts) -> str:
    """What a tab, a bookmark or the subject of a mail says: verdict and dates."""
    return f"{verdict(facts)}, {when(facts.window)}"


def seen(facts: Facts | CheckFacts) -> str:
    """The share of the window that was seen ("Seen: 99.7 %"), empty where no source states it."""
    return "" if facts.coverage is None else f"Seen: {spell.percent(facts.coverage)}"


def unseen(facts: Facts | CheckFacts) -> str:
    """What leads to the part about what could not be seen: "18 min unseen", "3 gaps"; empty if there is none."""
    if not facts.unseen:
        return ""
    return f"{spell.duration(facts.unseen_s)} unseen" if facts.unseen_s else spell.plural(len(facts.unseen), "gap")


def share(part: int, of: int) -> str:
    """ "99.7 %", but "4 of 4" under twenty: a percentage of few claims what they cannot show."""
    if not of:
        return "n/a"
    return spell.percent(part / of) if of >= FEW else f"{part} of {of}"


def amount(seconds: float | None) -> str:
    """A length of time where nothing is nothing: "0" rather than "0 s"."""
    return "0" if seconds == 0 else spell.duration(seconds)


def about(seconds: float) -> str:
    """A length of time in two figures or so: from 2 min on in steps of 10 s, from 5 min on in minutes."""
    size = abs(seconds)
    step = 10 if 120 <= size < 300 else 60 if 300 <= size < 600 else 0
    return spell.duration(round(seconds / step) * step if step else seconds)


def figure(fact: Figure, window: Window) -> tuple[str, str]:
    """A large number and the line under it: ("3", "0 before; 1 check").

    A percentage has its counts beside it, so that "91 %, 44 % before" of two hundred runs is not read as of two thousand.
    """
    earlier = f"the {window.noun} before"

    def value(number: float, of: int | None) -> str:
        if fact.unit == "share":
            return share(int(number), of or 0)
        return amount(number) if fact.unit == "seconds" else spell.number(int(number))

    def counts(number: float, of: int | None) -> str:
        return f"{spell.number(int(number))} of {spell.number(of)}" if fact.unit == "share" and of and of >= FEW else ""

    notes = [n for n in (counts(fact.value, fact.of),) if n]
    if fact.before is not None:
        were = counts(fact.before, fact.before_of)
        ago = earlier if fact.unit == "share" else "before"
        notes.append(f"{value(fact.before, fact.before_of)} {ago}{were and f' ({were})'}")
    if fact.checks:
        notes.append(spell.plural(fact.checks, "check"))
    if fact.parts:
        notes.append(", ".join(f"{spell.number(n)} {what}" for n, what in fact.parts))
    return value(fact.value, fact.of), "; ".join(notes)


def rate(row: CheckRow) -> str:
    """The cell "On time this week"; where nothing counts, why."""
    if row.tally.n:
        return share(row.tally.on_time, row.tally.n)
    return next((palette.word(o) for o in ("unknown", "excused", "pending") if getattr(row.tally, o)), "none due")


def tally(of: Tally) -> str:
    """What became of the expected runs, for hover: "40 of 42 on time, 2 missed, 1 excused"."""
    parts = [f"{spell.number(of.on_time)} of {spell.number(of.n)} on time"]
    for outcome in ("late", "missed", "failed", "hung", "excused", "unknown", "pending"):
        n = getattr(of, outcome)
        if n:
            parts.append(f"{spell.number(n)} {palette.word(outcome)}")
    return ", ".join(parts)


def unjudged(row: CheckRow, window: Window | None = None) -> str:
    """What stands instead of rate and lateness where ticks cannot tell or nothing is promised; empty for other rows."""
    if row.gaps is not None:
        noun = "" if window is None else " in this window" if window.noun == "window" else f" this {window.noun}"
        failed = f"; {spell.number(row.failures)} of {spell.plural(row.runs, 'run')} failed{noun}" if row.failures else ""
        if row.gaps.p50_s is None:
            return f"{row.gaps.why or 'too few to tell'}{failed}"
        longest = "" if row.gaps.max_s is None else f", longest {spell.duration(row.gaps.max_s)}"
        return f"every {spell.duration(row.gaps.p50_s)}{longest} in {GAP_DAYS} days{failed}"
    if row.schedule is None:
        return spell.plural(row.runs, "run") + (f", {spell.number(row.failures)} failed" if row.failures else "")
    return ""


def down_now(row: CheckRow, window: Window) -> str:
    """ "down now, since Tue 24 Nov 04:08": its time down counts the window only, and it may have gone down after it."""
    if row.down_since_at is None:
        return ""
    return f"down now, since {Voice(window.since_at, window.until_at, window.as_of, window.tz).moment(row.down_since_at)}"


def quantile(of: Quantile) -> str:
    """ "7 min", "3 never came", "too few", "n/a"; no finer than the reader can use: 7 min 2 s is 7 min."""
    if of.value_s is not None:
        return about(of.value_s)
    if of.never:
        return f"{spell.number(of.never)} never came"
    return of.why or "n/a"


def interval(of: Quantile) -> str:
    """How sure a quantile is, for hover: "95 % sure between 6 min and 9 min, from 56 runs"."""
    if of.value_s is None:
        return ""
    ran = f"from {spell.plural(of.n, 'run')}" if of.n else ""
    if of.lo_s is None or of.hi_s is None:
        return ran
    sure = f"95 % sure between {spell.duration(of.lo_s)} and {spell.duration(of.hi_s)}"
    return f"{sure}, {ran}" if ran else sure


def change(of: Quantile) -> str:
    """A real change against the window before: "+75 %", "-20 %", "x 12"; empty where there is none to speak of."""
    if of.value_s is None or of.before_s is None or of.before_s <= 0:
        return ""
    ratio = of.value_s / of.before_s
    if ratio >= 5:
        return f"× {ratio:.0f}"
    percent = round((ratio - 1) * 100)
    return f"{percent:+d} %" if percent else ""


def graces(row: CheckRow) -> list[str]:
    """The cell of the grace: the present one, and below it the suggested one, where it is another."""
    now = "n/a" if row.grace_s is None else amount(row.grace_s)
    other = row.suggested_s is not None and row.suggested_s != row.grace_s
    return [now, amount(row.suggested_s)] if other else [now]


def suggested(rows: Sequence[CheckRow]) -> bool:
    """Whether any of these rows has a suggested grace beside the present one."""
    return any(len(graces(row)) > 1 for row in rows)


def schedule(row: CheckRow) -> str:
    """Schedule and zone as one line: "0 2 * * 1-5, Europe/Berlin"."""
    if row.schedule is None:
        return "no schedule"
    return f"{row.schedule}, {row.tz}" if row.tz else row.schedule


def kept(facts: Facts) -> str:
    """The folded line: "15 more checks kept every promise (2,530 occurrences)"."""
    n = len(facts.kept)
    more = f"{spell.number(n)} more {'check' if n == 1 else 'checks'}" if facts.rows else spell.plural(n, "check")
    return f"{more} kept every promise ({spell.plural(Tally.total(row.tally for row in facts.kept).n, 'occurrence')})"


def more(findings: Sequence[Finding], shown_n: int = NEEDS_SHOWN) -> str:
    """What is not shown of a long list: "and 4 more"; empty if all is."""
    rest = len(findings) - shown_n
    return f"and {spell.number(rest)} more" if rest > 0 else ""


def parts(finding: Finding) -> tuple[str, str, str]:
    """A sentence cut at its subject, so that the name can be set bold and apart: (before, subject, after)."""
    if not finding.subject:
        return finding.sentence, "", ""
    for name in (finding.subject, spell.plain(finding.subject)):
        before, subject, after = finding.sentence.partition(name)
        if subject:
            return before, subject, after
    return finding.sentence, "", ""


def options(command: str) -> list[str]:
    """A command cut before each option, so that a page breaks it there and not within a date or a name."""
    return _OPTION.split(command)


def say(text: str) -> str:
    """A sentence as the page prints it: an arrow where plain text has "->", and numbers that stay with their unit."""
    text = shown(text).replace(" -> ", " \N{RIGHTWARDS ARROW} ")
    return _UNIT.sub("\N{NO-BREAK SPACE}", text)


def strip(of: Strip) -> str:
    """A strip as a sentence: "28 days to Sun 22 Nov: on time on 18, missed on Mon 16, Wed 18 and Fri 20 Nov"."""
    if not of.cells:
        return "no days"
    days: dict[str, list[date]] = {}
    for day, cell in zip(of.days, of.cells, strict=True):
        if cell is not None:
            days.setdefault(cell, []).append(day)
    head = f"{spell.plural(len(of.cells), 'day')} to {_day(of.days[-1])}"
    if of.before and of.before < len(of.cells):
        head += f", the check began on {_day(of.days[of.before])}"
    if not days:
        return f"{head}: nothing was expected"
    told = []
    for cell in palette.OUTCOMES:
        on = days.get(cell, [])
        if not on:
            continue
        few = len(on) <= 3 and cell not in ("on_time", "ran")
        told.append(f"{palette.word(cell)} on {_listed(on) if few else len(on)}")
    return f"{head}: {', '.join(told)}"


def trend(of: Trend) -> str:
    """A sparkline as a sentence: "Duration a day, 28 days: 2 min to 4 min, last 3 min"."""
    values = [v for v in of.values_s if v is not None]
    if not values:
        return f"{of.what}: not known"
    low, high = spell.duration(min(values)), spell.duration(max(values))
    between = low if low == high else f"{low} to {high}, last {spell.duration(values[-1])}"
    return f"{of.what} a day, {spell.plural(len(of.values_s), 'day')}: {between}"


def letters(of: Strip) -> str:
    """A strip in letters, one a day; a space where nothing was expected."""
    return "".join(" " if cell is None else palette.LETTERS[cell] for cell in of.cells)


def legend(rows: Sequence[CheckRow]) -> list[tuple[str, str]]:
    """The kinds of cell that the strips of these rows hold, in the order of the legend, each with what it means."""
    used = {cell for row in rows for cell in row.strip.cells}
    return [(cell, _ran(rows) if cell == "ran" else palette.word(cell)) for cell in palette.OUTCOMES if cell in used]


def _ran(rows: Sequence[CheckRow]) -> str:
    """Why no more is said of a run than that it ran."""
    ran = [row for row in rows if "ran" in row.strip.cells]
    whys = [
        *(["tick unknown"] if any(row.schedule is not None for row in ran) else []),
        *(["no schedule"] if any(row.schedule is None for row in ran) else []),
    ]
    return f"{palette.word('ran')}, {' or '.join(whys)}"


def as_of(window: Window) -> str:
    """The instant up to which things are told: "Mon 23 Nov 2026 07:00"."""
    year = window.as_of.astimezone(ZoneInfo(window.tz)).year
    return f"{spell.day(window.as_of, window.tz)} {year} {spell.clock(window.as_of, window.tz)}"


def _day(day: date) -> str:
    return spell.day(datetime(day.year, day.month, day.day, tzinfo=UTC), "UTC")


def _listed(days: Sequence[date]) -> str:
    """ "Mon 16, Wed 18 and Fri 20 Nov": the month is said where it changes, and at the end."""
    said = [
        _day(day) if i + 1 == len(days) or days[i + 1].month != day.month else _day(day).rpartition(" ")[0]
        for i, day in enumerate(days)
    ]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
