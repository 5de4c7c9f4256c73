"""The service's own block lists, really served: book, API and pages on the embedded server, as firewalls fetch them."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading

from failing_front import Asked, Told

from playbook_service.feed.book import FeedBook
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.intake.credential import Doorkeeper
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import Clock, SystemClock
from propolis.guardrails import Policy

TOKEN = "feed-t0ken-of-the-lab"
READER = "fw1:reader-s3cret"
LISTS = {"blocklist": "ip", "names": "domain", "pages": "url"}


class ListService:
    """Use as a context manager. `clock` is the lists' time; sockets always live in real time."""

    def __init__(self, clock: Clock, tls: ssl.SSLContext | None = None):
        self.policy = Policy.parse("firewall: {own: [198.51.100.0/24]}")
        self.book = FeedBook(MemoryStore(clock), clock, lambda: self.policy, LISTS)
        api, pages = FeedApi(self.book, Doorkeeper([TOKEN])), FeedPages(self.book, [READER])
        application = Application([*api.routes(), *pages.routes()])
        self._server = Server(("127.0.0.1", 0), application, SystemClock(), tls=tls)
        self.url = f"{self._server.scheme}://127.0.0.1:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> ListService:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._thread.join()

    def fetch(self, name: str = "blocklist") -> list[str]:
        """The entries that a firewall reads, over HTTP and with its own password."""
        basic = "Basic " + base64.b64encode(READER.encode()).decode()
        told = self._send(Asked("GET", f"/feeds/{name}.txt", {"authorization": basic}, b""))
        assert told.status == 200, told.body
        head, *entries = told.body.decode().splitlines()
        assert head.startswith(f"# propolis {name}: {len(entries)} entries")
        return entries

    def api(self, asked: Asked) -> Told:
        """Hand a request on to the service."""
        return self._send(asked)

    def _send(self, asked: Asked) -> Told:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=5)
        try:
            connection.request(asked.method, asked.target, asked.body, asked.headers)
            answer = connection.getresponse()
            return Told(answer.status, answer.read())
        finally:
            connection.close()
