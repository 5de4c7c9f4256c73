"""A bench for a backend of FirewallBlock whose product stands behind a `Front`."""

from __future__ import annotations

from failing_front import Front
from suite import Failure, HttpBench
from workers import load_responder

from propolis.containment.backend import Status, Target
from propolis.guardrails import Policy

responder = load_responder("FirewallBlock", "firewall_block")


class FrontBench(HttpBench):
    """The front counts changes and fails; FirewallBlock's own rules say what is canonical and what is protected."""

    front: Front
    policy: Policy

    def writes(self) -> list[str]:
        return list(self.front.changes)

    def guard(self, target: Target, status: Status | None) -> None:
        worker = responder.FirewallBlock
        worker.guard(object.__new__(worker), self.policy, target, status)

    def canonical(self, target: Target) -> Target:
        worker = responder.FirewallBlock
        canonical: Target = worker.canonical(object.__new__(worker), target)
        return canonical

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
