"""One line for each record, as text or as JSON: redacted first, then made harmless, then cut to a bounded length.

Almost everything that is logged may hold what an attacker wrote into an alert. So a value that is not plain stands in
quotes, a character that is not printable (line ends, escape sequences, marks that turn the writing direction) is shown
by its code, and what comes from outside never stands before what the service says itself.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from playbook_service.logs.trail import step_name, trace
from playbook_service.settings import SETTINGS, Settings
from propolis.clock import utc_text
from propolis.http.redaction import Redaction

_PLAIN = re.compile(r"[\w.:@~/+,-]{1,200}", re.ASCII)
_LONGEST_MESSAGE, _LONGEST_VALUE, _LONGEST_TRACEBACK = 4_000, 1_000, 16_000
_MOST_VALUES = 50
_SHORTEST_PART = 6
_NO_SECRETS = ("sqlite",)
"""What the secret setting `store` may be without being one."""
_OWN = ("at", "level", "logger", "trace", "step", "message", "error")


class Lines(logging.Formatter):
    """What both forms have in common."""

    def __init__(self, redaction: Redaction):
        super().__init__()
        self._redaction = redaction

    def _text(self, text: str, most: int) -> str:
        """Redacted before it is cut: half a secret is still too much."""
        whole = self._redaction.text(text)
        return whole if len(whole) <= most else whole[: most - 3] + "..."

    def _message(self, record: logging.LogRecord) -> str:
        return self._text(record.getMessage(), _LONGEST_MESSAGE)

    def _facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Trace and step, then what the record was given."""
        given = getattr(record, "facts", None)
        own = {name: value for name, value in (("trace", trace()), ("step", step_name())) if value}
        facts = {name: value for name, value in (given or {}).items() if name not in _OWN and value is not None}
        return self._value({**own, **facts})  # type: ignore[no-any-return]

    def _error(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        return self._text(self.formatException(record.exc_info), _LONGEST_TRACEBACK)

    def _value(self, value: Any) -> Any:
        """With every text in it redacted and cut, and with a bounded number of parts."""
        if isinstance(value, str):
            return self._text(value, _LONGEST_VALUE)
        if isinstance(value, Mapping):
            return {str(name): self._value(entry) for name, entry in list(value.items())[:_MOST_VALUES]}
        if isinstance(value, list | tuple):
            return [self._value(entry) for entry in value[:_MOST_VALUES]]
        return value if isinstance(value, int | float | bool) or value is None else self._text(str(value), 200)


class TextLines(Lines):
    """`2026-01-01T00:00:00.000Z INFO propolis.event trace=... step=... case=~8 : contained`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        facts = "".join(f" {name}={_written(value)}" for name, value in self._facts(record).items())
        line = f"{_moment(record)} {record.levelname} {record.name}{facts} : {printable(self._message(record))}"
        error = self._error(record)
        return f"{line} | {printable(error)}" if error else line


class JsonLines(Lines):
    """`{"at": ..., "level": "info", "logger": ..., "trace": ..., "step": ..., ..., "message": ...}`, ASCII only."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        document = {"at": _moment(record), "level": record.levelname.lower(), "logger": record.name}
        document |= {**self._facts(record), "message": self._message(record)}
        error = self._error(record)
        return json.dumps({**document, "error": error} if error else document, default=str)


def printable(text: str) -> str:
    """With a code in place of every character that could end a line, move the cursor or hide something."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def secrets_of(settings: Settings) -> Redaction:
    """Everything in the settings that must not be logged: the secrets, and the secret parts of addresses."""
    whole = [
        text for row in SETTINGS if row.secret
        for text in ([settings[row.name]] if isinstance(settings[row.name], str) else settings[row.name])
        if text and text not in _NO_SECRETS
    ]  # fmt: skip
    parts = [part for text in whole for part in _parts(text) if len(part) >= _SHORTEST_PART]
    return Redaction(tuple(dict.fromkeys((*whole, *parts))))


def _parts(secret: str) -> list[str]:
    """`slack:https://host/key` -> the address and the key; `user:password` -> the password; of a URL its password."""
    _, _, rest = secret.partition(":")
    address = rest if "://" in rest else secret
    if "://" not in address:
        return [rest]
    try:
        found = urlsplit(address)
        password = found.password or ""
    except ValueError:
        return [address]
    key = found.path.strip("/") if address is rest else ""
    return [address, password, unquote(password), key]


def _written(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return printable(json.dumps(value, ensure_ascii=False, default=str))


def _moment(record: logging.LogRecord) -> str:
    return f"{utc_text(int(record.created)).removesuffix('Z')}.{int(record.msecs):03d}Z"
