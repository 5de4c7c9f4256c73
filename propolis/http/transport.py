"""The edge to `requests`: a session that watches the clock while it reads and knows whether a request was sent.

Socket timeouts alone do not end a call: each byte that trickles in starts them anew, in the headers as in the body.
So the file object that the answer is read from gives every single read no more than what is left of the budget.
This module imports `requests` and is itself imported only with the first call.
"""

from __future__ import annotations

import http.client
import io
import socket
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError as Urllib3Error

from propolis.clock import Clock

FAILURES: tuple[type[BaseException], ...] = (
    requests.RequestException,
    Urllib3Error,
    http.client.HTTPException,
    OSError,
)
_CHUNK = 65_536


class Attempt:
    """One try of one request: when it must be over, and whether anything of it was sent."""

    def __init__(self, clock: Clock, deadline: float):
        self.clock = clock
        self.deadline = deadline
        self.sent = False

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when it has passed."""
        seconds = self.deadline - self.clock.monotonic()
        if seconds <= 0:
            raise TimeoutError("the budget of the call is used up")
        return seconds


_current: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


class _TimedReader(io.RawIOBase):
    """Reads a socket; before each read its timeout is set to what is left."""

    def __init__(self, sock: socket.socket):
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._longest = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        attempt = _current.get()
        if attempt is not None:
            left = attempt.left()
            self._sock.settimeout(left if self._longest is None else min(left, self._longest))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any):
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock))


class _Watched:
    """Mixed into urllib3's connections: notes the moment from which a request may have reached the server."""

    sock: Any
    _opening = False

    def connect(self) -> None:
        self._opening = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._opening = False

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = _current.get()
        if attempt is not None and not self._opening:  # the CONNECT to a proxy is not yet the request
            attempt.sent = True
        super().send(data)  # type: ignore[misc]


class _Connection(_Watched, HTTPConnection):
    response_class = _TimedResponse  # http.client looks it up here


class _TlsConnection(_Watched, HTTPSConnection):
    response_class = _TimedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class BodyTooLargeError(Exception):
    """The answer is larger than the caller allows."""


class Transport:
    """A `requests` session that trusts nothing of its surroundings: no netrc, no proxy variables, no cookies."""

    def __init__(self, *, verify: bool | str, proxy: str | None):
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        self._session.mount("https://", _Adapter(max_retries=0))
        self._session.mount("http://", _Adapter(max_retries=0))
        self._verify = verify
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}

    def send(
        self,
        attempt: Attempt,
        method: str,
        url: str,
        *,
        params: Any,
        data: bytes | None,
        headers: dict[str, str],
        timeout: tuple[float, float],
        max_body: int,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and whole decompressed body of one request. Raises one of FAILURES, or BodyTooLargeError."""
        token = _current.set(attempt)
        try:
            answer = self._session.request(
                method, url, params=params, data=data, headers=headers, timeout=_within(timeout, attempt.left()),
                allow_redirects=False, stream=True, verify=self._verify, proxies=self._proxies,
            )  # fmt: skip
            try:
                body = _read(answer, max_body)
            except BaseException:
                answer.close()
                raise
            answer.raw.release_conn()
            return answer.status_code, dict(answer.headers), body
        finally:
            _current.reset(token)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()


def _within(timeout: tuple[float, float], left: float) -> tuple[float, float]:
    return min(timeout[0], left), min(timeout[1], left)


def _read(answer: requests.Response, most: int) -> bytes:
    declared = answer.headers.get("Content-Length", "")
    if declared.isdecimal() and int(declared) > most and answer.request.method != "HEAD":
        raise BodyTooLargeError
    body = bytearray()
    for piece in _decoded(_pieces(answer), answer.headers.get("Content-Encoding", "").strip().lower()):
        body += piece
        if len(body) > most:
            raise BodyTooLargeError
    return bytes(body)


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    while piece := answer.raw.read(_CHUNK, decode_content=False):
        yield piece


def _decoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress in bounded steps, so that a small body cannot swell to gigabytes before its size is looked at."""
    if encoding in ("", "identity"):
        yield from pieces
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise http.client.HTTPException("an encoding that was not asked for")
    machine = None
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if machine is None or machine.eof:
                    machine = zlib.decompressobj(_window(encoding, rest))
                yield machine.decompress(rest, _CHUNK)
                rest = machine.unconsumed_tail or machine.unused_data
    except zlib.error as error:
        raise http.client.HTTPException("a compressed body that cannot be read") from error
    if machine is not None and not machine.eof:
        raise http.client.HTTPException("a compressed body that ends too early")


def _window(encoding: str, start: bytes) -> int:
    """zlib's `wbits`: gzip, or for `deflate` a zlib stream, or (some servers) a bare one."""
    if encoding != "deflate":
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if start[0] & 0x0F == 8 else -zlib.MAX_WBITS
