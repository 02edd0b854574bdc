"""Policies with other numbers, as a notebook and `qpa replay` ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from command import qpa as run_qpa

import qpanalytics as qpa
from qpanalytics.analysis.alternatives import default, policy
from qpanalytics.analysis.replay import differences
from qpanalytics.errors import UsageError
from qpanalytics.history import History

BEGIN = datetime(2026, 3, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def week() -> History:
    """A daily job with a grace of 10 min: in time, 20 min late, never, then four days in time."""
    late = [5, 20, None, 5, 5, 5, 5]
    pings = [{"check": "a", "received_at": BEGIN + i * DAY + timedelta(minutes=m)} for i, m in enumerate(late) if m is not None]
    checks = [{"check": "a", "schedule": "0 3 * * *", "grace_s": 600.0, "valid_from": BEGIN - timedelta(hours=1)}]
    end = BEGIN + 7 * DAY
    return History.from_frames(checks=pd.DataFrame(checks), pings=pd.DataFrame(pings), as_of=end, covers_until=end)


def test_a_longer_grace_spares_the_late_run_and_tells_the_missed_one_later() -> None:
    h = week()
    patient = policy(h, "patient", grace={"a": "30 min"})

    rows = qpa.replay(h, policies=[default(h), patient])

    assert rows.policy.tolist() == ["in force", "patient"]
    assert list(zip(rows.pages, rows.real, rows.false, strict=True)) == [(2, 1, 1), (1, 1, 0)]
    assert rows.time_to_notice_p50_s.tolist() == [600.0, 1800.0]
    differ = differences(h, default(h), patient)
    assert [(row.expected_at, row.other != "", row.real) for row in differ.itertuples()] == [
        (BEGIN + DAY, False, False), (BEGIN + 2 * DAY, True, True),
    ]  # fmt: skip
    assert differ.later_s.tolist()[1] == 1200.0


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"grace": {"b": "30 min"}}, 'there is no check "b" to give another grace'),
        ({"grace": {"a": "30 mins x"}}, 'grace of "a": '),
        ({"severity": {"a": "loud"}}, 'severity of "a": "loud" is not one of'),
        ({"failures_in_a_row": 0}, "failures_in_a_row: 0 is not"),
    ],
)
def test_what_is_no_policy_is_said_in_one_line(said: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        policy(week(), **said)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


def test_a_slip_in_the_name_of_a_check_is_no_comparison_of_a_policy_with_itself(tmp_path: Path) -> None:
    (tmp_path / "pings.csv").write_text("check,received_at\nbackup,2026-03-02T03:05:00Z\nbackup,2026-03-03T03:05:00Z\n")
    (tmp_path / "checks.csv").write_text("check,schedule\nbackup,0 3 * * *\n")
    assert run_qpa(tmp_path, "import", "pings.csv", "--checks", "checks.csv").returncode == 0

    slipped = run_qpa(tmp_path, "replay", "--grace", "bakcup=20 min")

    assert slipped.returncode == 2 and slipped.stdout == ""
    assert slipped.stderr.splitlines()[-1] == 'qpa: there is no check "bakcup" to give another grace; did you mean "backup"?'


def test_a_demo_can_be_of_some_checks_a_window_and_an_earlier_day() -> None:
    h = qpa.demo("recorded", since="2026-10-01", as_of="2026-11-01", check="db-*")
    assert h.checks.check.tolist() == ["db-backup"]
    assert (h.since, h.as_of) == (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    assert h.pings.received_at.max() <= h.as_of
    with pytest.raises(UsageError, match="since"):
        qpa.demo(since="yesterdayish")
