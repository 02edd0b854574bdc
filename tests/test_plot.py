"""Figures for notebooks: what they show of the bundled data, of names that mean harm, of little and of very much."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sample_facts
from telling import Job, instant, week

import qpanalytics as qpa
from qpanalytics.errors import UsageError
from qpanalytics.history import History
from qpanalytics.instants import EPOCH
from qpanalytics.plot import calendar as calendar_figure
from qpanalytics.plot.calendar import days, worst
from qpanalytics.plot.drawing import safe
from qpanalytics.plot.reading import thinned
from qpanalytics.report import palette

pytest.importorskip("plotly", reason="plotly is not installed")
FIGURES = ("runs", "durations", "lateness", "calendar", "outcomes")


def drawn(name: str, history: History, **told: Any) -> Any:
    return getattr(qpa.plot, name)(history, **told)


def trace(fig: Any, name: str) -> Any:
    (found,) = [one for one in fig.data if one.name == name]
    return found


def texts(fig: Any) -> list[str]:
    """Every text that Plotly shows of a figure, but for templates of its own."""
    found = [fig.layout.title.text or "", fig.layout.title.subtitle.text or ""]
    found += [note.text for note in fig.layout.annotations]
    found += [*(fig.layout.yaxis.ticktext or ()), *(fig.layout.xaxis.ticktext or ())]
    for one in fig.data:
        found.append(one.name or "")
        for some in (one.text, one.customdata):
            found += [some] if isinstance(some, str) else [] if some is None else [str(text) for text in some]
    return found


# What a figure says of the bundled data -------------------------------------------------------------------------------


def test_backup_gets_slower_and_the_figure_says_so() -> None:
    fig = qpa.plot.durations(qpa.demo("recorded"), check="db-backup")
    # data/README.md: its duration grows from 10 to 20 minutes; two nights failed, and one never ended
    assert "median 11 min in the first third, 19 min in the last; 2 of them failed." in qpa.plot.alt(fig)
    minutes = np.array(trace(fig, "run").y)
    assert 9.5 < minutes[:5].mean() < 11 and 19 < minutes[-5:].mean() < 21
    assert len(trace(fig, "failed run").y) == 2
    assert fig.layout.yaxis.ticksuffix == " min" and fig.layout.title.text == "<b>db-backup: how long it runs</b>"


def test_lateness_of_what_never_came_stands_at_the_upper_edge() -> None:
    h = qpa.demo("recorded")
    fig = qpa.plot.lateness(h, check="ny-report")
    occurrences = h.occurrences[h.occurrences.check == "ny-report"]
    came = occurrences.dropna(subset=["lateness_s"])
    (missed,) = trace(fig, "missed").y
    assert fig.layout.yaxis.range[1] > missed > max(*trace(fig, "on time").y, *trace(fig, "late").y)
    assert len(trace(fig, "on time").y) + len(trace(fig, "late").y) == len(came) == 51
    at = pd.to_datetime(trace(fig, "missed").x[0]).tz_localize("UTC")
    assert at == occurrences[occurrences.outcome == "missed"].expected_at.item()
    # the median is that of the table, in which a run that never came is later than all others
    table = qpa.lateness(h)
    middle = table[table.check == "ny-report"].p50_s.item()
    assert f"half of them ended no later than {qpa_duration(middle)} after" in qpa.plot.alt(fig)
    assert "2 came after the grace of 45 min; 1 missed" in qpa.plot.alt(fig)


def qpa_duration(seconds: float) -> str:
    from qpanalytics import spell

    return spell.duration(seconds)


def test_a_calendar_calls_each_day_what_the_strip_of_the_report_calls_it() -> None:
    for history in (qpa.demo("recorded"), qpa.demo()):
        with history.session():
            rows = history.sql("strip_days", tz="Europe/Berlin", from_at=history.since, to_at=history.until).to_pylist()
            told = days(history, "Europe/Berlin")
        ranks = ("pending", "excused", "ran", "on_time", "unknown", "late", "missed", "failed", "hung")
        strips = {(row["check_id"], row["day"]): ranks[row["worst"] - 1] for row in rows}
        assert {(c, day): worst(of) for c, by_day in told.items() for day, of in by_day.items()} == strips
        assert len(strips) > 400


def test_a_calendar_has_weeks_across_and_weekdays_down_and_letters_on_bad_days() -> None:
    fig = calendar_figure(qpa.demo("recorded"), check="db-backup")
    failed = trace(fig, "failed")
    assert failed.text == palette.LETTERS["failed"] == "F"
    # Tue 22 Sep and Wed 4 Nov 2026, counted in weeks from Mon 7 Sep
    assert list(zip(failed.x, (round(b + 0.44) for b in failed.base), strict=True)) == [(2, 1), (8, 2)]
    assert [text.split("<br>") for text in failed.customdata] == [
        ["Tue 22 Sep 2026", "1 failed"],
        ["Wed 4 Nov 2026", "1 failed"],
    ]
    assert "2 failed, 3 missed, 70 on time" in qpa.plot.alt(fig)


def test_outcomes_add_up_to_the_occurrences_of_the_window() -> None:
    h = qpa.demo("recorded")
    fig = qpa.plot.outcomes(h, check="hourly-sync")
    counts = h.occurrences[h.occurrences.check == "hourly-sync"].outcome.value_counts()
    for outcome in ("on_time", "missed", "failed"):
        assert sum(trace(fig, palette.word(outcome)).y) == counts[outcome]
    assert trace(fig, "missed").marker.color == palette.light("paper"), "hollow, as in the strips"


def test_runs_stand_at_their_day_and_time_of_day_in_the_zone_asked_for() -> None:
    h = qpa.demo("recorded")
    berlin, utc = (trace(qpa.plot.runs(h, check="db-backup", tz=tz), "succeeded") for tz in ("Europe/Berlin", "UTC"))
    # 02:30 in Berlin all autumn; in UTC half an hour after midnight until 25 Oct, an hour later since
    assert {round(hour, 1) for hour in berlin.y} == {2.5}
    before = [hour for day, hour in zip(utc.x, utc.y, strict=True) if day < "2026-10-25"]
    after = [hour for day, hour in zip(utc.x, utc.y, strict=True) if day > "2026-10-25"]
    assert {round(hour, 1) for hour in before} == {0.5} and {round(hour, 1) for hour in after} == {1.5}


def test_a_run_over_midnight_is_drawn_on_both_days() -> None:
    h = week(Job("night", f"D{4 * 3600}x3", schedule="0 22 * * *", last="2026-11-20 22:00"))
    spans = next(one for one in qpa.plot.runs(h, check="night").data if one.mode == "lines")
    assert spans.x[:6] == ("2026-11-18", "2026-11-18", None, "2026-11-19", "2026-11-19", None)
    assert spans.y[:6] == (22.0, 24.0, None, 0.0, 2.0, None)
    assert "half of them begin" not in qpa.plot.alt(qpa.plot.runs(h, check="night")), "three runs have no habit"


@pytest.mark.parametrize("name", FIGURES)
def test_all_checks_in_one_figure_say_how_many_they_are(name: str) -> None:
    for history in (qpa.demo("recorded"), qpa.demo()):
        fig = drawn(name, history)
        assert re.search(r"\d+ checks", qpa.plot.alt(fig))
        assert fig.layout.height > 250


def test_an_alternative_is_only_that_of_our_own_figures() -> None:
    from plotly.graph_objects import Figure

    assert qpa.plot.alt(Figure()) == ""
    assert qpa.plot.alt(qpa.plot.runs(qpa.demo("recorded"), check="flappy")).startswith("flappy: ")


# What cannot be drawn -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_an_unknown_check_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(UsageError, match='has no check "db_backup"; did you mean "db-backup"'):
        drawn(name, qpa.demo("recorded"), check="db_backup")
    with pytest.raises(UsageError, match='no check "zzz"; it has "auto-made", "bodies"'):
        drawn(name, qpa.demo("recorded"), check="zzz")
    with pytest.raises(UsageError, match="one name is wanted, not list"):
        drawn(name, qpa.demo("recorded"), check=["db-backup"])
    with pytest.raises(UsageError, match='"Europe/Berln" is not a time zone; did you mean "Europe/Berlin"'):
        drawn(name, qpa.demo("recorded"), tz="Europe/Berln")


@pytest.mark.parametrize("name", FIGURES)
def test_a_history_without_anything_gives_a_figure_that_says_so(name: str) -> None:
    nothing = History.from_frames(
        checks=pd.DataFrame({"check": ["a"], "schedule": ["0 3 * * *"], "valid_from": ["2026-11-20T00:00:00Z"]}),
        pings=pd.DataFrame({"check": pd.Series([], dtype=str), "received_at": pd.Series([], dtype="datetime64[us, UTC]")}),
        as_of=datetime(2026, 11, 23, tzinfo=UTC),
    )
    none = qpa.demo("recorded").window(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 8, tzinfo=UTC))
    for history, check in ((nothing, None), (nothing, "a"), (none, None), (none, "db-backup")):
        fig = drawn(name, history, check=check)
        if fig.data:  # ticks of a cron check that was never pinged are not seen, and that is drawn
            assert name in ("calendar", "outcomes")
            assert "not seen" in qpa.plot.alt(fig) or "nobody was looking" in qpa.plot.alt(fig)
        else:
            (note,) = fig.layout.annotations
            assert note.text.startswith("No ") and note.text[1:] in qpa.plot.alt(fig)
    if name != "outcomes":
        assert "from Wed 1 to Tue 7 Jan 2020" in qpa.plot.alt(drawn(name, none, check="db-backup"))


def test_lateness_without_an_answer_gives_the_reason() -> None:
    assert "cannot tell" in qpa.plot.alt(qpa.plot.lateness(qpa.demo(), check="probe"))
    free = week(Job("free", "60x9", schedule=None))
    assert "it has no schedule" in qpa.plot.alt(qpa.plot.lateness(free, check="free"))
    assert trace(qpa.plot.calendar(free, check="free"), "ran")


def test_without_plotly_the_error_names_the_extra_and_the_package_works() -> None:
    script = (
        "import sys; sys.modules['plotly'] = None; sys.modules['plotly.graph_objects'] = None\n"
        "import qpanalytics as qpa\n"
        "h = qpa.demo('recorded')\n"
        "assert 'Plotly' in qpa.report(h, explore=True).explored\n"
        "try: qpa.plot.runs(h)\n"
        "except qpa.QpaError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == 'figures need Plotly, which is not installed: pip install "qpanalytics[plot]"\n'
    assert done.stderr == ""


def test_the_package_and_its_figures_are_imported_without_plotly() -> None:
    script = "import sys, qpanalytics as qpa; qpa.plot; print('plotly' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "False\n"


# Names that mean harm -------------------------------------------------------------------------------------------------

HARMFUL = (
    *sample_facts.HOSTILE,
    '<a href="https://evil.example">here</a>',
    "<b>bold</b> &lt;i&gt; %{meta[alt]} %{x} $\\alpha$",
)


@pytest.mark.parametrize("name", FIGURES)
def test_a_name_reaches_plotly_only_as_text(name: str) -> None:
    h = week(*(Job(evil, "D60x20 F M D900") for evil in HARMFUL))
    with h.session():
        figures = [drawn(name, h, check=evil) for evil in HARMFUL] + [drawn(name, h)]
    for fig in figures:
        for text in texts(fig):
            assert not re.sub(r"</?b>|<br>", "", text).count("<"), text
            assert "%{" not in text and "$" not in text and "\u202e" not in text and "\n" not in text
            assert not re.search(r"&(?!amp;|lt;|gt;|#37;|#36;)", text), text
        assert all(re.fullmatch(r"(<br>|<extra></extra>|%\{[a-z|%:,\- A-Z]+\}|[A-Za-z:, -])*", one.hovertemplate or "")
                   for one in fig.data), [one.hovertemplate for one in fig.data]  # fmt: skip


def test_a_safe_text_is_cut_before_it_is_neutralised() -> None:
    assert safe("<" * 5, 3) == "\u2068&lt;&lt;…\u2069"
    assert safe("50 % & more") == "50 &#37; &amp; more"


# Much -----------------------------------------------------------------------------------------------------------------


def test_of_very_many_runs_few_are_drawn_the_worst_among_them_and_that_is_said() -> None:
    words = ["D60"] * 5000
    words[3210] = "D1234"  # with ids: the next start would take it over
    h = week(Job("busy", " ".join(words), schedule="*/5 * * * *", every=timedelta(minutes=5), last="2026-11-22 23:55", ids=True),
             since=instant("2026-11-01 00:00"))  # fmt: skip
    fig = qpa.plot.durations(h, check="busy")
    assert len(trace(fig, "run").y) <= 600
    assert "21 min" in trace(fig, "run").text
    told = "600 of 5,000 runs are drawn: of each 25 in a row the lowest, the middle and the highest."
    below = fig.layout.title.subtitle.text.replace("<br>", " ")
    assert told in qpa.plot.alt(fig) and told in below
    assert "1 run lies above, up to 21 min" in below
    runs = qpa.plot.runs(h, check="busy")
    assert len(trace(runs, "succeeded").y) == 800
    assert f"The latest 800 of {len(h.runs):,} runs are drawn." in qpa.plot.alt(runs)
    assert sum(len(one.x) for one in qpa.plot.runs(qpa.demo()).data) <= 6000


def test_thinning_keeps_extremes_and_order() -> None:
    values = np.sin(np.arange(10_000)) + np.where(np.arange(10_000) == 4321, 50.0, 0.0)
    kept = thinned(values, 600)
    assert len(kept) <= 600 and list(kept) == sorted(set(kept.tolist()))
    assert 4321 in kept and values.argmin() in kept
    assert list(thinned(values[:600], 600)) == list(range(600))


def test_a_long_window_is_counted_by_weeks_and_a_calendar_ends_at_a_year() -> None:
    job = Job("yearly", "60x500", last="2026-11-22 03:00")
    h = week(job, since=EPOCH)
    fig = qpa.plot.outcomes(h, check="yearly")
    assert "A bar is a week" in fig.layout.title.subtitle.text
    assert all(date.fromisoformat(x).weekday() == 0 for x in fig.data[0].x)
    cal = qpa.plot.calendar(h, check="yearly")
    assert len(cal.data[0].x) <= 53 * 7
    assert "The last 53 weeks are drawn." in qpa.plot.alt(cal)


@pytest.mark.parametrize("name", FIGURES)
def test_equal_histories_give_equal_figures(name: str) -> None:
    h = qpa.demo("recorded")
    assert drawn(name, h).to_json() == drawn(name, h.window(h.since, h.until)).to_json()
