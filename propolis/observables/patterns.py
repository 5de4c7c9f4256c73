"""Regular expressions that are compiled when they are first used.

A worker is a new process for every alert and needs a handful of the patterns that the readers know; compiling all of
them would take longer than everything else it does.
"""

from __future__ import annotations

import re
from typing import Any, cast

_METHODS = ("search", "match", "fullmatch", "findall", "finditer", "sub", "split")


class _Lazy:
    def __init__(self, pattern: str, flags: int):
        self._pattern = pattern
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        compiled = re.compile(self._pattern, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def lazy(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As `re.compile`, but later."""
    return cast("re.Pattern[str]", _Lazy(pattern, flags))
