"""Our mark as a Falcon grouping tag, and back.

A tag takes letters, digits, `-`, `_` and `/` (documented for the sensor's own tags; assumed for grouping tags), so
`propolis case=128 by=a@soc.example` is kept as `FalconGroupingTags/propolis/case-128/by-a_40soc_2eexample`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from propolis.containment.mark import WORD, is_ours

PREFIX = "FalconGroupingTags/"
_LONGEST = 200  # characters of a whole tag; words at the end that do not fit any more are left out
_UNFIT = re.compile(r"[^A-Za-z0-9-]")
_CODED = re.compile(r"_([0-9a-f]{2})")


def tag_of(mark: str) -> str:
    """The grouping tag that holds a mark."""
    tag = f"{PREFIX}{WORD}"
    for word in mark.split(" ")[1:]:
        name, _, value = word.partition("=")
        part = f"/{name}-{_UNFIT.sub(lambda sign: f'_{ord(sign[0]):02x}', value)}"
        if len(tag) + len(part) > _LONGEST:
            break
        tag += part
    return tag


def mark_of(tag: str) -> str:
    """The mark that a grouping tag holds, or the empty string where it is none of ours."""
    words = tag.removeprefix(PREFIX).split("/") if tag.startswith(PREFIX) else [""]
    coded = [word.replace("-", "=", 1) for word in words[1:]]
    mark = " ".join([words[0], *(_CODED.sub(lambda code: chr(int(code[1], 16)), word) for word in coded)])
    return mark if is_ours(mark) else ""


def our_tags(tags: Iterable[str]) -> list[str]:
    """Those of a device's tags that are ours."""
    return sorted(tag for tag in tags if mark_of(tag))
