"""`Facts` as text for a terminal or the plain part of a mail: the words and numbers of the page, strips as letters.

Every name and sentence goes through `spell.plain`, so no name of a check can move the cursor or change the colours.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence

from qpanalytics import spell
from qpanalytics.report import palette, queue_words, wording
from qpanalytics.report.model import CheckRow, Facts, Finding, Window

NAME_MOST = 32
"""A longer name is cut in the table (it stands whole in the findings)."""


def text(facts: Facts, width: int = 100) -> str:
    """The digest as lines of at most `width` columns where words allow it; the table of checks may be wider."""
    parts = [
        [wording.verdict(facts), *wrapped(wording.subtitle(facts), width)],
        *([*wrapped(notice, width)] for notice in facts.notices),
        wrapped(wording.lead(facts), width),
        [
            *aligned([[fact.label, *wording.figure(fact, facts.window)] for fact in facts.figures], ""),
            *wrapped(wording.basis(facts), width),
        ],
        found("What needs you", facts.needs, width),
        found("What you can quieten", facts.quieten, width),
        found("Getting better", facts.better, width),
        found("Worth knowing", facts.notes, width),
        section("The evidence", [line for of in facts.evidence for line in bullet(of.alt, width)]),
        _queues(facts),
        _checks(facts),
        section("Alerts", [line for said in facts.alerts for line in bullet(said, width)]),
        section("What we could not see", [line for said in facts.unseen for line in bullet(said, width)]),
        [
            *wrapped(" ".join(facts.rules), width),
            *wrapped(f"As of {wording.as_of(facts.window)}{', ' if facts.made_by else ''}{facts.made_by}.", width),
            *([f"The same numbers: {spell.plain(facts.command)}"] if facts.command else []),
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def found(heading: str, findings: Sequence[Finding], width: int) -> list[str]:
    shown = findings[: wording.NEEDS_SHOWN]
    margin = max((_columns(spell.plain(finding.label)) for finding in shown), default=0) + 4
    lines = []
    for finding in shown:
        label = spell.plain(finding.label)
        first, *others = wrapped(finding.sentence, width - margin) or [""]
        lines.append(f"  {label}{' ' * (margin - 2 - _columns(label))}{first}")
        others += wrapped(finding.detail, width - margin)
        others += [spell.plain(finding.command)] if finding.command else []
        lines += [" " * margin + line for line in others]
    rest = wording.more(findings)
    return section(heading, [*lines, *([f"{' ' * margin}{rest}: qpa verdicts"] if rest else [])])


def _checks(facts: Facts) -> list[str]:
    if not facts.checks:
        return []
    lines = []
    if facts.rows:
        days = max(len(row.strip.cells) for row in facts.rows)
        noun = facts.window.noun
        grace = "Grace now, suggested" if wording.suggested(facts.rows) else "Grace now"
        heads = ["Check", f"Last {days} days", "Duration p95", grace, f"Down this {noun}"]
        table = [heads, *(_row(row, facts.window) for row in facts.rows)]
        # Rate and lateness are one column here: for some checks one phrase stands in place of both.
        judged = aligned([(f"On time this {noun}", "Lateness p95"), *(_promise(row) for row in facts.rows)], "")
        instead = ["", *(wording.unjudged(row, facts.window) for row in facts.rows)]
        for cells, both, phrase in zip(table, judged, instead, strict=True):
            cells.insert(2, phrase or both)
        lines = aligned(table)
        key = [f"{palette.LETTERS[cell]} {word}" for cell, word in wording.legend(facts.rows)]
        lines += ["", "  " + "; ".join([*key, "blank: no run expected, or no check yet"])]
    if facts.kept:
        lines.append(f"  {wording.kept(facts)}")
    return section("All checks, worst first" if facts.rows else "All checks", lines)


def _queues(facts: Facts) -> list[str]:
    if facts.queues is None:
        return []
    of = facts.queues
    lines = []
    if of.rows:
        table = [["Queue", *queue_words.HEADS], *([_name(row.label), *queue_words.letters(row)] for row in of.rows)]
        lines = aligned(table)
    lines += [f"  {queue_words.well(of)}"] if of.well else []
    lines += [line for workers in of.workers for line in bullet(queue_words.line(workers), 98)]
    return section("Queues", lines)


def _name(label: str) -> str:
    name = spell.plain(label)
    return name if len(name) <= NAME_MOST else f"{name[: NAME_MOST - 3]}..."


def _row(row: CheckRow, window: Window) -> list[str]:
    name = spell.plain(row.check)
    changed = wording.change(row.duration)
    down = "n/a" if row.tally.down_s is None else wording.amount(row.tally.down_s)
    return [
        name if len(name) <= NAME_MOST else f"{name[: NAME_MOST - 3]}...",
        wording.letters(row.strip),
        f"{wording.quantile(row.duration)} {changed}".strip(),
        ", ".join(wording.graces(row)),
        ", ".join(filter(None, (down, wording.down_now(row, window)))),
    ]


def _promise(row: CheckRow) -> tuple[str, str]:
    return ("", "") if wording.unjudged(row) else (wording.rate(row), wording.quantile(row.lateness))


def section(heading: str, lines: Iterable[str]) -> list[str]:
    found = list(lines)
    return [heading, *found] if found else []


def bullet(said: str, width: int) -> list[str]:
    return ["  " + line for line in wrapped(said, width - 2)]


def wrapped(said: str, width: int) -> list[str]:
    return textwrap.wrap(spell.plain(said), width, break_on_hyphens=False)


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Columns two spaces apart, as wide as their widest cell; the last is not padded."""
    widths = [max(_columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        indent + "  ".join(cell + " " * (wide - _columns(cell)) for cell, wide in zip(row, widths, strict=True))
        for row in rows
    )
    return [line.rstrip() for line in lines]


def _columns(said: str) -> int:
    """How many columns of a terminal a text takes: wide letters and most emoji two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in said
    )
