"""Pages are made of elements, so that no text becomes markup."""

from __future__ import annotations

import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbook_service.web.html import Html, address, code, el, join, said, visible


class Read(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_element_has_its_children_and_attributes() -> None:
    made = el(
        "p", "from ", el("b", "here"), 3, None, ["a", ["b"]], class_="note", data_part="x", aria_label="y", id=None
    )
    assert made == '<p class="note" data-part="x" aria-label="y">from <b>here</b>3ab</p>'


def test_attributes_are_there_left_out_or_without_a_value() -> None:
    assert el("input", required=True, disabled=False, value="") == '<input required value="">'


def test_an_element_without_an_end_has_none() -> None:
    assert el("br") == "<br>"
    assert el("td") == "<td></td>"


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    seen = Read(el("p", text))
    assert [tag for tag, _ in seen.tags] == ["p"]
    assert seen.text == text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\r")


@given(st.text())
def test_no_attribute_is_left_by_its_text(text: str) -> None:
    seen = Read(el("p", "x", title=text))
    assert len(seen.tags) == 1
    assert list(seen.tags[0][1]) == ["title"]
    assert seen.text == "x"


@given(st.text())
def test_a_text_from_outside_stays_text_of_letters_one_can_see(text: str) -> None:
    seen = Read(said(text))
    assert {tag for tag, _ in seen.tags} <= {"bdi", "span"}
    assert {unicodedata.category(letter) for letter in seen.text} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"), ("two\nlines\tand", "two lines and"), ("a\u202eb", "a<U+202E>b"), ("\u0000", "<U+0000>"),
        ("z\u200bw", "z<U+200B>w"), ("\ud800", "<U+D800>"), ("\ue000", "<U+E000>"), ("\u2028", "<U+2028>"),
        ("\u65e5\u672c \U0001f41d \u00fc", "\u65e5\u672c \U0001f41d \u00fc"),
    ],
)  # fmt: skip
def test_what_nobody_sees_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_megabyte_is_cut_and_its_rest_is_counted() -> None:
    made = said("A" * 1_000_000)
    assert "\u2026 and 999,600 more characters" in made
    assert len(made) < 600
    assert said("A" * 400) == f"<bdi>{'A' * 400}</bdi>"


def test_invisible_letters_do_not_make_a_text_long() -> None:
    assert len(said("\u202e" * 1_000_000)) < 400 * 20


def test_nothing_is_said_of_nothing() -> None:
    assert said(None) == "<bdi></bdi>"
    assert code(7) == "<code><bdi>7</bdi></code>"


@pytest.mark.parametrize("name", ["href", "src", "action", "formaction"])
@pytest.mark.parametrize(
    "to", ["javascript:alert(1)", "JAVASCRIPT:x", " javascript:x", "data:text/html,x", "//evil.example",
           "/\\evil.example", "vbscript:x", "relative", "", "ftp://x"],
)  # fmt: skip
def test_nothing_links_but_to_this_site_or_the_web(name: str, to: str) -> None:
    with pytest.raises(ValueError, match="no address to link to"):
        el("a", "x", **{name: to})


@pytest.mark.parametrize("to", ["/console", "#main", "?q=1", "https://thehive.example", "http://x"])
def test_what_may_be_linked_to_is(to: str) -> None:
    assert el("a", "x", href=to) == f'<a href="{to}">x</a>'


def test_an_address_leaves_out_what_is_empty_and_codes_the_rest() -> None:
    assert address("/console/decisions", q="a&b=\u00fc/", state="", after=None, of_=3) == (
        "/console/decisions?q=a%26b%3D%C3%BC%2F&of=3"
    )
    assert address("/console") == "/console"


def test_what_is_html_already_is_not_escaped_again() -> None:
    parts: list[Any] = [el("b", "x"), "<", None]
    assert join(parts, " ") == "<b>x</b> &lt; "
    assert isinstance(join(parts), Html)
