"""Lines of named values: `key=value` of firewalls, CEF, LEEF, XML elements. Their names are read as field names are."""

from __future__ import annotations

import re

from propolis.observables import kinds
from propolis.observables.model import Found
from propolis.observables.patterns import lazy

LONGEST = 65_536
_PAIR = lazy(r"(?<![\w.-])([A-Za-z_][\w.-]{0,63})=(?:\"([^\"]*)\"|'([^']*)'|([^\s\"',;]+))")
_CEF = lazy(
    r"CEF:\d\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|[^|]*\|(.*)", re.S
)
_CEF_KEY = lazy(r"(?:^|\s)([A-Za-z][\w.]{0,40})=")
_LEEF = lazy(r"LEEF:[12]\.0\|[^|]*\|[^|]*\|[^|]*\|[^|]*\|(.*)", re.S)


def pairs(text: str) -> dict[str, str]:
    """The named values of a line; empty where it is not such a line. The first of a name counts."""
    text = text[:LONGEST]
    if "CEF:" in text:
        found = _CEF.search(text)
        return _cef(found.group(1)) if found else {}
    if "LEEF:" in text:
        found = _LEEF.search(text)
        return _leef(found.group(1)) if found else {}
    if text.count("=") < 3:
        return {}
    named: dict[str, str] = {}
    for match in _PAIR.finditer(text):
        named.setdefault(match.group(1), match.group(2) or match.group(3) or match.group(4) or "")
    return named


def _cef(extension: str) -> dict[str, str]:
    """A CEF extension: values reach to the next ` key=`, and custom strings (`cs1`) are named by their labels."""
    keys = list(_CEF_KEY.finditer(extension))
    named: dict[str, str] = {}
    for here, after in zip(keys, [*keys[1:], None], strict=True):
        value = extension[here.end() : after.start() if after else len(extension)]
        named.setdefault(here.group(1), value.strip().replace("\\=", "=").replace("\\|", "|"))
    for name in [name for name in named if name.endswith("Label")]:
        value = named.pop(name[:-5], "")
        if value:
            named.setdefault(named[name].replace(" ", ""), value)
    return named


def _leef(extension: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for part in extension.split("\t"):
        name, equals, value = part.partition("=")
        if equals:
            named.setdefault(name.strip(), value)
    return named


def elements(text: str) -> dict[str, str]:
    """The leaves of a small XML document, by name."""
    return dict(re.findall(r"<([A-Za-z_][\w.-]{0,40})>([^<>]{1,2048})</\1>", text[:LONGEST]))


def element_urls(text: str) -> list[Found]:
    """The URLs that are the whole of an element, as in Sophos' `<arg>http://...</arg>`."""
    found: list[Found] = []
    for value in elements(text).values() if "</" in text else ():
        found.extend(kinds.url(value))
    return found
