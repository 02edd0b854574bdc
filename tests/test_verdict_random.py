"""Whatever a check has been through, something can be said of it, in whole sentences, and a page be made."""

from __future__ import annotations

import json
import re
from datetime import timedelta

from examples import examples
from fast import filled, instant
from histories import History as Story
from histories import histories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qpanalytics.history import History
from qpanalytics.report.facts import facts
from qpanalytics.report.model import Tally
from qpanalytics.report.page import page
from qpanalytics.report.text import text
from qpanalytics.verdict import findings

BROKEN = re.compile(r"\bNone\b|\bnan\b|\binf|n/a|  | [.;,:]|\.\.|[{}\[\]]|\b0 runs|\bof 0\b")


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    story=histories(),
    hours=st.sampled_from([1, 24, 168, 24 * 30]),
    back=st.sampled_from([0, 0, 7, 100]),
    tz=st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati"]),
)
def test_any_history_can_be_told(story: Story, hours: int, back: int, tz: str) -> None:
    store = filled(story.pings, story.versions, story.pauses, story.vouched)
    as_of = instant(story.as_of)
    until = as_of - timedelta(hours=back)
    history = History(store, as_of=as_of, since=until - timedelta(hours=hours), until=until)

    with history.session():
        said = findings(history, tz=tz)
        told = facts(history, period="custom", tz=tz)
    for finding in said:
        words = f"{finding.sentence} {finding.detail}"
        assert not BROKEN.search(words), words
        json.dumps(finding.figures, allow_nan=False)
    assert sum(finding.asks and finding.kind != "not_vouched" for finding in said) <= 1
    assert told.totals == Tally.total(row.tally for row in told.all_rows)
    assert page(told) and text(told)
