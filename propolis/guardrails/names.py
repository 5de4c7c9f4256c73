"""Names as people and products write them, brought to the forms in which they can be compared."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache

_FIRST_RDN = re.compile(r"(?:cn|uid|ou)=((?:[^,\\]|\\.)+)", re.IGNORECASE)
_INVISIBLE = ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0501\u043a\u043c\u0442\u043d\u0432"
    "\u03b1\u03b5\u03b9\u03bf\u03c1\u03c4\u03ba\u03bd\u0131",
    "aeopcyxijsdkmthbaeioptkni",
)
"""Cyrillic and Greek letters that look like Latin ones: a name that only looks protected is protected."""


def plain(text: str) -> str:
    """A name to compare by: compatibility forms and look-alikes resolved, case folded, invisible signs dropped."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    seen = "".join(sign for sign in folded if sign.isspace() or unicodedata.category(sign) not in _INVISIBLE)
    return " ".join(seen.translate(_LOOKALIKES).split())


def account_forms(names: Iterable[str]) -> frozenset[str]:
    """Each name whole and bare: `CORP\\\\anna`, `anna@corp.example.org` and `CN=anna,...` are all `anna`, too."""
    found: set[str] = set()
    for name in map(plain, names):
        bare = _common_name(name).rpartition("\\")[2].rpartition("/")[2]
        found |= {name, _common_name(name), bare, bare.partition("@")[0], name.partition("@")[0]}
    return frozenset(form for form in found if form)


def host_forms(names: Iterable[str]) -> frozenset[str]:
    """Each name whole and short, without a trailing dot or the `$` of a machine account."""
    found: set[str] = set()
    for name in map(plain, names):
        whole = _common_name(name).rpartition("\\")[2].rstrip(".").removesuffix("$")
        found |= {whole, whole.partition(".")[0]}
    return frozenset(form for form in found if form)


def group_forms(names: Iterable[str]) -> frozenset[str]:
    """Groups and roles whole, without their domain, by the common name of a DN, and by the last part of a path."""
    found: set[str] = set()
    for name in map(plain, names):
        common = _common_name(name)
        found |= {name, common, common.rpartition("\\")[2], common.rpartition("/")[2]}
    return frozenset(form for form in found if form)


def matching(pattern: str, forms: Iterable[str]) -> str | None:
    """The first form that a pattern with `*`, `?` and `[...]` matches."""
    compiled = _compiled(pattern)
    return next((form for form in sorted(forms) if compiled.fullmatch(form)), None)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(plain(pattern)))


def _common_name(name: str) -> str:
    match = _FIRST_RDN.match(name)
    return match.group(1).replace("\\", "") if match else name
