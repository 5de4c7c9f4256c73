"""HTML made of elements: whatever is not marked as HTML already is escaped, so that no text becomes markup.

`el("p", "from ", said(name), class_="note")` is an element; children are texts, `Html`, None (left out) or iterables of
these. Texts from outside (alerts, names, reports, what people typed) go through `said`, which also disarms characters
that would turn the reading direction, hide text or ring a bell, and bounds the length.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from html import escape
from typing import Any, Union
from urllib.parse import urlencode

_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "source", "wbr"))
_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Unicode categories that nobody sees: control, format (bidi, zero width), surrogates, private use, separators."""
MOST = 400
"""Characters of a text from outside that are shown, unless a page says otherwise."""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Union["Html", str, int, float, None, Iterable[Any]]
"""What may stand inside an element."""


def el(tag: str, *children: Child, **attributes: Any) -> Html:
    """An element. `class_` and `for_` lose their underscore, `data_name` and `aria_label` become `data-name` and
    `aria-label`; True is an attribute without a value, False and None leave it out. Raises ValueError for an address
    that is neither of this site nor http(s)."""
    words = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{words}>")
    return Html(f"<{tag}{words}>{join(children)}</{tag}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Children one after the other."""
    return Html(between.join(_child(child) for child in children))


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, (str, int, float)):
        return escape(str(child).encode("utf-8", "replace").decode("utf-8"))
    return join(child)


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if name in ("href", "src", "action", "formaction"):
        _check_address(str(value))
    return f' {name}="{escape(str(value).encode("utf-8", "replace").decode("utf-8"))}"'


def _check_address(address: str) -> None:
    own = address.startswith(("#", "?")) or (address.startswith("/") and not address.startswith(("//", "/\\")))
    if not own and not address.startswith(("https://", "http://")):
        raise ValueError(f"no address to link to: {address[:80]!r}")


def address(path: str, **query: Any) -> str:
    """A path of this site with its query; what is None or empty is left out."""
    words = urlencode({name.rstrip("_"): str(value) for name, value in query.items() if value not in (None, "")})
    return f"{path}?{words}" if words else path


def said(text: Any, most: int = MOST) -> Html:
    """A text from outside: isolated in its direction, its invisible characters shown, cut after so many characters."""
    whole = "" if text is None else str(text)
    shown = Html(escape(visible(whole[:most])))
    left = len(whole) - most
    more = el("span", f"\u2026 and {left:,} more characters", class_="cut") if left > 0 else None
    return el("bdi", shown, more)


def code(text: Any, most: int = MOST) -> Html:
    """As `said`, in the form of an address, an id or a name that could be copied."""
    return el("code", said(text, most))


def visible(text: str) -> str:
    """The text with every character that cannot be seen written as its code point, `<U+202E>`; line ends as spaces."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_seen(letter) for letter in text)


def _seen(letter: str) -> str:
    if letter in "\n\r\t":
        return " "
    return f"<U+{ord(letter):04X}>" if unicodedata.category(letter) in _INVISIBLE else letter
