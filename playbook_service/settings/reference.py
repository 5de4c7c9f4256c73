"""The settings as the tables of `docs/settings.md`: `python -m playbook_service.settings.reference` prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from playbook_service.settings.table import SETTINGS, Setting
from propolis.duration import duration_text

TYPES: Mapping[str, str] = {
    "text": "a text",
    "texts": "a list of texts; in the environment one text with commas",
    "path": "the path of a file or folder; a relative one counts from where the service was started",
    "count": "a whole number, at least 1",
    "size": "a number of bytes; `k`, `M` and `G` may follow it: `512k`, `1M`",
    "flag": "`true` or `false` (`yes`, `on`, `1` and their opposites too)",
    "duration": "a span of time: `30s`, `10m`, `4h`, `7d`, or together `1d12h`",
    "address": "`host:port`, such as `127.0.0.1:8080` or `[::1]:8080`",
    "url": "`http://` or `https://`, host, port and path; no user, password or query",
    "networks": "a list of networks such as `192.0.2.0/24`; in the environment one text with commas",
    "choice": "one of the words that its row names",
}
"""Type of a setting -> how its value is written."""

_NOT_SET = "not set"


def markdown(settings: tuple[Setting, ...] = SETTINGS) -> str:
    """Every setting, a row each: name, variable, type, default, whether it is a secret, and what it means."""
    lines = ["| setting | variable | type | default | secret | what it means |", "|---|---|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, settings)])


def types() -> str:
    """How the values of each type are written, a row for each type that a setting has."""
    used = {row.type for row in SETTINGS}
    lines = ["| type | is written as |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in TYPES.items() if name in used)])


def default_of(row: Setting) -> str:
    """The default as somebody would write it into the file."""
    written = _WRITTEN.get(row.type, str)(row.default) if row.default not in ("", (), ("", 0)) else ""
    return f"`{written}`" if written else _NOT_SET


def _row(row: Setting) -> str:
    kind = f"{row.type}: {', '.join(f'`{choice}`' for choice in row.choices)}" if row.choices else row.type
    secret = "yes" if row.secret else ""
    cells = (f"`{row.name}`", f"`{row.variable}`", kind, default_of(row), secret, row.help.replace("|", "\\|"))
    return f"| {' | '.join(cells)} |"


def _address(value: tuple[str, int]) -> str:
    host, port = value
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _size(value: int) -> str:
    for unit, factor in (("G", 1024**3), ("M", 1024**2), ("k", 1024)):
        if value % factor == 0:
            return f"{value // factor}{unit}"
    return str(value)


_WRITTEN: Mapping[str, Callable[[Any], str]] = {
    "address": _address,
    "size": _size,
    "duration": duration_text,
    "texts": ", ".join,
    "networks": ", ".join,
    "flag": lambda value: str(value).lower(),
}
"""Type -> its value as text; for all others the value itself."""


def _page() -> Iterator[str]:
    yield markdown()
    yield ""
    yield types()


if __name__ == "__main__":
    print("\n".join(_page()))
