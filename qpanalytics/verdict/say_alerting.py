"""How alerting itself did, in words: pages and what became of them, time to notice, flaps, messages that never arrived."""

from __future__ import annotations

from qpanalytics import spell
from qpanalytics.analysis.alerting import Alerting, Paged
from qpanalytics.verdict.voice import Voice, length, listed

#: So many names, and channels, are told; the others are counted.
MOST = 3
#: Less is no reason to name somebody.
LEAST_PAGES = 2


def rule(late_is_real_s: float | None) -> str:
    """What counts as a page, and as one that went by alone."""
    late = "half of the time to the next one was gone" if late_is_real_s is None else f"it was {length(late_is_real_s)} late"
    return (
        "A page is an opening or an escalation of an incident that a channel took, over however many channels. It went by alone "
        f"if its check was well again in under its grace, or the late run came before {late}."
    )


def parts(of: Alerting) -> tuple[tuple[int, str], ...]:
    """What became of the pages: (4, "real"), (5, "went by alone"), (1, "not over"); they add up to all."""
    return tuple((n, words) for n, words in ((of.real, "real"), (of.needless, "went by alone"), (of.open, "not over")) if n)


def lines(of: Alerting, voice: Voice) -> list[str]:
    """A sentence or two on each thing that there is something to say of; empty where nothing was sent."""
    return [line for line in (_pages(of, voice), _noticed(of), _most(of), _flaps(of), *_lost(of)) if line]


def _pages(of: Alerting, voice: Voice) -> str:
    if not of.pages and not of.before:
        return ""
    said = f"{spell.plural(of.pages, 'page')} {voice.now()}"
    if of.before is not None:
        said += f", {spell.number(of.before)} {voice.before()}"
    what = [f"{spell.number(n)} {words}" for n, words in parts(of)]
    if not what:
        return f"{said}."
    return f"{said}: {listed(what)}, of {spell.plural(of.incidents, 'incident')}."


def _noticed(of: Alerting) -> str:
    if not of.noticed_s:
        return ""
    taken = f"{spell.number(of.acked)} of {spell.number(of.told)} acknowledged."
    if len(of.noticed_s) == 1:
        return f"Told {length(of.noticed_s[0])} after things went wrong; {taken}"
    middle, longest = length(of.noticed_p50_s), length(of.noticed_max_s)
    return f"Told {middle} after things went wrong (median of {spell.number(of.told)} incidents), at most {longest}; {taken}"


def _most(of: Alerting) -> str:
    often = [paged for paged in of.paged if paged.pages >= LEAST_PAGES]
    if not often:
        return ""
    more = f"; and {spell.number(len(often) - MOST)} more with {LEAST_PAGES} or more" if len(often) > MOST else ""
    return f"Most pages: {', '.join(_paged(paged) for paged in often[:MOST])}{more}."


def _paged(paged: Paged) -> str:
    name = paged.name if paged.about == "check" else f"{paged.about} {paged.name}"
    alone = f" ({spell.number(paged.needless)} went by alone)" if paged.needless else ""
    return f"{name} {spell.number(paged.pages)}{alone}"


def _flaps(of: Alerting) -> str:
    if not of.flaps:
        return ""
    told = [f"{check} {_times(n)}" for check, n in of.flaps[:MOST]]
    more = [f"{spell.number(len(of.flaps) - MOST)} more"] if len(of.flaps) > MOST else []
    return f"Opened again within an hour of the time before: {listed([*told, *more])}."


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{spell.number(n)} times")


def _lost(of: Alerting) -> list[str]:
    # the reason begins with the channel's name, for it also stands alone
    whys = [lost.why.removeprefix(f"{lost.channel}: ").rstrip(".") or "why is not known" for lost in of.lost]
    said = [
        f"Channel {lost.channel} gave up {spell.plural(lost.n, 'message')}; the last: {why}."
        for lost, why in zip(of.lost, whys, strict=True)
    ]
    more = len(said) - MOST
    return said if more <= 0 else [*said[:MOST], f"So did {spell.plural(more, 'more channel')}."]
