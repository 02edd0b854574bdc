"""`Finding` -> sentence and detail: verdict first, then figures, then what can be done.

The one voice of page, mail, chat and command line.

Names stand in the sentences as they are; whoever prints them makes them safe (`spell.plain`, a template's escaping).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from qpanalytics import spell
from qpanalytics.ledger.reading import TRAILING
from qpanalytics.verdict import say_drift, say_queues
from qpanalytics.verdict.finding import Finding, Kind
from qpanalytics.verdict.rules_now import FEW
from qpanalytics.verdict.voice import Voice, length, listed, names, pair

Said = tuple[str, str, str]
"""Subject (printed bold), sentence, detail."""


def say(finding: Finding, voice: Voice) -> Finding:
    """The finding with its words."""
    subject, sentence, detail = _SAY[finding.kind](finding, voice)
    return replace(finding, subject=subject, sentence=sentence, detail=_joined(detail, _also(finding, voice)))


def _down(f: Finding, v: Voice) -> Said:
    g, check = f.figures, f.check
    assert f.since_at is not None
    since = v.moment(f.since_at)
    if len(f.checks) > 1:
        what = {"missed": "did not come", "failed": "failed", "hung": "hang"}[g["cause"]]
        subject = _many(f)
        return subject, f"{subject} have been down since {since}: their runs {what}.", _these(f)
    streak_at = g["streak_since"]
    if g["cause"] == "missed" and not g["judged"]:
        last = "" if g["last_success_at"] is None else f" It last succeeded {_at(g['last_success_at'], v)}."
        return check, f"{check} has been silent for longer than ever; down since {since}.", (
            f"No gap of the 90 days before was longer than {length(g['gap_max_s'])}.{last}"
        )  # fmt: skip
    within = streak_at is not None and datetime.fromisoformat(streak_at) < v.until
    if g["judged"] and within and (went := _went(g, v)):
        return check, f"{check} {went}; down since {since}.", _why_down(g, v)
    missed = {
        # a run that began in its window and succeeded for an earlier one is no outcome of its own, and yet none came
        0: "a run that was due did not succeed",
        1: f"the run of {_near(streak_at, f.since_at, v)} did not come",
    }
    reasons = {
        "missed": missed.get(g["streak"], f"{g['streak']} runs in a row did not come"),
        "failed": "its last run failed" if g["streak"] <= 1 else f"its last {g['streak']} runs failed",
        # one that went past its limit and was given up since is no longer open
        "hung": f"the run that began {_at(g['open_since_at'], v)} has not ended" if g["open_since_at"]
        else "a run did not end within its limit",
    }
    before = "" if within or not (went := _went(g, v)) else f"{_capital(v.now())} it {went}."
    return check, f"{check} has been down since {since}: {reasons[g['cause']]}.", _joined(_why_down(g, v), before)


def _why_down(g: dict[str, Any], v: Voice) -> str:
    """Whether it began at all, and what it last did."""
    last = "" if g["last_success_at"] is None else f"It last succeeded {_at(g['last_success_at'], v)}."
    if g["cause"] == "failed":
        return _joined(_exit(g), last)
    if g["cause"] == "hung":
        limit = "" if g["max_runtime_s"] is None else f"It may run for {spell.duration(g['max_runtime_s'])}."
        return _joined(limit, "Look whether it is stuck, and stop it.", last)
    return _joined(_began(g, g["streak"], g["streak_never_began"]), last)


def _hung(f: Finding, v: Voice) -> Said:
    g, check = f.figures, f.check
    limit = None if g["max_runtime_s"] is None else spell.duration(g["max_runtime_s"])
    if not g["hung"]:
        over = "its limit" if limit is None else f"its limit of {limit}"
        return check, f"{check} ran over {over} {_of(g['overran'], g['completions'])}.", "Look at what holds it up."
    within = "before the next one was due" if limit is None else f"within {limit}"
    before = _before(g["hung_before"], g["n_before"], v)
    # A run that hangs while another succeeds for it is not a hung occurrence: both counts are true.
    all_told = "In all, " if g["never_ended"] != g["hung"] else ""
    runs = spell.plural(g["never_ended"], "run")
    ended = f"{all_told}{runs} began and did not end {within}." if g["never_ended"] else ""
    return check, f"{check} hung {_of(g['hung'], g['n'])}{_days('hung', g, v)}{before}.", ended


def _failing(f: Finding, v: Voice) -> Said:
    g, check = f.figures, f.check
    runs = _of(g["failed"], g["n"]) if g["judged"] else f"{g['failed']} of the {spell.number(g['n'])} runs we saw"
    before = _before(g["failed_before"], g["n_before"], v)
    row = f"The last {g['streak']} failed in a row." if g["streak"] > 1 else ""
    return check, f"{check} failed {runs}{_days('failed', g, v)}{before}.", _joined(row, _exit(g), _since(g))


def _missing(f: Finding, v: Voice) -> Said:
    g = f.figures
    before = _before(g["missed_before"], g["n_before"], v)
    missed = f"missed {_of(g['missed'], g['n'])}{_days('missed', g, v)}{before}."
    if len(f.checks) > 1:
        subject = _many(f)
        return subject, f"{subject} {missed}", _these(f)
    return f.check, f"{f.check} {missed}", _joined(_began(g, g["missed"], g["never_began"]), _since(g))


def _later(f: Finding, v: Voice) -> Said:
    g = f.figures
    subject = _many(f) if len(f.checks) > 1 else f.check
    comes = "come" if len(f.checks) > 1 else "comes"
    sentence = f"{subject} {comes} later: median {pair(g['p50_before_s'], g['p50_s'])}{_against(g, v)}."
    grace = spell.duration(g.get("grace_s"))
    if g["late"]:
        told = f"{_share(g['late'], g['expected'])} came after the grace of {grace}"
        detail = f"{told}, {spell.number(g['late_before'])} {v.before()}."
    else:
        detail = f"All within the grace of {grace}; the latest took {length(g['max_s'])}."
    return subject, sentence, _joined(detail, _these(f))


def _slower(f: Finding, v: Voice) -> Said:
    g, check = f.figures, f.check
    sentence = f"{check} runs longer: median {pair(g['p50_before_s'], g['p50_s'])}{_against(g, v)}."
    longest = f"The longest run took {length(g['max_s'])}"
    limit = "" if g["max_runtime_s"] is None else f"; its limit is {spell.duration(g['max_runtime_s'])}"
    return check, sentence, f"{longest}{limit}."


def _not_vouched(f: Finding, v: Voice) -> Said:
    g = f.figures
    many = len(f.checks) > 1
    subject = f.source if many else f.check
    head = f"no data from {subject}"
    runs = spell.plural(g["runs"], "expected run")
    if g["until"] is not None:
        until = _at(g["until"], v)
        span = f"between {_at(g['since'], v)} and {until}" if g["since"] else f"before {until}"
        whose = f" of {len(f.checks)} checks" if many else ""
        return subject, f"{head} {span}; {runs}{whose} cannot be counted.", ""
    since = f" since {_at(g['since'], v)}" if g["since"] else ""
    told = f"{len(f.checks)} checks have not been judged" if many else "it has not been judged"
    todo = "Collect or import what came since." if f.asks else "Import what came since, or say when it ended."
    detail = f"{runs} {v.now()} cannot be counted. {todo}"
    return subject, f"{head}{since}; {told}{' since' if g['since'] else ''}.", detail


def _late(f: Finding, v: Voice) -> Said:
    g = f.figures
    subject = _many(f) if len(f.checks) > 1 else f.check
    before = f"; {_share(g['late_before'], g['n_before'])} {v.before()}" if g["n_before"] else ""
    grace = spell.duration(g.get("grace_s"))
    if g.get("p50_s") is not None and g.get("grace_s") is not None and g["p50_s"] > g["grace_s"]:
        detail = f"The grace is {grace}, the median delay {length(g['p50_s'])}: give a longer one, or find the cause."
    else:
        detail = f"The grace is {grace}; the latest came after {length(g['max_s'])}."
    return subject, f"{subject} came late {_share(g['late'], g['n'])} times{before}.", detail


def _recovered(f: Finding, v: Voice) -> Said:
    g = f.figures
    many = len(f.checks) > 1
    subject = _many(f) if many else f.check
    if went := _went(g, v):
        since = spell.number(g["kept_since"])
        kept = f"kept all {since} promises since" if g["judged"] else f"all {since} since went well"
        return subject, f"{subject} recovered: {went}, and {kept}.", _these(f)
    wrong = {"missed": g["missed_before"], "failed": g["failed_before"], "hung": g["hung_before"]}
    if g["late_before"]:
        words = f"came late on {_of(g['late_before'], g['n_before'])} {v.before()}, in time since"
    else:
        words = f"{_verbs(wrong)} of {spell.plural(g['n_before'], 'run')} {v.before()}, none since"
    return subject, f"{subject} recovered: {words}.", _these(f)


def _never_seen(f: Finding, v: Voice) -> Said:
    todo = "Put its ping address into the job, or take the check out."
    if len(f.checks) > 1:
        subject = f"{len(f.checks)} checks"
        todo = "Put their ping addresses into the jobs, or take the checks out."
        return subject, f"{subject} have never pinged: {names(f.checks)}.", todo
    told = f.figures["described_at"]
    since = f" since it was described on {v.day(datetime.fromisoformat(told))}" if told else ""
    return f.check, f"{f.check} has not pinged once{since}.", todo


def _not_judged(f: Finding, v: Voice) -> Said:
    if len(f.checks) > 1:
        subject = f"{len(f.checks)} checks"
        detail = f"Changes are judged from {FEW} occurrences on; what is down or missed is told from the first."
        return subject, f"{subject} are too new to be compared: {names(f.checks)}.", detail
    so_far = spell.plural(f.figures["n"], "occurrence") if f.figures["n"] else "no occurrence"
    return f.check, f"{f.check}: {so_far} so far, verdicts start at {FEW}.", ""


def _cannot_tell(f: Finding, v: Voice) -> Said:
    g = f.figures
    detail = "Which tick a run answers cannot be told, so rate, lateness and time down are not given"
    if len(f.checks) > 1:
        subject = f"{len(f.checks)} checks"
        return subject, f"{subject} come at any moment between two ticks: {names(f.checks)}.", (
            f"{detail}; the table shows the time between runs."
        )  # fmt: skip
    every = f"every {length(g['gap_p50_s'])}, longest {length(g['gap_max_s'])} in {TRAILING.days} days"
    return f.check, f"{f.check} comes {every}, at any moment between two ticks.", f"{detail}."


_SAY: dict[Kind, Callable[[Finding, Voice], Said]] = {
    "down": _down,
    "hung": _hung,
    "failing": _failing,
    "missing": _missing,
    "later": _later,
    "slower": _slower,
    "not_vouched": _not_vouched,
    "late": _late,
    "recovered": _recovered,
    "never_seen": _never_seen,
    "not_judged": _not_judged,
    "cannot_tell": _cannot_tell,
    **say_drift.SAY,
    **say_queues.SAY,
}


# Pieces ---------------------------------------------------------------------------------------------------------------


def _also(f: Finding, v: Voice) -> str:
    """The lesser findings about the same check, in a sentence."""
    clauses = [_clause(other, v) for other in f.also]
    return f"It also {listed(clauses)}." if clauses else ""


def _clause(f: Finding, v: Voice) -> str:
    g = f.figures
    if f.about != "check":
        return say_queues.clause(f)
    match f.kind:
        case "failing":
            return f"failed {spell.number(g['failed'])}"
        case "missing":
            return f"missed {spell.number(g['missed'])}"
        case "hung":
            return f"hung {spell.number(g['hung'])}" if g["hung"] else "ran over its limit"
        case "late":
            return f"came late {_share(g['late'], g['n'])} times"
        case "drifting" | "faster" | "noisy":
            return say_drift.clause(f, v)
        case "later":
            return f"comes later (median {pair(g['p50_before_s'], g['p50_s'])})"
    return f"runs longer (median {pair(g['p50_before_s'], g['p50_s'])})"


def _went(g: dict[str, Any], v: Voice) -> str:
    """ "missed 3 and failed 1 of 5 runs, on Mon, Wed and Fri"; empty if nothing went wrong in the window."""
    wrong = {kind: g[kind] for kind in ("missed", "failed", "hung") if g[kind]}
    if not wrong:
        return ""
    stamps = sorted(at for kind in wrong for at in g[f"{kind}_at"])
    if len(wrong) == 1 and (k := next(iter(wrong.values()))) == g["n"]:
        return f"{_verbs(wrong)} of {spell.plural(g['n'], 'run')}" if k > 1 else f"{next(iter(wrong))} its only run"
    return f"{_verbs(wrong)} of {spell.plural(g['n'], 'run')}{v.days(stamps, clock=_often(g, v))}"


def _days(kind: str, g: dict[str, Any], v: Voice) -> str:
    """When it went wrong; nothing where every run did."""
    return "" if g[kind] == g["n"] else v.days(g[f"{kind}_at"], clock=_often(g, v))


def _often(g: dict[str, Any], v: Voice) -> bool:
    """Whether it runs more than once a day, so that a day alone does not say which run."""
    return bool(g["n"] > (v.until - v.since).total_seconds() / spell.DAY + 1)


def _verbs(wrong: dict[str, int]) -> str:
    return listed([f"{kind} {spell.number(k)}" for kind, k in wrong.items() if k])


def _of(k: int, n: int) -> str:
    """ "3 of 5 runs", "its only run", "all 7 runs"."""
    if k == n:
        return "its only run" if n == 1 else f"all {spell.number(n)} runs"
    return f"{spell.number(k)} of {spell.plural(n, 'run')}"


def _share(k: int, n: int) -> str:
    return f"{spell.number(k)} of {spell.number(n)}"


def _before(k: int, n: int, v: Voice) -> str:
    """How it was in the window before; nothing where nothing is known of it."""
    if not n:
        return ""
    return f"; {'none' if not k else _share(k, n)} {v.before()}"


def _against(g: dict[str, Any], v: Voice) -> str:
    windows = g["windows_back"]
    if windows == 1:
        return f" against {v.before()}"
    return f" in {windows} {v.noun}s"


def _began(g: dict[str, Any], runs: int, never: int) -> str:
    """Whether runs that did not arrive had begun: only start pings can tell."""
    if not g["sends_starts"]:
        return "It sends no start pings, so we cannot see whether it began."
    if never == runs:
        return "No start ping came either, so the job never began. Look at what starts it."
    if runs == 1:
        return "It began and never finished."
    return f"{spell.number(runs - never)} of {spell.number(runs)} began and never finished."


def _exit(g: dict[str, Any]) -> str:
    status = g["exit_status"]
    return "" if status is None else f"The last failure had exit status {status}."


def _since(g: dict[str, Any]) -> str:
    """How it went on after the last bad run."""
    k = g["kept_since"]
    return "" if not k else f"The {'next one' if k == 1 else f'{spell.number(k)} runs'} since then went well."


def _many(f: Finding) -> str:
    return f"{len(f.checks)} checks of {f.source}"


def _these(f: Finding) -> str:
    return f"These are {names(f.checks)}." if len(f.checks) > 1 else ""


def _near(stamp: str | None, told: datetime, v: Voice) -> str:
    """A moment beside another one that was told in full: the time of day is enough on the same day."""
    if stamp is None:
        return ""
    at = datetime.fromisoformat(stamp)
    same = at.astimezone(v.zone).date() == told.astimezone(v.zone).date()
    return spell.clock(at, v.zone) if same else v.moment(at)


def _at(stamp: str | None, v: Voice) -> str:
    return "" if stamp is None else v.moment(datetime.fromisoformat(stamp))


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
