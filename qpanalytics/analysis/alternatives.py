"""The policies that a replay compares: the one in force, and what it would be with another file or other numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from qpanalytics import spell
from qpanalytics.analysis.replaying import Override
from qpanalytics.errors import UsageError
from qpanalytics.policy.rules import Policy
from qpanalytics.settings import Settings
from qpanalytics.words import Severity

if TYPE_CHECKING:
    from qpanalytics.history import History

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


def default(history: History, name: str = "in force") -> Alternative:
    """The policy in force; without a configuration, or channels in it, every critical check and every warning goes to one."""
    if history.policy is not None:
        return Alternative(name, history.policy if history.policy.channels else replace(history.policy, channels=(NOWHERE,)))
    return Alternative(name, Policy(channels=(NOWHERE,), maintenance=history.maintenance, promises=history.promises))


def policy(
    history: History,
    name: str = "other",
    *,
    grace: Mapping[str, str | float] | None = None,
    max_runtime: Mapping[str, str | float] | None = None,
    severity: Mapping[str, str] | None = None,
    failures_in_a_row: int | None = None,
) -> Alternative:
    """The policy in force with other numbers: what `qpa replay` takes as options, for a notebook.

    Names of checks are shell patterns, the last that fits counts; durations are text ("20 min") or seconds.
    `UsageError` for what is neither.

    >>> h = qpa.demo()
    >>> qpa.replay(h, policies=[default(h), policy(h, "patient", grace={"rss": "6 h"})])
    """
    if failures_in_a_row is not None and failures_in_a_row < 1:
        raise UsageError(f"failures_in_a_row: {failures_in_a_row} is not a number of bad runs; try 2")
    changed = [Override(check, "grace_s", _seconds("grace", check, value)) for check, value in (grace or {}).items()]
    changed += [Override(check, "max_runtime_s", _seconds("max_runtime", check, v)) for check, v in (max_runtime or {}).items()]
    for check, value in (severity or {}).items():
        if value not in set(Severity):
            raise UsageError(f"severity of {spell.quoted(check)}: {spell.quoted(value)} is not one of {', '.join(Severity)}")
        changed.append(Override(check, "severity", value))
    known(history, changed)
    return other(default(history), overrides=changed, in_a_row=failures_in_a_row, name=name)


def known(history: History, overrides: Iterable[Override]) -> None:
    """`UsageError` for an override of no check of the history: a slip in a name would compare a policy with itself."""
    names = history.checks["check"].tolist()
    for one in overrides:
        if not any(one.takes(name) for name in names):
            what = one.of.removesuffix("_s")
            raise UsageError(f"there is no check {spell.quoted(one.checks)} to give another {what}{_near(one, names)}")


def _near(one: Override, names: list[str]) -> str:
    near = get_close_matches(one.checks, names, 1)
    return f"; did you mean {spell.quoted(near[0])}?" if near else ""


def _seconds(what: str, check: str, value: str | float) -> float:
    try:
        return spell.parse_duration(value)
    except ValueError as error:
        raise UsageError(f"{what} of {spell.quoted(check)}: {error}") from None
