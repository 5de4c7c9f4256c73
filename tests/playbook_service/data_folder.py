"""A service's data folder, as the commands find it: settings in the environment, a store with leases and questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, launch, lease
from playbook_service.engine.tools import Tools
from playbook_service.hive.contract import Hive
from playbook_service.playbook import Playbooks
from playbook_service.store.contract import Record, Transaction
from playbook_service.store.sqlite import SqliteStore
from propolis.clock import SystemClock
from propolis.guardrails import Policy

SERVICE = "playbook@soc.example"
POLICY = "firewall:\n  own: [198.51.100.0/24]\n"


class Folder:
    """The data of a service that is not running at the moment."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch):
        self.place = place / "data"
        self.place.mkdir()
        policy = place / "policy.yml"
        policy.write_text(POLICY)
        for name in ("CONFIG", "THEHIVE_URL", "THEHIVE_KEY", "ANSWER_KEY"):
            monkeypatch.delenv(f"PROPOLIS_{name}", raising=False)
        monkeypatch.chdir(place)
        monkeypatch.setenv("PROPOLIS_DATA_DIR", str(self.place))
        monkeypatch.setenv("PROPOLIS_POLICY", str(policy))
        monkeypatch.setenv("PROPOLIS_MODE", "enforce")
        monkeypatch.setenv("LOGNAME", "operator")
        self.clock = SystemClock()

    @contextmanager
    def work(self) -> Iterator[tuple[Transaction, Tools]]:
        """A transaction of the store, with what functions of the engine need."""
        store = SqliteStore(self.place / "propolis.db", self.clock)
        journal = Journal(store, self.clock)
        tools = Tools(
            store, self.clock, cast(Hive, None), journal, lambda: Playbooks(()), lambda: Policy.parse(POLICY),
            lambda: "enforce", SERVICE,
        )  # fmt: skip
        try:
            with store.transaction() as work:
                yield work, tools
        finally:
            store.close()

    def lease(self, key: str, target: str = "203.0.113.7", seconds: int = 86_400) -> None:
        """A containment in force."""
        grant = lease.Grant(
            key, "FirewallBlock", "case_artifact", "~41", "~8", target, seconds, "3 sources agree", "d" * 64,
            "playbook malicious-ip",
        )  # fmt: skip
        full = {"result": "contained", "where": "fw1", "message": f"Contained {target} at fw1; verified."}
        with self.work() as (work, tools):
            lease.take(work, tools, grant, self.clock.now() + seconds, launch.Ended(True, full, "", "job-1"))

    def question(self, key: str, approvers: tuple[str, ...] = (), needed: int = 1) -> None:
        """A question that waits for an answer."""
        grant = lease.Grant(
            key, "IsolateHost", "case_artifact", "~41", "~8", "web01", 14_400, "3 sources agree", "d" * 64, ""
        )
        with self.work() as (work, tools):
            approval.request(work, tools, approval.Ask(grant, ("score 0.97",), approvers, needed, 4 * 3600))

    def record(self, kind: str, key: str) -> Record:
        with self.work() as (work, _):
            found = work.get(kind, key)
        assert found is not None
        return found

    def audited(self) -> list[dict[str, Any]]:
        with self.work() as (work, _):
            return [entry.body for entry in work.read("audit")]
