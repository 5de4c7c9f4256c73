"""A real HTTP server on this machine whose answers a test scripts."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass
class Seen:
    """One request as the server received it."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers the n-th request with the n-th behaviour, the last one for ever after."""

    port: int
    scheme: str = "http"
    behaviours: list[Callable[[socket.socket], None]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def will(self, *behaviours: Callable[[socket.socket], None]) -> Server:
        self.behaviours = list(behaviours)
        return self


def answer(status: int = 200, body: bytes = b"{}", **headers: str) -> Callable[[socket.socket], None]:
    """A plain answer; `_` in a header's name stands for `-`."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return lambda connection: connection.sendall(head.encode() + body)


def _read_request(connection: socket.socket) -> Seen | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (part.partition(":") for part in fields)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return Seen(line, headers, body)


def _serve(server: Server, connection: socket.socket, stop: threading.Event) -> None:
    with suppress(OSError), connection:
        while not stop.is_set() and (request := _read_request(connection)):
            server.seen.append(request)
            place = min(len(server.seen), len(server.behaviours)) - 1
            server.behaviours[place](connection)


def _run(listener: socket.socket, server: Server, context: ssl.SSLContext | None, stop: threading.Event) -> None:
    while not stop.is_set():
        with suppress(OSError):
            connection, _ = listener.accept()
            connection.settimeout(20)
            server.connections += 1
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            threading.Thread(target=_serve, args=(server, connection, stop), daemon=True).start()


def start(context: ssl.SSLContext | None = None) -> tuple[Server, Callable[[], None]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()
    server = Server(listener.getsockname()[1], "https" if context else "http", [answer()])
    thread = threading.Thread(target=_run, args=(listener, server, context, stop), daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept() on Linux; elsewhere its timeout does
        thread.join()
        listener.close()

    return server, end
