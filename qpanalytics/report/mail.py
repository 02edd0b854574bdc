"""`Facts` as a mail: subject, HTML and text of the same words, short enough that no mailbox cuts it.

Mailboxes show no SVG, run no script, fetch nothing and know few styles: a strip is a table of one line whose cells have
colours as attributes, and no style stands anywhere but at its element (those that a dark mailbox exchanges excepted).
The colours of cells are of middle lightness, so they can be told on white and on black paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markupsafe import Markup

from qpanalytics import spell
from qpanalytics.report import palette, queue_words, wording
from qpanalytics.report.model import Facts, Finding, Strip
from qpanalytics.report.text import aligned, bullet, section, wrapped

MOST_BYTES = 60_000
"""Of the HTML part: Gmail cuts at about 102 kB, others sooner."""

NOTES_SHOWN = 3
"""So many of what got better, is worth knowing or could not be seen; the page has them all."""

LONGEST = 300
"""Characters of a sentence: a name may have thousands, and seven of them would fill the mail."""

WIDTH = 72
"""Columns of the text part: what a mail holds without being wrapped again when it is answered."""

CELL = 12
"""Width of a day, pixels: 28 of them fit on a phone."""

DAYS_MERGED = ("on_time", "ran", "pending", "excused", None)
"""Neighbours of these become one cell; a bad day keeps a cell and a letter of its own, so that days can be counted."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A digest by mail. `preheader` is what a list of mails shows beside the subject; it is in `html` already."""

    subject: str
    preheader: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding as a mail shows it, cut to length, with the days of its check where it is about one."""

    finding: Finding
    strip: Strip | None = None


def mail(facts: Facts, *, about: str = "", link: str = "", attached: str = "") -> Mail:
    """The digest as a mail; `about` says whose it is where it is not everybody's ("db"), and stands in the subject.

    `link` is the address of the full page, `attached` the name of the file with it; both are optional, and nothing else in
    the mail leads anywhere. The HTML has at most `MOST_BYTES`: if names are long, fewer findings are shown.
    """
    from qpanalytics.report.page import environment

    template = environment().get_template("mail.html.j2")
    preheader = _cut(_second(facts))
    for most in (wording.NEEDS_SHOWN, 3, 1):
        shown = list(_shown(facts, most))
        html = template.render(
            facts=facts,
            shown=shown,
            rest=_rest(facts, most),
            key=_key(shown),
            preheader=preheader,
            notes=[(heading, *_noted(findings)) for heading, findings in _asides(facts) if findings],
            alerts=_alerts(facts),
            unseen=_unseen(facts),
            others=_others(facts),
            whole=_whole(link, attached),
            link=link,
            cells=cells,
        )
        if len(html.encode()) <= MOST_BYTES:
            break
    return Mail(_subject(facts, about), preheader, html, _text(facts, shown, _rest(facts, most), _whole(link, attached), link))


def first_screen(facts: Facts) -> str:
    """The digest as the few lines that any channel can take: large numbers and what needs somebody.

    The verdict is not in it: it is the subject of `mail`, which goes before.
    """
    shown = list(_shown(facts, wording.NEEDS_SHOWN))
    return _lines(_head(facts)[1:], _found(shown, _rest(facts, wording.NEEDS_SHOWN)), _key_line(shown))


# What is said ---------------------------------------------------------------------------------------------------------


def _subject(facts: Facts, about: str) -> str:
    """Verdict and dates: mails with one subject are shown as one conversation, and weeks are not."""
    title = wording.title(facts)
    return spell.plain(f"{about}: {title}" if about else title)


def _second(facts: Facts) -> str:
    """The second most important sentence; the subject has said the first."""
    if facts.needs:
        return facts.needs[0].sentence
    return wording.lead(facts) or next(iter(facts.notices), "") or wording.when(facts.window)


def _shown(facts: Facts, most: int) -> Iterator[Shown]:
    strips = {row.check: row.strip for row in facts.all_rows}
    for finding in facts.needs[:most]:
        strip = strips.get(finding.checks[0]) if len(finding.checks) == 1 else None
        # days that are all good show nothing of a check that got slower
        telling = strip is not None and any(cell is not None and _lettered(cell) for cell in strip.cells)
        yield Shown(_shortened(finding), strip if telling else None)


def _shortened(finding: Finding) -> Finding:
    """The finding with sentences cut to length; a command is whole or not there."""
    command = finding.command if len(finding.command) <= LONGEST else ""
    return replace(finding, sentence=_cut(finding.sentence), detail=_cut(finding.detail), command=command)


def _cut(said: str) -> str:
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def _rest(facts: Facts, most: int) -> str:
    return wording.more(facts.needs, most)


def _asides(facts: Facts) -> tuple[tuple[str, Sequence[Finding]], ...]:
    return (("What you can quieten", facts.quieten), ("Getting better", facts.better), ("Worth knowing", facts.notes))


def _noted(findings: Sequence[Finding]) -> tuple[list[Finding], str]:
    return [_shortened(finding) for finding in findings[:NOTES_SHOWN]], wording.more(findings, NOTES_SHOWN)


def _alerts(facts: Facts) -> list[str]:
    return [_cut(said) for said in facts.alerts]


def _unseen(facts: Facts) -> list[str]:
    more = len(facts.unseen) - NOTES_SHOWN
    lines = [_cut(said) for said in facts.unseen[:NOTES_SHOWN]]
    return [*lines, *([f"and {spell.number(more)} more"] if more > 0 else [])]


def _others(facts: Facts) -> list[str]:
    """What is said of the checks and queues that do not ask for anybody."""
    named = {check for finding in facts.needs for check in finding.checks}
    worse = sum(row.check not in named for row in facts.rows)
    lines = []
    if facts.kept:
        lines.append(f"{wording.kept(facts)}.")
    if worse:
        more = f"{spell.number(worse)} more {'check needs' if worse == 1 else 'checks need'} nobody"
        lines.append(f"{more}, but did not keep every promise or cannot be judged.")
    if facts.queues is not None and facts.queues.well:
        lines.append(f"{queue_words.well(facts.queues)}.")
    return lines


def _whole(link: str, attached: str) -> str:
    """Where the full page is."""
    if link:
        return "The full page"
    return f"The full page is attached: {attached}" if attached else ""


def _key(shown: Sequence[Shown]) -> list[tuple[str, str]]:
    """What the letters in the strips mean."""
    used = {cell for one in shown if one.strip is not None for cell in one.strip.cells}
    return [(palette.LETTERS[cell], palette.word(cell)) for cell in palette.OUTCOMES if cell in used and _lettered(cell)]


# HTML -----------------------------------------------------------------------------------------------------------------


def cells(strip: Strip) -> Markup:
    """The cells of the table that is a strip: equal neighbours are one, bad days have a letter."""
    made = []
    for (cell, _), days in groupby(enumerate(strip.cells), key=lambda at: (at[1], None if at[1] in DAYS_MERGED else at[0])):
        n = sum(1 for _ in days)
        span = f' colspan="{n}"' if n > 1 else ""
        colour = "" if cell is None else f' bgcolor="{palette.middle(cell)}"'
        letter = palette.LETTERS[cell] if cell is not None and _lettered(cell) else "&nbsp;"
        ink = f' style="color:{palette.ink_on(cell)}"' if cell is not None and _lettered(cell) else ""
        made.append(f'<td{span} width="{n * CELL}"{colour}{ink}>{letter}</td>')
    return Markup("".join(made))  # only numbers and constants of our own


def _lettered(cell: str) -> bool:
    return cell not in ("on_time", "ran")


# Text -----------------------------------------------------------------------------------------------------------------


def _text(facts: Facts, shown: Sequence[Shown], rest: str, whole: str, link: str) -> str:
    asides = []
    for heading, findings in _asides(facts):
        noted, more = _noted(findings)
        said = [" ".join(filter(None, (finding.sentence, finding.detail))) for finding in noted]
        asides.append(section(heading, [line for one in [*said, *filter(None, (more,))] for line in bullet(one, WIDTH)]))
    where = f"{whole}: {spell.plain(link)}" if link else spell.plain(whole)
    return _lines(
        _head(facts),
        _found(shown, rest),
        _key_line(shown),
        *asides,
        section("Alerts", [line for said in _alerts(facts) for line in bullet(said, WIDTH)]),
        section("What we could not see", [line for said in _unseen(facts) for line in bullet(said, WIDTH)]),
        [line for said in _others(facts) for line in wrapped(said, WIDTH)],
        [where] if where else [],
        wrapped(" ".join(facts.rules), WIDTH),
        [
            *wrapped(f"As of {wording.as_of(facts.window)}{', ' if facts.made_by else ''}{facts.made_by}.", WIDTH),
            *([f"The same numbers: {spell.plain(facts.command)}"] if facts.command else []),
        ],
    )


def _lines(*parts: Sequence[str]) -> str:
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(facts: Facts) -> list[str]:
    figures = aligned([[fact.label, *wording.figure(fact, facts.window)] for fact in facts.figures], "") if facts.figures else []
    said = [*facts.notices, wording.lead(facts)]
    blocks = [
        [wording.verdict(facts), *wrapped(wording.subtitle(facts), WIDTH)],
        *([*wrapped(_cut(one), WIDTH)] for one in said if one),
        [*figures, *wrapped(wording.basis(facts), WIDTH)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block).split("\n")


def _found(shown: Sequence[Shown], rest: str) -> list[str]:
    lines: list[str] = []
    for one in shown:
        finding = one.finding
        lines += ["", *wrapped(f"{finding.label}: {finding.sentence}", WIDTH)]
        lines += bullet(finding.detail, WIDTH)
        if one.strip is not None:
            lines.append(f"  [{wording.letters(one.strip)}]")
            lines += bullet(wording.strip(one.strip), WIDTH)
        lines += [f"  {spell.plain(finding.command)}"] if finding.command else []
    lines += ["", f"{rest}: qpa verdicts"] if rest else []
    return section("What needs you", lines)


def _key_line(shown: Sequence[Shown]) -> list[str]:
    known = [f"{letter} {word}" for letter, word in _key(shown)]
    return wrapped("; ".join([". on time", *known, "blank: no run expected"]), WIDTH) if known else []
