"""The rules as stories: pings of one check, and what must be said of it at chosen instants.

Data only, so that the oracle and the ledger answer to the same expectations: `verify` takes either. Everything expected
was worked out by hand. The stories are in `scenarios_healthchecks` (what a real Healthchecks server said, and where we
differ) and `scenarios_rules` (a few for each rule).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from oracle import Ping, Version

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple[int, int]


@dataclass(frozen=True)
class Check:
    """What holds at one instant; what is None or not named is not looked at."""

    at: int
    status: str | None = None
    outcomes: list[tuple[int, str]] | None = None  # (expected_at, outcome) of everything listed
    facts: dict[int, dict[str, Any]] = field(default_factory=dict)  # expected_at -> some columns of that occurrence
    runs: list[dict[str, Any]] | None = None  # some columns of every run, in order of start (else completion)
    downs: list[tuple[int, int | None]] | None = None


@dataclass(frozen=True)
class Scenario:
    """One check's story. `name` is a sentence; pauses are [from, until), vouched spans are closed."""

    name: str
    pings: list[Ping]
    versions: list[Version]
    pauses: list[Span]
    vouched: list[Span]
    checks: list[Check]

    def __str__(self) -> str:
        return self.name


def at(text: str) -> int:
    """Microseconds since 1970 of "2026-11-02 10:00:00.5", UTC."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


ALL_TIME = [(at("2000-01-01"), at("2100-01-01"))]


def scenario(
    name: str,
    day: str,
    pings: str | Sequence[Ping],
    versions: Version | Sequence[Version],
    *checks: Mapping[str, Any],
    pauses: Sequence[tuple[str, str]] = (),
    vouched: Sequence[tuple[str, str]] | None = None,
) -> Scenario:
    """A story told in short: times are "HH:MM[:SS[.f]]" on `day` (UTC), or with a date of their own.

    `pings` is "10:00 ok, 10:05 start A, 10:20 exit 7 A, 2026-11-03 09:00 fail": instant, what, and the run id if any.
    """

    def instant(text: str) -> int:
        return at(text if "-" in text else f"{day} {text}")

    def spoken(text: str) -> Ping:
        words = text.split()
        when = instant(" ".join(words[: 2 if "-" in words[0] else 1]))
        what, *rest = words[2 if "-" in words[0] else 1 :]
        if what == "exit":
            return Ping(when, "fail", run_id=rest[1] if rest[1:] else None, exit_status=int(rest[0]))
        return Ping(when, {"ok": "success"}.get(what, what), run_id=rest[0] if rest else None)

    def columns(told: Mapping[str, Any]) -> dict[str, Any]:
        return {name: instant(v) if isinstance(v, str) and name.endswith("_at") else v for name, v in told.items()}

    def check(told: Mapping[str, Any]) -> Check:
        outcomes, runs, downs = told["outcomes"], told["runs"], told["downs"]
        pairs = [line.strip().rsplit(" ", 1) for line in (outcomes or "").split(",") if line.strip()]
        return Check(
            at=instant(told["at"]),
            status=told["status"],
            outcomes=None if outcomes is None else [(instant(when), outcome) for when, outcome in pairs],
            facts={instant(when): columns(facts) for when, facts in told["facts"].items()},
            runs=None if runs is None else [columns(run) for run in runs],
            downs=None if downs is None else [(instant(s), None if u is None else instant(u)) for s, u in downs],
        )

    return Scenario(
        name=name,
        pings=[spoken(line) for line in pings.split(",") if line.strip()] if isinstance(pings, str) else list(pings),
        versions=[versions] if isinstance(versions, Version) else list(versions),
        pauses=[(instant(s), instant(u)) for s, u in pauses],
        vouched=ALL_TIME if vouched is None else [(instant(s), instant(u)) for s, u in vouched],
        checks=[check(told) for told in checks],
    )


def then(
    at: str,
    status: str | None = None,
    outcomes: str | None = None,
    *,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    runs: Sequence[Mapping[str, Any]] | None = None,
    downs: Sequence[tuple[str, str | None]] | None = None,
) -> Mapping[str, Any]:
    """What `scenario` takes as a check: `outcomes` is "10:00 on_time, 11:00 pending", complete and in order."""
    return {"at": at, "status": status, "outcomes": outcomes, "facts": facts or {}, "runs": runs, "downs": downs}


def simple(period_s: int, grace_s: int, valid_from: int | None = None, valid_to: int | None = None) -> Version:
    """A simple check as Healthchecks has it: its grace is its max runtime too."""
    return Version(valid_from, valid_to, f"every {period_s} s", grace_s=grace_s, max_runtime_s=grace_s)


def ticking(schedule: str, grace_s: float | None, tz: str = "UTC", **more: Any) -> Version:
    """A cron or OnCalendar promise; without `valid_from` it counts from the first ping."""
    more = {name: at(v) if isinstance(v, str) else v for name, v in more.items()}
    return Version(more.pop("valid_from", None), more.pop("valid_to", None), schedule, tz, grace_s, **more)


def verify(
    story: Scenario,
    *,
    derive: Callable[..., Any],
    status: Callable[..., str],
    downs: Callable[..., list[tuple[int, int | None]]] | None = None,
) -> None:
    """Assert that an implementation tells the story; the three functions have the oracle's parameters."""
    for check in story.checks:
        known: dict[str, Any] = {"pauses": story.pauses, "vouched": story.vouched}
        said: dict[str, Any] = {}
        expected: dict[str, Any] = {}
        if check.status is not None:
            said["status"], expected["status"] = status(story.pings, story.versions, at=check.at, **known), check.status
        result = derive(story.pings, story.versions, as_of=check.at, **known)
        if check.outcomes is not None:
            said["outcomes"] = [(shown(o.expected_at), str(o.outcome)) for o in result.occurrences]
            expected["outcomes"] = [(shown(expected_at), outcome) for expected_at, outcome in check.outcomes]
        for expected_at, columns in check.facts.items():
            found = [o for o in result.occurrences if o.expected_at == expected_at]
            said[shown(expected_at)] = [{name: shown(getattr(o, name)) for name in columns} for o in found]
            expected[shown(expected_at)] = [{name: shown(value) for name, value in columns.items()}]
        if check.runs is not None:
            asked = [*check.runs, *[{"result": "not expected"} for _ in result.runs[len(check.runs) :]]]
            said["runs"] = [
                {name: shown(getattr(run, name)) for name in columns} for run, columns in zip(result.runs, asked, strict=False)
            ]
            expected["runs"] = [{name: shown(value) for name, value in columns.items()} for columns in check.runs]
        if check.downs is not None and downs is not None:
            found_downs = downs(story.pings, story.versions, as_of=check.at, **known)
            said["downs"] = [(shown(since), shown(until)) for since, until in found_downs]
            expected["downs"] = [(shown(since), shown(until)) for since, until in check.downs]
        assert expected, "a check that looks at nothing"
        wrong = [f"{what}: {said[what]} instead of {expected[what]}" for what in said if said[what] != expected[what]]
        assert not wrong, f"at {shown(check.at)}\n" + "\n".join(wrong)


def shown(value: Any) -> Any:
    """Instants as people read them, so that a failure can be understood; all else as it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**12:
        return str((EPOCH + timedelta(microseconds=value)).replace(tzinfo=None))
    return value
