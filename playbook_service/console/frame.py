"""What is around every page: head, navigation, the mode, who is signed in; and the headers that keep it to itself."""

from __future__ import annotations

from http import HTTPStatus
from importlib import resources
from typing import NamedTuple

from playbook_service.console.person import Person
from playbook_service.engine.switch import Lowered
from playbook_service.web.html import Child, Html, code, el, said
from playbook_service.web.message import Answer
from playbook_service.web.style import CSS
from propolis.clock import utc_text

ROOT = "/console"
MENU: tuple[tuple[str, str], ...] = (
    ("", "Now"),
    ("leases", "Leases"),
    ("approvals", "Approvals"),
    ("decisions", "Decisions"),
    ("observe", "Observe"),
    ("sources", "Sources"),
    ("false-positives", "False positives"),
    ("playbooks", "Playbooks"),
    ("audit", "Audit"),
)
"""The pages: last part of the address, and name."""
HEADERS: tuple[tuple[str, str], ...] = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "same-origin"),
)
_BEE = Html(
    '<svg viewBox="0 0 24 24" aria-hidden="true" class="mark"><path fill="currentColor" fill-rule="evenodd" '
    'd="M12 1l9.5 5.5v11L12 23l-9.5-5.5v-11zM12 5.6L6.5 8.8v6.4l5.500 3.200 5.500-3.200V8.800z"/></svg>'
)


class Around(NamedTuple):
    """What the frame shows. `configured` is the service's mode, `mode` the one in force."""

    place: str
    person: Person | None = None
    csrf: str = ""
    configured: str = ""
    mode: str = ""
    lowered: Lowered = Lowered()
    waiting: int = 0
    notice: str = ""
    good: bool = True


def answer(title: str, body: Html, around: Around, *, live: int = 0, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """A whole page."""
    text = document(title, body, around, live=live)
    kind = ("Content-Type", "text/html; charset=utf-8")
    return Answer(status, text.encode("utf-8", "replace"), (kind, *HEADERS))


def onward(path: str) -> Answer:
    """A page that goes on to another by itself, as from this site and not from the one that linked here."""
    body = el("p", el("a", "Go on", href=path, class_="button"))
    text = document("One moment", body, Around(""), onward=path)
    return Answer(HTTPStatus.OK, text.encode(), (("Content-Type", "text/html; charset=utf-8"), *HEADERS))


def see(path: str) -> Answer:
    """Go on there with GET."""
    return Answer(HTTPStatus.SEE_OTHER, b"", (("Location", path), *HEADERS))


def with_headers(answer: Answer, *more: tuple[str, str]) -> Answer:
    """The answer with these headers too."""
    return answer._replace(headers=(*answer.headers, *more))


def document(title: str, body: Html, around: Around, *, live: int = 0, onward: str = "") -> str:
    """The page's text."""
    head = el(
        "head",
        el("meta", http_equiv="refresh", content=f"0;url={onward}") if onward else None,
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("title", f"{title} \u00b7 Propolis"),
        el("link", rel="icon", type="image/svg+xml", href=f"{ROOT}/static/icon.svg"),
        el("link", rel="stylesheet", href=f"{ROOT}/static/console.css"),
        el("script", src=f"{ROOT}/static/console.js", defer=True),
    )
    main = el(
        "main", _notice(around), el("h1", title), body, id="main", tabindex="-1", data_live=str(live) if live else None
    )
    page = el("html", head, el("body", _top(around), main, _foot(around)), lang="en")
    return f"<!doctype html>\n{page}\n"


def _notice(around: Around) -> Html | None:
    if not around.notice:
        return None
    return el("p", said(around.notice), class_="notice good" if around.good else "notice bad", role="status")


def _top(around: Around) -> Html:
    brand = el("a", _BEE, el("span", "Propolis"), href=ROOT, class_="brand")
    if around.person is None:
        return el("header", el("div", brand, class_="bar"), class_="top")
    skip = el("a", "Skip to the page", href="#main", class_="skip")
    links = el("ul", [_link(around, place, name) for place, name in MENU])
    return el(
        "header",
        skip,
        el("div", brand, _mode(around), _who(around.person, around.csrf), class_="bar"),
        el("nav", links, aria_label="Pages"),
        class_="top",
    )


def _link(around: Around, place: str, name: str) -> Html:
    here = "page" if place == around.place else None
    count: Child = None
    if place == "approvals" and around.waiting:
        count = el("span", str(around.waiting), el("span", " waiting", class_="unseen"), class_="count")
    return el("li", el("a", name, count, href=f"{ROOT}/{place}".rstrip("/"), aria_current=here))


def _mode(around: Around) -> Html:
    words: list[Child] = [el("span", "mode ", class_="unseen"), around.mode]
    if around.lowered.mode:
        words.append(el("small", f" lowered from {around.configured}"))
    return el("a", words, href=f"{ROOT}#mode", class_=f"mode {around.mode}", data_part="mode")


def _who(person: Person, csrf: str) -> Html:
    out = el(
        "form",
        el("input", type="hidden", name="csrf", value=csrf),
        el("button", "Sign out", type="submit", class_="button quiet"),
        method="post",
        action=f"{ROOT}/sign-out",
    )
    return el("div", el("span", said(person.login, 60), el("small", f" {person.role.word}")), out, class_="who")


def _foot(around: Around) -> Html:
    return el(
        "footer", el("p", "All times are UTC. Analysts work in TheHive; this page shows what has no place there.")
    )


# pieces that pages share --------------------------------------------------------------------------------------------


def moment(seconds: float | None) -> Html:
    """A time as people and programs read it; a dash where there is none."""
    if not seconds:
        return el("span", "\u2013", class_="none")
    text = utc_text(seconds)
    return el("time", text[:19].replace("T", " "), datetime=text)


def chip(kind: str, text: str = "") -> Html:
    """A word with the colour of its kind (`act`, `ask`, `stopped`, `safe`, ...)."""
    return el("span", text or kind, class_=f"chip {kind}")


def table(caption: str, heads: tuple[str, ...], rows: list[list[Child]], nothing: str) -> Html:
    """A table, or the sentence where there are no rows. A head with # is a column of numbers, one with ! is not
    wrapped, one with ~ may be wrapped anywhere. On a narrow screen each row is a card whose cells carry their heads."""
    if not rows:
        return el("p", nothing, class_="note empty")
    names = [head.lstrip("#!~") for head in heads]
    kinds = [{"#": "n", "!": "t", "~": "w"}.get(head[:1]) for head in heads]
    top = el("tr", [el("th", name, scope="col", class_=kind) for name, kind in zip(names, kinds, strict=True)])
    body = [
        el(
            "tr",
            [el("td", cell, class_=kind, data_head=name) for cell, kind, name in zip(row, kinds, names, strict=True)],
        )
        for row in rows
    ]
    inner = el("table", el("caption", caption), el("thead", top), el("tbody", body))
    return el("div", inner, class_="scroll cards", tabindex="0", role="region", aria_label=caption)


def facts(*pairs: tuple[str, Child]) -> Html:
    """A list of names and what they are; pairs of nothing are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    return el("dl", [[el("dt", name), el("dd", value)] for name, value in shown])


def pages(place: str, onward: str, backward: bool, words: tuple[str, str] = ("Newest", "Older")) -> Html | None:
    """The way to the next page (`onward` is its address, empty at the end) and back to the first."""
    links = [
        el("a", words[0], href=place, class_="button") if backward else None,
        el("a", words[1], href=onward, class_="button", rel="next") if onward else None,
    ]
    return el("nav", links, class_="pages", aria_label="Older and newer") if any(links) else None


def target(text: str) -> Html:
    """What is contained, as it could be copied."""
    return code(text, 120)


def style() -> bytes:
    """The console's style sheet: the shared one and its own."""
    own = resources.files("playbook_service.console").joinpath("static/console.css").read_text(encoding="utf-8")
    return (CSS + own).encode()


def icon() -> bytes:
    """The page's icon."""
    return resources.files("playbook_service.console").joinpath("static/icon.svg").read_bytes()


def script() -> bytes:
    """The console's script, without which everything works too."""
    return resources.files("playbook_service.console").joinpath("static/console.js").read_bytes()
