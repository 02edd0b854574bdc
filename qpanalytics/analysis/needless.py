"""Whether a page was needless: what it was about came right by itself before anybody could have done something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qpanalytics.ledger.versions import Version, in_force, schedule_of
from qpanalytics.policy.changes import Incident, Member

#: Kinds of trouble that a longer grace would have waited out, for the run came.
LATE = ("missed", "late")
#: The expected time that follows one of a check, both in epoch microseconds; None where that is not known.
Following = Callable[[str, int], int | None]


def following(versions: Mapping[str, Sequence[Version]]) -> Following:
    """The next expected time by the promises of checks, by name."""

    def after(check: str, expected_us: int) -> int | None:
        version = in_force(versions.get(check, ()), expected_us)
        if version is None or version.schedule is None:
            return None
        schedule = schedule_of(version.schedule, version.tz)
        return expected_us + round(schedule.period_s * 1e6) if schedule.period_s else schedule.after(expected_us)

    return after


def needless(one: Incident, after: Following, late_is_real_s: float | None = None) -> bool:
    """Whether an incident went by alone: each of its members was well again in under the check's grace, or its late run
    came no later than `late_is_real_s` after its time (None: half of the time to the next one).

    An incident that is open, was closed by hand, or is about a queue, a worker or a source is not. The rule for late runs is
    that of `qpa grace` and `qpa replay`.
    """
    if one.resolved_at is None or one.why:
        return False
    return all(_by_itself(member, _end(one, member), after, late_is_real_s) for member in one.members)


def enough_s(one: Incident) -> float | None:
    """The grace, seconds, under which a needless incident had not been told: how late its latest run came.

    None where a grace is not what would have helped, as after a failure that was made good.
    """
    late: list[float] = []
    for member in one.members:
        expected = member.evidence.get("expected_at")
        if member.kind not in LATE or expected is None:
            return None
        late.append((_end(one, member) - expected) / 1e6)
    return max(late, default=None)


def _end(one: Incident, member: Member) -> int:
    end = member.resolved_at if member.resolved_at is not None else one.resolved_at
    assert end is not None  # asked of incidents that are over
    return end


def _by_itself(member: Member, end: int, after: Following, late_is_real_s: float | None) -> bool:
    expected, deadline = member.evidence.get("expected_at"), member.evidence.get("deadline_at")
    if member.about != "check" or expected is None or deadline is None:
        return False
    if len(member.evidence.get("occurrences", ())) > 1:
        return False  # a run before this one went wrong for good
    if end - member.since_at < deadline - expected:
        return True
    if member.kind not in LATE:
        return False
    if late_is_real_s is not None:
        return bool(end - expected <= late_is_real_s * 1e6)
    following = after(member.name, expected)
    return following is not None and bool(end - expected <= (following - expected) / 2)
