"""Keep secrets out of what a client says when something goes wrong."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from propolis.worker.secrets import blank_text

_HARMLESS = ("accept", "accept-encoding", "content-type", "user-agent")
_SHORTEST = 4  # a shorter "secret" would blank innocent letters all over a message
_EXCERPT = 200


@dataclass(frozen=True)
class Redaction:
    """The values that must not be shown, in every spelling in which a server may echo them."""

    secrets: tuple[str, ...] = ()

    def plus(self, secrets: Iterable[str]) -> Redaction:
        """One that blanks these values as well."""
        return Redaction(tuple(dict.fromkeys((*self.secrets, *secrets))))

    def plus_headers(self, headers: Mapping[str, str]) -> Redaction:
        """One that blanks the values of these headers too, a scheme such as `Bearer` aside."""
        found: list[str] = []
        for name, value in headers.items():
            if name.lower() not in _HARMLESS:
                found += _credentials(value)
        return self.plus(found)

    def text(self, text: str) -> str:
        """The text with every secret replaced."""
        spelled = {form for secret in self.secrets for form in _spellings(secret) if len(form) >= _SHORTEST}
        return blank_text(text, sorted(spelled, key=len, reverse=True))

    def excerpt(self, text: str) -> str:
        """The beginning of a body on one line, redacted before it is cut, without control characters."""
        start = self.text(text[: 50 * _EXCERPT])
        line = " ".join("".join(sign if sign.isprintable() else " " for sign in start).split())
        return line if len(line) <= _EXCERPT else line[: _EXCERPT - 3] + "..."


def _credentials(value: str) -> list[str]:
    scheme, _, rest = value.partition(" ")
    found = [value, rest.strip()]
    if scheme.lower() == "basic":
        try:
            found.append(base64.b64decode(rest, validate=True).decode().partition(":")[2])
        except (binascii.Error, ValueError):
            return found
    return found


def _spellings(secret: str) -> tuple[str, ...]:
    return (secret, secret.strip(), quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
