"""Find the secrets of a job's configuration, and blank them wherever they turn up in what the worker says.

cortexutils blanks only top-level keys that contain key, password or secret; values in nested settings, in exception
texts and in URLs leak. Here every string below a key that sounds secret is collected, and each occurrence of it in any
outgoing text is replaced.
"""

from __future__ import annotations

import re
from typing import Any

REMOVED = "REMOVED"
SECRET_PHRASES = (
    "key",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "credential",
    "cookie",
    "private",
)
_SHORTEST = 4  # a shorter "secret" would blank innocent letters all over a report


_PLACES = ("file", "path", "url", "id", "name", "attribute")  # `key_file` says where a key lies, not what it is
_WHOLE_WORDS = frozenset(("keys", "pwd", "pass", "jwt", "bearer"))
_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


def sounds_secret(name: str) -> bool:
    """True when a setting of this name holds something that must not be shown.

    `key` counts as a word of its own or the end of one (`apiKey`, `api_key`, `apikey`), not in `keycloak_url`.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or (words[-1] in _PLACES and words[-2:] != ["secret", "id"]):  # AppRole's secret_id is a password
        return False
    lowered = "".join(words)
    if any(word.endswith("key") or word in _WHOLE_WORDS for word in words):
        return True
    return any(phrase in lowered for phrase in SECRET_PHRASES[1:])


def secret_values(config: Any) -> list[str]:
    """Every secret string in a (nested) configuration, longest first so that one inside another is blanked whole."""
    found: set[str] = set()
    _collect(config, False, found)
    return sorted(found, key=lambda value: (-len(value), value))


def _collect(node: Any, secret: bool, found: set[str]) -> None:
    if isinstance(node, dict):
        for name, value in node.items():
            _collect(value, secret or sounds_secret(str(name)), found)
    elif isinstance(node, list):
        for value in node:
            _collect(value, secret, found)
    elif isinstance(node, str):
        if secret and len(node) >= _SHORTEST:
            found.update({node, node.strip()})
            found.update(line.strip() for line in node.splitlines() if len(line.strip()) >= _SHORTEST)
        elif "://" in node and "@" in node:
            found.update(_userinfo(node))


def _userinfo(url: str) -> set[str]:
    """The password in `https://user:password@host`, which a proxy setting may carry under a harmless name."""
    credentials = url.split("://", 1)[1].split("/", 1)[0].rpartition("@")[0]
    password = credentials.partition(":")[2]
    return {password} if len(password) >= _SHORTEST else set()


def blank_text(text: str, secrets: list[str]) -> str:
    """The text with every secret replaced by REMOVED."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, REMOVED)
    return text


def blank(node: Any, secrets: list[str]) -> Any:
    """A copy of a JSON value in which no string, key or value, contains a secret."""
    if not secrets:
        return node
    if isinstance(node, str):
        return blank_text(node, secrets)
    if isinstance(node, dict):
        return {blank_text(str(name), secrets): blank(value, secrets) for name, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [blank(value, secrets) for value in node]
    return node


def blank_config(node: Any, secret: bool = False) -> Any:
    """A configuration with everything below a secret name replaced, whatever its length or type."""
    if isinstance(node, dict):
        return {name: blank_config(value, secret or sounds_secret(str(name))) for name, value in node.items()}
    if isinstance(node, list):
        return [blank_config(value, secret) for value in node]
    return REMOVED if secret and node not in (None, "", False, True) else node
