"""The drawings: what a strip, a sparkline and a figure show, checked on coordinates worked out by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import sample_facts

from qpanalytics import spell
from qpanalytics.report import evidence, palette, svg, wording
from qpanalytics.report.model import Arrivals, Dots, Level, Mark, Strip, Trend

MONDAY = date(2026, 11, 16)
HOUR_US = 3_600_000_000


def parsed(drawing: str) -> ElementTree.Element:
    """The drawing as XML: whatever does not parse is not well formed."""
    return ElementTree.fromstring(drawing)


def paths(drawing: str, css: str) -> list[str]:
    return [p.get("d", "") for p in parsed(drawing).iter("path") if p.get("class") == css]


def words(drawing: str, css: str) -> list[str]:
    return [t.text or "" for t in parsed(drawing).iter("text") if t.get("class") == css]


def strip(cells: str, first: date = MONDAY) -> Strip:
    """A strip from letters, as the text report prints it."""
    of = {letter: cell for cell, letter in palette.LETTERS.items()} | {" ": None}
    return Strip(first, tuple(of[letter] for letter in cells))


# Strips ---------------------------------------------------------------------------------------------------------------


def test_a_day_without_an_expected_run_is_blank_so_a_weekday_job_looks_like_one() -> None:
    drawn = svg.strip(strip(".....  "))
    # Cells are 7 apart, 6 wide; an on-time bar rises 12 of 20 from the foot.
    assert paths(drawn, "q-on-time") == ["".join(f"M{x} 8h6v12h-6z" for x in (0, 7, 14, 21, 28))]
    assert parsed(drawn).get("viewBox") == "0 0 48 21"


def test_each_outcome_has_its_own_place_in_one_path_of_its_own() -> None:
    drawn = svg.strip(strip("LMFHe?.~o"))
    assert paths(drawn, "q-late") == ["M0 4h6v16h-6z"]
    assert paths(drawn, "q-missed") == ["M7.5 0.5h5v19h-5z"]
    assert paths(drawn, "q-failed") == ["M14 0h6v20h-6z"]
    assert paths(drawn, "q-hung") == ["M21 0h6v8h-6zM21 12h6v8h-6z"]
    assert paths(drawn, "q-excused") == ["M28 16h6v4h-6z"]
    assert paths(drawn, "q-unknown") == ["M35 18.4h6v1.6h-6z"]
    assert paths(drawn, "q-on-time") == ["M42 8h6v12h-6z"]
    assert paths(drawn, "q-pending") == ["M49.5 12.5h5v7h-5z"]
    assert len(paths(drawn, "q-ran")) == 1


def test_a_strip_says_what_it_shows() -> None:
    said = wording.strip(strip("M.M.M  ..... ?"))
    # 14 days from Mon 16 Nov end on Sun 29 Nov.
    assert said == (
        "14 days to Sun 29 Nov: on time on 7, missed on Mon 16, Wed 18 and Fri 20 Nov, not seen on Sun 29 Nov"
    )
    assert wording.strip(strip("FFFF   ")) == "7 days to Sun 22 Nov: failed on 4"
    assert wording.strip(strip("       ")) == "7 days to Sun 22 Nov: nothing was expected"
    assert wording.strip(Strip(date(2026, 11, 30), ("late", "late"))) == (
        "2 days to Tue 1 Dec: late on Mon 30 Nov and Tue 1 Dec"
    )
    assert parsed(svg.strip(strip("."))).get("aria-label") == "1 day to Mon 16 Nov: on time on 1"


def test_the_foot_of_a_strip_begins_with_the_check() -> None:
    whole = strip("     ..")
    assert paths(svg.strip(whole), "q-foot") == ["M0 20.5h48"]
    since_saturday = replace(whole, began=date(2026, 11, 21))  # the sixth day: five cells of seven pixels are left out
    assert paths(svg.strip(since_saturday), "q-foot") == ["M35 20.5h13"]
    assert wording.strip(since_saturday) == "7 days to Sun 22 Nov, the check began on Sat 21 Nov: on time on 2"
    # Known since long, or a missed tick before its first ping: what is told of it begins earlier.
    assert paths(svg.strip(replace(whole, began=date(2026, 11, 1))), "q-foot") == ["M0 20.5h48"]
    assert paths(svg.strip(replace(strip("  M  .."), began=date(2026, 11, 21))), "q-foot") == ["M14 20.5h34"]
    assert paths(svg.strip(replace(strip("       "), began=date(2026, 12, 1))), "q-foot") == ["M49 20.5"]


def test_a_cell_that_no_strip_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell 'early'"):
        Strip(MONDAY, ("early",))


def test_a_strip_of_no_days_is_still_a_picture() -> None:
    assert parsed(svg.strip(Strip(MONDAY, ()))).get("aria-label") == "no days"


# Sparklines -----------------------------------------------------------------------------------------------------------


def trend(*values: float | None) -> Trend:
    return Trend(MONDAY, values)


def test_a_doubling_is_seen_and_noise_is_not() -> None:
    def heights(of: Trend) -> list[float]:
        return [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", paths(svg.sparkline(of), "q-line")[0])]

    # The median is 100, so the axis runs from 40 to 160 over 18 pixels: 10 % is 1.5 pixels.
    assert heights(trend(100, 110, 100)) == [12.0, 10.5, 12.0]
    # A value beyond stretches it: 40 to 200 over 18 pixels.
    assert heights(trend(100, 100, 200)) == [14.2, 14.2, 3.0]


def test_a_growth_that_is_told_fills_its_picture_and_says_from_what_to_what() -> None:
    """16 to 19 min is a flat line from zero on; scaled to itself it rises from the foot (21) to the top (3)."""
    grown = svg.sparkline(trend(960.0, 1050.0, 1140.0), width=196, fit=True)
    heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", paths(grown, "q-line")[0])]
    assert heights == [21.0, 12.0, 3.0]
    assert words(grown, "q-tick") == ["16 min", "19 min"]
    assert words(svg.sparkline(trend(960.0, 1140.0)), "q-tick") == []


def test_a_weekly_job_has_a_line_and_a_longer_silence_breaks_it() -> None:
    weekly = trend(*([60.0] + [None] * 6) * 3, 60.0)
    assert paths(svg.sparkline(weekly), "q-line")[0].count("M") == 1
    silent = trend(60.0, 60.0, *[None] * 9, 60.0, 60.0)
    assert paths(svg.sparkline(silent), "q-line")[0].count("M") == 2


def test_a_sparkline_without_values_is_nothing_and_one_of_equal_values_is_a_line() -> None:
    assert svg.sparkline(trend(None, None)) == ""
    assert paths(svg.sparkline(trend(0.0, 0.0)), "q-line") != []
    assert wording.trend(trend(120.0, None, 240.0, 180.0)) == "Duration a day, 4 days: 2 min to 4 min, last 3 min"
    assert wording.trend(trend(None)) == "Duration: not known"


# Axes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 600, ["0", "2", "4", "6", "8", "10 min"]),
        (0, 45, ["0", "10", "20", "30", "40", "50 s"]),
        (0, 0.4, ["0", "0.1", "0.2", "0.3", "0.4 s"]),
        (0, 7200, ["0", "0.5", "1", "1.5", "2 h"]),
        (0, 3 * 86400, ["0", "1", "2", "3 d"]),
        (-30, 90, ["-30", "0", "30", "60", "90 s"]),
        (0, 0, ["0", "0.01 s"]),
    ],
)
def test_an_axis_of_time_has_round_steps_in_one_unit_named_once(low: float, high: float, labels: list[str]) -> None:
    ticks = evidence.time_ticks(low, high)
    assert [label for _, label in ticks] == labels
    assert ticks[0][0] <= low <= high <= ticks[-1][0]


def test_an_axis_reaches_whatever_it_is_given() -> None:
    for high in (1e-9, 0.003, 59.9, 61.0, 5_000.0, 1e6, 4e8, 1e12):
        ticks = evidence.time_ticks(0.0, high)
        assert ticks[-1][0] >= high * 0.999999
        assert 2 <= len(ticks) <= 7


def test_days_are_marked_at_local_midnight_also_across_the_change_of_the_clock() -> None:
    since, until = (round(datetime(2026, 10, day, 22, tzinfo=UTC).timestamp()) * 1_000_000 for day in (22, 28))
    ticks = evidence.day_ticks(since, until, "Europe/Berlin")
    # Fri 23 Oct 00:00 in Berlin is 22:00 UTC the day before; from Sun 25 on midnight is 23:00 UTC.
    assert [label for _, label in ticks] == ["23 Oct", "25 Oct", "27 Oct"]
    assert [(us - since) // HOUR_US for us, _ in ticks] == [0, 48, 97]


def test_a_window_of_a_day_is_marked_in_hours() -> None:
    since = round(datetime(2026, 11, 16, 23, tzinfo=UTC).timestamp()) * 1_000_000
    labels = [label for _, label in evidence.day_ticks(since, since + 24 * HOUR_US, "Europe/Berlin")]
    assert labels == ["17 Nov", "06:00", "12:00", "18:00", "18 Nov"]


def test_a_window_of_many_years_is_marked_in_years() -> None:
    since, until = (round(datetime(year, 7, 1, tzinfo=UTC).timestamp()) * 1_000_000 for year in (2020, 2026))
    ticks = evidence.day_ticks(since, until, "Europe/Berlin")
    # 1 January in Berlin begins at 23:00 UTC on the day before
    assert [label for _, label in ticks] == ["2022", "2024", "2026"]
    assert (ticks[0][0] - since) // HOUR_US == (184 + 365) * 24 - 1


# Dots -----------------------------------------------------------------------------------------------------------------


def dots(**changed: object) -> Dots:
    plain = Dots("a", "a", "c", "alt", 0, 100 * HOUR_US, tuple((i * HOUR_US, 60.0) for i in range(100)))
    return replace(plain, **changed)  # type: ignore[arg-type]


def drawn_dots(drawing: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", paths(drawing, "q-dots")[0])]


def test_dots_lie_on_the_axes_that_are_drawn() -> None:
    drawing = evidence.dots(dots(points=((0, 0.0), (50 * HOUR_US, 50.0), (100 * HOUR_US, 100.0))))
    assert words(drawing, "q-tick")[:6] == ["0", "20", "40", "60", "80", "100 s"]
    grid = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)H", paths(drawing, "q-grid")[0])]
    left, right = grid[0][0], evidence.WIDE - evidence.RIGHT
    assert [y for _, y in drawn_dots(drawing)] == [grid[0][1], (grid[2][1] + grid[3][1]) / 2, grid[-1][1]]
    assert [x for x, _ in drawn_dots(drawing)] == [round(left), round((left + right) / 2), right]


def test_one_bad_night_does_not_flatten_the_others_and_is_counted() -> None:
    points = (*((i * HOUR_US, 60.0) for i in range(99)), (99 * HOUR_US, 7200.0))
    drawing = evidence.dots(dots(points=points))
    assert "1 higher, up to 2 h" in words(drawing, "q-label")
    assert min(y for _, y in drawn_dots(drawing)) == evidence.TOP
    usual = max(y for _, y in drawn_dots(drawing))
    assert usual < evidence.HIGH - evidence.FOOT - 40  # sixty seconds stand well above the foot


def test_a_limit_far_above_is_named_and_not_drawn() -> None:
    near = evidence.dots(dots(limit_s=120.0, limit_label="grace 2 min"))
    assert len(paths(near, "q-limit")) == 1
    assert words(near, "q-limit-label") == ["grace 2 min"]
    far = evidence.dots(dots(limit_s=86400.0, limit_label="grace 1 d"))
    assert paths(far, "q-limit") == []
    assert words(far, "q-limit-label") == ["grace 1 d, far above"]


def test_a_hundred_thousand_runs_are_a_few_hundred_dots_that_keep_the_extremes() -> None:
    many = tuple((i * HOUR_US // 1000, 50.0 + i % 37) for i in range(100_000))
    drawing = evidence.dots(dots(points=(*many, (50 * HOUR_US, 5.0), (50 * HOUR_US, 99.0))))
    at = drawn_dots(drawing)
    assert 100 < len(at) <= 600
    y = evidence.Axis(0, 100, evidence.HIGH - evidence.FOOT, evidence.TOP)
    assert min(py for _, py in at) == pytest.approx(y.at(99.0), abs=0.1)
    assert max(py for _, py in at) == pytest.approx(y.at(5.0), abs=0.1)


def test_labels_of_changes_never_lie_on_each_other() -> None:
    changes = tuple((i * 4 * HOUR_US, f"change on {i + 1} Nov") for i in range(25))
    drawing = evidence.dots(dots(changes=changes))
    assert len(paths(drawing, "q-upright")) == 25
    spans = sorted(
        (float(t.get("x", "")) - len(t.text or "") * evidence.LETTER / 2, len(t.text or "") * evidence.LETTER)
        for t in parsed(drawing).iter("text")
        if t.get("class") == "q-label"
    )
    assert len(spans) >= 2
    assert all(a + wide <= b for (a, wide), (b, _) in pairwise(spans))
    assert "change on 25 Nov" in words(drawing, "q-label")


def test_a_figure_without_runs_or_of_no_length_is_still_drawn() -> None:
    assert paths(evidence.dots(dots(points=())), "q-dots") == [""]
    parsed(evidence.dots(dots(points=((0, 0.0),), since_us=0, until_us=0)))
    parsed(evidence.dots(dots(levels=(Level(0, 1, 0.0, "p95 0 s"),))))


# Arrivals -------------------------------------------------------------------------------------------------------------


def arrivals(came: list[float], never: int = 0, *marks: Mark) -> Arrivals:
    return Arrivals("a", "a", "Share of runs", "alt", tuple(came), never, marks)


def test_steps_end_below_all_where_runs_never_came() -> None:
    drawing = evidence.arrivals(arrivals([10.0, 20.0, 30.0], 1))
    assert words(drawing, "q-tick")[:5] == ["100 %", "75", "50", "25", "0"]
    grid = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)H", paths(drawing, "q-grid")[0])]
    steps = [float(y) for y in re.findall(r"V([\d.]+)", paths(drawing, "q-line")[0])]
    assert steps == [grid[3], grid[2], grid[1]]  # 25, 50 and 75 %, never 100


def test_an_axis_that_does_not_start_at_zero_says_so() -> None:
    early = [float(i) / 10 for i in range(990)]
    of = arrivals([*early, *[400.0] * 10], 0, Mark(300.0, "grace 5 min"))
    # 99 % came before the mark: 0.97 + 0.4 * 0.03 = 0.982 fits, 0.99 + 0.4 * 0.01 = 0.994 does not.
    assert evidence.arrivals_start(of) == 0.97
    assert evidence.arrivals_caption(of) == "Share of runs; axis starts at 97 %"
    few = arrivals([1.0] * 20, 0, Mark(300.0, "grace"))
    # Of twenty runs five must fit above the start: 0.5 does (10), 0.8 does not (4).
    assert evidence.arrivals_start(few) == 0.5
    assert evidence.arrivals_start(arrivals([1.0] * 8)) == 0.0
    assert evidence.arrivals_caption(arrivals([])) == "Share of runs"


def test_runs_that_came_long_after_are_counted_at_the_edge() -> None:
    drawing = evidence.arrivals(arrivals([60.0] * 300 + [86400.0], 0, Mark(120.0, "grace 2 min")))
    assert "1 later still, up to 1 d" in words(drawing, "q-label")


def test_a_grace_far_beyond_all_arrivals_is_named_at_the_edge() -> None:
    drawing = evidence.arrivals(arrivals([1.0, 2.0, 3.0], 0, Mark(3600.0, "grace 1 h")))
    assert words(drawing, "q-label") == ["grace 1 h, far beyond"]
    assert paths(drawing, "q-upright") == []
    assert words(drawing, "q-tick")[-1] == "3 s"


def test_runs_that_come_early_lie_left_of_zero() -> None:
    drawing = evidence.arrivals(arrivals([-20.0, -10.0, 0.0, 40.0]))
    assert words(drawing, "q-tick")[5:] == ["-30", "-15", "0", "15", "30", "45 s"]


def test_runs_that_come_a_little_early_waste_no_part_of_the_axis() -> None:
    """-20 s in steps of a minute would begin at -1 min: the axis begins at -20 s, its first tick is 0."""
    drawing = evidence.arrivals(arrivals([-20.0, *[40.0] * 9, *[120.0] * 10], 0, Mark(60.0, "grace 1 min", "bad")))
    assert words(drawing, "q-tick")[-3:] == ["0", "1", "2 min"]
    left, right = evidence.LEFT + 6 * evidence.LETTER, evidence.WIDE - evidence.RIGHT
    zero = next(float(t.get("x", "")) for t in parsed(drawing).iter("text") if t.text == "0" and t.get("text-anchor") == "middle")
    assert zero == pytest.approx(left + (right - left) * 20 / 140, abs=0.1)


@pytest.mark.parametrize("grace", [10.0, 60.0, 100.0, 118.0])
def test_a_label_beside_a_mark_is_not_crossed_by_the_curve(grace: float) -> None:
    of = arrivals([i * 1.2 for i in range(100)], 0, Mark(grace, f"grace {spell.duration(grace)}: 132 came later", "bad"))
    drawing = evidence.arrivals(of)
    at = [(t, float(t.get("x", "")), float(t.get("y", ""))) for t in parsed(drawing).iter("text")]
    lines = [(t.text or "", t.get("text-anchor"), x, y) for t, x, y in at if t.get("class") == "q-limit-label"]
    assert " ".join(line[0] for line in lines) == of.marks[0].label
    curve, here = [], (0.0, 0.0)
    for letter, value in re.findall(r"([MHV])([\d. ]+)", paths(drawing, "q-line")[0]):
        numbers = [float(n) for n in value.split()]
        there = (numbers[0], numbers[1]) if letter == "M" else (numbers[0], here[1]) if letter == "H" else (here[0], numbers[0])
        if letter != "M":
            curve.append((min(here[0], there[0]), min(here[1], there[1]), max(here[0], there[0]), max(here[1], there[1])))
        here = there
    for said, anchor, x, y in lines:
        wide = len(said) * evidence.LETTER
        left = x - wide if anchor == "end" else x
        assert not [c for c in curve if c[0] < left + wide and c[2] > left and c[1] < y + 2 and c[3] > y - 9]


def test_ticks_stand_under_their_places_and_a_level_is_not_named_over_the_axis() -> None:
    of = dots(levels=(Level(0, 10 * HOUR_US, 60.0, "median 60 s"),))
    drawing = evidence.dots(replace(of, until_us=96 * HOUR_US))
    texts = {t.text: float(t.get("x", "")) for t in parsed(drawing).iter("text")}
    grid = [float(x) for x in re.findall(r"M([\d.]+) ", paths(drawing, "q-grid")[0])]
    assert (texts["1 Jan"], texts["5 Jan"]) == (grid[0], evidence.WIDE - evidence.RIGHT)
    assert texts["median 60 s"] - len("median 60 s") * evidence.LETTER / 2 >= grid[0]


def test_arrivals_without_any_run_are_still_drawn() -> None:
    assert paths(evidence.arrivals(arrivals([], 5)), "q-line") == []
    assert paths(evidence.arrivals(arrivals([])), "q-line") == []


# What all share -------------------------------------------------------------------------------------------------------


def test_no_label_leaves_the_picture() -> None:
    long = "a label that is far too long for the place it has"
    of = dots(
        levels=(Level(95 * HOUR_US, 100 * HOUR_US, 60.0, long), Level(0, HOUR_US, 60.0, long)),
        changes=((0, "change on 1 Nov"), (100 * HOUR_US, "change on 22 Nov")),
    )
    steps = arrivals([1.0, 2.0, 3.0], 0, Mark(3.0, "grace 3 s: none later"), Mark(0.1, "grace 0.1 s"))
    for drawing in (evidence.dots(of), evidence.arrivals(steps)):
        for text in parsed(drawing).iter("text"):
            wide = len(text.text or "") * evidence.LETTER
            x = float(text.get("x", ""))
            left = {"middle": x - wide / 2, "end": x - wide}.get(text.get("text-anchor", ""), x)
            assert left >= -0.1 and left + wide <= evidence.WIDE + 0.1, text.text


@pytest.mark.parametrize("name", sample_facts.HOSTILE)
def test_names_stay_text_in_attributes_and_labels(name: str) -> None:
    drawing = evidence.dots(dots(alt=name, limit_s=90.0, limit_label=name))
    root = parsed(drawing)
    assert (root.get("aria-label") or "").replace(" ", "").startswith(spell.plain(name)[:8].replace(" ", ""))
    assert words(drawing, "q-limit-label") == [wording.shown(name)]
    assert {element.tag for element in root.iter()} == {"svg", "path", "text"}


def test_coordinates_are_short_and_plain() -> None:
    assert [svg.number(v) for v in (3.0, 3.04, 3.05, 2.999, -0.04, 1e6, 100.25)] == [
        "3", "3", "3", "3", "0", "1000000", "100.2",
    ]  # fmt: skip
