"""A small threaded HTTP/1.1 server: keep-alive, bounded threads, and faults on demand."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

from playbook_service.lab.exchange import ApiError, Reply, Request
from playbook_service.lab.faults import Faults, ServerFaults
from propolis.clock import Clock

MAX_BODY = 64 * 1024 * 1024
_CONNECTIONS = 128
_LOOK = 0.1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        super().setup()
        self.server.hold(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError):
            self.close_connection = True
        finally:
            self.server.let_go(self.connection)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):  # the other side hung up, or `stop` closed the connection
            self.close_connection = True

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > MAX_BODY or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self._send(ApiError(413, "BadRequest", "The body is too large or of unknown length").reply())
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(int(length)))
        reply = self.server.answer(request)
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self._send(reply)

    def _send(self, reply: Reply) -> None:
        body = reply.encoded()
        self.send_response(reply.status)
        if reply.status != 204:
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the lab's audit is its log."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)


class _Listener(ThreadingMixIn, HTTPServer):
    daemon_threads = False
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Reply | None]):
        super().__init__(address, _Handler)
        self.answer = answer
        self.closing = False
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        while not self._room.acquire(timeout=_LOOK):
            if self.closing:  # all places are taken, and nobody will leave before they are told to
                self.shutdown_request(request)
                return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the client's affair; what a handler raises is answered before it gets here."""

    def hold(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def let_go(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def hang_up(self) -> None:
        with self._lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # it went by itself
                    continue


class Server:
    """Serves `answer` at an address; may be stopped and started again at the same port."""

    def __init__(
        self,
        host: str,
        port: int,
        answer: Callable[[Request], Reply],
        faults: Faults,
        name: str,
        clock: Clock,
    ):
        self.host, self.port = host, port
        self.stopping = threading.Event()
        self.requests = 0
        self.failures: list[BaseException] = []
        self._answer = answer
        self._faults = faults
        self.name = name
        self._clock = clock
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it can be reached."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def start(self) -> None:
        """Listen; a port of 0 becomes a free one and stays that."""
        self.stopping.clear()
        self._listener = _Listener((self.host, self.port), self._guarded)
        self.port = int(self._listener.server_address[1])
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, name=f"lab-{self.name}"
        )
        self._thread.start()

    def stop(self) -> None:
        """Hang up on everybody and wait until every thread has ended."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        self.stopping.set()
        listener.closing = True
        listener.shutdown()
        thread.join()
        listener.hang_up()
        listener.server_close()
        self._listener = self._thread = None

    def _guarded(self, request: Request) -> Reply | None:
        self.requests += 1
        faults: ServerFaults = getattr(self._faults, self.name)
        if request.path.startswith("/lab/") or not faults.hits(request.method, request.path):
            return self._safe(request)
        if faults.slow:
            self._clock.sleep(faults.slow)
        if faults.take("hang") and not self._released():
            return None
        if faults.take("fail"):
            return ApiError(faults.status, "InternalError", "The lab was told to fail").reply()
        reply = self._safe(request)
        if faults.take("lose"):
            return None
        return Reply(200, "<html>nonsense", kind="text/html") if faults.take("garbage") else reply

    def _safe(self, request: Request) -> Reply:
        try:
            return self._answer(request)
        except ApiError as error:
            return error.reply()
        except Exception as error:  # a fault of the lab itself: answered as a server would, and raised by `settle`
            self.failures.append(error)
            return ApiError(500, "InternalError", f"{type(error).__name__}: {error}").reply()

    def _released(self) -> bool:
        released = self._faults.released
        while not self.stopping.is_set():
            if released.wait(0.02):
                return True
        return False
