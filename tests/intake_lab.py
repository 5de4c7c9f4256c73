"""A Propolis that takes alerts in for real - server, hooks, committer and store - for tests of those that send."""

from __future__ import annotations

import json
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from playbook_service.intake.committer import Committer
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.routes import Hooks
from playbook_service.intake.siem import load_mapping
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import SystemClock

KEY = "a-very-secret-key-0123456789"
CLOCK = SystemClock()


def alert(number: int, level: int = 10, **more: Any) -> dict[str, Any]:
    """An alert as Wazuh writes it, told from others by its id."""
    return {
        "timestamp": "2026-11-21T23:33:57.191+0000",
        "rule": {"level": level, "description": "sshd: brute force", "id": "5712", "groups": ["sshd"]},
        "agent": {"id": "001", "name": "web01", "ip": "10.0.0.9"},
        "manager": {"name": "wazuh"},
        "id": f"1795304791.{number}",
        "decoder": {"name": "sshd"},
        "data": {"srcip": "203.0.113.7"},
        "location": "/var/log/auth.log",
        **more,
    }


class Propolis:
    """The service's own intake on a port of this machine: server, hooks, committer, store."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        backlog_limit: int = 100_000,
        tls: ssl.SSLContext | None = None,
        around: Callable[[Any], Any] = lambda application: application,
    ):
        self.database = folder / "propolis.db"
        self._store = SqliteStore(self.database, CLOCK)
        self._committer = Committer(self._store, CLOCK, backlog_limit=backlog_limit).__enter__()
        hooks = Hooks(Doorkeeper([KEY]), self._committer, load_mapping(), body_limit=1024 * 1024)
        self.server = Server(("127.0.0.1", port), around(Application(hooks.routes())), CLOCK, tls=tls)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What <hook_url> is to hold."""
        return f"{self.server.scheme}://127.0.0.1:{self.server.port}/hooks/wazuh"

    def close(self) -> None:
        """Stop, as an operator does it; what was taken in stays on disk."""
        self.server.stop()
        self._thread.join()
        self._committer.__exit__()
        self._store.close()

    def taken(self) -> int:
        """As `count`, at the same cost for a million: nothing is removed here, so the last number is how many."""
        with closing(sqlite3.connect(self.database)) as database:
            found: int | None = database.execute("select max(id) from work").fetchone()[0]
        return found or 0

    def count(self) -> int:
        """How many alerts are in the inbox."""
        with closing(sqlite3.connect(self.database)) as database:
            found: int = database.execute("select count(*) from work where queue = 'inbox'").fetchone()[0]
        return found

    def ids(self) -> list[str]:
        """The ids of the alerts in the inbox, in the order they came in."""
        with closing(sqlite3.connect(self.database)) as database:
            rows = database.execute("select body from work where queue = 'inbox' order by rowid").fetchall()
        return [json.loads(body)["alert"]["id"] for (body,) in rows]


@contextmanager
def propolis(folder: Path, **options: Any) -> Iterator[Propolis]:
    """A Propolis for as long as the block lasts; the same folder later is the same service come back."""
    folder.mkdir(exist_ok=True)
    service = Propolis(folder, **options)
    try:
        yield service
    finally:
        service.close()
