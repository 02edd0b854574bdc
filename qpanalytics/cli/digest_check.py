"""`qpa report --check KEY`: the page of one check instead of a digest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qpanalytics.cli.options import Asked, now, opened, zone_of

if TYPE_CHECKING:
    from qpanalytics.report.check import CheckReport


def one(asked: Asked) -> CheckReport | None:
    """The page of the one check that was asked for; None where a digest is meant: no check, several, or a pattern.

    UsageError with the nearest name where no check has that name or key.
    """
    from qpanalytics.collect.configured import agree
    from qpanalytics.report import report
    from qpanalytics.report.check.find import find, matched, named

    if asked.check is None or len(asked.check) != 1:
        return None
    (key,) = asked.check
    settings = asked.settings()
    tz = zone_of(asked.tz) or settings.report.tz
    store = asked.store(settings)
    agree(store, settings, now=now())  # a check may be described in qpa.toml alone
    if find(store, key) is None and matched(store, key):
        return None
    name = named(store, key)
    history, _ = opened(replace(asked, check=None))
    own = asked.since is not None or asked.until is not None
    window = ["--since", history.since, "--until", history.until] if own else []
    command = _command(asked, name, [*window, "--as-of", history.as_of], tz, str(store.path))
    return report(history, check=name, period="custom" if own else None, tz=tz, command=command)


def _command(asked: Asked, name: str, window: list[object], tz: str, db: str) -> str:
    """The command that gives the same numbers, at whatever time it is typed."""
    from datetime import datetime

    from qpanalytics import spell
    from qpanalytics.verdict.voice import quoted

    parts = ["qpa", "report", "--check", quoted(name)]
    parts += [spell.iso(word) if isinstance(word, datetime) else str(word) for word in window]
    for option, values in (("--tag", asked.tag), ("--source", asked.source)):
        for value in values or ():
            parts += [option, quoted(value)]
    if tz != "UTC":
        parts += ["--tz", tz]
    if asked.config is not None:
        parts += ["--config", quoted(str(asked.config))]
    return " ".join([*parts, "--db", quoted(db)])
