"""The page with charts: what lies in it, that it stays one small file, and that nothing changes where it is not wanted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sample_facts
from command import qpa as command
from fleets import fleet_report
from telling import Job, week

import qpanalytics as qpa
from qpanalytics.errors import UsageError
from qpanalytics.history import History
from qpanalytics.plot import drawing
from qpanalytics.report import palette
from qpanalytics.report.explore import packed
from qpanalytics.report.page import page

VENDOR = Path(drawing.__file__).parent / "vendor"


def charts(html: str) -> list[list[dict[str, Any]]]:
    """The drawings of each check, as the page holds them."""
    found = re.findall(r'<script type="text/plain">([A-Za-z0-9+/=]*)</script>', html)
    return [json.loads(gzip.decompress(base64.b64decode(text))) for text in found]


def explored(history: History, **told: Any) -> str:
    return str(qpa.report(history, explore=True, **told).explored)


def test_the_digest_is_the_same_bytes_without_it_and_differs_by_one_link_with_it() -> None:
    history = qpa.demo("recorded")
    plain, linked = qpa.report(history), qpa.report(history, explore=True)
    assert plain.html == page(plain.facts) and "<script" not in plain.html and "explore" not in plain.html
    (line,) = set(linked.html.splitlines()) - set(plain.html.splitlines())
    assert line == (
        f'<p class="basis"><a href="{linked.explored_name}">Each check run by run, in charts to zoom into</a></p>'
    )
    assert linked.html.replace(line + "\n", "") == plain.html
    assert linked.text == plain.text and linked._repr_html_() == plain._repr_html_()


def test_both_pages_are_written_and_lead_to_each_other(tmp_path: Path) -> None:
    made = qpa.report(qpa.demo("recorded"), explore=True)
    path = made.write(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [made.explored_name, made.name]
    beside = path.with_name(made.explored_name)
    assert f'href="{beside.name}"' in path.read_text(encoding="utf-8")
    assert f'<a href="{path.name}">Back to the digest</a>' in beside.read_text(encoding="utf-8")
    qpa.report(qpa.demo("recorded")).write(tmp_path / "alone")
    assert [p.name for p in (tmp_path / "alone").iterdir()] == [made.name]


def test_the_command_writes_both_and_says_where(tmp_path: Path) -> None:
    pings = tmp_path / "pings.csv"
    pings.write_text("check,received_at\n" + "".join(f"a,2026-11-{day}T03:00:10Z\n" for day in range(10, 23)))
    for args in (
        ["import", str(pings)],
        ["report", "--weekly", "--as-of", "2026-11-23", "--explore"],
    ):
        done = command(tmp_path, *args)
        assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Charts: reports/weekly-2026-11-16-explore.html"
    assert (tmp_path / "reports" / "weekly-2026-11-16-explore.html").exists()
    refused = command(tmp_path, "report", "--explore", "--format", "text")
    assert refused.returncode == 2 and "--explore makes a page with charts" in refused.stderr


def test_equal_histories_give_equal_bytes() -> None:
    h = qpa.demo("recorded")
    first = explored(h)
    assert explored(h.window(h.since, h.until)) == first
    script = (
        "import hashlib, qpanalytics as qpa\n"
        "print(hashlib.sha256(qpa.report(qpa.demo('recorded'), explore=True).explored.encode()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == hashlib.sha256(first.encode()).hexdigest(), "another process, the same bytes"


def test_each_check_has_its_sentences_and_those_charts_that_have_something_to_show() -> None:
    made = qpa.report(qpa.demo("recorded"), explore=True)
    html = made.explored
    drawn = charts(html)
    assert len(drawn) == html.count("<details") == made.facts.checks
    assert html.count("<figure>") == 4 * made.facts.checks
    assert html.count('<div class="chart"') == sum(len(some) for some in drawn)
    assert [row.check for row in made.facts.all_rows] == re.findall(r'<span class="name"><bdi>(.*?)</bdi>', html)
    for some in re.findall(r"<details.*?</details>", html, re.DOTALL):
        said = re.findall(r'<p id="(c\d+s\d)">(.+?)</p>', some)
        assert len(said) == 4 and all(len(words) > 10 for _, words in said)
        assert set(re.findall(r'aria-labelledby="(c\d+s\d)"', some)) <= {name for name, _ in said}


def test_charts_reach_ninety_days_back_and_end_with_the_digest() -> None:
    made = qpa.report(qpa.demo("recorded"), explore=True)
    at = [x for some in charts(made.explored) for one in some for trace in one["data"] for x in trace["x"] if isinstance(x, str)]
    assert min(at) >= "2026-08-25" and max(at) < "2026-11-23 00:01"
    assert min(at) < "2026-09-12", "the recorded project began on 10 Sep"


def test_colours_are_the_reports_and_each_has_a_dark_one() -> None:
    html = explored(qpa.demo("recorded"))
    (text,) = re.findall(r'<script type="application/json" id="colours">(.*?)</script>', html)
    dark = json.loads(text)
    assert dark[palette.light("missed")] == palette.dark("missed")
    assert dark[palette.light("paper")] == palette.dark("paper")
    used = set(re.findall(r'"(#[0-9a-f]{6})"', json.dumps(charts(html))))
    assert used <= {*dark, "#1c2531"}, "every colour but the letters on yellow changes with the theme"


def test_names_that_mean_harm_stay_text() -> None:
    html = explored(week(*(Job(name, "D60x20 F M") for name in sample_facts.HOSTILE)))
    assert len(charts(html)) == len(sample_facts.HOSTILE)
    assert html.count("<script") == html.count("</script>") == len(sample_facts.HOSTILE) + 3
    assert "<img" not in html and "<b>" not in html and "\u202e" not in html and "\x1b" not in html
    assert "&lt;/style&gt;&lt;/title&gt;&lt;img" in html
    assert "{{ 7 * 7 }}" in html
    assert html.count("</style>") == 1


def test_what_is_packed_cannot_end_an_element() -> None:
    text = packed(["</script><!--", "\u2028", "é"])
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", text)
    assert json.loads(gzip.decompress(base64.b64decode(text))) == ["</script><!--", "\u2028", "é"]
    with pytest.raises(ValueError, match="JSON"):
        packed([float("nan")])


def test_no_address_is_asked_for_and_the_page_forbids_it() -> None:
    html = explored(qpa.demo("recorded"))
    assert "default-src 'none'" in html
    assert not re.search(r"https?://", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))
    assert not re.search(r"\b(src|srcset|action|poster)=", html)


def test_without_checks_there_is_a_page_that_says_so_and_no_script() -> None:
    import pandas as pd

    checks = pd.DataFrame({"check": pd.Series([], dtype=str)})
    pings = pd.DataFrame({"check": pd.Series([], dtype=str), "received_at": pd.Series([], dtype="datetime64[us, UTC]")})
    from telling import AS_OF

    html = explored(History.from_frames(checks=checks, pings=pings, as_of=AS_OF))
    assert "<h1>No checks yet</h1>" in html and "<script" not in html


def test_fifty_checks_that_run_hourly_for_ninety_days_stay_below_the_budget() -> None:
    html = str(fleet_report().explored)
    assert len(charts(html)) == 50
    assert len(html.encode()) < 2_500_000
    points = [sum(len(t["x"]) for one in some for t in one["data"]) for some in charts(html)]
    assert max(points) < 6_000


def test_the_bundle_is_the_published_one_with_its_licence() -> None:
    text = gzip.decompress((VENDOR / "plotly-basic.min.js.gz").read_bytes())
    # plotly.js-basic-dist-min 4.1.1 of the npm registry, package/plotly-basic.min.js
    assert hashlib.sha256(text).hexdigest() == "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert b"plotly.js (basic - minified) v4.1.1" in text[:200]
    assert "Permission is hereby granted, free of charge" in (VENDOR / "plotly-basic.LICENSE").read_text()


def test_a_report_with_charts_asks_for_a_known_period() -> None:
    with pytest.raises(UsageError, match="is no period"):
        qpa.report(qpa.demo("recorded"), period="hourly", explore=True)
