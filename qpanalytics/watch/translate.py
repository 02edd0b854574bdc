"""From pieces of looks to what the policy engine is told: pings under public names, promises that changed, what was seen."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qpanalytics.collect import pieces
from qpanalytics.collect.naming import label
from qpanalytics.instants import micros
from qpanalytics.ledger.versions import FOREVER_US, Version, effective
from qpanalytics.policy import events
from qpanalytics.sources.base import Ping, SeenCheck
from qpanalytics.watch.kept import Checks, Kept, Known

if TYPE_CHECKING:
    from qpanalytics.settings import CheckEntry
    from qpanalytics.store.state import Piece

#: Pings of a check that are taken from a history which is seen for the first time: its state follows from the last few,
#: and nobody is to be told of what lies behind.
SEED = 40
#: Numbers of pings that are remembered, to know one that is shown again; a source shows a handful twice.
RECENT = 16
#: Promises of a source that are remembered.
VERSIONS = 3


class Translator:
    """Turns pieces, in their order, into events; what it learns of checks is noted in `checks`, of looks in `kept`."""

    def __init__(self, checks: Checks, kept: Kept, entries: Iterable[CheckEntry]) -> None:
        self.checks = checks
        self.kept = kept
        entries = list(entries)
        self._rows = _config_rows(entries)
        self._after = {entry.check: entry.after for entry in entries}
        #: Checks that these pieces showed for the first time.
        self.cold: set[str] = set()
        self._met_now: dict[str, Known] = {}
        self._begun: set[str] = set()
        #: Checks whose pause is over, and the look that showed it.
        self._resumed: dict[str, int] = {}
        #: Pings that were new.
        self.pings = 0

    def read(self, found: Sequence[Piece]) -> list[events.Event]:
        """What the pieces of one source say."""
        out: list[events.Event] = []
        arrived: dict[str, tuple[Known, list[events.Ping]]] = {}
        for piece in found:
            if piece.kind == "checks":
                out += self._listed(piece)
            elif piece.kind in ("pings", "lines"):
                out += self._lost(piece)
                for check, ping in self._new(piece):
                    arrived.setdefault(check.name, (check, []))[1].append(_ping(check.name, ping))
            elif piece.kind == "snapshot":
                out += _looks(piece)
            self._vouched(piece)
            if piece.kind == "end":
                out += self._ended(piece)
        for check, pings in arrived.values():
            self.pings += len(pings)
            if check.name in self.cold:
                pings = sorted(pings, key=lambda p: p.at)[-SEED:]
                check.since = pings[0].at
            out += pings
        for name, at in self._resumed.items():
            # the ping that ended it is not one of a check at rest: what failed has failed
            ended = [p.at for p in arrived[name][1] if p.kind in ("success", "fail")] if name in arrived else []
            out.append(events.Resumed(name, min([at, *ended])))
        self._resumed.clear()
        for name in self.cold - self._begun:
            # told of from its first ping on, so that those find it known
            check = self._met_now[name]
            out += self._promised(check, micros(found[0].at) if check.since is None else check.since)
        self._begun |= self.cold
        return out

    def configured(self, at: int) -> list[events.Event]:
        """Every promise as it stands, where it is not what the engine was told; for when the configuration changed.

        A check that it was never told of is told from where its history begins.
        """
        out: list[events.Event] = []
        for check in self.checks:
            if not check.gone:
                out += self._promised(check, at if check.told or check.since is None else check.since)
        return out

    def removed(self, sources: Iterable[str], at: int) -> list[events.Event]:
        """Forgets checks whose source is none of `sources` any more."""
        known = set(sources)
        out: list[events.Event] = []
        for check in self.checks:
            if check.source not in known:
                out.append(events.Removed(check.name, at))
                self.checks.forget(check)
        return out

    # Checks and promises ----------------------------------------------------------------------------------------------

    def _listed(self, piece: Piece) -> list[events.Event]:
        """What a source's list of checks changes."""
        at = micros(piece.at)
        out: list[events.Event] = []
        seen = {check.key: check for check in pieces.seen_checks(piece)}
        for key, shown in seen.items():
            check = self.checks.get(piece.source, key) or self._met(piece.source, key, label(shown))
            self._restated(check, shown, at)
            if check.name not in self.cold:
                out += self._promised(check, at)
            if shown.paused != check.paused:
                check.paused = shown.paused
                self.checks.changed(check)
                if shown.paused:
                    out.append(events.Paused(check.name, at))
                else:
                    self._resumed[check.name] = at
        for check in self.checks.of(piece.source):
            if check.key not in seen and not check.gone:
                check.gone = True
                check.told = ""
                self.checks.changed(check)
                out.append(events.Removed(check.name, at))
        return out

    def _restated(self, check: Known, shown: SeenCheck, at: int) -> None:
        """Notes another version where what the source states has changed; tags move with the version that holds."""
        stated = {
            "schedule": shown.schedule, "tz": shown.tz, "grace_s": shown.grace_s, "early_s": None,
            "max_runtime_s": shown.max_runtime_s, "severity": None, "tags": list(shown.tags),
        }  # fmt: skip
        last = check.versions[-1] if check.versions and not check.gone else None
        if last is not None and all(last[name] == value for name, value in stated.items()):
            return
        check.gone = False
        self.checks.changed(check)
        if last is not None and all(last[name] == value for name, value in stated.items() if name != "tags"):
            last["tags"] = stated["tags"]
            return
        # a check that never pinged is awaited from the look on that showed it; see collect.snapshots
        since = None if not check.versions and shown.count != 0 else at
        if check.versions and check.versions[-1]["valid_to_us"] is None:
            check.versions[-1]["valid_to_us"] = at
        check.versions.append({"origin": "source", "valid_from_us": since, "valid_to_us": None, **stated})
        del check.versions[:-VERSIONS]

    def _promised(self, check: Known, at: int) -> list[events.Event]:
        """The promise of a check, if it is not the one that the engine was told last."""
        versions = _versions(check, self._rows)
        feed = f"{check.source}\n{check.key}" if check.alone else None
        after = self._after.get(check.name)
        told = hashlib.sha256(repr((versions, after, feed)).encode()).hexdigest()[:16]
        if told == check.told:
            return []
        check.told = told
        self.checks.changed(check)
        return [events.Promised(check.name, at, versions, check.source, after, feed)]

    def _met(self, source: str, key: str, shown: str) -> Known:
        check = self.checks.add(source, key, shown)
        self.cold.add(check.name)
        self._met_now[check.name] = check
        return check

    # Pings ------------------------------------------------------------------------------------------------------------

    def _new(self, piece: Piece) -> list[tuple[Known, Ping]]:
        """The pings of a piece that were not shown before."""
        if piece.rows is None:
            rows = pieces.few(piece)
        else:
            from qpanalytics.collect.packed import pings

            rows = pings(piece)
        out = []
        for key, ping in rows:
            check = self.checks.get(piece.source, key) or self._met(piece.source, key, key)
            if ping.n is None or _is_new(check, ping.n, micros(ping.received_at)):
                out.append((check, ping))
                if ping.n is not None:
                    self.checks.changed(check)
        return out

    def _lost(self, piece: Piece) -> list[events.Event]:
        """Pings that are proven to have come and gone between the last one that was seen and those of a piece."""
        lost, span = piece.said.get("lost"), piece.said.get("span")
        check = self.checks.get(piece.source, str(piece.said.get("key")))
        if not lost or check is None:
            return []
        until = span[0] if span else micros(piece.at)
        since = check.recent[-1][1] if check.recent else until
        return [events.Lost(check.name, min(since, until), until, int(lost))]

    # What was seen ----------------------------------------------------------------------------------------------------

    def _vouched(self, piece: Piece) -> None:
        """Notes how far a look that is not at its end yet vouches for everything that it read."""
        spans = pieces.spans(piece, [""])
        ends = [micros(until) for _, _, until in spans]
        begins = [micros(since) for _, since, _ in spans]
        if piece.kind == "snapshot":
            ends.append(int(piece.said["taken_at"]))
        if not ends and piece.kind != "checks":
            return
        look = self.kept.looks.setdefault(piece.look, {"at": micros(piece.at), "until": None, "since": None})
        if ends:
            look["until"] = min(ends if look["until"] is None else [*ends, look["until"]])
        if piece.kind == "still" and "every" in piece.said:
            look["since"] = piece.said["every"][0]
        elif begins and piece.source not in self.kept.done:
            # a first look reaches back as far as each reply does, and each check's own history begins with its first ping
            look["since"] = min(begins if look["since"] is None else [*begins, look["since"]])

    def _ended(self, piece: Piece) -> list[events.Event]:
        look = self.kept.looks.pop(piece.look, {})
        old = micros(piece.at) - 86_400_000_000  # of looks that were cut short
        for name in [name for name, other in self.kept.looks.items() if other["at"] < old]:
            del self.kept.looks[name]
        unread = piece.said.get("unread")
        if piece.said["why"] and unread is None:
            return [events.Unreachable(piece.source, micros(piece.at), piece.said["why"])]
        if piece.source not in self.kept.done:
            self.kept.done.append(piece.source)
        out: list[events.Event] = []
        for check in self.checks.of(piece.source):
            alone = check.key in (unread or ())
            if alone != check.alone:
                check.alone = alone
                self.checks.changed(check)
                # from where it was seen last, or what fell due since would be judged by a look that did not show it
                out += self._promised(check, self.kept.reached.get(piece.source, micros(piece.at)))
        until = look.get("until")
        if until is None:
            # a list without checks, or none that anything could be told of: the source itself was there
            until = look.get("at", micros(piece.at))
        self.kept.reached[piece.source] = until
        return [*out, events.Seen(piece.source, until, look.get("since"))]


def promised_versions(checks: Checks, entries: Iterable[CheckEntry]) -> dict[str, tuple[Version, ...]]:
    """What is promised of each check, by its public name."""
    rows = _config_rows(entries)
    return {check.name: _versions(check, rows) for check in checks}


def _versions(check: Known, rows: Mapping[str, list[dict[str, Any]]]) -> tuple[Version, ...]:
    stated = effective([*check.versions, *rows.get(check.name, ())], None)
    return tuple(v for v in (_from(version, check.since) for version in stated) if v.from_us < v.to_us)


def _config_rows(entries: Iterable[CheckEntry]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        rows[entry.check].append(_config_row(entry))
    return rows


def _from(version: Version, since: int | None) -> Version:
    """The promise from where our history begins; one that counts from the first ping does so anyway."""
    if since is None or version.from_us == -FOREVER_US:
        return version
    return replace(version, from_us=max(version.from_us, since))


def _is_new(check: Known, n: int, at: int) -> bool:
    """Whether a numbered ping was not shown before; a server that was put back gives numbers a second time."""
    if [n, at] in check.recent:
        return False
    if check.recent and n <= check.recent[0][0] and at <= check.recent[-1][1]:
        return False
    check.recent = sorted([*check.recent, [n, at]], key=lambda seen: seen[1])[-RECENT:]
    return True


def _ping(name: str, ping: Ping) -> events.Ping:
    return events.Ping(
        name, micros(ping.received_at), ping.kind, ping.run_id, ping.duration_s, ping.host, ping.exit_status
    )  # fmt: skip


def _looks(piece: Piece) -> list[events.Event]:
    """A look at queues and workers."""
    at = int(piece.said["taken_at"])
    out: list[events.Event] = [
        events.QueueLook(piece.source, row["queue"], at, **{name: row.get(name) for name in _QUEUE})
        for row in piece.said["queues"]
    ]
    workers = tuple(
        events.WorkerSeen(
            row["worker"], row["state"], tuple(row["queues"]) if "queues" in row else None,
            row.get("oldest_running_s"), row.get("restarts"),
        )
        for row in piece.said["workers"]
    )  # fmt: skip
    out.append(events.WorkersLook(piece.source, at, workers))
    return out


_QUEUE = (
    "depth", "oldest_age_s", "oldest_is", "active", "orphaned", "retrying", "dead", "processed_total", "failed_total", "paused",
)  # fmt: skip


def _config_row(entry: CheckEntry) -> dict[str, Any]:
    """A `[[check]]` in the form of a stored version."""
    return {
        "origin": "config",
        "valid_from_us": None if entry.valid_from is None else micros(entry.valid_from),
        "valid_to_us": None if entry.valid_to is None else micros(entry.valid_to),
        "schedule": entry.schedule,
        "tz": entry.tz if entry.schedule is not None or entry.given("tz") else None,
        "grace_s": entry.grace_s,
        "early_s": entry.early_s,
        "max_runtime_s": entry.max_runtime_s,
        "severity": None if entry.severity is None else str(entry.severity),
        "tags": list(entry.tags),
    }
