"""One answer to Prometheus, put together; and the page that gives it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from http import HTTPStatus

import propolis
from playbook_service.engine.switch import lowered
from playbook_service.intake.credential import Doorkeeper
from playbook_service.metrics import catalogue
from playbook_service.metrics.counting import Counting
from playbook_service.metrics.family import Family, Measured, measured
from playbook_service.metrics.meter import Meter
from playbook_service.metrics.standing import standing
from playbook_service.metrics.system import system
from playbook_service.metrics.text import CONTENT_TYPE, exposition
from playbook_service.playbook import MODES
from playbook_service.store.contract import Store, StoreError
from playbook_service.web.application import Route
from playbook_service.web.message import Answer, Failure, Request
from propolis.clock import Clock
from propolis.guardrails import Policy, PolicyError

_REFUSED = {
    HTTPStatus.UNAUTHORIZED: "Present the metrics token: as a bearer token, a basic password or the bare key.",
    HTTPStatus.FORBIDDEN: "Without a configured metrics_token only this machine may read the metrics.",
}


class Scrape:
    """What a service tells. `mode` is the configured one, `running` says whether the engine works."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        meter: Meter,
        policy: Callable[[], Policy],
        mode: str,
        running: Callable[[], bool],
    ):
        self._store = store
        self._clock = clock
        self._meter = meter
        self._policy = policy
        self._mode = mode
        self._running = running
        self.counting = Counting(store)

    def families(self) -> list[Measured]:
        """Every metric that has a value now. Where the store is away, what it would tell is left out."""
        policy = self._sound_policy()
        holds_back = policy is None or bool(policy.holds_back())
        try:
            stored = self._stored(policy)
        except StoreError:
            stored = None
        return [
            measured(catalogue.BUILD, ((propolis.__version__, platform.python_version()), 1.0)),
            _flag(catalogue.ENGINE, self._running()),
            _flag(catalogue.STORE, stored is not None),
            _flag(catalogue.POLICY, policy is not None),
            _flag(catalogue.HELD_BACK, holds_back),
            *self._meter.measured(),
            *(stored or ()),
            *system(),
        ]

    def _sound_policy(self) -> Policy | None:
        try:
            return self._policy()
        except PolicyError:
            return None

    def _stored(self, policy: Policy | None) -> list[Measured]:
        counted = self.counting.look()
        with self._store.reading() as work:
            switch = lowered(work)
            now = standing(work, policy, self._clock.now())
        limits = (self._mode, switch.mode, (policy.mode if policy else None) or "")
        mode = min((one for one in limits if one), key=MODES.index)
        return [
            measured(catalogue.MODE, *(((one,), float(one == mode)) for one in MODES)),
            *now,
            measured(catalogue.AUDIT_LINES, ((), float(counted.newest))),
            measured(catalogue.UNCOUNTED, ((), float(counted.behind))),
            *(() if counted.behind else counted.families),
        ]


def _flag(family: Family, holds: bool) -> Measured:
    return measured(family, ((), float(holds)))


class MetricsPage:
    """`GET /metrics`."""

    def __init__(self, scrape: Scrape, doorkeeper: Doorkeeper):
        self._scrape = scrape
        self._doorkeeper = doorkeeper

    def routes(self) -> list[Route]:
        """The one address."""
        return [Route("GET", "/metrics", self._answer)]

    def _answer(self, request: Request) -> Answer:
        try:
            self._doorkeeper.check(request)
        except Failure as refused:
            raise Failure(refused.status, _REFUSED[refused.status], refused.headers) from None
        body = exposition(self._scrape.families())
        return Answer(HTTPStatus.OK, body, (("Content-Type", CONTENT_TYPE),))
