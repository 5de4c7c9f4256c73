"""A bench for a backend whose product stands behind a `Front`."""

from __future__ import annotations

from typing import Any, ClassVar

from failing_front import Front
from suite import Failure, HttpBench
from workers import load_responder

from propolis.containment.backend import Status, Target
from propolis.guardrails import Policy

ENTRIES = {
    "FirewallBlock": "firewall_block",
    "AccountDisable": "account_disable",
    "IsolateHost": "isolate_host",
    "QuarantineFile": "quarantine_file",
}


class FrontBench(HttpBench):
    """The front counts changes and fails; the responder's own rules say what is canonical and what is protected."""

    responder: ClassVar[str] = "FirewallBlock"
    front: Front
    policy: Policy

    def writes(self) -> list[str]:
        return list(self.front.changes)

    def guard(self, target: Target, status: Status | None) -> None:
        self._worker().guard(self.policy, target, status)

    def canonical(self, target: Target) -> Target:
        canonical: Target = self._worker().canonical(target)
        return canonical

    def _worker(self) -> Any:
        """The responder without a job: what it asks of one (tags, fields) is empty."""
        made = getattr(load_responder(self.responder, ENTRIES[self.responder]), self.responder)
        jobless = type(self.responder, (made,), {"entity": {}, "clock": self.clock})
        return object.__new__(jobless)

    def lose_answer(self) -> None:
        self.front.lose_next = True

    def take_down(self) -> None:
        self.front.take_down()

    def fail(self, failure: Failure, *, writes_only: bool = False) -> None:
        self.front.failure, self.front.writes_only = failure, writes_only

    def mend(self) -> None:
        self.front.failure = None

    def redirected(self) -> list[str]:
        return self.front.elsewhere

    def refuse_next_change(self, status: int, headers: dict[str, str]) -> None:
        self.front.refuse_once.append((status, headers))
