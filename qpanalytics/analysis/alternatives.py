"""The policies that a replay compares: the one in force, and what it would be with another file or other numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qpanalytics.analysis.replaying import Override
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings

#: Where no channel is configured everything worth a page goes to this one, so that pages can be counted.
NOWHERE = "page"


@dataclass(frozen=True)
class Alternative:
    """A policy with a name, and what it changes of the checks."""

    name: str
    policy: Policy
    overrides: tuple[Override, ...] = ()


def in_force(settings: Settings, name: str = "in force") -> Alternative:
    """What the configuration says; without channels everything goes to one."""
    policy = Policy.of(settings)
    return Alternative(name, policy if policy.channels else replace(policy, channels=(NOWHERE,)))


def other(
    present: Alternative,
    settings: Settings | None = None,
    *,
    overrides: Iterable[Override] = (),
    in_a_row: int | None = None,
    name: str = "other",
) -> Alternative:
    """The policy of another configuration, or the present one, with changes on top.

    Of another configuration `[policy]` holds as it is; routes with their channels, maintenance, promises and
    `late_is_real` hold if it has any. Its checks change the grace, the max runtime and the severity of those of that name.
    """
    policy, changed = present.policy, list(present.overrides)
    if settings is not None:
        found = Policy.of(settings)
        routed = bool(found.channels)
        policy = Policy(
            found.table,
            found.routes if routed else policy.routes,
            found.channels if routed else policy.channels,
            found.maintenance or policy.maintenance,
            found.promises or policy.promises,
            policy.late_is_real_s if found.late_is_real_s is None else found.late_is_real_s,
        )
        for entry in settings.check:
            said = {"grace_s": entry.grace_s, "max_runtime_s": entry.max_runtime_s, "severity": entry.severity}
            changed += [Override(entry.check, of, v) for of, v in said.items() if v is not None]  # type: ignore[arg-type]
    if in_a_row is not None:
        table = policy.table.model_copy(update={"failures_in_a_row": in_a_row, "where": ()})
        policy = replace(policy, table=table)
    return Alternative(name, policy, (*changed, *overrides))
