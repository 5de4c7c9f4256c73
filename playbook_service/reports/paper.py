"""A page that stands alone: one file, no script, nothing loaded; and the parts that both reports are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from playbook_service.web.html import Child, Html, el, join
from playbook_service.web.style import CSS, POLICY

_BEE = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="currentColor" d="M12 1l9.5 5.5v11L12 23l-9.5-5.5v-11z'
    'M12 5.600L6.500 8.800v6.400l5.500 3.200 5.500-3.200V8.800z" fill-rule="evenodd"/></svg>'
)


def paper(title: str, eyebrow: str, heading: Child, answer: Iterable[Child], body: Child, footer: Child) -> str:
    """The whole page. `answer` are the sentences that say it all; the first one stands out."""
    head = el(
        "head", el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title), el("style", Html(CSS)),
    )  # fmt: skip
    top = el(
        "header", el("p", _BEE, eyebrow, class_="eyebrow"), el("h1", heading),
        el("div", [el("p", sentence) for sentence in answer], class_="answer"),
    )  # fmt: skip
    page = el("html", head, el("body", top, el("main", body), el("footer", footer)), lang="en")
    return f"<!doctype html>\n{page}\n".encode("utf-8", "replace").decode("utf-8")


def tiles(*entries: tuple[str, Child, str]) -> Html:
    """Large figures: style, figure, what it is."""
    return el("ul", [el("li", el("b", figure), el("span", text), class_=kind) for kind, figure, text in entries],
              class_="tiles")  # fmt: skip


def section(title: str, note: Child, *children: Child) -> Html:
    """A heading, a sentence under it, and what follows."""
    return join((el("h2", title), el("p", note, class_="note") if note else None, *children))


def note(*children: Child) -> Html:
    """A sentence in the soft colour."""
    return el("p", *children, class_="note")


def chip(kind: str, text: str = "") -> Html:
    """A word in a frame of its colour."""
    return el("span", text or kind, class_=f"chip {kind}")


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Child]]) -> Html:
    """A table. A head with # is a column of numbers, one with ! is not wrapped, one with ~ holds long text."""
    columns = [{"#": "n", "!": "t", "~": "w"}.get(head[:1]) for head in heads]
    top = el("tr", [el("th", head.lstrip("#!~"), scope="col", class_=column)
                    for head, column in zip(heads, columns, strict=True)])  # fmt: skip
    lines = [
        el("tr", [el("td", cell, class_=column) for cell, column in zip(row, columns, strict=True)]) for row in rows
    ]
    whole = el("table", el("caption", caption), el("thead", top), el("tbody", lines))
    return el("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def pair(*parts: Child) -> Html:
    """Side by side where there is room."""
    return el("div", *parts, class_="pair")


def facts(entries: Iterable[tuple[str, Child]]) -> Html:
    """What is what: names and their values."""
    return el("dl", [(el("dt", name), el("dd", value)) for name, value in entries])
