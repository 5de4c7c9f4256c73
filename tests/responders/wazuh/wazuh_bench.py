"""What the tests of Wazuh's backends share: the manager behind a front, and how its agents are looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from contract import Contract, read
from failing_front import Asked, Front
from fake_agent import FakeAgent
from fake_wazuh import LOGIN, PASSWORD, USER, FakeWazuh
from front_bench import FrontBench
from suite import HOUR, refused, run, undo

from propolis.clock import ManualClock
from propolis.containment.backend import BackendError, Target
from propolis.containment.wazuh.manager import Manager, Settings
from propolis.guardrails import Policy

VICTIM = (("wazuh_agent_id", "003"), ("wazuh_agent_name", "web01"))
"""What the case of an alert from agent 003 brings along."""


class WazuhBench(FrontBench):
    """Agents `gw1` (001), `gw2` (002) and `web01` (003), `web02` (004), all connected."""

    verb: ClassVar[str]
    """The program's verb for the containment."""
    secrets = (PASSWORD,)
    rate_limits = (lambda now: {},)  # the API's 429 has no header that tells when

    def __init__(self, wazuh: FakeWazuh, front: Front, clock: ManualClock):
        self.wazuh, self.front, self.clock = wazuh, front, clock
        self.policy = Policy.parse("firewall: {own: [192.0.2.0/24], max_prefix_v4: 24}")
        for number, name in (("001", "gw1"), ("002", "gw2"), ("003", "web01"), ("004", "web02")):
            wazuh.add(number, name, f"192.0.2.{int(number)}")

    def manager(self, **changes: Any) -> Manager:
        settings = Settings(self.front.url, USER, PASSWORD, timeout=1.0)._replace(**changes)
        return Manager(settings, self.clock)

    def place(self, target: Target) -> FakeAgent:
        """The agent on which a target would be contained."""
        raise NotImplementedError

    def key(self, target: Target) -> str:
        """A target as the records name it."""
        return target.value

    def in_force(self, target: Target) -> bool:
        agent = self.place(target)
        agent.settle()
        return (self.verb, self.key(target)) in agent.kernel

    def contain_by_other_hands(self, target: Target) -> None:
        self.place(target).foreign.add((self.verb, self.key(target)))

    def release_by_other_hands(self, target: Target) -> None:
        self.place(target).lift(self.verb, self.key(target))

    def commands(self) -> list[dict[str, Any]]:
        """The bodies of the active responses that were sent."""
        return [json.loads(asked.body) for asked in self.front.requests if asked.method == "PUT"]

    def expire_token(self) -> None:
        self.wazuh.tokens.clear()

    def token_requests(self) -> int:
        return self.wazuh.logins


_Bench = TypeVar("_Bench", bound=WazuhBench)


@contextmanager
def opened(kind: type[_Bench]) -> Iterator[_Bench]:
    """A bench with its manager running."""
    clock = ManualClock()
    wazuh = FakeWazuh(clock)
    with Front(wazuh.answer, is_login) as front:
        front.now = clock.now
        yield kind(wazuh, front, clock)


@lru_cache
def official(shared: Path) -> Contract:
    """The official description of the server API; read once, as it is large."""
    return Contract(shared / "data" / "specs" / "wazuh_api_spec_4.14.7.yaml")


def faults(bench: WazuhBench, shared: Path) -> list[str]:
    """What is wrong with the requests that were sent, by the official description."""
    return [fault for asked in bench.front.requests for fault in official(shared).faults(read(asked))]


def is_login(asked: Asked) -> bool:
    """A request for a token."""
    return asked.target.startswith(LOGIN)


class LeftToOthers:
    """In place of the suite's two tests: what others did on a host leaves no record, so the program itself refuses.

    A class of tests names this base before the suite.
    """

    def test_somebody_elses_containment_is_left_to_them(self, bench: WazuhBench) -> None:
        bench.contain_by_other_hands(bench.target)
        assert "somebody else" in refused(bench, lambda: run(bench, bench.target), BackendError)
        assert undo(bench, bench.target).result == "already_released"
        assert bench.place(bench.target).foreign == {(bench.verb, bench.key(bench.target))}

    def test_somebody_elses_containment_is_not_extended(self, bench: WazuhBench) -> None:
        bench.contain_by_other_hands(bench.target)
        sentence = refused(bench, lambda: run(bench, bench.target, 48 * HOUR, extend=True), BackendError)
        assert "somebody else" in sentence
        assert not bench.in_force(bench.target)
