"""From local days and times of day to UTC instants, all at once, and tick for tick what the parsers would give.

The parsers walk from tick to tick at 27 to 50 us each. But local time is UTC plus a constant between two changes of a zone's
offset, so that the ticks are days x times of day less that constant, and what becomes of a change is a matter of where the
local times are cut: those that the clocks skip are left out (or give one tick right after the gap), those that come twice
are laid out in the first pass only (or, in real time, in both).

cronsim departs from that in a corner: what runs in real time walks by whole minutes and hours, and jumps to midnights. So
after a change that does not lead from one full hour to another (Lord Howe's half hour) or whose gap holds the midnight that
a walk jumps to (Havana's, for a rule of Sundays only) the walk can be off: it can miss times, or begin within the gap. Around
these changes cronsim itself walks, from the last tick before, and the layout resumes with the first tick that it gives
afterwards: a walk depends on nothing but the tick it stands on, so the whole is one unbroken walk. Where cronsim is sent
back and never gets through, the rule runs in real time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date
from itertools import pairwise
from typing import TYPE_CHECKING

from qpanalytics.errors import ScheduleError
from qpanalytics.schedules import zones
from qpanalytics.schedules.rules import MICRO, Rule
from qpanalytics.schedules.zones import DAY_S, Change
from qpanalytics.spell import quoted

if TYPE_CHECKING:
    from qpanalytics.schedules.rules import Instants

FIRST_S, LAST_S = 0, 9_214_646_400  # 1970-01-01 to 2262-01-01
MOST_TICKS = 20_000_000  # 160 MB; a tick every minute for 38 years
HOUR_S, DAY_US = 3_600, DAY_S * MICRO
LOOK_BACK_S = 3 * DAY_S  # how long after a change a walk can still be off the plain layout
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def ticks(rule: Rule, start_us: int, end_us: int, room: int = MOST_TICKS) -> Instants:
    """The rule's ticks in [start, end), epoch microseconds, ascending, each once; ScheduleError if over `room`."""
    import numpy as np

    start_us, end_us = max(start_us, FIRST_S * MICRO), min(end_us, LAST_S * MICRO)
    if start_us >= end_us:
        return np.empty(0, dtype=np.int64)
    if rule.zone is UTC:
        return _laid(rule, start_us, end_us, room, [])
    start_s, end_s = start_us // MICRO, -(-end_us // MICRO)
    changes = zones.changes(max(start_s - 2 * LOOK_BACK_S, FIRST_S), end_s + DAY_S, rule.zone)
    blocks = [
        block for block in map(_block, (change for change in changes if rule.real_time and _is_odd(change, rule)))
        if block.start < end_s and block.end + LOOK_BACK_S > start_s
    ]  # fmt: skip
    if not blocks:
        return _laid(rule, start_us, end_us, room, changes)
    return _walked_through(rule, start_us, end_us, room, changes, blocks)


def day_number(year: int) -> int:
    """1 January as a day since 1970."""
    return date(year, 1, 1).toordinal() - _EPOCH_ORDINAL


def days_between(rule: Rule, first: int, last: int) -> Instants:
    """The matching days from `first` to `last`, both counted since 1970."""
    import numpy as np

    years = range(zones.year_of(first), zones.year_of(last) + 1)
    each = [rule.days(year).astype(np.int64) + day_number(year) for year in years]
    found = each[0] if len(each) == 1 else np.concatenate(each)
    return found[found.searchsorted(first) : found.searchsorted(last, "right")]


def _laid(rule: Rule, start_us: int, end_us: int, room: int, changes: list[Change]) -> Instants:
    """The ticks in [start, end) laid out, with every change there taken for a plain one."""
    start_s, end_s = start_us // MICRO, -(-end_us // MICRO)
    # A change before the start still tells in a second pass; a gap may have its tick up to a minute after its end.
    changes = [one for one in changes if start_s - max(60, one.before - one.after) <= one.at < end_s]
    if changes:
        begin_s, ahead = min(start_s, changes[0].at - 1), changes[0].before
        reach = [ahead, *(change.after for change in changes)]
    else:
        begin_s, ahead = start_s, zones.offset(start_s, rule.zone)
        reach = [ahead]
    days = days_between(rule, (begin_s + min(reach)) // DAY_S, (end_s - 1 + max(reach)) // DAY_S)
    if (days.size - 3) * rule.a_day > room:  # the first and the last days may be cut
        raise ScheduleError(
            f"schedule: {quoted(rule.text)} has over {MOST_TICKS // MICRO} million expected times in this stretch; "
            "ask for a shorter one",
            field="schedule",
        )
    found = ((days * DAY_US - ahead * MICRO)[:, None] + rule.times()).ravel()
    if changes and found.size:
        found = _changed(rule, found, changes)
    return found[found.searchsorted(start_us) : found.searchsorted(end_us)]


def _changed(rule: Rule, local: Instants, changes: list[Change]) -> Instants:
    """Local times, as if the offset before the first change held on, to what they are with the changes."""
    import numpy as np

    ahead = changes[0].before
    pieces: list[tuple[int, int, int]] = []  # from, to, microseconds to take off
    begin = off = 0
    for change in changes:
        cut = int(local.searchsorted((change.at + change.before - ahead) * MICRO))
        resume = int(local.searchsorted((change.at + change.after - ahead) * MICRO))
        pieces.append((begin, cut, off))
        off = (change.after - ahead) * MICRO
        if change.after > change.before:
            begin = resume
            if resume > cut and rule.caught_up and not rule.real_time:
                # The parser goes on by minutes until it is out of the gap.
                caught = (-(-(change.at + change.after) // 60) * 60 - ahead) * MICRO
                if resume == local.size or local[resume] != caught:
                    begin = resume - 1
                    local[begin] = caught
        else:
            begin = resume if rule.real_time else cut
    pieces.append((begin, local.size, off))
    if all(one[1] == other[0] for one, other in pairwise(pieces)):
        for begin, end, off in pieces:
            if off and end > begin:
                local[begin:end] -= off
        return local
    return np.concatenate([local[begin:end] - off for begin, end, off in pieces if end > begin] or [local[:0]])


@dataclass(frozen=True)
class _Block:
    """A stretch [start, end) around a change of offset that is left to the parser; epoch seconds."""

    start: int
    end: int
    ahead: int  # offset before the change


def _block(change: Change) -> _Block:
    # After the clock went back, the parser must have passed the repeated time; two hours are for whole-hour steps.
    end = change.at + abs(change.after - change.before) + 2 * HOUR_S
    return _Block(change.at - HOUR_S, end, change.before)


def _is_odd(change: Change, rule: Rule) -> bool:
    """Whether what runs in real time may walk through that change in another way than real time does."""
    low, high = sorted((change.at + change.before, change.at + change.after))
    first, last = low // DAY_S, high // DAY_S
    near = days_between(rule, max(first - 1, 0), last + 1).tolist()
    if not near:  # the walk passes by whole days
        return False
    midnight = -(-low // DAY_S)
    jumps = midnight in near and midnight - 1 not in near  # to that midnight, else the walk runs into it in real time
    if change.after < change.before and low < midnight * DAY_S < high and jumps:
        # St. John's went from 00:01 back to the day before: sent from there to midnight again and again, cronsim never ends.
        return False
    if low % HOUR_S or high % HOUR_S:
        return True
    if change.after < change.before:
        return low < midnight * DAY_S < high
    return high - low > DAY_S or (midnight * DAY_S < high and jumps)


def _walked_through(
    rule: Rule, start_us: int, end_us: int, room: int, changes: list[Change], blocks: list[_Block]
) -> Instants:
    """The ticks in [start, end), where the parser walks through the blocks."""
    import numpy as np

    resume = min(start_us, blocks[0].start * MICRO)
    parts: list[Instants] = []
    for block in blocks:
        if resume >= block.end * MICRO:  # a rare rule, whose next tick lies beyond this change
            continue
        if resume < block.start * MICRO:
            parts.append(_laid(rule, resume, block.start * MICRO, room, changes))
            room -= parts[-1].size
        walk = _walked(rule, block)
        if walk is None:
            parts.append(_laid(rule, max(resume, block.start * MICRO), block.end * MICRO, room, changes))
            resume = block.end * MICRO
        else:
            parts.append(np.array(walk[0], dtype=np.int64))
            resume = walk[1]
    if resume < end_us:
        parts.append(_laid(rule, resume, end_us, room, changes))
    found = np.concatenate(parts)
    return found[found.searchsorted(start_us) : found.searchsorted(end_us)]


def _walked(rule: Rule, block: _Block) -> tuple[list[int], int] | None:
    """The parser's ticks within the block, and its first one after it; None if its walk never gets there.

    Chatham goes from 03:45 back to 02:45: from there cronsim looks for 03:00 from 02:00 on, which is before the change.
    """
    local = block.start + block.ahead
    day_before = local // DAY_S * DAY_S - DAY_S - block.ahead
    recent = _laid(rule, day_before * MICRO, block.start * MICRO, MOST_TICKS, [])
    # Without a tick since then the day before does not match, and the walk gets to the block by whole days.
    state = int(recent[-1]) // MICRO if recent.size else day_before - 1
    walked: list[int] = []
    for tick in rule.walk(zones.at(state, rule.zone)):
        tick_s = round(tick.timestamp())
        if walked and tick_s * MICRO <= walked[-1]:  # sent back, and so it will be each time
            break
        if tick_s >= block.end:
            return walked, tick_s * MICRO
        walked.append(tick_s * MICRO)
    return None
