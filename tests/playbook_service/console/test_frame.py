"""The frame around every page: where one is, which mode holds, who is signed in, and the pieces pages share."""

from __future__ import annotations

import re

import pytest

from playbook_service.console import frame
from playbook_service.console.frame import MENU, Around, chip, facts, moment, pages, table
from playbook_service.console.person import Person, Role
from playbook_service.engine.switch import Lowered
from playbook_service.web.html import Html, el

ANNA = Person("anna@soc.example", "Anna", "analyst", Role.OPERATOR)
AROUND = Around("leases", ANNA, "token", "enforce", "enforce")


def document(around: Around = AROUND, *, live: int = 0) -> str:
    return frame.document("Leases", el("p", "the page"), around, live=live)


def text(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).strip()


def test_every_page_has_one_heading_a_language_a_main_part_and_a_way_past_the_menu() -> None:
    page = document()
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert page.count("<h1>") == page.count("<main ") == 1
    assert "<h1>Leases</h1><p>the page</p>" in page
    assert page.index('href="#main"') < page.index("<nav")
    assert 'id="main" tabindex="-1"' in page


def test_the_menu_leads_everywhere_and_says_where_one_is() -> None:
    page = document()
    for place, name in MENU:
        assert f'href="{"/console/" + place if place else "/console"}"' in page
        assert name in text(page)
    assert re.findall(r'<a href="([^"]*)" aria-current="page">', page) == ["/console/leases"]


def test_a_page_below_another_is_at_that_ones_place() -> None:
    assert 'href="/console/leases" aria-current="page"' in document(AROUND._replace(place="leases"))


def test_who_is_signed_in_and_may_do_what_stands_on_every_page() -> None:
    assert "anna@soc.example operator" in text(document())
    assert 'action="/console/sign-out"' in document()


def test_the_mode_is_on_every_page_and_that_somebody_lowered_it() -> None:
    assert "mode enforce" in text(document())
    lowered = document(AROUND._replace(mode="observe", lowered=Lowered("observe", "ben", 1.0, "")))
    assert "mode observe lowered from enforce" in text(lowered)


def test_how_many_questions_wait_is_in_the_menu_in_words_too() -> None:
    assert "Approvals 2 waiting" in text(document(AROUND._replace(waiting=2)))
    assert "waiting" not in text(document())


def test_who_is_nobody_sees_neither_menu_nor_mode() -> None:
    page = document(Around(""))
    assert "<nav" not in page
    assert "mode" not in text(page)


@pytest.mark.parametrize(("good", "kind"), [(True, "good"), (False, "bad")])
def test_what_an_act_said_is_told_to_those_who_do_not_see_it_too(good: bool, kind: str) -> None:
    page = document(AROUND._replace(notice="It is <b>released</b>.", good=good))
    assert f'<p class="notice {kind}" role="status"><bdi>It is &lt;b&gt;released&lt;/b&gt;.</bdi></p>' in page


def test_only_a_page_that_says_so_looks_again() -> None:
    assert "data-live" not in document()
    assert 'data-live="5"' in document(live=5)


def test_a_table_names_its_columns_its_rows_and_itself() -> None:
    made = table("Leases", ("!When", "#Count", "~Why", "Who"), [["now", 3, "because", None]], "none")
    assert made.startswith('<div class="scroll cards" tabindex="0" role="region" aria-label="Leases">')
    assert "<caption>Leases</caption>" in made
    assert re.findall(r'<th scope="col"(?: class="(\w)")?>(\w+)', made) == [
        ("t", "When"), ("n", "Count"), ("w", "Why"), ("", "Who"),
    ]  # fmt: skip
    assert '<td class="n" data-head="Count">3</td>' in made
    assert table("Leases", ("When",), [], "Nothing is <contained>.") == (
        '<p class="note empty">Nothing is &lt;contained&gt;.</p>'
    )


def test_a_row_that_does_not_fit_its_table_is_a_defect_that_shows() -> None:
    with pytest.raises(ValueError, match="zip"):
        table("Leases", ("When", "Who"), [["now"]], "none")


def test_a_moment_is_for_people_and_for_programs() -> None:
    assert moment(1_795_000_000.0) == '<time datetime="2026-11-18T11:06:40Z">2026-11-18 11:06:40</time>'
    assert moment(None) == moment(0.0) == '<span class="none">\u2013</span>'


def test_facts_that_are_nothing_are_left_out() -> None:
    assert facts(("a", None), ("b", ""), ("c", 0), ("d", Html("<b>x</b>"))) == (
        "<dl><dt>c</dt><dd>0</dd><dt>d</dt><dd><b>x</b></dd></dl>"
    )


def test_a_word_with_a_colour_has_the_word() -> None:
    assert chip("act") == '<span class="chip act">act</span>'
    assert chip("safe", "it follows") == '<span class="chip safe">it follows</span>'


def test_one_turns_to_older_and_back_to_the_newest() -> None:
    assert pages("/console/audit", "", False) is None
    turned = str(pages("/console/audit", "/console/audit?at=3", True))
    assert re.findall(r'href="([^"]*)"', turned) == ["/console/audit", "/console/audit?at=3"]
    assert 'aria-label="Older and newer"' in turned


def test_what_is_sent_is_served_from_here_alone() -> None:
    for text_of in (frame.style(), frame.script(), frame.icon(), document().encode()):
        assert re.findall(rb"https?://(?!www\.w3\.org/)", text_of) == []
        assert b"@import" not in text_of
