"""Where a request goes: a checked base address, and paths that cannot leave it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from propolis.errors import ConfigurationError, InputError

_UNFIT = re.compile(r"[^\x21-\x7e]|[\\?#\"<>{}|^`]")
_DOTS = (".", "..")


@dataclass(frozen=True)
class Address:
    """A base address: `origin` (`https://host:port`), `host` as people read it, `prefix` (a path without end slash)."""

    origin: str
    host: str
    prefix: str

    def join(self, path: str) -> str:
        """The whole URL of a path below this base. Raises InputError where the path could lead elsewhere."""
        return self.origin + self.path(path)

    def path(self, path: str) -> str:
        """The path a request asks for, with the base's own prefix."""
        _check_path(path)
        tail = path.lstrip("/")
        return f"{self.prefix}/{tail}" if tail else self.prefix or "/"


def parse_base(text: str, *, name: str = "base_url") -> Address:
    """Read a base address. Raises ConfigurationError; the text itself is not repeated, as it may hold a password."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{name} is not a web address; write it as https://host.example.org:9001.") from error
    _check_base(text, name)
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"{name} must begin with http:// or https:// and name a host.")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{name} must not hold a user or password; give them in their own settings.")
    shown = f"[{host}]" if ":" in host else host
    shown = shown if port is None else f"{shown}:{port}"
    return Address(f"{parts.scheme}://{shown}", shown, parts.path.rstrip("/"))


def _check_base(text: str, name: str) -> None:
    if "?" in text or "#" in text:
        raise ConfigurationError(f"{name} must not hold a query (?) or a fragment (#).")
    if _UNFIT.search(text) or any(unquote(part) in _DOTS for part in text.split("/")):
        raise ConfigurationError(f"{name} holds a space, a backslash, a dot segment or another character unfit for it.")


def _check_path(path: str) -> None:
    if path.startswith("//") or "://" in path.split("/", 1)[0] + "/" or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path):
        raise InputError("A request's path must be relative to the base address, not an address of its own.")
    if _UNFIT.search(path):
        raise InputError("A request's path holds a character that must be quoted: build it with segment().")
    if any(unquote(part) in _DOTS for part in path.split("/")):
        raise InputError("A request's path must not hold `.` or `..`.")


def segment(text: str) -> str:
    """One path segment from any text, percent-encoded (`a/b` becomes `a%2Fb`). Refuses the empty text, `.` and `..`."""
    if text in ("", *_DOTS):
        raise InputError("A name that is empty, `.` or `..` cannot be part of a web address.")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise InputError("A name that holds half a surrogate pair cannot be part of a web address.") from error
