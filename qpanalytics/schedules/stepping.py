"""The neighbours of an instant by the parsers' own steps, without NumPy.

The layout answers in microseconds, but to load NumPy takes longer than the few questions of one minute of a watch. The
parsers are what the layout has to equal, tick for tick, so the answers are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta

from qpanalytics.instants import instant, micros
from qpanalytics.schedules.rules import MICRO, Rule

#: Where steps are taken, epoch microseconds: parsers know no ends of the world. 1971 to 2199.
_FIRST_US, _LAST_US = 365 * 86_400 * MICRO, 7_226_582_400 * MICRO
#: How far back the last tick is looked for, doubled and redoubled from here to a year; behind that the layout looks.
_BACK, _LONGEST, _FACTOR = timedelta(minutes=10), timedelta(days=400), 6


def pays() -> bool:
    """Whether stepping is cheaper: NumPy is not loaded yet."""
    return "numpy" not in sys.modules


def after(rules: Sequence[Rule], t_us: int) -> int | None:
    """The first tick strictly after `t_us`; None where stepping cannot tell."""
    if not _FIRST_US < t_us < _LAST_US:
        return None
    found = [next(_walked(rule, t_us), None) for rule in rules]
    known = [tick for tick in found if tick is not None]
    return min(known) if len(known) == len(found) and max(known) < _LAST_US else None


def before(rules: Sequence[Rule], t_us: int) -> int | None:
    """The last tick strictly before `t_us`; None where stepping cannot tell."""
    back = _BACK
    while back < _LONGEST:
        start = t_us - back // timedelta(microseconds=1)
        if not _FIRST_US < start < t_us < _LAST_US:
            return None
        found = [tick for rule in rules if (tick := _last(rule, start, t_us)) is not None]
        if found:
            return max(found)
        back *= _FACTOR
    return None


def _last(rule: Rule, start_us: int, t_us: int) -> int | None:
    """The last tick in (start, t)."""
    last = None
    for tick in _walked(rule, start_us):
        if tick >= t_us:
            break
        last = tick
    return last


def _walked(rule: Rule, start_us: int) -> Iterator[int]:
    return (micros(tick) for tick in rule.walk(instant(start_us).astimezone(rule.zone)))
