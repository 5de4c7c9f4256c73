"""A WSGI application made of a table of routes. Every error has one shape; none shows more than its sentence."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

from playbook_service.web.message import Answer, Environ, Failure, Request, answer_failure

Handler = Callable[[Request], Answer]
StartResponse = Callable[..., Any]
_LOG = logging.getLogger("propolis.web")
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"))


class Route(NamedTuple):
    """`Route("PUT", "/api/v1/blocklist/{name}/{entry*}", handler)`: a variable part is one segment, with a star all."""

    method: str
    path: str
    handler: Handler


class Application:
    """Finds the route, runs its handler, and turns what it raises into an answer."""

    def __init__(self, routes: Iterable[Route]):
        self._routes = [(route, _pattern(route.path)) for route in routes]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        answer = self._answer(request)
        headers = list(answer.headers)
        names = {name.lower() for name, _ in headers}
        headers.extend(pair for pair in _ALWAYS if pair[0].lower() not in names)
        body = [answer.body] if isinstance(answer.body, bytes) else answer.body
        if isinstance(answer.body, bytes):
            headers.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if request.method == "HEAD" else body

    def _answer(self, request: Request) -> Answer:
        try:
            return self._handler(request)(request)
        except Failure as failure:
            return answer_failure(failure)
        except Exception:
            _LOG.exception("a handler failed on %s %s", request.method, _printable(request.path))
            sentence = "The service failed on this request; its log says why."
            return answer_failure(Failure(HTTPStatus.INTERNAL_SERVER_ERROR, sentence))

    def _handler(self, request: Request) -> Handler:
        method = "GET" if request.method == "HEAD" else request.method
        allowed = []
        for route, pattern in self._routes:
            match = pattern.fullmatch(request.path)
            if match and route.method == method:
                request.parameters = match.groupdict()
                return route.handler
            if match:
                allowed.append(route.method)
        if allowed:
            message = f"This address takes {', '.join(sorted(allowed))}, not {_printable(request.method)}."
            raise Failure(HTTPStatus.METHOD_NOT_ALLOWED, message, {"Allow": ", ".join(sorted(allowed))})
        raise Failure(HTTPStatus.NOT_FOUND, "There is nothing at this address.")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+\*?)\}", path)
    return re.compile("".join(_part(part) if number % 2 else re.escape(part) for number, part in enumerate(parts)))


def _part(name: str) -> str:
    return f"(?P<{name[:-1]}>.+)" if name.endswith("*") else f"(?P<{name}>[^/]+)"


def _printable(text: str) -> str:
    """A text from outside as it may stand in a log or an answer."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:200])
