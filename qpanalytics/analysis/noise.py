"""Pages for runs that came by themselves: how many were sent, or would have been, and the grace that spares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from qpanalytics.analysis.alerting import Paged, alerting
from qpanalytics.analysis.alternatives import default, other
from qpanalytics.analysis.replay import Page, pages
from qpanalytics.analysis.replaying import Override
from qpanalytics.errors import StoreError
from qpanalytics.instants import TICK, micros

if TYPE_CHECKING:
    from qpanalytics.analysis.grace import Advice
    from qpanalytics.history import History

LEAST = 2
"""One page for nothing is luck."""

MOST_RUNS = 2_000
"""Runs of a window that are replayed, of the checks with the most late ones: a page a run is noise enough to be told."""

LOST_DAYS = 90
"""Over so many days it is asked what a longer grace would have hidden."""


@dataclass(frozen=True, slots=True)
class Noise:
    """The pages for one check in the window, those that were sent (`delivered`) or would have been under the policy in force:
    `false` of `pages` for runs that came by themselves, at `false_us` (epoch microseconds), the longest of them `back_s`
    seconds after its page.

    `grace_s` is the recommended grace, where it is longer than the present one and spares pages; `spared` of the pages would
    not have been sent under it, and a run that never comes is told `later_s` later. `lost` real problems of the last
    `lost_days` days were over by then and would not have been told. Else `why` says why no grace helps.
    """

    pages: int
    false: int
    false_us: tuple[int, ...]
    back_s: float
    grace_now_s: float | None = None
    grace_s: float | None = None
    spared: int = 0
    later_s: float = 0.0
    lost: int = 0
    lost_days: int = LOST_DAYS
    why: str = ""
    delivered: bool = False


def noise(history: History, late: Mapping[int, tuple[int, int]], advice: Mapping[int, Advice]) -> dict[int, Noise]:
    """The noise of each check that has some, by check; `late` holds the late runs and all runs of each in the window.

    The pages are those that were sent, where any were for a check; else those of a replay of the window. Only checks with
    late runs can page for nothing.
    """
    ids = _worth_replaying(late)
    if not ids:
        return {}
    names = {row["check_id"]: row["check_name"] for row in history.sql("grace_checks", ids=ids).to_pylist()}
    paged = _paged(history)
    known = [check for check in ids if names[check] in paged]
    found = {
        check: _delivered(history, paged[names[check]], advice.get(check)) for check in known if _often(paged[names[check]])
    }
    ids = [check for check in ids if check not in known]
    return found | _replayed(history, ids, names, advice) if ids else found


def _replayed(history: History, ids: Sequence[int], names: Mapping[int, str], advice: Mapping[int, Advice]) -> dict[int, Noise]:
    """The noise that a replay of the window has."""
    present = default(history)
    now = _by_check(pages(history, [present], ids)[0])
    noisy = [check for check in ids if _needless(now.get(names[check], []))]
    longer = {check: limit for check in noisy if (limit := _longer(advice.get(check))) is not None}
    then: dict[str, list[Page]] = {}
    if longer:
        changed = other(present, overrides=[Override(names[check], "grace_s", limit) for check, limit in longer.items()])
        then = _by_check(pages(history, [changed], ids)[0])
    return {
        check: _noise(history, now[names[check]], then.get(names[check], []), advice.get(check), longer.get(check))
        for check in noisy
    }


def _longer(told: Advice | None) -> float | None:
    """The recommended grace, where it is longer than the present one."""
    if told is None or told.best is None or told.now is None or told.best.limit_s <= told.now.limit_s:
        return None
    return told.best.limit_s


def _paged(history: History) -> dict[str, Paged]:
    """What was sent in the window, by check; nothing where that is not known, which the digest says."""
    try:
        known = alerting(history)
    except StoreError:
        return {}
    return {} if known is None else {paged.name: paged for paged in known.paged if paged.about == "check"}


def _often(paged: Paged) -> bool:
    return paged.needless >= LEAST and 2 * paged.needless >= paged.pages


def _delivered(history: History, paged: Paged, advice: Advice | None) -> Noise:
    limit_s = _longer(advice)
    spared = 0 if limit_s is None else sum(s is not None and s <= limit_s for s in paged.enough_s)
    present = None if advice is None or advice.now is None else advice.now.limit_s
    found = Noise(paged.pages, paged.needless, paged.needless_us, paged.back_s or 0.0, present, delivered=True)
    return _priced(history, found, spared, advice, limit_s)


def _worth_replaying(late: Mapping[int, tuple[int, int]]) -> list[int]:
    """The checks with the most late runs, until their runs are many."""
    found: list[int] = []
    room = MOST_RUNS
    for check, (k, n) in sorted(late.items(), key=lambda item: (-item[1][0], item[0])):
        if k < LEAST or (found and n > room):
            continue
        found.append(check)
        room -= n
    return sorted(found)


def _by_check(found: Sequence[Page]) -> dict[str, list[Page]]:
    by: dict[str, list[Page]] = {}
    for page in found:
        for check in dict.fromkeys(name for name, _ in page.runs):
            by.setdefault(check, []).append(page)
    return by


def _needless(found: Sequence[Page]) -> bool:
    """Whether most pages were for nothing, and more than one."""
    false = sum(page.real is False for page in found)
    return false >= LEAST and 2 * false >= len(found)


def _noise(
    history: History, now: Sequence[Page], then: Sequence[Page], advice: Advice | None, grace_s: float | None
) -> Noise:
    false = [page for page in now if page.real is False]
    present = None if advice is None or advice.now is None else advice.now.limit_s
    found = Noise(len(now), len(false), tuple(page.at for page in false), max(page.back_s for page in false), present)
    return _priced(history, found, len(now) - len(then), advice, grace_s)


def _priced(history: History, found: Noise, spared: int, advice: Advice | None, grace_s: float | None) -> Noise:
    """With the grace that spares so many of the pages and what it costs; else why none does."""
    present = found.grace_now_s
    if advice is None or grace_s is None or present is None or spared <= 0:
        return replace(found, why="" if advice is None else advice.why)
    sample = advice.limited.sample
    end_us = micros(min(history.until, history.as_of + TICK))
    recent = sample.at_us >= end_us - timedelta(days=LOST_DAYS) // timedelta(microseconds=1)
    real = recent & ~sample.false
    lost = int((real & (sample.well_s <= grace_s) & (sample.well_s > present)).sum())
    days = round((end_us - max(int(sample.at_us[0]), end_us - LOST_DAYS * 86_400_000_000)) / 86_400_000_000)
    return replace(found, grace_s=grace_s, spared=spared, later_s=grace_s - present, lost=lost, lost_days=min(days, LOST_DAYS))


