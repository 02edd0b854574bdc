"""Incidents -> findings with their words: what went wrong, since when, what is known of it, what can be done.

The same voice as `say`, for what is told the moment it happens; page, mail, chat and command line only format it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from qpanalytics import spell
from qpanalytics.instants import instant
from qpanalytics.verdict.finding import Finding, Kind
from qpanalytics.verdict.voice import Voice, length, names, quoted

Said = tuple[str, str]
"""Sentence, detail."""

#: The kinds of incidents: the finding that says the same of a window, and the kind in a word or two.
KINDS: dict[str, tuple[Kind, str]] = {
    "missed": ("missing", "Missed"), "late": ("late", "Late"), "failed": ("failing", "Failed"), "hung": ("hung", "Hung"),
    "often": ("failing", "Failing often"), "too_fast": ("slower", "Too fast"), "drifting": ("later", "Drifting"),
    "oldest": ("promise_broken", "Promise broken"), "depth": ("promise_broken", "Promise broken"),
    "not_draining": ("not_draining", "Not draining"), "retry_storm": ("retry_storm", "Retry storm"),
    "dead_grew": ("dead_grew", "Dead jobs"), "orphaned": ("orphaned", "Orphaned"),
    "too_few": ("too_few_workers", "Too few workers"), "workers_gone": ("workers_gone", "Workers gone"),
    "stuck": ("stuck", "Stuck"), "crash_loop": ("crash_loop", "Crash loop"),
    "unreachable": ("unwatched", "Not seen"), "lost": ("not_vouched", "Pings lost"),
    "coverage": ("not_vouched", "Seen too little"),
}  # fmt: skip
#: Evidence lines of members; the others are counted.
MOST_LINES = 10


@dataclass(frozen=True, slots=True)
class Broken:
    """One check, queue, worker or source in an incident. `evidence` is as the policy engine gives it: instants in
    microseconds, figures as they were."""

    about: Literal["check", "queue", "worker", "source"]
    name: str
    kind: str
    severity: str
    since_at: datetime
    source: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    follows: str | None = None
    resolved_at: datetime | None = None


def finding(
    members: Sequence[Broken], voice: Voice, *, cause: str = "", resolved_at: datetime | None = None, why: str = ""
) -> Finding:
    """What is to be said of an incident: a worded finding. `resolved_at` where it is over, `why` how it ended."""
    lead = next((member for member in members if member.resolved_at is None), members[0])
    kind, _ = KINDS.get(lead.kind, ("missing", lead.kind))
    if resolved_at is not None:
        sentence, detail = _over(lead, members, why), ""
    elif len(members) > 1:
        sentence, detail = _together(lead, members, cause, voice), _consequences(members)
    else:
        sentence, detail = _one(lead, voice)
        detail = " ".join(filter(None, [detail, _consequences(members)]))
    figures = {name: shown(name, value) for name, value in lead.evidence.items()}
    return Finding(
        kind=kind, severity=lead.severity, checks=tuple(dict.fromkeys(m.name for m in members)), source=lead.source,
        since_at=lead.since_at, figures=figures, subject=lead.name, sentence=sentence, detail=detail,
        command=_command(lead, voice), about=lead.about,
    )  # fmt: skip


def label(kind: str) -> str:
    """The kind of an incident in a word or two."""
    return KINDS.get(kind, ("missing", kind))[1]


def evidence(members: Sequence[Broken], voice: Voice) -> tuple[str, ...]:
    """A line for each member of a group: what is wrong with it."""
    if len(members) < 2:
        return ()
    lines = [_one(member, voice)[0] + (" It is over." if member.resolved_at else "") for member in members[:MOST_LINES]]
    return (*lines, f"and {len(members) - MOST_LINES} more") if len(members) > MOST_LINES else tuple(lines)


# Together -------------------------------------------------------------------------------------------------------------


def _together(lead: Broken, members: Sequence[Broken], cause: str, voice: Voice) -> str:
    what, _, which = cause.rpartition("|")[2].partition(":")
    of = f" of {what} {which}" if which else ""
    who = spell.plural(len(members), lead.about)
    kinds = {member.kind for member in members}
    did = _DID.get(lead.kind, "are in trouble") if len(kinds) == 1 else "are in trouble"
    return f"{who}{of} {did} since {voice.moment(min(m.since_at for m in members))}: {names([m.name for m in members])}."


_DID = {
    "missed": "did not come", "late": "have not finished in time", "failed": "failed", "hung": "hang",
    "unreachable": "cannot be reached", "workers_gone": "have no worker alive",
}  # fmt: skip


def _consequences(members: Sequence[Broken]) -> str:
    """Trouble that is put down to other trouble in the same incident."""
    following = [member.name for member in members if member.follows]
    return f"{names(following)} follow{'s' if len(following) == 1 else ''} from it." if following else ""


def _over(lead: Broken, members: Sequence[Broken], why: str) -> str:
    who = lead.name if len(members) == 1 else f"{spell.plural(len(members), lead.about)} ({names([m.name for m in members])})"
    are, have = ("is", "has") if len(members) == 1 else ("are", "have")
    if why == "paused":
        return f"{who} {have} been paused; nothing is expected of {'it' if are == 'is' else 'them'}."
    if why == "removed":
        return f"{who} {are} no longer there; nothing is expected any more."
    if why == "no longer promised":
        return f"{who}: the promise ended; nothing is expected any more."
    if why == "promised anew":
        return f"{who}: another promise began, and what was before it is not held against it."
    if why == "closed":
        return f"{who}: somebody closed this by hand."
    if lead.kind == "unreachable":
        return f"{who} can be {'used' if lead.name.startswith('the ') else 'reached'} again."
    return f"{who} {are} well again."


# One by one -----------------------------------------------------------------------------------------------------------


def _one(m: Broken, v: Voice) -> Said:
    return _SAY.get(m.kind, _other)(m, m.evidence, v)


def _missed(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    if "expected_at" not in e:
        silent = f" since {_at(e['silent_since'], v)}" if e.get("silent_since") else ""
        return f"{m.name} has been silent{silent}, longer than it ever is.", ""
    n = int(e.get("n", 1))
    due = f"it was due {_at(e['expected_at'], v)} and had until {_clock(e['deadline_at'], v)}" if "deadline_at" in e else ""
    sentence = f"{m.name} did not come: {due}." if n < 2 else f"{m.name} did not come {n} times in a row; the last time, {due}."
    began = f"It began {_at(e['started_at'], v)} and has not finished." if e.get("started_at") else ""
    return sentence, began or ("No start ping: it never began." if e.get("began") is False else "")


def _late(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    began = f"it began {_at(e['started_at'], v)}" if e.get("started_at") else "it began"
    until = f" by {_clock(e['deadline_at'], v)}" if "deadline_at" in e else ""
    return f"{m.name} is late: {began} and had not finished{until}.", "Look what holds it up."


def _failed(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    n = int(e.get("n", 1))
    at = _at(e["completed_at"], v) if e.get("completed_at") else v.moment(m.since_at)
    status = f"Its exit status was {e['exit_status']}." if e.get("exit_status") is not None else ""
    took = f"It ran for {length(e['duration_s'])}." if e.get("duration_s") is not None else ""
    row = f", for the {_nth(n)} time in a row" if n > 1 else ""
    return f"{m.name} failed, {at}{row}.", " ".join(filter(None, [status, took]))


def _hung(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    began = _at(e["started_at"], v) if e.get("started_at") else v.moment(m.since_at)
    limit = f"It may run until {_clock(e['limit_at'], v)}." if e.get("limit_at") else ""
    return f"{m.name} hangs: the run that began {began} has not ended.", f"{limit} Look whether it is stuck, and stop it.".strip()


def _often(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    return f"{m.name} went wrong in {spell.number(e.get('n'))} of its last {spell.number(e.get('of'))} runs.", ""


def _too_fast(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    took, usual = length(e.get("duration_s")), length(e.get("usual_s"))
    return f"{m.name} ended after {took} twice in a row; usually it takes {usual}.", "Look whether it did its work."


def _drifting(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    said = str(e.get("sentence") or f"{m.name} comes later or takes longer than it did.")
    return said, ""


def _oldest(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    least = "at least " if e.get("oldest_is") == "lower_bound" else ""
    waits = f"the oldest job of queue {m.name} waits for {least}{length(e.get('oldest_age_s'))}"
    depth = f"{spell.plural(int(e['depth']), 'job')} wait." if e.get("depth") else ""
    return f"{_capital(waits)}; {spell.duration(e.get('promised_s'))} were promised.", depth


def _depth(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    jobs = spell.plural(int(e.get("depth") or 0), "job")
    return f"Queue {m.name} holds {jobs}; {spell.number(e.get('promised'))} were promised.", ""


def _not_draining(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    since = f" since {_at(e['since_at'], v)}" if e.get("since_at") else ""
    return f"Queue {m.name} does not drain: no job was finished{since}, and {spell.number(e.get('depth'))} wait.", (
        "Look whether its workers are alive and move."
    )  # fmt: skip


def _retry_storm(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    grew = f"{spell.number(e.get('retrying_before'))} -> {spell.number(e.get('retrying'))}"
    since = f" since {_at(e['began_at'], v)}" if e.get("began_at") else ""
    return f"Queue {m.name} has a retry storm: retries {grew}{since}, and no more jobs succeed.", "Look at what the jobs fail of."


def _dead_grew(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    return f"Queue {m.name} gave up {spell.plural(int(e.get('died') or 0), 'job')} within an hour.", ""


def _orphaned(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    jobs = spell.plural(int(e.get("orphaned") or 0), "job")
    return f"Queue {m.name} has {jobs} whose worker is gone.", "They run again only if somebody puts them back."


def _too_few(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    alive = spell.plural(int(e.get("alive") or 0), "worker")
    return f"Queue {m.name} has {alive} alive; {spell.number(e.get('promised'))} were promised.", ""


def _workers_gone(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    usual = f"; usually there are {e['usual']}" if e.get("usual") else ""
    return f"No worker of {m.name} is alive{usual}.", ""


def _stuck(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    ran = f"its job runs for {length(e.get('running_s'))}, and such jobs end within {length(e.get('limit_s'))}"
    return f"Worker {m.name} hangs: {ran}.", "Look whether it is stuck, and stop it."


def _crash_loop(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    return f"Worker {m.name} was started again {spell.number(e.get('restarts'))} times within an hour.", "Look into its log."


def _unreachable(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    why = str(e.get("why") or "")
    if m.name.startswith("the "):  # what the watch itself needs, see watch.blind
        return f"{_capital(m.name)} cannot be used since {v.moment(m.since_at)}: {_sentence(why)}", ""
    return f"{m.name} cannot be reached since {v.moment(m.since_at)}, so nothing is known of its checks.", _sentence(why)


def _lost(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    lost = spell.plural(int(e.get("n") or 1), "ping")
    return f"{lost} of {m.name} came and went between two looks.", "Look more often: every = ..., under its [[source]]."


def _coverage(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    return f"{m.name} was seen for {spell.percent(e.get('coverage'))} of the last day only.", "What was not seen is not judged."


def _other(m: Broken, e: Mapping[str, Any], v: Voice) -> Said:
    return f"{m.name} is in trouble since {v.moment(m.since_at)} ({m.kind}).", ""


_SAY: dict[str, Callable[[Broken, Mapping[str, Any], Voice], Said]] = {
    "missed": _missed, "late": _late, "failed": _failed, "hung": _hung, "often": _often, "too_fast": _too_fast,
    "drifting": _drifting, "oldest": _oldest, "depth": _depth, "not_draining": _not_draining, "retry_storm": _retry_storm,
    "dead_grew": _dead_grew, "orphaned": _orphaned, "too_few": _too_few, "workers_gone": _workers_gone, "stuck": _stuck,
    "crash_loop": _crash_loop, "unreachable": _unreachable, "lost": _lost, "coverage": _coverage,
}  # fmt: skip


# Words ----------------------------------------------------------------------------------------------------------------


def _at(us: int, v: Voice) -> str:
    return v.moment(instant(us))


def _clock(us: int, v: Voice) -> str:
    return spell.clock(instant(us), v.zone)


def _nth(n: int) -> str:
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def shown(name: str, value: Any) -> Any:
    """A figure of evidence as findings have it: instants as ISO texts."""
    if isinstance(value, int) and not isinstance(value, bool) and name.endswith(("_at", "_since")):
        return spell.iso(value)
    if name == "occurrences" and isinstance(value, list | tuple):
        return [spell.iso(one) for one in value]
    return value


def _command(m: Broken, v: Voice) -> str:
    """What to type to see what is behind it."""
    if m.about == "check":
        return f"qpa occurrences --check {quoted(m.name)} --since 7d"
    if m.about == "source":
        return "qpa doctor"
    return f"qpa {m.about}s --{m.about} {quoted(m.name)} --source {quoted(m.source)} --history --since 1d"
