"""Findings about queues and workers -> sentence and detail, in the voice of `say`: verdict, figures, what can be done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from qpanalytics import spell
from qpanalytics.verdict.finding import Finding, Kind
from qpanalytics.verdict.voice import Voice, length, listed, names

Said = tuple[str, str, str]


def clause(f: Finding) -> str:
    """A lesser finding about the same queue, behind "It also": "has 12 jobs that died"."""
    g = f.figures
    match f.kind:
        case "promise_broken":
            return f"broke its promise ({_waited(g)})" if g["of"] == "oldest" else f"held more jobs than promised ({_held(g)})"
        case "not_draining":
            return "fills faster than it drains"
        case "retry_storm":
            return f"has a retry storm ({_grew(g)})"
        case "orphaned":
            return f"has {spell.plural(g['orphaned'], 'job')} whose worker is gone"
        case "too_few_workers":
            return f"has {_alive(g['alive'])}, promised {g['promised']}"
        case "dead_grew":
            return f"gave up {spell.plural(g['died'], 'job')}"
    return "is empty where jobs should come"


def _promise_broken(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    if len(f.checks) > 1:
        return subject, f"{subject} broke what was promised of them: in {f.check} {_worst(g)}.", _these(f)
    if g["broken_now"] and f.since_at is not None and g["broken_s"] is not None:
        head = f"{subject} has broken its promise since {v.moment(f.since_at)}: {_worst(g)}."
    elif g["broken_now"]:
        head = f"{subject} breaks its promise: {_worst(g)}."
    else:
        times = "" if g["spells"] == 1 else f" {spell.number(g['spells'])} times"
        head = f"{subject} broke its promise{times} {v.now()}, worst {_at(g['worst_at'], v)}: {_worst(g)}."
    in_all = f"It was broken for {_long(g['broken_s'])} in all." if g["broken_s"] and g["spells"] > 1 else ""
    other = g["also_depth"] if g["of"] == "oldest" else {}
    deep = f"At most {spell.number(other['worst'])} jobs waited, promised {spell.number(other['promised'])}." if other else ""
    return subject, head, _joined(in_all, deep)


def _not_draining(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    if len(f.checks) > 1:
        return subject, f"{subject} fill faster than they drain.", _these(f)
    age = _oldest_waited(g)
    if g["stands_s"] is not None:
        waiting = f"{spell.plural(int(g['depth']), 'job')} wait" if g["depth"] else "jobs wait"
        head = f"{subject} stands still: {waiting} and none was taken in {_long(g['stands_s'])}{_aged(g)}."
        return subject, head, _joined("Look whether its workers take from it.", _little(g))
    if g["windows"]:
        head = f"{subject} fills faster than it drains {_hours(g['windows'])}{age}."
        grow = max(g["windows"], key=lambda w: w["grows_by"])
        detail = f"On such a day {spell.number(round(grow['grows_by']))} jobs more come than go."
        if grow["arrivals_per_min"] is not None and grow["service_per_min"] is not None:
            detail = (
                f"{_rate(grow['arrivals_per_min'])} jobs a minute come then and {_rate(grow['service_per_min'])} are finished: "
                f"{spell.number(round(grow['grows_by']))} more wait at its end."
            )
        now = f"It grows now by {_rate(g['grows_per_min'])} jobs a minute." if g["grows_per_min"] else ""
        return subject, head, _joined(detail, now, _little(g))
    head = f"{subject} fills faster than it drains: it grows by {_rate(g['grows_per_min'])} jobs a minute{age}."
    return subject, head, _joined(f"{spell.plural(int(g['depth']), 'job')} wait now.", _little(g))


def _alive_not_draining(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    if len(f.checks) > 1:
        return subject, f"{subject} do not drain, though their jobs report.", _these(f)
    waits = f"; its oldest job waits for {_long(g['oldest_age_s'])}" if g["oldest_age_s"] else ""
    promised = f", promised {spell.duration(g['promised_s'])}" if waits and g["promised_s"] is not None else ""
    head = f"{subject} does not drain, though {g['job']} reports: {g['why']}{waits}{promised}."
    return subject, head, _joined("The job runs and the queue does not get its work.", _little(g))


def _job_silent(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    rate = f" ({_rate(g['service_per_min'])} tries a minute)" if g["service_per_min"] else ""
    return subject, f"{subject} drains{rate}, but its job {g['job']} does not report.", (
        "The work is done; look at what sends the pings."
    )  # fmt: skip


def _empty(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    if len(f.checks) > 1:
        return subject, f"{subject} are empty, and nothing arrives where jobs should come.", _these(f)
    if g["producer"]:
        return subject, f"{subject} is empty because {g['producer']}, which fills it, is down.", ""
    weeks = "week" if g["weeks"] == 1 else spell.plural(g["weeks"], "week")
    many = "" if not g["usual_per_min"] else f" {_rate(g['usual_per_min'])} jobs a minute came"
    return subject, f"{subject} is empty, and nothing arrives: at this hour of the {weeks} before{many}.", (
        "Look at what fills it; an empty queue looks like a finished one."
    )  # fmt: skip


def _retry_storm(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    done, before = g["service_per_min"], g["service_before_per_min"]
    while_ = ""
    if done is not None and before is not None:
        while_ = f" while {_rate(done)} tries a minute succeeded, {_rate(before)} before"
    elif done is not None:
        while_ = f" while {_rate(done)} tries a minute succeeded"
    detail = "Finished jobs are not counted there, so only the growth is known." if done is None else ""
    if g["lasts"]:
        now = f"{spell.number(g['retrying'])} wait for another try now." if g["retrying"] is not None else ""
        return subject, f"{subject} has a retry storm since {_at(g['began_at'], v)}: retries grew {_grew(g)}{while_}.", (
            _joined(now, detail, "Look at what their first failures have in common.")
        )  # fmt: skip
    ended = f", half of it was gone {_at(g['ended_at'], v)}" if g["ended_at"] else ", over since"
    ended = ", not over at the last look" if g["lasted"] else ended
    more = f"There were {g['storms']} {v.now()}." if g["storms"] > 1 else ""
    head = f"{subject} had a retry storm {_at(g['began_at'], v)}: retries grew {_grew(g)}{while_}{ended}."
    return subject, head, _joined(more, detail)


def _orphaned(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    assert f.since_at is not None
    jobs = spell.plural(g["orphaned"], "job")
    has = "are" if g["orphaned"] > 1 else "is"
    return subject, f"{jobs} of {subject} {has} in the hands of workers that are gone, since {v.moment(f.since_at)}.", (
        "Nobody will finish them by themselves: put them back into the queue."
    )  # fmt: skip


def _too_few(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    if len(f.checks) > 1:
        return subject, f"{subject} have fewer workers than promised.", _these(f)
    usual = f"Usually there are {g['usual']}." if g["usual"] is not None and g["usual"] != g["alive"] else ""
    return subject, f"{subject} has {_alive(g['alive'])}, promised {g['promised']}.", _joined(usual, _little(g))


def _dead(f: Finding, v: Voice) -> Said:
    g, subject = f.figures, _subject(f)
    were = spell.number(g["died_before"]) if g["died_before"] else "none"
    before = "" if g["died_before"] is None else f"; {were} {v.before()}"
    last = "" if f.since_at is None else f" The last {_at(spell.iso(f.since_at), v)}."
    kept = "" if g["dead"] is None else f"{spell.plural(g['dead'], 'job')} are kept as dead."
    if g["dead"] == 1:
        kept = "1 job is kept as dead."
    return subject, f"{subject} gave up {spell.plural(g['died'], 'job')} {v.now()}{before}.", f"{kept}{last}".strip()


def _workers_gone(f: Finding, v: Voice) -> Said:
    g = f.figures
    since = "" if f.since_at is None else f" since {v.moment(f.since_at)}"
    if not g["alive"]:
        waits = f" {spell.plural(g['waiting'], 'job')} wait." if g["waiting"] > 1 else ""
        head = f"no worker of {f.source} is alive{since}; usually {'there are' if g['usual'] > 1 else 'there is'} {g['usual']}."
        return f.source, head, f"Nothing is taken until one comes back.{waits}"
    subject = names(f.checks)
    are = "are" if len(f.checks) > 1 else "is"
    head = f"{subject} {are} gone{since}; {g['alive']} of the usual {g['usual']} workers of {f.source} {_are(g['alive'])} alive."
    return subject, head, f"{'They take' if len(f.checks) > 1 else 'It takes'} from {names(g['queues'])}." if g["queues"] else ""


def _crash_loop(f: Finding, v: Voice) -> Said:
    g = f.figures
    if g["worker"] == "*":
        head = f"the workers of {f.source} were replaced {g['restarts']} times within an hour, {g['workers']} at a time."
        return f.source, head, "They start and do not stay: look at what the first lines of their logs say."
    head = f"{f.check} was started again {spell.number(g['restarts'])} times within an hour."
    return f.check, head, f"It is of {f.source}{_from(g)}. It starts and does not stay: look at what it says when it ends."


def _stuck(f: Finding, v: Voice) -> Said:
    g = f.figures
    assert f.since_at is not None
    usual = {
        "runs": f"99 of 100 runs end within {length(g['usual_s'])}",
        "looks": f"99 of 100 jobs there run for less than {length(g['usual_s'])}",
    }.get(g["from"], f"it may run for {length(g['limit_s'])}")
    head = f"a job of {f.check} has run for {_long(g['running_s'])}, since {v.moment(f.since_at)}; {usual}."
    return f.check, head, f"The worker{_from(g)} lives and does not get on: look whether the job hangs, and stop it."


def _unwatched(f: Finding, v: Voice) -> Said:
    g = f.figures
    assert f.since_at is not None
    parts = [spell.plural(g[n], n[:-1]) for n in ("queues", "workers") if g[n]]
    whose = f"its {listed(parts)} {'have' if len(parts) > 1 or sum(g[n] or 0 for n in ('queues', 'workers')) > 1 else 'has'}"
    told = f"{whose} not been judged since" if parts else "nothing has been judged since"
    return f.source, f"no look at {f.source} since {v.moment(f.since_at)}; {told}.", (
        "See why with qpa doctor." if f.asks else ""
    )  # fmt: skip


SAY: dict[Kind, Callable[[Finding, Voice], Said]] = {
    "promise_broken": _promise_broken,
    "not_draining": _not_draining,
    "alive_not_draining": _alive_not_draining,
    "job_silent": _job_silent,
    "empty_unexplained": _empty,
    "retry_storm": _retry_storm,
    "orphaned": _orphaned,
    "too_few_workers": _too_few,
    "dead_grew": _dead,
    "workers_gone": _workers_gone,
    "crash_loop": _crash_loop,
    "stuck": _stuck,
    "unwatched": _unwatched,
}


# Pieces ---------------------------------------------------------------------------------------------------------------


def _subject(f: Finding) -> str:
    if f.figures["queue"] == "*":
        return f"{f.source} (all queues)"
    return f"{len(f.checks)} queues of {f.source}" if len(f.checks) > 1 else f.check


def _worst(g: dict[str, Any]) -> str:
    return _waited(g) if g["of"] == "oldest" else _held(g)


def _waited(g: dict[str, Any]) -> str:
    return f"oldest job waited {_long(g['worst'])}, promised {spell.duration(g['promised'])}"


def _held(g: dict[str, Any]) -> str:
    return f"{spell.plural(int(g['worst']), 'job')} waited, promised at most {spell.number(g['promised'])}"


def _oldest_waited(g: dict[str, Any]) -> str:
    """ "; oldest job waited 14 min, promised 10 min"."""
    if g["worst_age_s"] is not None and (g["promised_s"] is not None or g["worst_age_s"] > 0):
        promised = f", promised {spell.duration(g['promised_s'])}" if g["promised_s"] is not None else ""
        return f"; oldest job waited {_long(g['worst_age_s'])}{promised}"
    if g["promised_depth"] is not None and g["depth_max"] is not None:
        return f"; {spell.plural(int(g['depth_max']), 'job')} waited, promised at most {spell.number(g['promised_depth'])}"
    return f"; up to {spell.plural(int(g['depth_max']), 'job')} waited" if g["depth_max"] else ""


def _aged(g: dict[str, Any]) -> str:
    if g["oldest_age_s"] is None:
        return ""
    least = "at least " if g["oldest_is"] == "lower_bound" else ""
    promised = f", promised {spell.duration(g['promised_s'])}" if g["promised_s"] is not None else ""
    return f"; its oldest job waits for {least}{_long(g['oldest_age_s'])}{promised}"


def _hours(windows: list[dict[str, Any]]) -> str:
    """ "from 09:00 to 12:00 on weekdays, from 20:00 to 21:00 on weekends"."""
    told = [f"from {_clock(w['from_minute'])} to {_clock(w['to_minute'])} on {w['day']}s" for w in windows[:3]]
    return listed(told)


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02d}:{minute % 60:02d}"


def _little(g: dict[str, Any]) -> str:
    if "needed" not in g:
        return ""
    return (
        f"One job takes {length(g['service_s'])}: what comes keeps {g['needed']} at a time busy, and there is room for "
        f"{g['slots']}."
    )


def _grew(g: dict[str, Any]) -> str:
    return f"from {spell.number(g['retrying_before'])} to {spell.number(g['retrying_most'])}"


def _from(g: dict[str, Any]) -> str:
    return f" of {names(g['queues'])}" if g.get("queues") else ""


def _rate(per_min: float | None) -> str:
    """A rate in the figures that a reader can use: 0.3, 4.8, 26."""
    if per_min is None:
        return "n/a"
    return spell.number(round(per_min)) if abs(per_min) >= 10 else f"{per_min:.2g}"


def _long(seconds: float) -> str:
    return length(seconds)


def _at(stamp: str | None, v: Voice) -> str:
    return "" if stamp is None else f"{v.moment(datetime.fromisoformat(stamp))}"


def _alive(n: int) -> str:
    return f"{spell.plural(n, 'worker')} alive" if n else "no worker alive"


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _these(f: Finding) -> str:
    return f"These are {names(f.checks)}."


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
