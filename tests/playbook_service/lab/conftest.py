"""What the lab's tests share: labs of both versions, clients, and something that receives webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab import Lab
from propolis.clock import ManualClock
from propolis.http import Client, session

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "lab"


class Receiver:
    """Receives webhooks, keeps bodies and headers; hangs up without an answer while `cut` counts down."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.cut = 0
        self.status = 202
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.bodies.append(json.loads(body))
                receiver.headers.append(dict(self.headers.items()))
                if receiver.cut > 0:
                    receiver.cut -= 1
                    self.close_connection = True
                    return
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hooks/thehive"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def make_lab() -> Iterator[Callable[..., Lab]]:
    """Make labs with any settings; they are stopped in the end."""
    labs: list[Lab] = []

    def make(version: int = 5, **settings: Any) -> Lab:
        lab = Lab(version, **settings)
        labs.append(lab)
        lab.start()
        return lab

    yield make
    for lab in labs:
        lab.stop()


@pytest.fixture
def reports() -> Path:
    """A recording of three analyzers on a few observables."""
    return FIXTURES / "reports.jsonl"


@pytest.fixture
def lab5(make_lab: Callable[..., Lab], reports: Path) -> Lab:
    return make_lab(5, reports=[reports])


@pytest.fixture
def lab4(make_lab: Callable[..., Lab], reports: Path) -> Lab:
    return make_lab(4, reports=[reports])


@pytest.fixture(params=[4, 5], ids=["thehive4", "thehive5"])
def lab(request: pytest.FixtureRequest, make_lab: Callable[..., Lab], reports: Path) -> Lab:
    return make_lab(request.param, reports=[reports])


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


class Rest:
    """REST calls as one user, answering with (status, JSON)."""

    def __init__(self, url: str, headers: dict[str, str]):
        self.client: Client = session(url, headers=headers, retries=0, timeout=(3.0, 10.0))

    def call(self, method: str, path: str, json: Any = None, **options: Any) -> tuple[int, Any]:
        answer = self.client.request(method, path, json=json, accept=lambda status: True, retry=False, **options)
        if not answer.body:
            return answer.status, None
        kind = answer.headers.get("Content-Type", "")
        return answer.status, answer.json() if kind.startswith("application/json") else answer.text

    def get(self, path: str, **options: Any) -> Any:
        return self.expect(200, "GET", path, **options)

    def post(self, path: str, json: Any = None, *, status: int = 201) -> Any:
        return self.expect(status, "POST", path, json)

    def patch(self, path: str, json: Any, *, status: int = 204) -> Any:
        return self.expect(status, "PATCH", path, json)

    def expect(self, status: int, method: str, path: str, json: Any = None, **options: Any) -> Any:
        given, body = self.call(method, path, json, **options)
        assert given == status, f"{method} {path}: {given} {body}"
        return body

    def query(self, *steps: dict[str, Any], **more: Any) -> Any:
        return self.expect(200, "POST", "api/v1/query", {"query": list(steps), **more})


@pytest.fixture
def rest() -> Iterator[Callable[..., Rest]]:
    """`rest(lab, "analyst")`, `rest(lab, "service", organisation="other")`, `rest(lab, "cortex_service")`."""
    made: list[Rest] = []

    def make(lab: Lab, name: str, organisation: str | None = None) -> Rest:
        url = lab.cortex_url if name.startswith("cortex_") else lab.thehive_url
        headers = {"Authorization": f"Bearer {getattr(lab.keys, name)}"}
        if organisation is not None:
            headers["X-Organisation"] = organisation
        made.append(Rest(url, headers))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


ALERT = {
    "type": "wazuh", "source": "wazuh-manager-01", "sourceRef": "1767261599.482913",
    "title": "Wazuh 5763: SSH brute force on web-01", "description": "Repeated authentication failures", "severity": 3,
    "date": 1767261600000, "tags": ["wazuh", "ssh"], "tlp": 2, "pap": 2,
}  # fmt: skip
OBSERVABLE = {
    "dataType": "ip", "data": "203.0.113.45", "message": "Source address of the failed logins", "tags": ["src-ip"],
    "sighted": True,
}  # fmt: skip


@pytest.fixture
def alert() -> dict[str, Any]:
    return dict(ALERT)


@pytest.fixture
def observable() -> dict[str, Any]:
    return dict(OBSERVABLE)
