"""The digest as a mail: what it says, what it escapes, what it weighs, and what no mailbox shows."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest
import sample_facts
from test_page import Node, Tree, finding, small

from qpanalytics import spell
from qpanalytics.report import palette, wording
from qpanalytics.report.mail import MOST_BYTES, cells, first_screen, mail
from qpanalytics.report.model import CELLS, Facts, Finding, Strip
from qpanalytics.report.queue_model import QueueFacts, QueueRow


def tree(html: str) -> Node:
    return Tree(html).root


def words(html: str) -> str:
    """All words of the body without the hidden line, as a reader sees them, in one line."""
    apart = re.sub("</(p|div|h1|h2)>", " \\g<0>", html)
    shown = [node for node in tree(apart).all("body")[0].inside if isinstance(node, Node)]
    text = " ".join(node.text() for node in shown if "display:none" not in node.attributes.get("style", ""))
    return re.sub(r"\s+", " ", text)


def busy(kept: int = 37) -> Facts:
    """Fifty checks, each of which had another outcome each day, seven of them told of in long sentences."""
    dice = random.Random(7)
    facts = sample_facts.sample(kept)
    rows = tuple(
        replace(row, strip=Strip(sample_facts.FIRST, tuple(dice.choice(CELLS) for _ in range(28)))) for row in facts.rows
    )
    needs = tuple(
        finding(f"{row.check} {'is down, ' * 20}", row.check, detail="It was & is <down>. " * 20, command="qpa runs " * 20)
        for row in rows
    )
    return replace(facts, rows=rows, needs=needs)


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_subject_is_verdict_and_dates_and_whose_it_is() -> None:
    facts = sample_facts.sample()
    assert mail(facts).subject == "8 of 50 checks need you, Mon 16 to Sun 22 Nov 2026"
    assert mail(facts, about="db").subject == "db: 8 of 50 checks need you, Mon 16 to Sun 22 Nov 2026"
    assert mail(sample_facts.quiet()).subject == "Nothing needs you, Mon 16 to Sun 22 Nov 2026"
    assert mail(facts, about="a\nBcc: x").subject.isprintable()


def test_beside_the_subject_stands_the_second_sentence() -> None:
    made = mail(sample_facts.sample())
    assert made.preheader == "invoice-export missed 3 of 5 runs, on Mon, Wed and Fri; down since Fri 02:30."
    first = tree(made.html).all("body")[0].all("div")[0]
    assert first.text().replace("\u00a0", " ") == made.preheader and "display:none" in first.attributes["style"]
    assert mail(sample_facts.quiet()).preheader == "24 checks, 1,456 occurrences, 100 % on time, all seen."


def test_figures_are_a_table_of_two_columns() -> None:
    table = tree(mail(sample_facts.sample()).html).all("table")[2]
    rows = [(row.all("th")[0].text(), row.all("td")[0].text()) for row in table.all("tr")]
    assert rows[1:3] == [("Late", "9 3 before; 2 checks"), ("Missed", "4 2 before; 2 checks")]
    assert rows[0] == ("On time", "99.5 % 3,391 of 3,409; 99.7 % the week before (3,400 of 3,409)")


def test_seven_findings_are_shown_and_the_others_are_one_line() -> None:
    made = mail(sample_facts.sample())
    for said in (words(made.html), made.text):
        assert "and 1 more: qpa verdicts" in said
    assert made.html.count("font-weight:bold\">") == 7
    assert "37 more checks kept every promise (2,191 occurrences)." in made.text
    # thirteen rows, of which eight are told of
    assert "5 more checks need nobody, but did not keep every promise or cannot be judged." in re.sub(r"\s+", " ", made.text)


def test_html_and_text_are_of_the_same_words() -> None:
    made = mail(sample_facts.sample(), attached="weekly-2026-11-16.html")
    html = words(made.html).replace("\u00a0", " ").replace("\N{RIGHTWARDS ARROW}", "->")
    text = re.sub(r"\s+", " ", made.text)
    hebrew = sample_facts.HOSTILE[6]
    html = html.replace(hebrew, spell.plain(hebrew))
    missing = [word for word in set(re.findall(r"[\w-]{3,}", html)) - set(re.findall(r"[\w-]{3,}", text)) if len(word) < 60]
    assert missing == []
    added = set(re.findall(r"[\w-]{3,}", text)) - set(re.findall(r"[\w-]{3,}", html))
    assert {word for word in added if len(word) < 60 and word.isalpha()} <= {"MMM"}


def test_the_text_has_lines_of_seventy_two_columns_except_for_names_and_what_is_aligned() -> None:
    lines = mail(small(needs=(finding("a is down. " * 9, "a"),))).text.splitlines()
    assert max(map(len, lines)) <= 72


def test_the_first_screen_is_what_any_channel_can_take() -> None:
    said = first_screen(sample_facts.sample())
    assert said.startswith("Weekly digest, Mon 16 to Sun 22 Nov 2026")
    assert "Down: invoice-export missed 3 of 5 runs" in said and "37 more checks" not in said
    assert "<" not in said.replace("<b>bold</b>", "")
    assert len(said) < 4000


def test_the_page_is_linked_to_or_attached_or_neither() -> None:
    facts = sample_facts.sample()
    linked = mail(facts, link="https://r.example/qpa/weekly-2026-11-16.html", attached="weekly-2026-11-16.html")
    (link,) = tree(linked.html).all("a")
    assert link.attributes["href"] == "https://r.example/qpa/weekly-2026-11-16.html"
    assert "The full page: https://r.example/qpa/weekly-2026-11-16.html" in linked.text
    assert "attached" not in linked.text + linked.html
    attached = mail(facts, attached="weekly-2026-11-16.html")
    assert "The full page is attached: weekly-2026-11-16.html" in attached.text
    assert not tree(attached.html).all("a")
    assert "full page" not in mail(facts).html + mail(facts).text


def test_queues_that_are_well_are_one_line() -> None:
    well = (QueueRow("shop/mailers", depth=0), QueueRow("shop/default", depth=2))
    made = mail(replace(sample_facts.quiet(), queues=QueueFacts((), well, (), (), "")))
    assert "2 queues are well." in made.text and "2 queues are well." in words(made.html)


# Strips ---------------------------------------------------------------------------------------------------------------


def test_good_neighbours_are_one_cell_and_each_bad_day_has_its_letter() -> None:
    strip = Strip(sample_facts.FIRST, (None, None, "on_time", "on_time", "on_time", "missed", "missed", "late", "ran"))
    found = [
        (td.attributes.get("colspan", "1"), td.attributes["width"], td.attributes.get("bgcolor"), td.text().strip("\u00a0"))
        for td in tree(f"<table><tr>{cells(strip)}</tr></table>").all("td")
    ]
    blue, red = palette.middle("on_time"), palette.middle("missed")
    assert found == [
        ("2", "24", None, ""), ("3", "36", blue, ""), ("1", "12", red, "M"), ("1", "12", red, "M"),
        ("1", "12", palette.middle("late"), "L"), ("1", "12", blue, ""),
    ]  # fmt: skip


def test_a_strip_is_also_said_in_words_and_its_letters_are_explained() -> None:
    made = mail(sample_facts.sample())
    said = "28 days to Sun 22 Nov: on time on 17, missed on Mon 16, Wed 18 and Fri 20 Nov"
    assert said in words(made.html) and said in re.sub(r"\s+", " ", made.text)
    assert "L late; M missed; F failed; H hung; ? not seen; blank: no run expected" in words(made.html)
    assert "  [.....  .....  .....  M.M.M  ]\n" in made.text


def test_days_that_are_all_good_are_not_shown_for_a_check_that_got_slower() -> None:
    slower = next(one for one in sample_facts.sample().needs if one.kind == "slower")
    assert "28 days" not in mail(small(rows=sample_facts.bad_rows()[2:3], needs=(slower,))).text


def test_colours_of_cells_hold_on_light_and_on_dark_paper_and_letters_on_them() -> None:
    for cell in palette.OUTCOMES:
        colour = palette.middle(cell)
        assert palette.contrast(colour, palette.dark("paper")) >= 2.9
        assert cell == "late" or palette.contrast(colour, palette.light("paper")) >= 2.9
        assert palette.contrast(palette.ink_on(cell), colour) >= 4


# What it escapes and weighs -------------------------------------------------------------------------------------------


def test_no_name_becomes_markup_and_no_mailbox_has_to_fetch_or_run_anything() -> None:
    allowed = {
        "html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td", "th", "h1", "h2", "p", "span", "b", "bdi",
    }  # fmt: skip
    for name in sample_facts.HOSTILE:
        row = replace(sample_facts.bad_rows()[0], check=name, schedule=name, tz=name, tags=(name,))
        said = Finding(name, name, "bad", f"{name} is down", name, (name,), name, name, row.strip)
        facts = small(
            rows=(row,), needs=(said,), better=(said,), notes=(said,), unseen=(name,), notices=(name,), rules=(name,),
            command=name, made_by=name,
        )  # fmt: skip
        made = mail(facts, about=name, attached=f"{name}.html")
        root = tree(made.html)
        assert {node.tag for node in root.all()} <= allowed
        assert not {key for node in root.all() for key in node.attributes} & {"src", "href", "background", "onerror", "id"}
        assert "url(" not in "".join(str(node.attributes) for node in root.all())
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", made.html + made.text)
        assert made.subject.isprintable()


def test_a_mail_of_fifty_checks_keeps_its_budget_also_where_each_day_differs() -> None:
    for facts in (sample_facts.sample(), busy()):
        made = mail(facts, attached="weekly-2026-11-16.html")
        root = tree(made.html)
        assert len(made.html.encode()) <= MOST_BYTES == 60_000
        assert len(list(root.all())) <= 1500
        assert sum(len(style.text()) for style in root.all("style")) < 16_000
    assert len(mail(sample_facts.sample()).html.encode()) <= 20_000  # the aim


def test_names_of_thousands_of_letters_do_not_make_a_mail_that_is_cut() -> None:
    name = '"<&>"' * 800
    many = tuple(finding(f"{name} is down", name, detail=name, command=f"qpa runs --check {name}") for _ in range(9))
    facts = small(needs=many, better=many, notes=many, unseen=(name,) * 9, rules=("short.",))
    made = mail(facts)
    assert len(made.html.encode()) <= MOST_BYTES
    assert "--check" not in made.html  # half a command would be another one
    assert "more" in made.text


def test_equal_facts_make_equal_mails_and_a_changed_window_another_subject() -> None:
    facts = sample_facts.sample()
    assert mail(facts) == mail(facts)
    week = timedelta(days=7)
    later = replace(facts.window, since_at=facts.window.since_at + week, until_at=facts.window.until_at + week)
    assert mail(replace(facts, window=later)).subject != mail(facts).subject


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly", "custom"])
def test_every_period_has_its_mail(period: str) -> None:
    facts = sample_facts.sample()
    made = mail(replace(facts, window=replace(facts.window, period=period)))  # type: ignore[arg-type]
    assert wording.kind(replace(facts.window, period=period)) in made.text  # type: ignore[arg-type]
