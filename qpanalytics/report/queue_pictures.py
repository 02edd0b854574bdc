"""What the larger figures of queues show: levels against the promise, what comes and goes, the hours that fill, workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import isfinite
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from qpanalytics import spell
from qpanalytics.analysis.flow import Steps
from qpanalytics.instants import EPOCH, micros
from qpanalytics.report.queue_model import Heat, Levels, Line, Rates
from qpanalytics.verdict.finding import Finding
from qpanalytics.verdict.queue_cases import QueueCase, alive_at
from qpanalytics.verdict.voice import Voice

if TYPE_CHECKING:
    from qpanalytics.history import History

Picked = tuple[QueueCase | None, Finding]
Picture = Levels | Rates | Heat

COLUMNS = 190
"""A figure has so many places across: of more looks each shows the most of it, which is what a promise is about."""

LEAST_POINTS = 12
FLOWS = ("not_draining", "promise_broken", "alive_not_draining")
RETRIES = ("retry_storm", "dead_grew")


def pictures(history: History, named: Sequence[Picked], most: int, voice: Voice) -> tuple[Picture, ...]:
    """At most `most` figures: first one of each finding in its order, then what tells more of the first ones."""
    each = [list(_of(history, case, finding, voice)) for case, finding in named]
    chosen: list[tuple[int, int, Picture]] = []
    every = [(place, depth, picture) for place, made in enumerate(each) for depth, picture in enumerate(made)]
    for one in sorted(every, key=lambda one: (one[1] > 0, one[0], one[1])):
        if len(chosen) < most:
            chosen.append(one)
    return tuple(picture for _, _, picture in sorted(chosen, key=lambda one: one[:2]))


def _of(history: History, case: QueueCase | None, f: Finding, voice: Voice) -> Iterator[Picture]:
    if case is None:
        yield from _workers(history, f, voice)
        return
    steps = case.steps
    if steps is None or len(steps.at) < LEAST_POINTS:
        return
    kinds = {f.kind, *(other.kind for other in f.also)}
    if f.kind in RETRIES:
        yield _retries(history, case, steps, f, voice)
    else:
        yield _levels(history, case, steps, f, voice)
    if kinds & set(FLOWS):
        if case.fills and f.kind in FLOWS:
            yield _heat(case, steps, f, voice)
        if np.isfinite(steps.arrivals).any():
            yield _rates(history, case, steps, f, voice)


def _levels(history: History, case: QueueCase, steps: Steps, f: Finding, voice: Voice) -> Levels:
    said = case.promise
    depth = Line(
        "jobs waiting", "jobs", _points(steps, "depth_max"), said.depth,
        "" if said.depth is None else f"promised at most {spell.number(said.depth)}", filled=True,
    )  # fmt: skip
    panels = [depth]
    if np.isfinite(steps.looks["oldest_age_max_s"]).any():
        limit = "" if said.oldest_s is None else f"promised {spell.duration(said.oldest_s)}"
        panels.append(Line("age of the oldest", "s", _ages(steps), said.oldest_s, limit))
    what = "jobs waiting, and how long the oldest does" if len(panels) > 1 else "jobs waiting"
    return Levels(
        f"{case.label}: {what}", f"The most at {_each(steps)}{_marked(steps)}", f.sentence, *_span(history), tuple(panels),
        _resets(steps), voice.tz,
    )  # fmt: skip


def _retries(history: History, case: QueueCase, steps: Steps, f: Finding, voice: Voice) -> Levels:
    panels = [
        Line(name, "jobs", _points(steps, key), filled=key == "retrying")
        for key, name in (("retrying", "waiting for another try"), ("dead", "given up"))
        if np.isfinite(steps.looks[key]).any()
        and (key == "retrying" or np.nanmax(steps.looks[key]) > np.nanmin(steps.looks[key]))
    ]
    name = f"{case.source} (all queues)" if case.queue == "*" else case.label
    return Levels(
        f"{name}: retries{' and dead jobs' if len(panels) > 1 else ''}", f"The most at {_each(steps)}", f.sentence,
        *_span(history), tuple(panels), (), voice.tz,
    )  # fmt: skip


def _rates(history: History, case: QueueCase, steps: Steps, f: Finding, voice: Voice) -> Rates:
    """By the hour, of windows that are longer than nine days by several: a figure has room for some two hundred."""
    hours = max((history.until - history.since) / timedelta(hours=1) / 216, 1.0)
    wide = int(np.ceil(hours)) * 3600
    middles = ((steps.at[:-1] + steps.at[1:]) / 2) // wide
    made = []
    for place in np.unique(middles):
        mine = middles == place
        made.append(
            (round(place * wide * 1e6), round((place + 1) * wide * 1e6), _mean(steps.arrivals[mine], steps.seconds[mine]),
             _mean(steps.service[mine], steps.seconds[mine]))
        )  # fmt: skip
    each = "hour" if wide == 3600 else f"{wide // 3600} h"
    caption = f"Jobs a minute in each {each}, from {spell.plural(len(steps.seconds), 'step')} between looks{_marked(steps)}"
    title = f"{case.label}: what comes and what goes"
    return Rates(title, caption, f.sentence, *_span(history), tuple(made), _resets(steps), voice.tz)


def _mean(amounts: np.ndarray, seconds: np.ndarray) -> float | None:
    known = np.isfinite(amounts)
    whole = float(seconds[known].sum())
    return max(float(amounts[known].sum()) / whole * 60, 0.0) if whole else None


def _heat(case: QueueCase, steps: Steps, f: Finding, voice: Voice) -> Heat:
    """Mean growth of what waits by weekday and hour."""
    zone = ZoneInfo(voice.tz)
    grown, seconds = np.zeros((7, 24)), np.zeros((7, 24))
    for at, long, more in zip(
        (steps.at[:-1] + steps.seconds / 2).tolist(), steps.seconds.tolist(), steps.grown.tolist(), strict=True
    ):
        if long > 5400 or not isfinite(more):
            continue  # it belongs to no hour
        local = (EPOCH + timedelta(seconds=at)).astimezone(zone)
        grown[local.weekday(), local.hour] += more
        seconds[local.weekday(), local.hour] += long
    cells = tuple(
        tuple(float(grown[d, h] / seconds[d, h] * 3600) if seconds[d, h] else None for h in range(24)) for d in range(7)
    )
    top = max((c for day in cells for c in day if c is not None), default=0.0)
    return Heat(
        f"{case.label}: hours in which it fills",
        f"Squares: more jobs came than went, at most {spell.number(round(top))} in an hour; a dot: no more came than went",
        f.sentence, cells,
    )  # fmt: skip


def _workers(history: History, f: Finding, voice: Voice) -> Iterator[Levels]:
    found = alive_at(history).get((f.source, ""), [])
    if len(found) < LEAST_POINTS:
        return
    usual = f.figures["usual"]
    points = tuple(_columns([at for at, _ in found], [float(n) for _, n in found], least=True))
    line = Line("alive", "workers", points, float(usual), f"usually {usual}", usual=True)
    caption = f"The fewest at {spell.plural(len(found), 'look')}"
    yield Levels(f"{f.source}: workers alive", caption, f.sentence, *_span(history), (line,), (), voice.tz)


def _points(steps: Steps, name: str) -> tuple[tuple[int, float | None], ...]:
    return tuple(_columns([round(at * 1e6) for at in steps.at], steps.looks[name].tolist()))


def _ages(steps: Steps) -> tuple[tuple[int, float | None], ...]:
    """Where nothing waits the oldest has waited for no time; that is known."""
    ages = np.where(steps.looks["depth_max"] == 0, 0.0, steps.looks["oldest_age_max_s"])
    return tuple(_columns([round(at * 1e6) for at in steps.at], ages.tolist()))


def _columns(at: Sequence[int], values: Sequence[float], *, least: bool = False) -> Iterator[tuple[int, float | None]]:
    """The most (or least) of the looks in each of `COLUMNS` stretches; a None where nobody looked for long."""
    if not at:
        return
    wide = max((at[-1] - at[0]) // COLUMNS, 1)
    gap = 3 * max(wide, int(np.median(np.diff(at))) if len(at) > 1 else 1)
    kept: list[tuple[int, float | None]] = []
    column = -1
    for us, value in zip(at, values, strict=True):
        known = None if not isfinite(value) else float(value)
        place = (us - at[0]) // wide
        if place == column and kept[-1][1] is not None and known is not None:
            best = min(kept[-1][1], known) if least else max(kept[-1][1], known)
            kept[-1] = (kept[-1][0], best)
            continue
        if kept and us - kept[-1][0] > gap + wide:
            kept.append((us - 1, None))
        kept.append((us, known))
        column = place
    yield from kept


def _resets(steps: Steps) -> tuple[tuple[int, str], ...]:
    again = np.flatnonzero(np.nan_to_num(steps.looks["resets"][1:]) > 0) + 1
    return tuple((round(float(steps.at[place]) * 1e6), "counter began anew") for place in again[-5:])


def _marked(steps: Steps) -> str:
    return f"; its counter began anew {spell.plural(steps.resets, 'time')}" if steps.resets else ""


def _each(steps: Steps) -> str:
    return spell.plural(len(steps.at), "look")


def _span(history: History) -> tuple[int, int]:
    return micros(history.since), micros(history.until)
