"""The whole look, part by part: what needs a server that is away is left out, and said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import NamedTuple

from playbook_service.doctor import console, cortex, flow, inbox, keeping, runs, service, thehive, wazuh
from playbook_service.doctor.finding import Finding, fail, ok, unknown
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Me
from playbook_service.parts import connect_cortex, connect_hive
from playbook_service.playbook import Playbooks
from playbook_service.settings import Settings
from playbook_service.store.contract import Store
from propolis.clock import Clock
from propolis.errors import PropolisError


class Wish(NamedTuple):
    """How far to look."""

    service: str = ""
    """The service's address, where it is not at `listen`."""
    console: str = ""
    """Where browsers reach the console, if not there."""
    wazuh: Path | None = None
    """Folder of a Wazuh manager."""
    probe: bool = True
    run: bool = False
    """Have the workers answer."""
    backups: Path | None = None
    """Where backups lie; None: `backups` in the data folder."""
    wait: float = 20.0
    """Seconds for the news of the probe, and for each job."""


class Part(NamedTuple):
    """A heading and what was found below it."""

    title: str
    findings: tuple[Finding, ...]


class Doctor:
    """Looks at one service and all around it. A context manager."""

    def __init__(self, settings: Settings, clock: Clock, wish: Wish):
        self._settings = settings
        self._clock = clock
        self._wish = wish
        self._stack = ExitStack()
        self._playbooks: Playbooks | None = service.playbooks_now(settings)
        self._hive: Hive | None = None
        self._me: Me | None = None
        self._store: Store | None = None

    def __enter__(self) -> Doctor:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def parts(self) -> Iterator[Part]:
        """Each part as soon as it has been looked at."""
        looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
            ("Service", self._service),
            ("TheHive", self._thehive),
            ("Cortex", self._cortex),
            ("Wazuh", self._wazuh),
            ("Keeping", self._keeping),
            ("Way of an alert", self._flow),
        )
        for title, look in looks:
            yield Part(title, tuple(self._guarded(look)))

    def _guarded(self, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        """A server that falls silent in the middle ends its part, not the whole look."""
        try:
            yield from look()
        except PropolisError as error:
            yield fail("interrupted", error.message, "mend that, and look again")

    def _service(self) -> Iterator[Finding]:
        yield _configured(self._settings)
        client = self._stack.enter_context(service.client_of(self._settings, self._clock, self._wish.service))
        yield from service.look(self._settings, client, self._playbooks)

    def _thehive(self) -> Iterator[Finding]:
        try:
            hive = self._stack.enter_context(closing(connect_hive(self._settings, self._clock)))
            me = hive.me()
        except PropolisError as error:
            yield fail("reachable", error.message, "thehive_url, thehive_key, thehive_ca_file; docs/thehive.md")
            return
        self._hive, self._me = hive, me
        client = self._stack.enter_context(thehive.client_of(self._settings, self._clock))
        yield from thehive.look(hive, me, client, self._settings, self._clock)

    def _cortex(self) -> Iterator[Finding]:
        if not self._settings["cortex_url"]:
            text = "cortex_url is not set, so its workers cannot be looked at (the service does without it)"
            yield unknown("reachable", text, "set cortex_url and cortex_key (role read): jobs are seen sooner too")
            return
        client = self._stack.enter_context(cortex.client_of(self._settings, self._clock))
        try:
            client.get("/api/status")
        except PropolisError as error:
            yield fail("reachable", error.message, "cortex_url, cortex_ca_file; is Cortex running?")
            return
        yield from cortex.look(client, self._playbooks, self._settings["mode"], self._clock)
        if self._wish.run:
            yield from self._runs()

    def _runs(self) -> Iterator[Finding]:
        connection = connect_cortex(self._settings, self._clock)
        if connection is not None:
            with closing(connection):
                yield from runs.look(connection, self._playbooks, self._settings["mode"], self._wish.wait)

    def _wazuh(self) -> Iterator[Finding]:
        yield wazuh.received(self._arrivals(), self._clock)
        if self._wish.wazuh is not None:
            yield from wazuh.manager(self._wish.wazuh)

    def _arrivals(self) -> inbox.Arrivals | str:
        try:
            return inbox.arrivals(self._opened())
        except (PropolisError, inbox.Unseen) as error:
            return str(error)

    def _keeping(self) -> Iterator[Finding]:
        with suppress(inbox.Unseen):
            self._opened()
        yield from keeping.look(self._settings, self._store, self._clock, self._wish.backups)

    def _opened(self) -> Store:
        """The store. Raises Unseen where there is none, StoreError where it cannot be used."""
        if self._store is None:
            self._store = inbox.opened(self._settings, self._clock)
            self._stack.callback(self._store.close)
        return self._store

    def _flow(self) -> Iterator[Finding]:
        yield self._webhook()
        yield from flow.look(self._store, self._hive, self._clock)
        client = self._stack.enter_context(service.client_of(self._settings, self._clock, self._wish.service))
        yield flow.metrics(client, self._settings)
        yield flow.reports(self._store)
        if self._wish.console:
            line = service.client_of(self._settings, self._clock, self._wish.console, "--console")
            client = self._stack.enter_context(line)
        yield console.look(client, self._settings, self._hive)

    def _webhook(self) -> Finding:
        if not self._wish.probe:
            return flow.told(self._arrivals(), self._clock)
        if self._hive is None or self._me is None:
            return unknown("webhook", "TheHive does not answer, so nothing can be sent through it")
        client = self._stack.enter_context(service.client_of(self._settings, self._clock, self._wish.service))
        running = service.running(client)
        if running.state == "fail":
            return unknown("webhook", "the service does not run, so nothing can arrive", running.fix)
        try:
            line = self._stack.enter_context(thehive.client_of(self._settings, self._clock))
            store = self._opened()
            return flow.webhook(flow.Probe(self._hive, line, self._me, store, self._clock, self._wish.wait))
        except (PropolisError, inbox.Unseen) as error:
            return unknown("webhook", f"it could not be tried: {error}")


def _configured(settings: Settings) -> Finding:
    """Where the settings are from."""
    files = sorted({origin for origin in settings.origins.values() if origin.endswith((".yml", ".yaml"))})
    return ok("settings", ", ".join(files) or "the environment and defaults")
