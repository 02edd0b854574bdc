"""`CheckFacts` as text for a terminal: the words and numbers of the page, strips as letters."""

from __future__ import annotations

from collections.abc import Sequence

from qpanalytics import spell
from qpanalytics.report import palette, wording
from qpanalytics.report.check import words
from qpanalytics.report.check.model import CheckFacts
from qpanalytics.report.text import aligned, bullet, found, section, wrapped


def text(facts: CheckFacts, width: int = 100) -> str:
    """The page as lines of at most `width` columns where words allow it."""
    before, after = words.headline(facts)
    seen = ", ".join(part for part in (wording.seen(facts), wording.unseen(facts)) if part)
    when = f"{words.kind(facts)}, {words.when(facts)}, times in {facts.window.tz}."
    when += f" {seen[:1].upper()}{seen[1:]}." if seen else ""
    parts = [
        [*wrapped(f"{before}{facts.check}{after}", width), *wrapped(when, width)],
        *([*wrapped(said, width)] for said in (*facts.notices, *facts.states)),
        aligned([[label, now, "; ".join(filter(None, notes))] for label, now, notes in words.boxes(facts)], ""),
        aligned([[label, spell.plain(value)] for label, value in words.promise(facts)], ""),
        found("What needs you", facts.needs, width),
        found("What you can quieten", facts.quieten, width),
        found("Getting better", facts.better, width),
        found("Worth knowing", facts.notes, width),
        _strips(facts, width),
        section("The shape of it", [line for of in facts.figures for line in bullet(of.alt, width)]),
        _table("When it was down", words.DOWN_HEADS, [words.down(of, facts) for of in facts.downs], words.downs_more(facts)),
        _table(
            "What each grace costs",
            words.PRICE_HEADS,
            [words.price(of) for of in facts.prices.rows] if facts.prices else [],
            f"{words.priced(facts)} {words.priced_by(facts)}".strip(),
        ),
        _runs(facts),
        section("What we could not see", [line for said in facts.unseen for line in bullet(said, width)]),
        [
            *wrapped(" ".join(facts.rules), width),
            *wrapped(f"As of {wording.as_of(facts.window)}{', ' if facts.made_by else ''}{facts.made_by}.", width),
            *([f"The same numbers: {spell.plain(facts.command)}"] if facts.command else []),
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _strips(facts: CheckFacts, width: int) -> list[str]:
    lines = aligned([[words.days(strip), wording.letters(strip)] for strip in facts.strips])
    key = [f"{palette.LETTERS[cell]} {word}" for cell, word in words.legend(facts)]
    note = words.strip_note(facts)
    lines += ["", "  " + "; ".join([*key, "blank: no run expected, or no check yet"]), *([f"  {note}"] if note else [])]
    lines += [line for said in facts.patterns for line in bullet(said, width)]
    return section("Day by day, the worst outcome of each", lines)


def _table(heading: str, heads: Sequence[str], rows: Sequence[Sequence[str]], below: str) -> list[str]:
    if not rows:
        return []
    used = words.columns(rows)
    lines = aligned([[spell.plain(cell) for cell, keep in zip(row, used, strict=True) if keep] for row in (heads, *rows)])
    return section(heading, [*lines, *([f"  {below}"] if below else [])])


def _runs(facts: CheckFacts) -> list[str]:
    rows = [words.run(of, facts) for of in facts.runs]
    said = [(*row[:-1], f"{row[-1]}: {of.said}" if of.said else row[-1]) for row, of in zip(rows, facts.runs, strict=True)]
    return _table(words.runs_heading(facts), words.RUN_HEADS, said, "")
