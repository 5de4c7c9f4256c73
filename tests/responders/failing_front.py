"""An HTTP server before a product: hands requests on, keeps a log of the changes, and fails as a test tells it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from suite import Failure


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    target: str
    """Path and query, as sent."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Told(NamedTuple):
    """The product's answer; its body is JSON."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Front:
    """Use as a context manager; `url` is where it listens. A `login` is a request that gets a token: never a change."""

    def __init__(self, product: Callable[[Asked], Told], login: Callable[[Asked], bool] = lambda asked: False):
        self.product = product
        self.login = login
        self.reading: Callable[[Asked], bool] = lambda asked: False
        """Requests that are no GET and yet change nothing, such as a search by POST."""
        self.requests: list[Asked] = []
        self.changes: list[str] = []
        """Every change that was handed on, in order."""
        self.elsewhere: list[str] = []
        self.failure: Failure | None = None
        self.writes_only = False
        self.refuse_once: list[tuple[int, dict[str, str]]] = []
        """Answers to the next changes, which are then not handed on: (status, headers)."""
        self.lose_next = False
        """Hand the next change on and drop its answer."""
        self.now: Callable[[], float] | None = None
        """The product's time, for the header Date; None: this machine's."""
        self.stopping = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []

    def __enter__(self) -> Front:
        self.url = self._serve(_Handler)
        self.other_url = self._serve(_Elsewhere)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.take_down()

    def take_down(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def _serve(self, handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (handler,), {"front": self}))
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    front: Front
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the acknowledgement of its headers

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = self.front.now
        return super().date_time_string(now() if now is not None and timestamp is None else timestamp)

    def _handle(self) -> None:
        front, asked = self.front, self._asked()
        front.requests.append(asked)
        login = front.login(asked)
        changing = asked.method != "GET" and not login and not self.front.reading(asked)
        spared = login and front.failure is Failure.UNAUTHORIZED  # a token is to be had, and then never taken
        if front.failure is not None and not spared and (changing or not front.writes_only):
            self._fail(front.failure)
            return
        if changing and front.refuse_once:
            status, headers = front.refuse_once.pop(0)
            self._send(status, b'{"error": "not now"}', headers)
            return
        if changing:
            front.changes.append(f"{asked.method} {asked.target} {asked.body.decode()}".strip())
        told = front.product(asked)
        if changing and front.lose_next:
            front.lose_next = False
            self._cut()
            return
        self._send(told.status, told.body, dict(told.headers))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - the names http.server looks for

    def _asked(self) -> Asked:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Asked(self.command, self.path, headers, body)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _fail(self, failure: Failure) -> None:
        if failure is Failure.SILENCE:
            self.front.stopping.wait(5)
            self.close_connection = True
            return
        if failure is Failure.HALF_BODY:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"half":')
            self._cut()
            return
        status, body, headers = {
            Failure.SERVER_ERROR: (500, b'{"error": "unknown"}', {}),
            Failure.UNAUTHORIZED: (401, b'{"error": "no"}', {}),
            Failure.FORBIDDEN: (403, b'{"error": "forbidden"}', {}),
            Failure.RATE_LIMITED: (429, b"", {"Retry-After": "86400"}),
            Failure.REDIRECT: (302, b"", {"Location": f"{self.front.other_url}/elsewhere"}),
            Failure.HTML: (200, b"<html><body>Sign in</body></html>", {"Content-Type": "text/html"}),
            Failure.NONSENSE: (200, b'{"result": {"ok": 1}}', {}),
        }[failure]
        self._send(status, body, headers)

    def _cut(self) -> None:
        """End the connection with a reset, in the middle of whatever it was in."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Elsewhere(BaseHTTPRequestHandler):
    front: Front

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.front.elsewhere.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815
