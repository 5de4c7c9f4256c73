"""What passes between a client and the lab's servers: a request, a reply, and a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from playbook_service.lab.multipart import Part, read_parts
from propolis.errors import PropolisError

JSON = "application/json"


class ApiError(PropolisError):
    """A refusal in the form that TheHive and Cortex both answer with: `{"type": ..., "message": ...}` and a status."""

    def __init__(self, status: int, kind: str, message: str, **more: Any):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.more = more

    def reply(self) -> Reply:
        """The refusal as an answer."""
        return Reply(self.status, {"type": self.kind, "message": self.message, **self.more})


def bad_request(message: str) -> ApiError:
    """400 BadRequest."""
    return ApiError(400, "BadRequest", message)


def attribute_error(message: str, **more: Any) -> ApiError:
    """400 AttributeCheckingError: a field is missing, of the wrong type or out of its range."""
    return ApiError(400, "AttributeCheckingError", message, **more)


def not_found(message: str) -> ApiError:
    """404 NotFoundError."""
    return ApiError(404, "NotFoundError", message)


def forbidden(message: str = "Unauthorized action") -> ApiError:
    """403 AuthorizationError."""
    return ApiError(403, "AuthorizationError", message)


def unauthenticated(message: str = "Authentication failure") -> ApiError:
    """401 AuthenticationError."""
    return ApiError(401, "AuthenticationError", message)


@dataclass(frozen=True)
class Reply:
    """An answer: `body` is a JSON value, a text (sent as it is) or bytes; None with status 204 is no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = JSON

    def encoded(self) -> bytes:
        """The body as it goes over the wire."""
        if isinstance(self.body, bytes):
            return self.body
        if self.status == 204:
            return b""
        if self.kind != JSON:
            return str(self.body).encode()
        return json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")


NOTHING = Reply(204)


@dataclass(frozen=True)
class Request:
    """One request; `slots` are the values of the route's `{names}`, `headers` are looked up in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    slots: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path without the query, still percent-encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's names and values."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def content_type(self) -> str:
        """The body's media type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def option(self, name: str) -> str | None:
        """The last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else None

    def slot(self, name: str) -> str:
        """A part of the path, decoded."""
        return self.slots[name]

    def json(self) -> Any:
        """The body's JSON (the `_json` part of a form). Raises ApiError."""
        text: bytes | str = self.body
        if self.content_type == "multipart/form-data":
            text = next((part.body for part in self.parts() if part.name == "_json"), b"{}")
        try:
            return json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise bad_request(f"Invalid Json: {error}") from None

    def document(self) -> dict[str, Any]:
        """The body's JSON object. Raises ApiError for anything else."""
        value = self.json()
        if not isinstance(value, dict):
            raise bad_request("A JSON object is expected")
        return value

    def parts(self) -> list[Part]:
        """The parts of a multipart form."""
        return read_parts(self.headers.get("content-type", ""), self.body)

    def files(self, *names: str) -> list[Part]:
        """The files of a form, or those under these names."""
        parts = [part for part in self.parts() if part.filename is not None and part.name != "_json"]
        return [part for part in parts if not names or part.name in names]

    def at(self, slots: Mapping[str, str]) -> Request:
        """The same request with the route's values filled in."""
        return replace(self, slots={name: unquote(value) for name, value in slots.items()})
