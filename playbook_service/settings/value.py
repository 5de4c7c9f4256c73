"""Read one setting's value from text or YAML. A reader raises ValueError with the end of a sentence: "must be ..."."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from propolis.duration import parse_duration
from propolis.errors import PropolisError

Reader = Callable[[Any], Any]


def _text(raw: Any) -> str:
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        raise ValueError("must be a text")
    return str(raw).strip()


def _texts(raw: Any) -> tuple[str, ...]:
    entries = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(entries, (list, tuple)):
        raise ValueError("must be a list, or a text with commas")
    return tuple(text for text in (_text(entry) for entry in entries) if text)


def _count(raw: Any) -> int:
    try:
        number = int(_text(raw))
    except ValueError:
        raise ValueError("must be a whole number") from None
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _size(raw: Any) -> int:
    text = _text(raw).lower().removesuffix("b")
    factor = {"k": 1024, "m": 1024**2, "g": 1024**3}.get(text[-1:], 1)
    try:
        return _count(text[:-1] if factor > 1 else text) * factor
    except ValueError:
        raise ValueError("must be a number of bytes, such as 1048576, 512k or 1M") from None


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = _text(raw).lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def _duration(raw: Any) -> int:
    try:
        return parse_duration(_text(raw))
    except PropolisError:
        raise ValueError("must be a duration such as 30s, 10m, 4h or 7d") from None


def _address(raw: Any) -> tuple[str, int]:
    host, _, port = _text(raw).rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return host, int(port)


def _url(raw: Any) -> str:
    text = _text(raw).rstrip("/")
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
        raise ValueError("must be an address such as https://host:port")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; there are settings for keys")
    return text


def _networks(raw: Any) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(entry)) for entry in _texts(raw))
    except ValueError as error:
        raise ValueError(f"must be networks such as 192.0.2.0/24: {error}") from None


READERS: dict[str, Reader] = {
    "text": _text,
    "texts": _texts,
    "path": _text,
    "count": _count,
    "size": _size,
    "flag": _flag,
    "duration": _duration,
    "address": _address,
    "url": _url,
    "networks": _networks,
    "choice": _text,
}
"""Type of a setting -> how its value is read."""
