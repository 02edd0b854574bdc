"""What nobody observed, in sentences: a line for each stretch, checks with the same one told together."""

from __future__ import annotations

from collections.abc import Sequence

from qpanalytics import spell
from qpanalytics.verdict.cases import Case, instant
from qpanalytics.verdict.voice import Voice, names


def unseen(cases: Sequence[Case], voice: Voice) -> list[str]:
    """What was lost for certain, a sentence for each source; then one for each stretch in the window, longest first."""
    groups: dict[tuple[str, int | None, int | None], list[Case]] = {}
    runs: dict[tuple[str, int | None, int | None], int] = {}
    lost: dict[tuple[str, int | None, int | None], int] = {}
    for case in cases:
        for hole in case.holes:
            key = (case.source, hole.since_us, hole.until_us)
            groups.setdefault(key, []).append(case)
            runs[key] = runs.get(key, 0) + hole.runs
            lost[key] = lost.get(key, 0) + hole.to_us - hole.from_us
    return _deleted(cases) + [
        f"{key[0]}: nothing seen {_when(key[1], key[2], voice)} of {_whom(groups[key])}{_lost(runs[key])}."
        for key in sorted(groups, key=lambda key: (-lost[key], key[0], key[1] or 0))
    ]


def _deleted(cases: Sequence[Case]) -> list[str]:
    """Pings that the source counted and no longer showed when it was asked."""
    by_source: dict[str, list[Case]] = {}
    for case in cases:
        if case.lost:
            by_source.setdefault(case.source, []).append(case)
    return [
        f"{source}: {spell.plural(sum(case.lost or 0 for case in found), 'ping')} of {_whom(found)} were deleted there before "
        "we looked. Collect more often: qpa doctor says how often."
        for source, found in sorted(by_source.items())
    ]


def _when(since_us: int | None, until_us: int | None, voice: Voice) -> str:
    since, until = instant(since_us), instant(until_us)
    if since is None:
        return "so far" if until is None else f"before {voice.moment(until)}"
    if until is None:
        return f"since {voice.moment(since)}"
    return f"from {voice.moment(since)} to {voice.moment(until)}"


def _whom(found: Sequence[Case]) -> str:
    checks = [case.check for case in found]
    return checks[0] if len(checks) == 1 else f"{len(checks)} checks ({names(checks)})"


def _lost(runs: int) -> str:
    return f"; {spell.plural(runs, 'expected run')} cannot be counted" if runs else ""
