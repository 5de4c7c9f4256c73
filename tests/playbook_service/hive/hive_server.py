"""A real HTTP server whose answers a test scripts by call; what it was asked is kept for the test to look at."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def call(self) -> str:
        """`GET /api/v1/case/~1`; a query goes by the names of its steps up to what it lists: `getCase observables`."""
        if not self.path.endswith("/query"):
            return f"{self.method} {self.path}"
        steps = [step["_name"] for step in self.json["query"]]
        return " ".join(name for name in steps if name not in ("filter", "sort", "page"))


@dataclass
class Reply:
    """An answer; `hang` gives none at all until the test is over."""

    status: int = 200
    body: Any = None
    hang: bool = False
    kind: str = "application/json"


Behaviour = Reply | Callable[[Asked], Reply]


@dataclass
class Script:
    """Call -> what to do the first time, the second time, ...; the last goes on for ever."""

    url: str = ""
    plan: dict[str, list[Behaviour]] = field(default_factory=dict)
    seen: list[Asked] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def on(self, call: str, *behaviours: Behaviour) -> Script:
        self.plan[call] = list(behaviours)
        return self

    def calls(self, call: str = "") -> list[Asked]:
        """The requests of one call, or all."""
        return [one for one in self.seen if not call or one.call == call]

    def answer(self, asked: Asked) -> Reply:
        behaviours = self.plan.get(asked.call)
        if behaviours is None:
            return error(404, "NotFoundError", f"nothing scripted for {asked.call}")
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        return behaviour if isinstance(behaviour, Reply) else behaviour(asked)


def error(status: int, kind: str, message: str) -> Reply:
    """A refusal in TheHive's and Cortex's form."""
    return Reply(status, {"type": kind, "message": message})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: Script

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        script = self.server.script
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
        script.seen.append(asked)
        reply = script.answer(asked)
        if reply.hang:
            script.over.wait(20)
            self.close_connection = True
            return
        raw = reply.body if isinstance(reply.body, bytes) else b"" if reply.body is None else _encoded(reply.body)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_any  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at `seen`."""


def _encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


@contextmanager
def serving() -> Iterator[Script]:
    """A server on this machine until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.script = Script(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.script
    finally:
        server.script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
