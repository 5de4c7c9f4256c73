"""The block lists as consumers meet them: book, API and pages on the service's own server, over real HTTP.

In the test's process the lists' time is a ManualClock; as a program (`python feed_server.py <address> <port>`) they are
served in whatever network namespace it is started in, in real time.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # as a program it stands alone

from playbook_service.feed.book import Bounds, FeedBook
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.intake.credential import Doorkeeper
from playbook_service.store.contract import Store
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import Clock, ManualClock, SystemClock
from propolis.guardrails import Policy

TOKEN = "feed-t0ken"
READERS = ("fw1:first-s3cret", "fw2:second-s3cret")
LISTS = {"blocklist": "ip", "names": "domain", "pages": "url"}
OWN = "firewall: {own: [198.51.100.0/24], max_prefix_v4: 24}"
DAY = 86_400


class Fetched(NamedTuple):
    """An answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def lines(self) -> list[str]:
        return self.body.decode("ascii").splitlines()


class FeedServer:
    """Use as a context manager."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        store: Store | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - it is immutable
        address: tuple[str, int] = ("127.0.0.1", 0),
    ):
        self.clock = clock or ManualClock()
        self.protect(OWN)
        self.book = FeedBook(store or MemoryStore(self.clock), self.clock, self._policy, LISTS, bounds)
        routes = [*FeedApi(self.book, Doorkeeper([TOKEN])).routes(), *FeedPages(self.book, READERS).routes()]
        self.server = Server(address, Application(routes), SystemClock())
        self.url = f"http://{address[0]}:{self.server.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FeedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._thread.join()

    def protect(self, text: str) -> None:
        """Another policy from now on; one that cannot be read is said to be so whenever it is asked for."""
        self._policy_text = text
        self._read: Policy | None = None

    def _policy(self) -> Policy:
        self._read = self._read or Policy.parse(self._policy_text)
        return self._read

    def put(self, entry: str, *, name: str = "blocklist", seconds: int = DAY, comment: str = "case 128") -> None:
        """List an entry."""
        self.book.put(name, entry, seconds=seconds, comment=comment)

    def fetch(self, target: str = "/feeds/blocklist.txt", reader: str | None = READERS[0], **headers: str) -> Fetched:
        """One GET as a consumer makes it; `if_none_match="..."` is the header If-None-Match."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if reader is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(reader.encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request("GET", target, headers=sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Fetched(answer.status, named, answer.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None) -> Fetched:
        """One call of the API, as FirewallBlock makes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            connection.request(method, f"/api/v1/blocklist/{path}", json.dumps(body or {}), headers)
            answer = connection.getresponse()
            return Fetched(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()


if __name__ == "__main__":
    served = FeedServer(SystemClock(), address=(sys.argv[1], int(sys.argv[2])))
    with served:
        print("ready", flush=True)
        sys.stdin.read()
