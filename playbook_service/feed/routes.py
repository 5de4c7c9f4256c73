"""The lists over HTTP: the API that changes them, and the addresses that firewalls fetch.

What firewalls do with an answer decides what may be answered (facts of PAN-OS, FortiOS, OPNsense and pfSense): a body
of zero bytes is an error, so an empty list is its header; words of an error page would be resolved as host names, so
there is no text but the list in a 200; and on any fault a 503 makes them keep the last good list.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Mapping
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import parse_qs

from playbook_service.feed.book import FeedBook, FeedError
from playbook_service.feed.page import Form, Page, asked_form
from playbook_service.intake.credential import Doorkeeper, basic_pair
from playbook_service.store.contract import Conflict, StoreError
from playbook_service.web.application import Route
from playbook_service.web.message import Answer, Failure, Request, answer_json
from playbook_service.web.server import is_loopback
from propolis.clock import utc_text
from propolis.duration import LONGEST
from propolis.errors import InputError, PropolisError
from propolis.guardrails import PolicyError, Refused

_LOG = logging.getLogger("propolis.feed")
_BODY = 10_000


class FeedApi:
    """`PUT` and `DELETE /api/v1/blocklist/<name>/<entry>`, `POST .../accept`."""

    def __init__(self, book: FeedBook, doorkeeper: Doorkeeper):
        self._book = book
        self._doorkeeper = doorkeeper

    def routes(self) -> list[Route]:
        """The addresses. An entry may hold slashes, plain or encoded."""
        return [
            Route("POST", "/api/v1/blocklist/{name}/accept", self._accept),
            Route("PUT", "/api/v1/blocklist/{name}/{entry*}", self._put),
            Route("GET", "/api/v1/blocklist/{name}/{entry*}", self._get),
            Route("DELETE", "/api/v1/blocklist/{name}/{entry*}", self._delete),
        ]

    def _put(self, request: Request) -> Answer:
        self._doorkeeper.check(request)
        wanted = request.json(_BODY)
        seconds = wanted.get("ttl") if isinstance(wanted, dict) else None
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST:
            raise Failure(HTTPStatus.BAD_REQUEST, "Send {'ttl': <seconds>, 'lease': <id>, 'comment': <text>}.")
        lease, comment = str(wanted.get("lease") or ""), str(wanted.get("comment") or "")
        with _failures():
            entry, until = self._book.put(
                request.parameters["name"], request.parameters["entry"], seconds=seconds, lease=lease, comment=comment
            )
        return answer_json({"ok": True, "entry": entry, "until": utc_text(until)})

    def _get(self, request: Request) -> Answer:
        """404 with `listed: false` where it is not listed: a client can tell that from an address that is wrong."""
        self._doorkeeper.check(request)
        name = request.parameters["name"]
        with _failures():
            kind, entry = self._book.kind(name), self._book.entry(name, request.parameters["entry"])
        if entry is None:
            unlisted = {"ok": False, "error": "The entry is not listed.", "status": 404, "listed": False, "kind": kind}
            return answer_json(unlisted, HTTPStatus.NOT_FOUND)
        listed = {"ok": True, "listed": True, "kind": kind, "entry": entry.text, "until": utc_text(entry.until)}
        return answer_json({**listed, "lease": entry.lease, "comment": entry.comment, "held": entry.held})

    def _delete(self, request: Request) -> Answer:
        self._doorkeeper.check(request)
        with _failures():
            removed = self._book.remove(request.parameters["name"], request.parameters["entry"])
        return answer_json({"ok": True, "removed": removed})

    def _accept(self, request: Request) -> Answer:
        self._doorkeeper.check(request)
        with _failures():
            entries = self._book.accept(request.parameters["name"])
        return answer_json({"ok": True, "entries": entries})


class _failures:  # noqa: N801 - used as a statement
    """What the book raises, as an answer."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, Refused):
            raise Failure(HTTPStatus.FORBIDDEN, str(error)) from None
        if isinstance(error, InputError):
            raise Failure(HTTPStatus.BAD_REQUEST, str(error)) from None
        if isinstance(error, FeedError):
            raise Failure(HTTPStatus.CONFLICT, str(error)) from None
        if isinstance(error, PolicyError):
            sentence = "The policy is not valid, so nothing is listed until it is corrected."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "60"}) from None
        if isinstance(error, (StoreError, Conflict)):
            sentence = "The store cannot be used; nothing was changed."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "10"}) from None


class FeedPages:
    """`GET /feeds/<name>.txt`, for firewalls: on a listener of its own, with a password for each."""

    def __init__(self, book: FeedBook, readers: Iterable[str]):
        self._book = book
        self._readers = [reader.encode() for reader in readers]

    def routes(self) -> list[Route]:
        """The one address; `?family=4` or `6` for one family, `?format=pan` with comments, `?format=rpz` for DNS."""
        return [Route("GET", "/feeds/{name}.txt", self._page)]

    def _page(self, request: Request) -> Answer:
        self._check(request)
        query = parse_qs(request.environ.get("QUERY_STRING") or "")
        name = request.parameters["name"]
        try:
            page = self._book.page(name, _form(self._book.kind(name), query))
        except Failure:
            raise
        except PropolisError as error:
            _LOG.error("a list was not published: %s", error)
            sentence = "The list cannot be published now; keep the one you have."
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, sentence, {"Retry-After": "60"}) from None
        headers = (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("ETag", page.etag),
            ("Last-Modified", formatdate(page.serial, usegmt=True)),
        )
        if _unchanged(request, page):
            return Answer(HTTPStatus.NOT_MODIFIED, b"", headers[1:])
        return Answer(HTTPStatus.OK, page.body, headers)

    def _check(self, request: Request) -> None:
        if not self._readers:
            if not is_loopback(request.remote):
                raise Failure(HTTPStatus.FORBIDDEN, "Without configured feed_readers only this machine may read.")
            return
        offered = basic_pair(request.header("Authorization")).encode()
        good = [hmac.compare_digest(offered, reader) for reader in self._readers]
        if not any(good):
            sentence = "Present the list's user and password."
            raise Failure(HTTPStatus.UNAUTHORIZED, sentence, {"WWW-Authenticate": 'Basic realm="propolis feeds"'})


def _form(kind: str, query: Mapping[str, list[str]]) -> Form:
    try:
        return asked_form(kind, query)
    except InputError as error:
        raise Failure(HTTPStatus.BAD_REQUEST, str(error)) from None


def _unchanged(request: Request, page: Page) -> bool:
    """Whether the client has this page; asked only by clients that know the question.

    Dates have whole seconds and lists may change twice in one; the serial number is a date that no two states share.
    """
    tags = request.header("If-None-Match")
    if tags:
        return tags.strip() == "*" or page.etag in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    since = request.header("If-Modified-Since")
    try:
        return bool(since) and page.serial <= parsedate_to_datetime(since).timestamp()
    except (ValueError, TypeError, OverflowError):
        return False
