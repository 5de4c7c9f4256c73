"""The real program on a host that is a namespace, where `FakeWazuh` expects an agent."""

from __future__ import annotations

import time
from typing import Any

from fake_agent import LINUX, FakeAgent

from propolis.clock import SystemClock


class RealAgent(FakeAgent):
    """execd starts the real file; FIM shows the real folder."""

    def __init__(self, host: Any, number: str, name: str, ip: str):
        super().__init__(SystemClock(), number, name, ip)
        self._host = host

    def run(self, command: str, arguments: list[str]) -> None:
        """One exchange over execd's line, which must end quietly and soon."""
        assert command == "!propolis-contain"
        self.calls.append(arguments)
        self._host.call(*arguments)

    def paths(self) -> list[str]:
        return [f"{LINUX}{name}" for name in self._host.home.names()]

    def wait_for(self, verb: str) -> None:
        """Until a record of this verb is there; at most ten seconds."""
        end = time.monotonic() + 10
        while self._host.home.record(verb) is None:
            assert time.monotonic() < end, self._host.home.names()
            time.sleep(0.05)
