"""What would happen if a check did not run: when it is trouble, whose fault it is taken for, who is told, by which rule."""

from __future__ import annotations

from dataclasses import dataclass

from qpanalytics import spell
from qpanalytics.policy.changes import Incident, Member
from qpanalytics.policy.events import Promised
from qpanalytics.policy.maintained import Maintained
from qpanalytics.policy.routing import end_of, matches, numbered, within
from qpanalytics.policy.rules import Policy
from qpanalytics.policy.sign import SECOND


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would follow: `at` in epoch microseconds (None: it would not), `what`, by which `rule`, to `channel`."""

    at: int | None
    what: str
    rule: str
    channel: str = ""


def explain(policy: Policy, promised: Promised, *, deadline_at: int, kind: str = "missed") -> list[Step]:
    """The steps from the deadline of a run that does not come to the last channel that hears of it, in order of time.

    `deadline_at` is that of the next run (`Engine.standing`). Later deadlines are reckoned from it only as far as failures
    in a row need them: they are told as a count, since the schedule says when they are.
    """
    version = next((v for v in promised.versions if v.from_us <= deadline_at < v.to_us), None)
    tags = tuple(dict.fromkeys((*(version.tags if version else ()), *promised.tags)))
    severity = policy.severity(promised.check, tags, (version.severity if version else None) or promised.severity)
    in_a_row = policy.failures_in_a_row(promised.check, tags)
    member = Member("check", promised.check, kind, severity, deadline_at, promised.source, tags)
    steps = [_trouble(policy, promised, tags, deadline_at, in_a_row)]
    if steps[0].at is None:
        return steps
    if promised.after is not None:
        link = f"if {promised.after} is in trouble too, nobody is told of this one"
        steps.append(Step(deadline_at, link, f"after = {promised.after}"))
    least, minutes = policy.table.group_least, spell.duration(policy.table.group_within)
    together = f"{least} or more of one host, tag or source within {minutes} are one incident"
    steps.append(Step(deadline_at, together, "group_least, group_within"))
    told = [step for number, _ in numbered(policy) for step in _route(policy, number, member, deadline_at)]
    if not told:
        steps.append(Step(None, "nobody is told", "no route is for it" if policy.routes else "no channel is configured"))
    return steps + sorted(told, key=lambda step: (step.at is None, step.at or 0))


def _trouble(policy: Policy, promised: Promised, tags: tuple[str, ...], deadline_at: int, in_a_row: int) -> Step:
    end = Maintained(policy.maintenance).until(promised.check, tags, deadline_at)
    if end is not None:
        return Step(None, f"nothing: in maintenance until {spell.iso(end)}", "maintenance")
    what = f"nothing yet: it is trouble from {in_a_row} bad runs in a row on" if in_a_row > 1 else "an incident opens"
    return Step(deadline_at, what, f"failures_in_a_row = {in_a_row}")


def _route(policy: Policy, number: int, member: Member, at: int) -> list[Step]:
    route = dict(numbered(policy))[number]
    rule = f"route {number}" if number else "no route: every channel"
    if not matches(route, member):
        return []
    if route.between is not None and not within(route.between, route.tz, at):
        return [Step(None, f"{', '.join(route.to)} is not told at that hour", f"{rule}, between = {route.between}")]
    when, why = at, rule
    table = policy.table
    if table.quiet is not None and member.severity not in table.spares and within(table.quiet, table.tz, at):
        when, why = end_of(table.quiet, table.tz, at), f"{rule}, quiet = {table.quiet}"
    steps = [Step(when, "told, if it lasts until then" if when > at else "told", why, channel) for channel in route.to]
    if table.remind is not None:
        again = when + round(table.remind * SECOND)
        steps += [Step(again, "told again, if nobody has acknowledged it", f"{rule}, remind", channel) for channel in route.to]
    if route.escalate is not None:
        later = when + round(route.escalate.after * SECOND)
        steps += [
            Step(later, "told, if nobody has acknowledged it", f"{rule}, escalate", channel) for channel in route.escalate.to
        ]
    return steps


def told(policy: Policy, incident: Incident) -> list[tuple[str, str]]:
    """Which channel was told of an incident that is open, and by which rule it has a way there."""
    found = []
    for channel in incident.told:
        ways = [f"route {number}" for number, route in numbered(policy) if channel in route.to and number]
        found.append((channel, ", ".join(ways) or "escalation, or no route"))
    return found
