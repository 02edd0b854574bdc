"""A policy: everything people decided about alerts, as one value. The one place where settings become it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from qpanalytics.errors import ConfigError
from qpanalytics.settings import Maintenance, PromiseTable, Settings
from qpanalytics.settings_policy import PolicyTable, RouteTable, WhereTable
from qpanalytics.spell import quoted

MICRO = 1_000_000


@dataclass(frozen=True)
class Policy:
    """What is worth an alert (`table`), who gets it (`routes` to `channels`), and when nothing is held against anybody.

    Without routes every channel gets what is critical or a warning. `late_is_real_s`: from when on a late run is a real
    problem, seconds after its expected time; None is half the gap. It judges pages afterwards and sends none.
    """

    table: PolicyTable = field(default_factory=PolicyTable)
    routes: tuple[RouteTable, ...] = ()
    channels: tuple[str, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    promises: tuple[PromiseTable, ...] = ()
    late_is_real_s: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Policy:
        """The policy that a configuration holds; ConfigError where a route leads to a channel that is not there."""
        channels = tuple(channel.name for channel in settings.channel)
        for number, route in enumerate(settings.route, 1):
            for name in (*route.to, *(route.escalate.to if route.escalate else ())):
                if name not in channels:
                    known = ", ".join(quoted(c) for c in channels) or "none"
                    raise ConfigError(
                        f"route[{number}] leads to {quoted(name)}, and there is no such channel; there is {known}. "
                        f"Add a [[channel]] with that name."
                    )
        return cls(
            settings.policy, settings.route, channels, settings.maintenance, settings.promise, settings.grace.late_is_real
        )

    def failures_in_a_row(self, check: str, tags: Iterable[str]) -> int:
        """How many bad runs in a row make an incident of this check; the last `[[policy.where]]` that is for it decides."""
        said = [w.failures_in_a_row for w in self._where(check, tags) if w.failures_in_a_row is not None]
        return said[-1] if said else self.table.failures_in_a_row

    def severity(self, check: str, tags: Iterable[str], own: str | None) -> str:
        """How much trouble with a check matters: what the policy says of it, else its own, else `warning`."""
        said = [w.severity for w in self._where(check, tags) if w.severity is not None]
        return str(said[-1]) if said else own or "warning"

    def _where(self, check: str, tags: Iterable[str]) -> list[WhereTable]:
        return [
            where
            for where in self.table.where
            if any(fnmatchcase(check, glob) for glob in where.checks) or not set(where.tags).isdisjoint(tags)
        ]
