"""What the tests of the reports share: stories told into stores, and what a page may hold at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the SOC of the lab stands there
from month_store import HERE, Telling

TAGS = frozenset(
    (
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "p", "div",
        "span", "ul", "li", "b", "i", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "code",
        "bdi", "small", "br", "svg", "path", "rect", "line",
    )
)  # fmt: skip
ATTRIBUTES = frozenset(
    (
        "lang", "charset", "http-equiv", "content", "name", "class", "scope", "tabindex", "role", "aria-label",
        "aria-hidden", "viewbox", "preserveaspectratio", "fill", "fill-rule", "d", "x", "y", "x1", "x2", "y1", "y2",
        "width", "height",
    )
)  # fmt: skip


class _Reader(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        if self.lasttag != "style":
            self.text.append(data)


@pytest.fixture(scope="session")
def read_page() -> Callable[[str], str]:
    """The text of a page; fails where the page holds anything that reports are not made of."""

    def read(page: str) -> str:
        reader = _Reader()
        reader.feed(page)
        assert reader.tags <= TAGS
        assert reader.attributes <= ATTRIBUTES
        return " ".join("".join(reader.text).split())

    return read


@pytest.fixture(scope="session")
def golden() -> Callable[[str], object]:
    """A JSON file beside the tests."""
    return lambda name: json.loads((HERE / name).read_text(encoding="utf-8"))


@pytest.fixture
def telling(tmp_path: Path) -> Telling:
    """An empty store, and a voice that tells stories into it."""
    return Telling(tmp_path)
