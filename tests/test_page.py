"""The digest as HTML, as a fragment for notebooks and as text: what it says, what it escapes, what it weighs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
import sample_facts

from qpanalytics import spell
from qpanalytics.report import palette, wording
from qpanalytics.report.model import CheckRow, Facts, Figure, Finding, Gaps, Period, Quantile, Strip, Tally, figures
from qpanalytics.report.page import TEMPLATES, fragment, page
from qpanalytics.report.text import text

VOID = {"meta", "link", "img", "br", "hr", "input", "col"}
FIRST = sample_facts.FIRST


@dataclass
class Node:
    """An element: its name, attributes, children (elements and text)."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    inside: list[Node | str] = field(default_factory=list)

    def all(self, tag: str = "", css: str = "") -> list[Node]:
        """Every element below with that name and class."""
        found = []
        for child in self.inside:
            if isinstance(child, Node):
                if tag in ("", child.tag) and (not css or css in child.attributes.get("class", "").split()):
                    found.append(child)
                found += child.all(tag, css)
        return found

    def text(self) -> str:
        """All text below, as a reader sees it: one space for each run of white space."""
        parts = [child if isinstance(child, str) else child.text() for child in self.inside]
        return re.sub(r"[ \n\t]+", " ", " ".join(parts) if self.tag in ("tr", "ul", "dl") else "".join(parts))


class Tree(HTMLParser):
    """Reads HTML strictly: an element that is closed twice or never is an error."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("")
        self._open = [self.root]
        self.feed(html)
        self.close()
        assert self._open == [self.root], f"never closed: {[n.tag for n in self._open[1:]]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(node)
        if tag not in VOID and tag not in ("path", "circle"):
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "circle"):
            assert self._open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)


@cache
def tree(facts: Facts) -> Node:
    return Tree(page(facts)).root


def small(**changed: object) -> Facts:
    """Three checks, of which one missed runs; fields can be given otherwise."""
    rows = sample_facts.bad_rows()[:1]
    kept = sample_facts.kept_rows(2)
    totals = Tally.total(row.tally for row in (*rows, *kept))
    facts = Facts(sample_facts.window(), totals, figures(totals, None, (*rows, *kept)), rows, kept)
    return replace(facts, **changed)  # type: ignore[arg-type]


def finding(sentence: str, subject: str = "", **more: object) -> Finding:
    checks = (subject,) if subject else ()
    return Finding("down", "Down", "bad", sentence, subject, checks, **more)  # type: ignore[arg-type]


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_headline_counts_the_checks_that_need_somebody_and_not_the_findings() -> None:
    one = finding("a is down", "a")
    assert wording.verdict(small(needs=(one,))) == "1 of 3 checks needs you"
    assert wording.verdict(small(needs=(one, finding("a is slower", "a")))) == "1 of 3 checks needs you"
    assert wording.verdict(small(needs=(one, finding("b is down", "b")))) == "2 of 3 checks need you"
    together = replace(finding("3 checks missed at 03:12"), checks=("a", "b", "c"))
    assert wording.verdict(small(needs=(together,))) == "3 of 3 checks need you"


def test_silence_is_told_from_health() -> None:
    assert wording.verdict(small(coverage=1.0)) == "Nothing needs you"
    assert wording.verdict(small(coverage=0.0)) == "Nothing could be seen"
    empty = Facts(sample_facts.window(), Tally(), (), ())
    assert wording.verdict(empty) == "No checks yet"
    assert "<table" not in page(empty)


def test_a_good_week_says_so_in_one_sentence() -> None:
    facts = sample_facts.quiet()
    # 24 checks: every third hourly (8 x 168), the other 16 daily (x 7): 1344 + 112 = 1456.
    assert wording.lead(facts) == "24 checks, 1,456 occurrences, 100 % on time, all seen."
    root = tree(facts)
    assert [h.text() for h in root.all("h1")] == ["Nothing needs you"]
    assert [h.text() for h in root.all("h2")] == ["All checks"]
    assert [s.text() for s in root.all("summary")] == ["24 checks kept every promise (1,456 occurrences)"]


def test_title_says_verdict_and_dates() -> None:
    assert tree(sample_facts.sample()).all("title")[0].text() == "8 of 50 checks need you, Mon 16 to Sun 22 Nov 2026"


def test_the_line_below_the_headline_gives_window_zone_and_what_was_seen_with_a_way_there() -> None:
    root = tree(sample_facts.sample())
    assert root.all("p", "when")[0].text() == (
        "Weekly digest, Mon 16 to Sun 22 Nov 2026, times in Europe/Berlin. Seen: 99.7 %, 18 min unseen."
    )
    link = root.all("a")[0]
    assert link.attributes["href"] == "#unseen"
    assert [s.all("h2")[0].text() for s in root.all("section") if s.attributes.get("id") == "unseen"] == [
        "What we could not see"
    ]


def test_coverage_that_no_source_states_is_not_made_up() -> None:
    assert "Seen" not in tree(small()).all("p", "when")[0].text()


def test_large_numbers_carry_those_of_the_week_before() -> None:
    facts = tree(sample_facts.sample()).all("dl", "facts")[0]
    told = [[part.text() for part in (*div.all("dt"), *div.all("dd"))] for div in facts.all("div")]
    # By hand: sync-crm 4 x 2 late in the week and the <script> check 1; invoice-export 3 missed, the override check 1;
    # etl-orders 2 failed and 1 hung, the quoted check 1 failed, the long one 1 hung, the one without schedule reported 1.
    # Down: 116 h + 62 min + 31 min + 4 min + 24 h + 20 h + 30 min = 162 h 7 min.
    assert told[1:] == [
        ["Late", "9", "3 before; 2 checks"],
        ["Missed", "4", "2 before; 2 checks"],
        ["Failed or hung", "6", "4 before; 4 checks"],
        ["Time down", "6 d 18 h", "2 h 5 min before"],
    ]
    assert told[0][0] == "On time"
    # Expected in the week: 37 kept ones 2,191; the others 5 + 167 + 7 + 672 + 7 + 7 + 7 + 336 + 4 + 1 + 5 = 1,218.
    # On time are all but the 18 of the other figures (9 + 4 + 5); the week before is made up as all but 9.
    assert told[0][1:] == ["99.5 %", "3,391 of 3,409; 99.7 % the week before (3,400 of 3,409)"]


def test_a_fifth_number_can_come_and_what_does_not_exist_is_left_out() -> None:
    extra = Figure("pages", "Pages sent", 9, before=4)
    labels = [dt.text() for dt in tree(small(figures=(*small().figures, extra))).all("dt")]
    assert labels == ["On time", "Missed", "Failed or hung", "Time down", "Pages sent"]
    assert "Pages sent" not in page(small())


def test_totals_on_the_page_equal_the_sums_of_its_table() -> None:
    facts = sample_facts.sample()
    rows = [row for body in tree(facts).all("tbody") for row in body.all("tr")]
    assert len(rows) == facts.checks == 50
    sums: Counter[str] = Counter()
    for row in rows:
        for cell in row.all("td", "t-rate"):
            hits = re.findall(r"([\d,]+) (?:of ([\d,]+) )?([a-z ]+)", cell.attributes.get("title", ""))
            for n, of, word in hits:
                sums[word] += int(n.replace(",", ""))
                sums["n"] += int(of.replace(",", "") or 0) if of else 0
            if "colspan" in cell.attributes:  # no rate, but failures that it reported
                sums["reported"] += sum(int(n) for n in re.findall(r"(\d+) (?:of \d+ runs )?failed", cell.text()))
        sums["down_s"] += sum(int(float(cell.attributes["value"])) for cell in row.all("data"))
    shown = {figure.key: figure for figure in facts.figures}
    assert sums["on time"] == shown["on_time"].value
    assert sums["n"] == shown["on_time"].of
    assert sums["late"] == shown["late"].value == 9
    assert sums["missed"] == shown["missed"].value == 4
    assert sums["failed"] + sums["hung"] == 5 and sums["reported"] == 1
    assert sums["failed"] + sums["hung"] + sums["reported"] == shown["failed_or_hung"].value
    assert sums["down_s"] == shown["down_s"].value == 162 * 3600 + 7 * 60


def test_the_folded_line_counts_what_is_folded() -> None:
    root = tree(sample_facts.sample())
    folded = root.all("details")[0]
    # 37 checks, of which numbers 1, 4, ..., 34 are hourly: 12 x 168 + 25 x 7 = 2191.
    assert folded.all("summary")[0].text() == "37 more checks kept every promise (2,191 occurrences)"
    assert len(folded.all("tbody")[0].all("tr")) == 37
    assert "open" not in folded.attributes


def test_at_most_seven_findings_ask_for_somebody_and_the_rest_is_one_line() -> None:
    many = tuple(finding(f"job-{i} is down", f"job-{i}") for i in range(11))
    root = tree(small(needs=many))
    assert len(root.all("ul", "finds")[0].all("li")) == 7
    assert root.all("p", "rest")[0].text() == "and 4 more: qpa verdicts"
    assert "and 4 more: qpa verdicts" in text(small(needs=many))
    assert not tree(small(needs=many[:7])).all("p", "rest")


def test_an_arrow_and_a_unit_are_set_as_print_sets_them() -> None:
    sentence = tree(sample_facts.sample()).all("ul", "finds")[0].all("p")[8].text()
    assert sentence == "backup-db runs longer: p95 4\u00a0min → 7\u00a0min since 12 Nov."


def test_under_twenty_a_share_is_counted_and_not_a_percentage() -> None:
    assert wording.share(4, 4) == "4 of 4"
    assert wording.share(18, 19) == "18 of 19"
    assert wording.share(19, 20) == "95.0 %"
    assert wording.share(9999, 10000) == "99.9 %"  # never rounded up to 100 %
    assert wording.share(0, 0) == "n/a"


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(on_time=4), "4 of 4"),
        (Tally(), "none due"),
        (Tally(excused=3), "excused"),
        (Tally(unknown=2, excused=1), "not seen"),
        (Tally(pending=1), "not due yet"),
    ],
)
def test_a_rate_of_nothing_says_why_there_is_none(tally: Tally, said: str) -> None:
    assert wording.rate(CheckRow("a", "0 3 * * *", "UTC", Strip(FIRST, (None,)), tally)) == said


def test_runs_that_never_came_are_counted_where_a_quantile_falls_among_them() -> None:
    assert wording.quantile(Quantile(None, never=3, n=60)) == "3 never came"
    assert wording.quantile(Quantile(None, "too few", n=4)) == "too few"
    assert wording.quantile(Quantile(None)) == "n/a"
    assert wording.quantile(Quantile(422.0)) == "7 min"
    assert wording.quantile(Quantile(66.0)) == "1 min 6 s"
    assert wording.quantile(Quantile(-12.0)) == "-12 s"
    assert wording.quantile(Quantile(-422.0)) == "-7 min"


def test_a_change_is_said_only_where_it_is_known_and_in_words_one_can_grasp() -> None:
    assert wording.change(Quantile(420.0, before_s=240.0)) == "+75 %"
    assert wording.change(Quantile(80.0, before_s=100.0)) == "-20 %"
    assert wording.change(Quantile(1200.0, before_s=100.0)) == "× 12"
    assert wording.change(Quantile(100.0)) == ""
    assert wording.change(Quantile(None, before_s=100.0)) == ""
    assert wording.change(Quantile(100.0, before_s=0.0)) == ""


def test_a_check_that_ticks_cannot_judge_shows_the_time_between_its_completions() -> None:
    gaps = Gaps(167, 72 * 60.0, 3.4 * 3600, 6 * 3600.0)
    row = CheckRow("ci", "17 * * * *", "UTC", Strip(FIRST, ("ran",)), gaps=gaps)
    assert wording.unjudged(row) == "every 1 h 12 min, longest 6 h in 90 days"
    cells = [td for td in tree(small(rows=(row,))).all("tbody")[0].all("td") if "t-rate" in td.attributes["class"]]
    said = "every 1\u00a0h 12\u00a0min, longest 6\u00a0h in 90 days"
    assert [(c.text(), c.attributes["colspan"]) for c in cells] == [(said, "2")]


def test_failures_of_a_check_that_ticks_cannot_judge_stand_in_its_row_and_in_the_figure() -> None:
    gaps = Gaps(167, 72 * 60.0, 3.4 * 3600, 6 * 3600.0)
    row = CheckRow("ci", "17 * * * *", "UTC", Strip(FIRST, ("failed",)), gaps=gaps, runs=8, failures=5)
    facts = small(rows=(row,), figures=figures(Tally(), Tally(on_time=9), (row,), 56))

    (cell,) = tree(facts).all("td", "t-rate")[:1]
    assert cell.text().endswith("in 90 days; 5 of 8 runs failed this week")
    assert "5 of 8 runs failed this week" in text(facts)
    (failed,) = [figure for figure in facts.figures if figure.key == "failed_or_hung"]
    assert (failed.value, failed.before, failed.checks) == (5, 56, 1)


def test_figures_say_over_how_many_checks_they_are_counted() -> None:
    assert wording.basis(small()) == ""
    ci = CheckRow("ci", "17 * * * *", "UTC", Strip(FIRST, ("ran",)), gaps=Gaps(9, 60.0, 60.0, 60.0))
    said = "Counted over 2 of 3 checks; 1 cannot be judged by its ticks: of it only reported failures count."
    assert wording.basis(small(rows=(ci,))) == said
    assert wording.basis(sample_facts.sample()) == (
        "Counted over 48 of 50 checks; 1 cannot be judged by its ticks and 1 has no schedule: of these only reported "
        "failures count."
    )
    for shown in (page(small(rows=(ci,))), fragment(small(rows=(ci,))), text(small(rows=(ci,)))):
        assert said in shown


def test_a_check_that_went_down_after_the_window_says_so_in_its_row() -> None:
    """The week ends before Mon 23 Nov in Berlin; 03:08 UTC of that Monday is 04:08 there."""
    down = replace(sample_facts.bad_rows()[2], down_since_at=datetime(2026, 11, 23, 3, 8, tzinfo=UTC))
    facts = small(rows=(down,))

    assert down.tally.down_s == 0
    for shown in (page(facts), fragment(facts), text(facts)):
        assert shown.count("down now, since Mon 23 Nov 04:08") == 1
    within = replace(down, down_since_at=datetime(2026, 11, 20, 1, 30, tzinfo=UTC))
    assert wording.down_now(within, facts.window) == "down now, since Fri 02:30"
    assert wording.down_now(sample_facts.bad_rows()[2], facts.window) == ""


def test_a_command_breaks_between_its_options_only_and_is_copied_whole() -> None:
    typed = "qpa runs --check 'it is -x mine' --since 2026-11-16 --db /srv/a-b/qpa.duckdb"
    (code,) = tree(small(needs=(finding("a is down", "a", command=typed),))).all("code", "cmd")
    assert code.text() == typed
    assert [span.text() for span in code.all("span")][-2:] == ["--since 2026-11-16", "--db /srv/a-b/qpa.duckdb"]


def test_a_check_without_a_schedule_has_runs_and_no_rate() -> None:
    row = CheckRow("adhoc", None, None, Strip(FIRST, ("ran", None)), runs=41, failures=2)
    line = tree(small(rows=(row,))).all("tbody")[0].all("tr")[0].text()
    assert "41 runs, 2 failed" in line
    assert "no schedule" in line
    assert " of " not in line
    assert "0 %" not in line


def test_the_window_is_called_what_it_is() -> None:
    nouns: dict[Period, str] = {"daily": "day", "weekly": "week", "monthly": "month", "custom": "window"}
    for period, noun in nouns.items():
        facts = sample_facts.sample()
        root = tree(replace(facts, window=replace(facts.window, period=period)))
        assert root.all("th", "t-rate")[0].text() == f"On timethis\u00a0{noun}"
        assert f"99.7 % the {noun} before" in root.all("dl", "facts")[0].text()


# What it escapes ------------------------------------------------------------------------------------------------------


def test_no_name_becomes_markup_wherever_it_stands() -> None:
    allowed = {
        "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2", "h3",
        "p", "a", "b", "bdi", "br", "span", "div", "code", "data", "dl", "dt", "dd", "ul", "li", "figure", "details",
        "summary", "table", "colgroup", "col", "thead", "tbody", "tr", "th", "td", "svg", "path", "circle", "text",
    }  # fmt: skip
    for name in sample_facts.HOSTILE:
        row = replace(sample_facts.bad_rows()[0], check=name, schedule=name, tz=name, tags=(name,))
        said = Finding(name, name, "bad", f"{name} is down", name, (name,), name, name, row.strip)
        dots = replace(sample_facts.backup_dots(), check=name, title=name, caption=name, alt=name, limit_label=name,
                       changes=((sample_facts.us(2026, 11, 1), name),))  # fmt: skip
        facts = small(
            rows=(row,), needs=(said,), better=(said,), notes=(said,), evidence=(dots,), unseen=(name,),
            notices=(name,), rules=(name,), command=name, made_by=name,
        )  # fmt: skip
        root = tree(facts)
        assert {node.tag for node in root.all()} <= allowed
        assert {a for node in root.all() for a in node.attributes if a.startswith("on")} == set()
        assert [b.text() for b in root.all("b")] == [re.sub(r"\s+", " ", wording.shown(name))] * 3
        for html in (page(facts), fragment(facts)):
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]", html)


def test_names_stand_apart_so_that_right_to_left_marks_move_nothing_else() -> None:
    hebrew = sample_facts.HOSTILE[6]
    cells = [th for th in tree(sample_facts.sample()).all("th") if "גיבוי" in th.text()]
    assert [bdi.text() for th in cells for bdi in th.all("bdi")] == [hebrew]
    override = [bdi.text() for bdi in tree(sample_facts.sample()).all("bdi") if "gpj" in bdi.text()]
    assert set(override) == {"invoice-\\u202egpj.exe"}


def test_no_script_and_no_address_outside_the_page() -> None:
    html = page(sample_facts.sample())
    root = tree(sample_facts.sample())
    assert not root.all("script")
    for node in root.all():
        assert not {"src", "srcset", "action", "data", "poster", "style", "xlink:href"} & set(node.attributes), node.tag
        assert node.attributes.get("href", "#").startswith("#")
    style = "".join(node.text() for node in root.all("style"))
    assert "url(" not in style and "@import" not in style and "//" not in style
    assert "<link" not in html and "http-equiv" not in html


def test_the_only_anchor_is_the_one_that_is_linked_to() -> None:
    assert [n.attributes["id"] for n in tree(sample_facts.sample()).all() if "id" in n.attributes] == ["unseen"]
    for unlinked in (small(unseen_s=60.0), small(coverage=0.5)):
        assert 'href="#' not in page(unlinked)


# How it is built ------------------------------------------------------------------------------------------------------


def test_equal_facts_make_equal_bytes_in_another_process_with_another_hash_seed() -> None:
    here = Path(__file__).parent
    program = (
        "import sys, hashlib, sample_facts as s; from qpanalytics.report import page, text; f = s.sample();"
        "print(hashlib.sha256((page.page(f) + page.fragment(f) + text.text(f)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{here.parent}:{here}", "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_headings_descend_in_steps_and_there_is_one_at_the_top() -> None:
    levels = [int(n.tag[1]) for n in tree(sample_facts.sample()).all() if re.fullmatch("h[1-6]", n.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_readers_that_do_not_see_get_language_scopes_and_a_sentence_for_each_picture() -> None:
    root = tree(sample_facts.sample())
    assert root.all("html")[0].attributes["lang"] == "en"
    assert {"viewport", "color-scheme"} <= {m.attributes.get("name") for m in root.all("meta")}
    for table in root.all("table"):
        assert [th.attributes["scope"] for th in table.all("thead")[0].all("th")] == ["col"] * 8
        for row in table.all("tbody")[0].all("tr"):
            assert [th.attributes["scope"] for th in row.all("th")] == ["row"]
    for svg in root.all("svg"):
        named = svg.attributes.get("role") == "img" and len(svg.attributes.get("aria-label", "")) > 10
        assert named or svg.attributes.get("aria-hidden") == "true"


def test_every_colour_of_text_reaches_four_and_a_half_to_one() -> None:
    for theme in (palette.light, palette.dark):
        for ink in ("ink", "soft", "link", "bad"):
            for paper in ("paper", "wash") if ink in ("ink", "soft") else ("paper",):
                assert palette.contrast(theme(ink), theme(paper)) >= 4.5, (ink, paper)
        assert palette.contrast(theme("on-bad"), theme("bad")) >= 4.5
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert palette.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the known near miss of AA


def test_no_two_outcomes_share_a_shape_or_a_letter() -> None:
    shapes = [palette.SHAPES[outcome] for outcome in palette.OUTCOMES]
    assert len({(s.form, s.height) for s in shapes}) == len(shapes)
    assert len(set(palette.LETTERS.values())) == len(palette.OUTCOMES) == len(palette.LETTERS)


def test_the_legend_names_what_is_drawn_and_nothing_else() -> None:
    items = [li.text() for li in tree(sample_facts.sample()).all("ul", "legend")[0].all("li")]
    ran = "ran, tick unknown or no schedule"
    assert items == ["on time", "late", "missed", "failed", "hung", "excused", "not seen", ran]
    some = [row for row in sample_facts.bad_rows() if row.gaps is not None]
    assert wording.legend(some) == [("ran", "ran, tick unknown")]
    some = [row for row in sample_facts.bad_rows() if row.schedule is None]
    assert wording.legend(some)[-1] == ("ran", "ran, no schedule")


# What it weighs -------------------------------------------------------------------------------------------------------


def test_fifty_checks_weigh_at_most_250_kB_and_5000_nodes() -> None:
    facts = sample_facts.sample()
    assert facts.checks == 50
    assert len(page(facts).encode()) <= 250_000
    assert len(tree(facts).all()) <= 5_000


def test_a_page_with_every_figure_it_may_hold_stays_within_its_weight() -> None:
    facts = sample_facts.sample()
    busy = replace(
        sample_facts.backup_dots(),
        points=tuple((sample_facts.us(2026, 8, 25) + i * 60_000_000, 1.0 + i % 997) for i in range(100_000)),
    )
    figures_14 = (busy, sample_facts.crm_arrivals()) * 7
    assert len(page(replace(facts, evidence=figures_14)).encode()) <= 250_000


def test_the_fragment_stays_within_40_kB_and_600_nodes() -> None:
    html = fragment(sample_facts.sample())
    assert len(html.encode()) <= 40_000
    assert len(Tree(html).root.all()) <= 600


# The fragment ---------------------------------------------------------------------------------------------------------


def test_the_fragment_holds_headline_facts_seven_findings_and_the_worst_ten_checks() -> None:
    root = Tree(fragment(sample_facts.sample())).root
    assert root.all("p", "head")[0].text() == "8 of 50 checks need you"
    assert len(root.all("dl", "facts")[0].all("div")) == 5
    assert len(root.all("ul", "finds")[0].all("li")) == 7
    names = [th.all("div", "name")[0].text() for th in root.all("tbody")[0].all("th")]
    assert names == [wording.shown(row.check) for row in sample_facts.bad_rows()[:10]]
    assert len(root.all("td", "days")) == len(root.all("tbody")[0].all("svg")) == 10
    assert not root.all("script")


def test_the_fragment_styles_nothing_but_itself() -> None:
    style = Tree(fragment(sample_facts.sample())).root.all("style")[0].text()
    selectors = [s.strip() for rule in re.findall(r"([^{}]+)\{", style) for s in re.split(r",(?![^(]*\))", rule)]
    assert len(selectors) > 30
    assert [s for s in selectors if not re.match(r'(\[data-[a-z-]+="[a-z]+"\] |\.vscode-dark )?\.qpa\b', s)] == []


def test_every_class_that_is_drawn_has_a_style() -> None:
    for html in (page(sample_facts.sample()), fragment(sample_facts.sample())):
        root = Tree(html).root
        style = root.all("style")[0].text()
        drawn = {c for node in (*root.all("path"), *root.all("circle")) for c in node.attributes["class"].split()}
        assert {c for c in drawn if not re.search(rf"\.{c}\b", style)} == set()


def test_template_files_are_the_ones_that_are_used() -> None:
    assert sorted(p.name for p in TEMPLATES.iterdir()) == [
        "drift.css", "explore.css", "explore.html.j2", "explore.js", "fragment.css", "fragment.html.j2",
        "mail.html.j2", "marks.css", "page.html.j2", "parts.html.j2", "queues.css", "queues.html.j2", "style.css",
    ]  # fmt: skip


# The text -------------------------------------------------------------------------------------------------------------


def test_the_text_says_what_the_page_says() -> None:
    facts = sample_facts.sample()
    said = " ".join(text(facts).split())
    shown = " ".join(tree(facts).text().replace("\u00a0", " ").replace("→", "->").split())
    for of in (*facts.needs[:7], *facts.better, *facts.notes):
        for words in (of.sentence, of.detail, of.command):
            # A word longer than a line is broken there, hence the comparison without spaces.
            assert spell.plain(words).replace(" ", "") in said.replace(" ", "")
            assert wording.shown(words) in shown
    for line in (wording.verdict(facts), *facts.unseen, *facts.rules, facts.command, wording.kept(facts)):
        assert line in said and line in shown


def test_the_text_is_safe_on_a_terminal_and_fits_where_words_allow_it() -> None:
    said = text(sample_facts.sample(), width=80)
    assert re.search("[^\n -~\u00a0-\uffff]", said) is None
    assert re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069]", said) is None
    outside = said[: said.index("All checks")] + said[said.index("What we could") :]
    assert max(map(len, outside.splitlines())) <= 85  # a command is never broken


def test_the_text_table_gives_a_letter_a_day_and_lines_its_columns_up() -> None:
    lines = text(sample_facts.sample()).splitlines()
    table = lines[lines.index("All checks, worst first") + 1 :]
    start = table[0].index("Last 28 days")
    assert table[1][start : start + 28] == ".....  .....  .....  M.M.M  "
    assert table[4][start : start + 28] == "....................L.LL.L.L"
    where = table[0].index("Down this week")
    assert [line[where - 1] + line[where:] for line in table[1:5]] == [" 4 d 20 h", " 1 h 2 min", " 0", " 31 min"]
