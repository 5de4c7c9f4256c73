"""The embedded HTTP/1.1 server: the standard library's, bounded in every direction.

At most so many connections at once, each with a time for its whole request: a client that sends a byte now and then
does not hold a thread for ever. Lines and headers are bounded by `http.server` itself (64 KiB a line, 100 headers).
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import unquote

from playbook_service.web.message import Environ
from propolis.clock import Clock

WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
_LOG = logging.getLogger("propolis.web")
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_DISCARD = 64 * 1024  # bytes of an unread body that are read away to keep the connection usable


class Limits:
    """Bounds of a server: connections at once, and seconds for a request, from its first byte to its answer."""

    def __init__(self, connections: int = 128, request_seconds: float = 30.0, idle_seconds: float = 60.0):
        self.connections = connections
        self.request_seconds = request_seconds
        self.idle_seconds = idle_seconds


class Server(ThreadingMixIn, TCPServer):
    """A threaded server of one WSGI application. `run()` serves until `stop()`, which any thread may call."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        application: WsgiApplication,
        clock: Clock,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ):
        self.application = application
        self.clock = clock
        self.limits = limits or Limits()
        self._tls = tls
        self._slots = threading.BoundedSemaphore(self.limits.connections)
        self._deadlines: dict[socket.socket, float] = {}
        self._deadlines_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    @property
    def port(self) -> int:
        """The port it listens on, also where 0 was asked for."""
        return int(self.server_address[1])

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self._tls else "http"

    def run(self) -> None:
        """Serve until `stop()`."""
        self.serve_forever(poll_interval=0.25)

    def stop(self) -> None:
        """Stop accepting, and close what is open."""
        self.shutdown()
        self.server_close()
        with self._deadlines_lock:
            for connection in self._deadlines:
                _cut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection, or turn it away when all places are taken: the sender tries again later."""
        if not self._slots.acquire(blocking=False):
            _turn_away(request)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """A connection's whole life, in its thread."""
        try:
            if self._tls:
                request.settimeout(self.limits.request_seconds)
                request = self._tls.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except (OSError, ssl.SSLError) as error:
            _LOG.debug("connection from %s ended: %s", client_address[0], error)
            request.close()
        finally:
            self.forget(request)
            self._slots.release()

    def service_actions(self) -> None:
        """Cut the connections whose time is over; called by `serve_forever` several times a second."""
        now = self.clock.monotonic()
        with self._deadlines_lock:
            late = [connection for connection, deadline in self._deadlines.items() if deadline < now]
        for connection in late:
            _cut(connection)

    def allow(self, connection: socket.socket, seconds: float) -> None:
        """Give a connection that long from now."""
        with self._deadlines_lock:
            self._deadlines[connection] = self.clock.monotonic() + seconds

    def forget(self, connection: socket.socket) -> None:
        """Watch a connection no more."""
        with self._deadlines_lock:
            self._deadlines.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks off is no event; anything else is logged."""
        if isinstance(sys.exc_info()[1], (OSError, ValueError)):
            _LOG.debug("connection from %s broke off", client_address[0])
        else:
            _LOG.exception("a connection failed")


class _Handler(BaseHTTPRequestHandler):
    """One connection: requests follow each other until somebody has enough."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # head and body leave together: in two pieces the second waits for the first one's receipt
    disable_nagle_algorithm = True
    server_version = "Propolis"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.idle_seconds)
        self.server.allow(self.connection, self.server.limits.request_seconds)

    def parse_request(self) -> bool:
        self.server.allow(self.connection, self.server.limits.request_seconds)
        return super().parse_request()

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()  # the sender waits for it before it sends the body
        return going_on

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        body = _Body(self.rfile, self._length())
        reply = _Reply(self)
        chunks = self.server.application(self._environ(body), reply.start)
        try:
            reply.send(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        if not body.drained():
            self.close_connection = True
        self.server.allow(self.connection, self.server.limits.idle_seconds)

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # a chunked body is not read, so what follows on this connection is unknown
        return int(text) if text.isdigit() else 0

    def _environ(self, body: Any) -> Environ:
        path, _, query = self.path.partition("?")
        environ: Environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "iso-8859-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": str(self.server.server_address[0]),
            "SERVER_PORT": str(self.server.port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": str(self.client_address[0]),
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": self.server.scheme,
            "wsgi.input": body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug("%s %s", self.client_address[0], format % args)


class _Body:
    """The part of a connection that is this request's body, and not a byte more."""

    def __init__(self, stream: Any, length: int):
        self._stream = stream
        self._left = length

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data: bytes = self._stream.read(wanted) if wanted else b""
        self._left -= len(data) if len(data) == wanted else self._left
        return data

    def drained(self) -> bool:
        """Read away what nobody wanted; False where that is too much, and the connection has to be closed."""
        if self._left > _DISCARD:
            return False
        self.read()
        return self._left == 0


class _Reply:
    """Sends what the application answers; chunked where it gives no length."""

    def __init__(self, handler: _Handler):
        self._handler = handler
        self._chunked = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
        code, _, phrase = status.partition(" ")
        self._handler.send_response(int(code), phrase)
        for name, value in headers:
            self._handler.send_header(name, _one_line(value))
        bodiless = self._handler.command == "HEAD" or code in ("204", "304")
        known = any(name.lower() == "content-length" for name, _ in headers)
        if not known and not bodiless:
            self._chunked = self._handler.request_version >= "HTTP/1.1"
            self._handler.send_header(*(("Transfer-Encoding", "chunked") if self._chunked else ("Connection", "close")))
        if self._handler.close_connection:
            self._handler.send_header("Connection", "close")
        self._handler.end_headers()
        return self._write

    def send(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self._write(chunk)
        if self._chunked:
            self._handler.wfile.write(b"0\r\n\r\n")

    def _write(self, chunk: bytes) -> None:
        if chunk and self._chunked:
            chunk = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
        self._handler.wfile.write(chunk)


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


def _turn_away(connection: socket.socket) -> None:
    try:
        connection.settimeout(1.0)
        connection.sendall(_BUSY)
    except OSError:
        return  # it did not wait for the answer


def is_loopback(host: str) -> bool:
    """True for an address that only this machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
