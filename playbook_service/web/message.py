"""A request as handlers see it, and the answers they give."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from propolis.errors import PropolisError

Environ = dict[str, Any]
"""A WSGI environment (PEP 3333)."""


class Failure(PropolisError):
    """An answer that is an error: a status, one sentence, and headers such as Retry-After."""

    def __init__(self, status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None):
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class Answer(NamedTuple):
    """What is sent back. `body` is bytes, or an iterable of bytes for an answer without a known length."""

    status: HTTPStatus
    body: bytes | Iterable[bytes]
    headers: tuple[tuple[str, str], ...]


def answer_json(document: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON answer."""
    body = json.dumps(document).encode() + b"\n"
    kind = ("Content-Type", "application/json")
    return Answer(status, body, (kind, *(headers or {}).items()))


def answer_failure(failure: Failure) -> Answer:
    """The one shape of an error: `{"ok": false, "error": ..., "status": 400}`."""
    document = {"ok": False, "error": failure.message, "status": int(failure.status)}
    return answer_json(document, failure.status, failure.headers)


class Request:
    """One request. Its body is read once, whole, and within a bound."""

    def __init__(self, environ: Environ):
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO") or "/"
        self.remote: str = environ.get("REMOTE_ADDR") or ""
        self.parameters: dict[str, str] = {}
        """The variable parts of the path, by their names in the route."""

    def header(self, name: str) -> str:
        """A header's value, or the empty string."""
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        return str(self.environ.get(key) or "")

    def body(self, limit: int) -> bytes:
        """The body. Raises Failure: 411 without a length, 413 over the limit, 400 when it ends early."""
        length = self.header("Content-Length")
        if not length.isdigit():
            raise Failure(HTTPStatus.LENGTH_REQUIRED, "Send the body with a Content-Length.")
        if int(length) > limit:
            message = f"The body has {int(length):,} bytes; at most {limit:,} are accepted."
            raise Failure(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        body: bytes = self.environ["wsgi.input"].read(int(length))
        if len(body) != int(length):
            raise Failure(HTTPStatus.BAD_REQUEST, "The body ended before its Content-Length.")
        return body

    def json(self, limit: int) -> Any:
        """The body as JSON. Raises Failure: 415 for another content type, 400 for what is no JSON."""
        kind = self.header("Content-Type").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with Content-Type: application/json.")
        body = self.body(limit)
        try:
            return json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        except RecursionError:
            raise Failure(HTTPStatus.BAD_REQUEST, "The JSON is nested too deeply.") from None
        except ValueError as error:
            raise Failure(HTTPStatus.BAD_REQUEST, f"The body is not valid JSON: {error}.") from None


def _finite(digits: str) -> float:
    """A number that JSON can say again: 1e999 is read as infinity, which it cannot."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is larger than any number")
    return number


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
