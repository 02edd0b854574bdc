"""The way into a notebook: `load` opens a store, `demo` builds one from the bundled data.

They read the clock; nothing below them does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from qpanalytics import bundled, settings, spell
from qpanalytics.collect.configured import agree
from qpanalytics.errors import UsageError
from qpanalytics.history import DEFAULT_WINDOW, History, Pick, resolve_as_of
from qpanalytics.instants import TICK
from qpanalytics.policy.rules import Policy
from qpanalytics.store.db import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpanalytics.bundled import Bundled
    from qpanalytics.settings import Settings

_DEMOS = {"histories": bundled.REAL, "recorded": bundled.RECORDED}
#: The demo that is made anew each time rather than read from files.
SIMULATED = "queues"


def load(
    path: str | Path | None = None,
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    as_of: str | datetime | None = None,
    check: str | Sequence[str] = (),
    tag: str | Sequence[str] = (),
    source: str | Sequence[str] = (),
    config: str | Path | None = None,
) -> History:
    """The history in a store: `qpa.load("qpa.duckdb", since="90d")`.

    `since`, `until` and `as_of` are instants ("2026-11-01", "2026-11-01T07:00Z", "90d" ago, aware datetimes); without
    them the window is the 90 days before now, or before the last thing seen in a store of old files. `check` takes
    shell patterns. Without `path` the configuration says where the store is, else it is `qpa.duckdb`.
    """
    configured = settings.load(None if config is None else Path(config))
    store = Store(path or configured.store.path)
    pick = Pick(_names(check), _names(tag), _names(source))
    return opened(store, configured, now=datetime.now(UTC), since=since, until=until, as_of=as_of, pick=pick)


def opened(
    store: Store,
    configured: Settings,
    *,
    now: datetime,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    as_of: str | datetime | None = None,
    pick: Pick = Pick(),
    prefix: str = "",
) -> History:
    """The history that notebook and command line ask for, over a store that agrees with the configuration.

    Spans back ("90d") count from `as_of` where that is known or found. `prefix` stands before an option's name in an
    error.
    """
    agree(store, configured, now=now)
    end, at = instant(f"{prefix}until", until, now), instant(f"{prefix}as-of" if prefix else "as_of", as_of, now)
    why, looked_until = "", None
    if at is None:
        looked_until = now
        at, why = resolve_as_of(store, now=now, since=instant(f"{prefix}since", since, now), until=end)
    return History(
        store,
        as_of=at,
        since=instant(f"{prefix}since", since, at) or min(at, end or at) - DEFAULT_WINDOW,
        until=end or at + TICK,
        pick=pick,
        maintenance=tuple(configured.maintenance),
        why_as_of=why,
        promises=tuple(configured.promise),
        joins=tuple((e.check, e.queue, e.after) for e in configured.check if e.queue is not None or e.after is not None),
        looked_until=looked_until,
        budgets=configured.grace,
        policy=Policy.of(configured),
    )


def demo(
    name: str = "histories",
    *,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    as_of: str | datetime | None = None,
    check: str | Sequence[str] = (),
    tag: str | Sequence[str] = (),
    source: str | Sequence[str] = (),
) -> History:
    """A history to try things with, built once per process: `"histories"` (nine real ones), `"recorded"` or `"queues"`.

    It is read as of the instant that the bundled report is made at, or of an earlier one ("as of" the start of a year, to
    see what could have been known then), and the window is the 90 days before. These and the others are as in `load`.
    `"queues"` is a simulated fleet of queues, workers and four checks over 14 days, with faults planted in it
    (`qpanalytics.simulated.planted`).
    """
    if name not in (*_DEMOS, SIMULATED):
        raise UsageError(f"there is no demo {spell.quoted(name)}; there are {', '.join((*_DEMOS, SIMULATED))}")
    store, last = _demo_store(name)
    end, at = instant("until", until, last), instant("as_of", as_of, last) or last
    begin = instant("since", since, at)
    pick = Pick(_names(check), _names(tag), _names(source))
    whole = History(store, as_of=at, since=begin or min(at, end or at) - DEFAULT_WINDOW, until=end or at + TICK, pick=pick)
    if name != SIMULATED:
        return whole
    from qpanalytics import simulated

    return replace(whole, since=begin or simulated.SINCE, promises=simulated.PROMISES, joins=simulated.JOINS)


def title(name: str) -> str:
    """What a demo is, for a reader."""
    if name == SIMULATED:
        from qpanalytics import simulated

        return simulated.TITLE
    return _DEMOS[name]


def parts(name: str) -> list[Bundled]:
    """The bundled histories that make up one demo."""
    return [b for b in bundled.histories() if b.store == _DEMOS[name]]


def fill(store: Store, name: str, *, now: datetime, progress: Callable[[int, int], None] | None = None) -> datetime:
    """Takes the histories of one demo into `store`, each under its own source; returns the instant to ask about."""
    if name == SIMULATED:
        from qpanalytics import simulated

        return simulated.fill(store, now=now, progress=progress)
    from qpanalytics.collect.fromfiles import take_files
    from qpanalytics.sources.files import read_checks

    bundle = parts(name)
    for number, one in enumerate(bundle):
        with store.write() as con:
            entries = read_checks(one.checks)
            take_files(con, one.pings, entries, source=one.name, covers_until=one.covers_until, tried_at=now)
        if progress is not None:
            progress(number + 1, len(bundle))
    return max(b.as_of for b in bundle)


@cache
def _demo_store(name: str) -> tuple[Store, datetime]:
    folder = tempfile.TemporaryDirectory(prefix="qpa-demo-")
    _KEPT.append(folder)
    store = Store(Path(folder.name) / f"{name}.duckdb")
    return store, fill(store, name, now=datetime.now(UTC))


#: Folders of demos: removed when the process ends.
_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def instant(option: str, value: str | datetime | None, now: datetime) -> datetime | None:
    """An instant as people give it, None if they gave none; UsageError names the option."""
    if value is None:
        return None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{option}: {value} has no time zone; give an aware datetime, or text such as 2026-11-01")
        return value.astimezone(UTC)
    try:
        return spell.parse_instant(value, now=now)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
