"""The words for what drifts, is suddenly done sooner, or pages for nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from qpanalytics import spell
from qpanalytics.verdict.finding import Finding, Kind
from qpanalytics.verdict.voice import Voice, names, pair

Said = tuple[str, str, str]

_LIMITS = {"grace": "its grace", "max_runtime": "its max runtime", "interval": "the next run"}
_WEEKDAYS = ("", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


def _drifting(f: Finding, v: Voice) -> Said:
    g = f.figures
    many = len(f.checks) > 1
    subject = _subject(f)
    verb = ("runs longer", "run longer") if g["metric"] == "duration" else ("comes later", "come later")
    if g["change"] == "trend":
        head = f"{subject} {'are' if many else 'is'} drifting: {_told(g)} {pair(g['before_s'], g['after_s'])}"
    else:
        head = f"{subject} {verb[many]}: {g['told']} {pair(g['before_s'], g['after_s'])}"
    sentence = f"{head} since {_since(g, v)}{_on(g)}{_reaches(g, v)}."
    return subject, sentence, _joined(_range(g, v), _room(g), _step(g, v), _standing(g, v), _wanted(g), _these(f))


def _faster(f: Finding, v: Voice) -> Said:
    g = f.figures
    subject = _subject(f)
    take = "take" if len(f.checks) > 1 else "takes"
    less = "a third of the time" if g["after_s"] >= 0.25 * g["before_s"] else "far less time"
    sentence = f"{subject} {take} {less}: {g['told']} {pair(g['before_s'], g['after_s'])} since {_since(g, v)}."
    todo = "What it did in the rest of the time may be missing: look at what it left undone."
    return subject, sentence, _joined(_step(g, v), todo if g["new"] else "", _standing(g, v), _wanted(g), _these(f))


def _noisy(f: Finding, v: Voice) -> Said:
    g = f.figures
    subject = _subject(f)
    paged = "paged" if g["delivered"] else "would have paged"
    within = spell.duration(_up(g["back_s"]))
    if len(f.checks) > 1:
        pages = spell.plural(len(g["false_at"]), "time")
        head = f"{subject} {paged} {pages} for runs that came by themselves within {within}."
        return subject, head, _joined(_by_replay(g, v), "qpa grace says which grace each of them needs.", _these(f))
    times = spell.plural(g["pages"], "time")
    if g["false"] == g["pages"]:
        head = f"{subject} {paged} {times} and came back by itself within {within} each time."
    else:
        head = f"{subject} {paged} {times}; {spell.number(g['false'])} times it came back by itself within {within}."
    if g["grace_s"] is None:
        reason = g["reason"]
        why = f"No longer grace is suggested: {reason}." if reason else (
            "Over a year its grace keeps to the budget of false alarms, so a longer one is not suggested."
        )  # fmt: skip
        return subject, head, _joined(why, _by_replay(g, v))
    fewer = f"{spell.plural(g['spared'], 'page')} fewer that {v.noun}"
    price = f"a real miss is told {spell.duration(g['later_s'])} later"
    setting = f"Grace {pair(g['grace_now_s'], g['grace_s'])}: {fewer}; {price}."
    return subject, f"{head} {setting}", _joined(_lost(g), _by_replay(g, v))


SAY: dict[Kind, Callable[[Finding, Voice], Said]] = {"drifting": _drifting, "faster": _faster, "noisy": _noisy}


def clause(f: Finding, v: Voice) -> str:
    """The same in a few words, beside something worse."""
    g = f.figures
    if f.kind == "noisy":
        paged = "paged" if g["delivered"] else "would have paged"
        return f"{paged} {spell.plural(g['false'], 'time')} for runs that came by themselves"
    does = "takes less time" if f.kind == "faster" else "runs longer" if g["metric"] == "duration" else "comes later"
    return f"{does} ({g['told']} {pair(g['before_s'], g['after_s'])} since {_since(g, v)})"


def _subject(f: Finding) -> str:
    return f"{len(f.checks)} checks of {f.source}" if len(f.checks) > 1 else f.check


def _told(g: dict[str, Any]) -> str:
    return g["told"] if g["metric"] == "duration" else f"{g['told']} of lateness"


def _since(g: dict[str, Any], v: Voice) -> str:
    return v.since_day(_at(g["changed_at"]))


def _on(g: dict[str, Any]) -> str:
    return f", on {_WEEKDAYS[g['weekday']]} only" if g["weekday"] else ""


def _reaches(g: dict[str, Any], v: Voice) -> str:
    """The limit and the date; where one run in twenty is beyond it already, that."""
    if not g["meets"]:
        return ""
    limit = _LIMITS[g["meets"]]
    if g["change"] == "step" or g.get("reached"):
        return f"; one run in twenty is beyond {limit} of {spell.duration(g['limit_s'])}"
    return f"; reaches {limit} on about {v.dated(_at(g['meets_at']))}" if g.get("meets_at") else ""


def _range(g: dict[str, Any], v: Voice) -> str:
    lo, hi = g.get("meets_lo_at"), g.get("meets_hi_at")
    if not lo or not hi or g["change"] == "step" or g.get("reached"):
        return ""
    first, last = v.dated(_at(lo)), v.dated(_at(hi))
    return f"Between {first} and {last} if it goes on like this." if first != last else "If it goes on like this."


def _room(g: dict[str, Any]) -> str:
    """What it must stay below, where it does not meet that."""
    if g["meets"] or g.get("allowed_s") is None:
        return ""
    allowed = spell.duration(g["allowed_s"])
    return f"It may run for {allowed}." if g["metric"] == "duration" else f"The grace is {allowed}."


def _step(g: dict[str, Any], v: Voice) -> str:
    """How well the date of a step is known, where that is not to the day or two."""
    lo, hi = _at(g["changed_lo_at"]), _at(g["changed_hi_at"])
    if g["change"] != "step" or hi - lo < timedelta(days=2):
        return ""
    return f"It changed between {v.dated(lo)} and {v.dated(hi)}."


def _standing(g: dict[str, Any], v: Voice) -> str:
    if g["new"]:
        return ""
    return f"It has been known since {v.dated(_at(g['known_at']))}." if g["change"] == "trend" else (
        f"Not new: it has stood since then, and was told from {v.dated(_at(g['known_at']))} on."
    )  # fmt: skip


def _wanted(g: dict[str, Any]) -> str:
    return "Its schedule or its limits were changed at the same time." if g["promised"] else ""


def _lost(g: dict[str, Any]) -> str:
    if not g["lost"]:
        return f"Nothing real would have been lost in the last {spell.plural(g['lost_days'], 'day')}."
    were = spell.plural(g["lost"], "real problem")
    return f"{were} of the last {spell.plural(g['lost_days'], 'day')} would have been over before it was told."


def _by_replay(g: dict[str, Any], v: Voice) -> str:
    return "" if g["delivered"] else f"Counted by replaying that {v.noun} with the policy in force."


def _up(seconds: float) -> float:
    """Rounded up, so that "within" is true: to minutes, or to seconds below two of them."""
    step = 60 if seconds > 120 else 1
    return float(max(ceil(seconds / step) * step, 1))


def _these(f: Finding) -> str:
    return f"These are {names(f.checks)}." if len(f.checks) > 1 else ""


def _at(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
