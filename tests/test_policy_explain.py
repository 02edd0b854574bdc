"""What `explain` says would happen is what the engine does."""

from __future__ import annotations

from policy_world import World, nightly, notices, said, us

from qpanalytics.policy.explain import explain

ROUTES = [
    {"severity": ["critical"], "to": ["phone"], "escalate": {"after": "15 min", "to": ["boss"]}},
    {"to": ["chat"]},
]
CHANNELS = [{"name": name, "kind": "file"} for name in ("phone", "chat", "boss")]


def test_it_names_who_is_told_when_and_by_which_rule() -> None:
    world = World(nightly("pay", severity="critical"), channel=CHANNELS, route=ROUTES)
    steps = explain(world.policy, nightly("pay", severity="critical"), deadline_at=us("03:10"))
    assert [(said(s.at or 0), s.channel, s.rule) for s in steps if s.channel] == [
        ("03:10", "phone", "route 1"), ("03:10", "chat", "route 2"), ("03:25", "boss", "route 1, escalate"),
        ("07:10", "phone", "route 1, remind"), ("07:10", "chat", "route 2, remind"),
    ]  # fmt: skip


def test_the_engine_does_what_was_explained() -> None:
    check = nightly("sync")
    world = World(check, channel=CHANNELS, route=ROUTES, policy={"quiet": "22:00-07:00"}, live=False)
    world.pings("1 03:01 sync")
    steps = explain(world.policy, check, deadline_at=us("03:10"))
    world.until("11:00")
    assert [(n.at, n.channel) for n in notices(world.changes)] == [(s.at, s.channel) for s in steps if s.channel]


def test_it_says_why_nobody_is_told() -> None:
    maintenance = [{"from": "2026-11-02T02:00:00Z", "until": "2026-11-02T04:00:00Z"}]
    rested = World(channel=CHANNELS, maintenance=maintenance).policy
    assert [s.what for s in explain(rested, nightly("a"), deadline_at=us("03:10"))] == [
        "nothing: in maintenance until 2026-11-02T04:00:00Z"
    ]
    routed = World(channel=CHANNELS, route=ROUTES[:1]).policy
    assert explain(routed, nightly("a"), deadline_at=us("03:10"))[-1].rule == "no route is for it"
