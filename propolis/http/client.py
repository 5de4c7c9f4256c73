"""The client: one server, one set of credentials, and the rules of what may be repeated."""

from __future__ import annotations

import json as json_text
import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlencode, urlsplit

from propolis.clock import Clock, SystemClock
from propolis.errors import ConfigurationError, InputError
from propolis.http.address import Address, parse_base
from propolis.http.backoff import Backoff, wait_asked
from propolis.http.errors import HttpError, status_text, transport_fault
from propolis.http.observer import Exchange, told
from propolis.http.redaction import Redaction
from propolis.http.response import Headers, Response

if TYPE_CHECKING:
    from propolis.http.transport import Transport

Accept = Collection[int] | Callable[[int], bool]
MAX_BODY = 16 * 1024 * 1024
_REPEATABLE = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")  # RFC 9110 9.2.2: idempotent
_METHODS = (*_REPEATABLE, "POST", "PATCH")
_PASSING = (429, 502, 503, 504)
_REFUSED_UNTOUCHED = (429, 503)  # the server says that it did nothing
_BEFORE_ACTING = (501, 503, 505)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")


@dataclass(frozen=True)
class Tries:
    """How long and how often: `timeout` (connect, read) in seconds, `retries` after the first try, `budget` in all."""

    timeout: tuple[float, float] = (5.0, 30.0)
    retries: int = 3
    budget: float = 120.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True)
class _Call:
    """One request as it is to be made, as often as it may be."""

    method: str
    url: str
    where: str
    params: Mapping[str, Any] | None
    data: bytes | None
    headers: dict[str, str]
    accept: Accept | None
    repeatable: bool
    retries: int
    redaction: Redaction

    def accepts(self, status: int) -> bool:
        if self.accept is None:
            return 200 <= status < 300
        return self.accept(status) if callable(self.accept) else status in self.accept


class Requester:
    """The verbs, over one `request`."""

    def request(self, method: str, path: str, **options: Any) -> Response:
        """Make a request; see `Client.request` for the options."""
        raise NotImplementedError

    def get(self, path: str, **options: Any) -> Response:
        """GET; repeated where it fails in passing."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Response:
        """POST; repeated only when the server surely did not act, or with `retry=True`."""
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> Response:
        """PUT; repeated where it fails in passing."""
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> Response:
        """PATCH; repeated as POST is."""
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> Response:
        """DELETE; repeated where it fails in passing."""
        return self.request("DELETE", path, **options)


class Client(Requester):
    """Requests to one base address. Threads may share it. Made by `session`."""

    def __init__(
        self,
        address: Address,
        *,
        headers: Mapping[str, str],
        verify: bool | str,
        proxy: str | None,
        max_body: int,
        clock: Clock,
        tries: Tries,
        redaction: Redaction,
    ):
        self.address = address
        self.clock = clock
        self.max_body = max_body
        self._headers = dict(headers)
        self._verify = verify
        self._proxy = proxy
        self._tries = tries
        self._redaction = redaction
        self._transport: Transport | None = None
        self._lock = threading.Lock()

    def protect(self, *secrets: str) -> None:
        """Blank these values too in every error text from now on."""
        self._redaction = self._redaction.plus(secrets)

    def request(  # type: ignore[override] # noqa: PLR0913 - the options that the verbs hand on, spelled out
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Accept | None = None,
        retry: bool | None = None,
    ) -> Response:
        """Make a request below the base address and return the answer, read to its end.

        One of `json`, `form` and `data` is the body. `accept` says which statuses are an answer (default: 2xx).
        `retry`: None repeats what HTTP calls idempotent, and others when they were surely not acted on; True says that
        this request may be repeated whatever became of it (a search by POST); False never repeats. Raises HttpError.
        """
        body, kind = _encode(json, form, data)
        sent = {**self._headers, **({"Content-Type": kind} if kind else {}), **(headers or {})}
        _check_headers(sent)
        method = method.upper()
        if method not in _METHODS:
            raise InputError(f"{method} is no HTTP method that this client knows.")
        redaction = self._redaction.plus_headers(headers or {})
        call = _Call(
            method=method,
            url=self.address.join(path),
            where=redaction.text(f"{method} {self.address.host}{self.address.path(path)}"),
            params=params,
            data=body,
            headers=sent,
            accept=accept,
            repeatable=retry if retry is not None else method in _REPEATABLE,
            retries=0 if retry is False else self._tries.retries,
            redaction=redaction,
        )
        return self._repeat(call)

    def _repeat(self, call: _Call) -> Response:
        deadline = self.clock.monotonic() + self._tries.budget
        tries = 0
        while True:
            try:
                return self._told(call, deadline)
            except HttpError as error:
                tries += 1
                if tries > call.retries or not _may_repeat(call, error):
                    raise
                self._wait(error, tries, deadline)

    def _wait(self, error: HttpError, tries: int, deadline: float) -> None:
        seconds = self._tries.backoff.wait(tries, error.retry_after)
        if self.clock.monotonic() + seconds < deadline:
            self.clock.sleep(seconds)
            return
        if error.retry_after is None:
            raise error
        asked, budget = error.retry_after, self._tries.budget
        raise error.because(f"the wait it asks for, {asked:.0f} s, goes beyond the {budget:.0f} s a call may take")

    def _told(self, call: _Call, deadline: float) -> Response:
        began = self.clock.monotonic()
        try:
            response = self._once(call, deadline)
        except HttpError as error:
            told(Exchange(self.address, error.status, error.kind, self.clock.monotonic() - began))
            raise
        told(Exchange(self.address, response.status, "", self.clock.monotonic() - began))
        return response

    def _once(self, call: _Call, deadline: float) -> Response:
        from propolis.http import transport  # `requests` costs 130 ms, so it is loaded with the first call

        attempt = transport.Attempt(self.clock, deadline)
        try:
            status, headers, body = self._open().send(
                attempt, call.method, call.url, params=call.params, data=call.data, headers=call.headers,
                timeout=self._tries.timeout, max_body=self.max_body,
            )  # fmt: skip
        except transport.BodyTooLargeError:
            self._fail(call, "size", f"the answer is larger than {self.max_body:,} bytes; ask for less", ambiguous=True)
        except transport.FAILURES as error:
            fault = transport_fault(error, proxied=bool(self._proxy), sent=attempt.sent)
            self._fail(call, fault.kind, fault.text, ambiguous=attempt.sent)
        response = Response(status, Headers(headers), body, call.where, call.redaction.text)
        if call.accepts(status):
            return response
        raise self._refusal(call, response)

    def _open(self) -> Transport:
        from propolis.http.transport import Transport  # see _once

        with self._lock:
            if self._transport is None:
                self._transport = Transport(verify=self._verify, proxy=self._proxy)
            return self._transport

    @staticmethod
    def _fail(call: _Call, kind: str, text: str, *, ambiguous: bool) -> NoReturn:
        # `from None`: the exceptions of requests quote URLs with their query, which may hold a secret
        raise HttpError(f"{call.where} failed: {text}.", kind=kind, ambiguous=ambiguous) from None

    def _refusal(self, call: _Call, response: Response) -> HttpError:
        status = response.status
        excerpt = "" if status < 400 else call.redaction.excerpt(response.text)
        kind, text = ("redirect", _redirect_text(response)) if 300 <= status < 400 else ("status", status_text(status))
        said = f" (it said: {excerpt})" if excerpt else ""
        return HttpError(
            call.redaction.text(f"{call.where} failed: {text}{said}."),
            kind=kind,
            status=status,
            ambiguous=status in (302, 303) or (status >= 500 and status not in _BEFORE_ACTING) or status < 300,
            retry_after=wait_asked(response.headers, self.clock.now()) if status in _REFUSED_UNTOUCHED else None,
            excerpt=excerpt,
        )

    def close(self) -> None:
        """Close the connections that are kept open; the next request opens new ones."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def session(  # noqa: PLR0913 - the settings of a connection
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    verify: bool = True,
    ca_file: str | Path | None = None,
    proxy: str | None = None,
    timeout: tuple[float, float] = (5.0, 30.0),
    max_body: int = MAX_BODY,
    clock: Clock | None = None,
    retries: int = 3,
    budget: float = 120.0,
    secrets: Iterable[str] = (),
    draw: Callable[[], float] | None = None,
    name: str = "base_url",
) -> Client:
    """A client for one server; nothing is sent yet.

    `verify` is the operator's choice to check the server's certificate, against `ca_file` (PEM) where one is given.
    `proxy` is the proxy's address, used for every request; the environment's proxies are never used. `timeout` is
    (connect, read) in seconds, `budget` the seconds a call may take with all its repetitions, `max_body` the bytes an
    answer may have after decompression. `secrets`, and the values of headers, are blanked in every error. `draw` gives
    the back-off's random numbers in [0, 1). `name` is what the address is called where the operator set it, for errors.
    Raises ConfigurationError.
    """
    address = parse_base(base_url, name=name)
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "propolis", **(headers or {})}
    _check_headers(headers)
    _check_numbers(timeout, max_body, retries, budget)
    backoff = Backoff() if draw is None else Backoff(draw=draw)
    return Client(
        address,
        headers=headers,
        verify=_verification(verify, ca_file),
        proxy=_proxy(proxy),
        max_body=max_body,
        clock=clock or SystemClock(),
        tries=Tries(timeout, retries, budget, backoff),
        redaction=Redaction(tuple(secrets)).plus_headers(headers).plus(_proxy_password(proxy)),
    )


def _may_repeat(call: _Call, error: HttpError) -> bool:
    if error.status is not None:
        if call.repeatable:
            return error.status in _PASSING
        return error.status in _REFUSED_UNTOUCHED and error.retry_after is not None
    if error.kind in ("tls", "size"):
        return False  # trying again changes nothing
    return call.repeatable or not error.ambiguous


def _encode(json: Any, form: Mapping[str, Any] | None, data: bytes | str | None) -> tuple[bytes | None, str | None]:
    if sum(part is not None for part in (json, form, data)) > 1:
        raise InputError("A request has one body: json, form or data.")
    if json is not None:
        return json_text.dumps(json, allow_nan=False).encode(), "application/json"
    if form is not None:
        return urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
    return data.encode() if isinstance(data, str) else data, None


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("The name of an HTTP header holds a character that is not allowed.")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(
                f"The value for the HTTP header {name} holds a line break or a character outside ASCII: enter it again."
            )


def _check_numbers(timeout: tuple[float, float], max_body: int, retries: int, budget: float) -> None:
    if min(*timeout, budget, max_body) <= 0 or retries < 0:
        raise ConfigurationError("timeout, budget and max_body must be above zero, and retries not below it.")


def _verification(verify: bool, ca_file: str | Path | None) -> bool | str:
    if not verify or ca_file is None or not str(ca_file).strip():
        return verify
    if not Path(ca_file).is_file():
        raise ConfigurationError(f"The CA file {ca_file} does not exist or is not a file.")
    return str(ca_file)


def _proxy(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    parts = urlsplit(text.strip())
    parse_base(text.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1), name="proxy")
    return text.strip()


def _proxy_password(text: str | None) -> tuple[str, ...]:
    return tuple(part for part in (urlsplit(text.strip()).password if text else None,) if part)


def _redirect_text(response: Response) -> str:
    target = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2]
    to = f" to {target}" if target else ""
    return f"the answer is a redirect{to} ({response.status}), which is not followed; give the final address instead"
