"""A `History`: what the store knows of chosen checks over a window, as of an instant. Every analysis takes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from importlib import resources
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from qpanalytics import spell
from qpanalytics.errors import UsageError
from qpanalytics.instants import EPOCH, TICK, instant, micros
from qpanalytics.ledger import tables
from qpanalytics.ledger.build import build
from qpanalytics.ledger.reading import Scope, prepare
from qpanalytics.ledger.versions import FOREVER_US, Version, in_force, scheduled_from
from qpanalytics.store import thinning
from qpanalytics.store.db import MemoryStore, Store

if TYPE_CHECKING:
    import pandas as pd

    from qpanalytics.policy.rules import Policy
    from qpanalytics.settings import Maintenance, PromiseTable
    from qpanalytics.settings_grace import GraceTable

#: A look at a live source that is older says nothing of the present.
FRESH = timedelta(hours=1)
#: The window where none is asked for: this long before as_of.
DEFAULT_WINDOW = timedelta(days=90)
_PARAMETER = re.compile(r"\$([a-z_]+)")


@dataclass(frozen=True)
class Pick:
    """Which checks: shell patterns of names, tags (any of them), sources. Empty: all."""

    checks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def takes(self, name: str, source: str, tags: Sequence[str]) -> bool:
        """True if a check of this name, source and tags is meant."""
        return (
            (not self.checks or any(name == p or fnmatchcase(name, p) for p in self.checks))
            and (not self.tags or bool(set(self.tags) & set(tags)))
            and (not self.sources or source in self.sources)
        )


@dataclass
class _Session:
    stack: ExitStack | None = None
    con: duckdb.DuckDBPyConnection | None = None
    #: What was made of this reading and is asked for again within it.
    kept: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class History:
    """Occurrences expected in [since, until) and runs, of the picked checks, as they stood at `as_of` (UTC instants).

    Each frame is read when first asked for, over a connection that is closed again, so an open notebook never blocks
    a collector. `why_as_of` says why `as_of` is not now, where it is not.

    `as_of` is held back to the last look at the monitors, since later pings were not seen. What queues and workers showed
    needs no such care, each row says when that was: their looks are known up to `looked_until`, where that is given.
    """

    store: Store
    as_of: datetime
    since: datetime
    until: datetime
    pick: Pick = Pick()
    maintenance: tuple[Maintenance, ...] = ()
    why_as_of: str = ""
    promises: tuple[PromiseTable, ...] = ()
    #: Checks that the configuration names a queue for, or a check that they come after: (check, queue, after).
    joins: tuple[tuple[str, str | None, str | None], ...] = ()
    looked_until: datetime | None = None
    #: What false alarms may cost, as configured; None: the defaults.
    budgets: GraceTable | None = None
    #: What is worth an alert and who gets it, as configured; None: what holds without a configuration.
    policy: Policy | None = None
    #: How far back the relation `judged` reaches, where that is further than 90 days.
    back_to: datetime | None = None
    _session: _Session = field(default_factory=_Session, compare=False)
    _frames: dict[str, Any] = field(default_factory=dict, compare=False)
    _answers: dict[tuple[str, str], pa.Table] = field(default_factory=dict, compare=False)

    @classmethod
    def from_frames(
        cls,
        *,
        checks: pd.DataFrame,
        pings: pd.DataFrame,
        pauses: pd.DataFrame | None = None,
        as_of: datetime | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        covers_until: datetime | None = None,
        maintenance: Sequence[Maintenance] = (),
    ) -> History:
        """A history of frames that people bring along; columns as in ping and check files.

        `pauses` has columns check, since_at, until_at. Without `as_of` the last ping (or `covers_until`) is taken, and
        the window is everything before it.
        """
        from qpanalytics.collect.frames import fill

        store = MemoryStore()
        last = fill(store, checks=checks, pings=pings, pauses=pauses, covers_until=covers_until)
        at = as_of or last
        return cls(
            store,
            as_of=at,
            since=since or EPOCH,
            until=until or at + TICK,
            maintenance=tuple(maintenance),
        )

    def window(self, since: datetime, until: datetime) -> History:
        """The same store, checks and as_of over another window."""
        return replace(self, since=since, until=until, back_to=None, _session=_Session(), _frames={}, _answers={})

    def picking(self, pick: Pick) -> History:
        """The same store, window and as_of of other checks."""
        return replace(self, pick=pick, _session=_Session(), _frames={}, _answers={})

    def reaching(self, back_to: datetime) -> History:
        """The same history, of which a session can be asked what was expected from `back_to` on."""
        return replace(self, back_to=back_to, _session=_Session(), _frames={}, _answers={})

    def before(self) -> History:
        """The window of the same length just before this one; the same object each time, so that a session is shared."""
        if "before" not in self._frames:
            self._frames["before"] = self.window(self.since - (self.until - self.since), self.since)
        found: History = self._frames["before"]
        return found

    @contextmanager
    def session(self) -> Iterator[None]:
        """One reading of the store, shared by everything asked within the block; the first question opens it."""
        if self._session.stack is not None:
            yield
            return
        with ExitStack() as stack:
            self._session.stack = stack
            try:
                yield
            finally:
                self._session.stack = self._session.con = None
                self._session.kept = {}

    def within(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` returns, kept for as long as the session lasts; without one it is made anew each time."""
        if self._session.stack is None:
            return make()
        key = (self.since, self.until, key)
        if key not in self._session.kept:
            self._session.kept[key] = make()
        return self._session.kept[key]

    def over_looks(self, since: datetime, until: datetime) -> History:
        """The same reading of the store over another window of looks at queues and workers; for these alone."""
        return replace(self, since=since, until=until, _frames={"checks": self.checks}, _answers={})

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The connection of the session, with the logical relations."""
        with self.session():
            if self._session.con is None:
                assert self._session.stack is not None
                con = self._session.stack.enter_context(self.store.read())
                # No statement over a session adds up floats or takes rows as they come, so two threads give the same bytes.
                con.execute("set threads to 2")
                # it would write down what a statement names twice, were it all runs of all time
                con.execute("set disabled_optimizers = 'common_subplan'")
                self._prepare(con)
                self._session.con = con
            yield self._session.con

    def sql(self, name: str, /, **params: Any) -> pa.Table:
        """Runs `analysis/sql/<name>.sql` over the logical relations; $since, $until and $as_of are given where named."""
        kept = self._answers.get((name, repr(sorted(params.items()))))
        if kept is not None:
            return kept
        text = (resources.files("qpanalytics.analysis") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        known = {"since": self.since, "until": self.until, "as_of": self.as_of, **params}
        wanted = set(_PARAMETER.findall(re.sub(r"--.*", "", text)))
        with self.connection() as con:
            return con.sql(text, params={k: v for k, v in known.items() if k in wanted}).to_arrow_table()

    def ask(self, *questions: tuple[str, dict[str, Any]]) -> None:
        """Has `sql` answer these (name, parameters) from memory from now on, so that no session is needed for them."""
        with self.session():
            for name, params in questions:
                self._answers[name, repr(sorted(params.items()))] = self.sql(name, **params)

    @property
    def looks_as_of(self) -> datetime:
        """Up to when looks at queues and workers are known."""
        return self.as_of if self.looked_until is None else max(self.as_of, self.looked_until)

    @property
    def looks_until(self) -> datetime:
        """The end of the window for looks at queues and workers: as the window's, unless that ends with as_of."""
        return self.looks_as_of + TICK if self.until == self.as_of + TICK else self.until

    def looks(
        self, name: str, /, *, since: datetime | None = None, lead: timedelta = timedelta(0), **params: Any
    ) -> pa.Table:
        """Runs `analysis/sql/<name>.sql` over `queue_looks` and `worker_looks`, as known at `looks_as_of`.

        $since, $until, $as_of and $sources (those picked, else null) are given where named; `since` takes the place of
        the window's; of looks up to `lead` before it the counters' first step is taken. The ledger is not needed for it, so
        it is not prepared.
        """
        text = (resources.files("qpanalytics.analysis") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
        known = {
            "since": since or self.since, "until": self.looks_until, "as_of": self.looks_as_of,
            "sources": list(self.pick.sources) or None, **params,
        }  # fmt: skip
        wanted = set(_PARAMETER.findall(re.sub(r"--.*", "", text)))
        first_us, last_us = micros(known["since"] - lead), micros(self.looks_as_of)
        with ExitStack() as open_:
            con = self._session.con or open_.enter_context(self.store.read())
            for kind in thinning.KINDS:
                span = f"make_timestamptz({first_us}) and make_timestamptz({last_us})"
                rows = f"(from store.{kind.table} where taken_at between {span})"
                con.execute(f"create or replace temp view {kind.name}_looks as {thinning.whole(kind, rows)}")
            return con.sql(text, params={k: v for k, v in known.items() if k in wanted}).to_arrow_table()

    def frame(self, name: str) -> pd.DataFrame:
        """One of the public frames, as declared in `qpanalytics.analysis.frames`."""
        if name not in self._frames:
            from qpanalytics.analysis import frames

            self._frames[name] = frames.read(self, name)
        found: pd.DataFrame = self._frames[name]
        return found

    @property
    def checks(self) -> pd.DataFrame:
        """One row per check: its promise and how it stands at as_of."""
        return self.frame("checks")

    @property
    def pings(self) -> pd.DataFrame:
        """The pings received in the window."""
        return self.frame("pings")

    @property
    def runs(self) -> pd.DataFrame:
        """The runs that ended (or, still open, began) in the window."""
        return self.frame("runs")

    @property
    def occurrences(self) -> pd.DataFrame:
        """The runs that were expected in the window, and what became of each."""
        return self.frame("occurrences")

    @property
    def coverage(self) -> pd.DataFrame:
        """What could be seen of each check in the window."""
        return self.frame("coverage")

    @property
    def queues(self) -> pd.DataFrame:
        """The looks at queues in the window, by queue, then by time."""
        return self.frame("queues")

    @property
    def workers(self) -> pd.DataFrame:
        """The looks at worker processes in the window, by worker, then by time."""
        return self.frame("workers")

    def _prepare(self, con: duckdb.DuckDBPyConnection) -> None:
        rows = con.execute(
            "select check_id, check_name, source, key, name from store.checks order by check_id"
        ).fetchall()
        firsts = tables.first_pings(con)
        promised = tables.promises(con, firsts)
        as_of_us = micros(self.as_of)
        present = {row[0]: _present(promised[row[0]], as_of_us) for row in rows}
        picked = [
            row for row in rows if self.pick.takes(row[1], row[2], _tags(present[row[0]]))
        ]
        if (self.pick.checks or self.pick.tags or self.pick.sources) and not picked and not self._picks_looks(con):
            raise UsageError(self._nothing_picked(rows, present))
        ids = [row[0] for row in picked]
        excuses = {row[0]: self._maintained(row, present[row[0]]) for row in picked}
        scope = Scope(
            self.as_of, self.since, self.until, {c: firsts[c] for c in ids}, {c: promised[c] for c in ids}, excuses,
            self.back_to,
        )  # fmt: skip
        prepare(con, scope)
        tables.put(con, "described", _checks_table(picked, present, promised))
        con.execute(
            """
            create or replace temp table checks as
            select a.* exclude (tags), a.tags, s.status, s.down_since_at, s.down_cause, s.first_ping_at, s.last_ping_at,
                s.last_duration_s, s.next_expected_at, s.deadline_at, b.first_at as first_valid_from
            from described a join standing s using (check_id) join begins b using (check_id)
            order by a.check_id
            """
        )
        con.execute(
            f"create or replace temp table lost as {tables.sql_of('lost')}",
            {"as_of": self.as_of, "since": self.since, "until": self.until},
        )

    def _picks_looks(self, con: duckdb.DuckDBPyConnection) -> bool:
        """Whether only sources of queues and workers are meant, which know no checks."""
        if self.pick.checks or self.pick.tags:
            return False
        known = con.execute("select distinct source from store.fetches where kind = 'snapshot'").fetchall()
        return bool({source for (source,) in known} & set(self.pick.sources))

    def _maintained(self, row: tuple[Any, ...], present: Version | None) -> list[tuple[int, int]]:
        since_us = micros(min(self.since, self.as_of) - timedelta(days=400))
        until_us = micros(self.as_of + timedelta(days=40))
        return [
            span
            for m in self.maintenance
            if m.covers(row[1], _tags(present))
            for span in m.spans(since_us, until_us)
        ]

    def _nothing_picked(self, rows: Sequence[tuple[Any, ...]], present: Mapping[int, Version | None]) -> str:
        """Names what there is of what was asked for last and most likely mistyped."""
        pick = self.pick
        asked = " ".join((*pick.checks, *pick.tags, *pick.sources))
        known = {row[1]: None for row in rows}
        if pick.sources and not {row[2] for row in rows} & set(pick.sources):
            known = {f"source {row[2]}": None for row in rows}
        elif pick.tags and not pick.checks:
            known = {f"tag {tag}": None for row in rows for tag in _tags(present[row[0]])}
        some = ", ".join(spell.plain(n) for n in list(known)[:5]) + (", ..." if len(known) > 5 else "")
        return f"no check matches {spell.plain(asked)}; the store knows {some or 'none yet'}. See: qpa checks"

    def __repr__(self) -> str:
        return (
            f"History({self.store.name}, {spell.iso(self.since)} to {spell.iso(self.until)}, "
            f"as of {spell.iso(self.as_of)})"
        )

    def _repr_html_(self) -> str:
        from qpanalytics.report.glance import glance

        return glance(self)


def resolve_as_of(
    store: Store, *, now: datetime, since: datetime | None = None, until: datetime | None = None
) -> tuple[datetime, str]:
    """The instant to ask about where none is given: now, or the last that anything is known of, and why.

    A store that has only files, none of which reaches into [since, until), has nothing to say of now. Live sources are
    known as they were looked at last, as long as that is not too long ago: since then all of them are `unknown`. Looks at
    queues hold nothing back, however seldom they are: they say nothing of pings, and each stands for its own instant.
    """
    with store.read() as con:
        rows = con.execute(
            """
            select kind <> 'file' as live, epoch_us(max(until_at)) from store.fetches
            where until_at is not null and kind <> 'snapshot' group by live, case when kind <> 'file' then source end
            """
        ).fetchall()
    looked = [instant(us) for live, us in rows if live]
    if looked:
        fresh = [min(at, now) for at in looked if at >= now - FRESH]
        return (min(fresh), f"as of the last look, {spell.iso(min(fresh))}") if fresh else (now, "")
    last = max((instant(us) for _, us in rows), default=None)
    begin = since if since is not None else now - DEFAULT_WINDOW
    if last is None or last >= begin or (until is not None and last >= until):
        return now, ""
    return last, f"the files in {store.name} end at {spell.iso(last)}; that is taken as the present"


def rebuild(store: Store) -> None:
    """Derives the whole ledger from scratch; never needed for right results, useful to prove it."""
    with store.write() as con:
        build(con)


def _present(versions: Sequence[Version], as_of_us: int) -> Version | None:
    """The promise to show for a check: the one in force, else the last that was, else the first to come."""
    begun = [v for v in versions if v.from_us <= as_of_us]
    return in_force(versions, as_of_us) or (begun[-1] if begun else versions[0] if versions else None)


def _tags(version: Version | None) -> tuple[str, ...]:
    return version.tags if version else ()


def _checks_table(
    rows: Sequence[tuple[Any, ...]], present: Mapping[int, Version | None], promised: Mapping[int, Sequence[Version]]
) -> pa.Table:
    shown = [present[r[0]] for r in rows]
    instant = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "check_id": pa.array([r[0] for r in rows], pa.int32()),
            "check_name": pa.array([r[1] for r in rows], pa.string()),
            "source": pa.array([r[2] for r in rows], pa.string()),
            "key": pa.array([r[3] for r in rows], pa.string()),
            "name": pa.array([r[4] for r in rows], pa.string()),
            "schedule": pa.array([v.schedule if v else None for v in shown], pa.string()),
            "kind": pa.array([v.kind if v else None for v in shown], pa.string()),
            "tz": pa.array([v.tz if v and v.schedule else None for v in shown], pa.string()),
            "grace_s": pa.array([v.grace_us / 1e6 if v and v.schedule else None for v in shown], pa.float64()),
            "early_s": pa.array([v.early_s if v else None for v in shown], pa.float64()),
            "max_runtime_s": pa.array([v.max_runtime_s if v else None for v in shown], pa.float64()),
            "severity": pa.array([(v.severity if v else None) or "warning" for v in shown], pa.string()),
            "tags": pa.array([list(v.tags) if v else [] for v in shown], pa.list_(pa.string())),
            "valid_to": tables.instants([v.to_us if v else FOREVER_US for v in shown]).cast(instant),
            "scheduled_from": tables.instants([scheduled_from(promised[r[0]], present[r[0]]) for r in rows]).cast(instant),
        }
    )
