"""The service: intake, engine, block lists, from start to stop.

Intake comes up first and stays up: an event is taken in and kept also while TheHive is away. The engine starts when
TheHive has answered once, and from then on waits by itself whenever it does not.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from playbook_service.api.people import PeopleApi
from playbook_service.assembly import build
from playbook_service.audit.journal import Journal
from playbook_service.console.console import Console
from playbook_service.console.errand import Errands
from playbook_service.console.visit import Desk
from playbook_service.engine import decided
from playbook_service.engine.loop import Loop
from playbook_service.engine.switch import Switch
from playbook_service.engine.tools import Tools
from playbook_service.engine.version import Versions
from playbook_service.engine.watcher import Watcher
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.hive.contract import Hive
from playbook_service.intake.committer import Committer
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.routes import Hooks, health_routes
from playbook_service.intake.siem import SHIPPED, load_mapping
from playbook_service.metrics.dependency import dependencies
from playbook_service.metrics.meter import Meter
from playbook_service.metrics.scrape import MetricsPage, Scrape
from playbook_service.parts import (
    connect_cortex,
    connect_hive,
    feed_book,
    open_store,
    outbox_of,
    playbooks_of,
    policy_of,
    tls_of,
)
from playbook_service.settings import Settings
from playbook_service.store.contract import Conflict, Item, Store, StoreError, Transaction
from playbook_service.web.application import Application, Route
from playbook_service.web.server import Server
from propolis.clock import Clock
from propolis.errors import ConfigurationError
from propolis.http import HttpError
from propolis.http.observer import observe
from propolis.notify.message import Message

_LOG = logging.getLogger("propolis.service")
_RECONNECT_SECONDS = 5.0
_VERSIONS_SECONDS = 10.0


class Service:
    """One node. `start()` returns when intake listens; `stop()` lets what is in hand be finished.

    Raises ConfigurationError, PlaybookErrors or StoreError where it cannot begin.
    """

    def __init__(self, settings: Settings, clock: Clock, store: Store | None = None):
        self.settings = settings
        self.clock = clock
        self.policy = policy_of(settings)
        self.playbooks = playbooks_of(settings, clock)
        self.playbooks()
        self.policy()
        self.meter = Meter(clock, dependencies(settings))
        self.store = self.meter.store(store or open_store(settings, clock))
        self.journal = Journal(self.store, clock)
        self.versions = Versions(self.store, self.journal, clock)
        self.outbox = outbox_of(settings, clock)
        self.engine: Loop | None = None
        self.switch = Switch()
        self.feeds = feed_book(settings, self.store, clock, self.policy)
        self._committer = Committer(
            self.store, clock, backlog_limit=settings["backlog_limit"], committed=self._wake, settled=self.meter.events
        )
        self._scrape = Scrape(
            self.store, clock, self.meter, self.policy, settings["mode"], lambda: self.engine is not None
        )
        self._end_observing: Callable[[], None] = lambda: None
        self._servers: list[Server] = []
        self._threads: list[threading.Thread] = []
        self._watcher: Watcher | None = None
        self._tools: Tools | None = None
        self._stopping = threading.Event()
        self.console = self._console()
        self.application = Application(self._routes())

    @property
    def port(self) -> int:
        """The port of the hooks, also where 0 was asked for."""
        return self._servers[0].port

    @property
    def feed_port(self) -> int:
        """The port of the block lists."""
        return self._servers[1].port

    def start(self, *, listen: bool = True) -> None:
        """Take events in; start the engine as soon as TheHive answers. Without `listen`, another server serves
        `application`."""
        self._end_observing = observe(self.meter.exchange)
        self._committer.__enter__()
        if listen:
            self._listen(self.settings["listen"], self.application)
        if self.settings["feed_listen"][0]:
            pages = FeedPages(self.feeds, self.settings["feed_readers"])
            self._listen(self.settings["feed_listen"], Application(self.meter.routes(pages.routes())))
        self._run("engine-start", self._start_engine)
        self._run("playbook-versions", self._keep_versions)
        if self.settings["metrics"]:
            self._run("metrics-tally", self._count_audit)

    def stop(self) -> None:
        """Stop taking in, finish what is in hand, close the store."""
        self._stopping.set()
        for server in self._servers:
            server.stop()
        self._committer.__exit__()
        for thread in self._threads:
            thread.join()
        if self._watcher is not None:
            self._watcher.stop()
        if self.engine is not None:
            self.engine.stop()
        self._end_observing()
        self.store.close()

    def _listen(self, address: tuple[str, int], application: Application) -> None:
        tls = tls_of(self.settings)
        try:
            server = Server(address, application, self.clock, tls=tls)
        except OSError as error:
            raise ConfigurationError(f"cannot listen on {address[0]}:{address[1]}: {error}.", path="listen") from None
        self._servers.append(server)
        self._run(f"server-{server.port}", server.run)

    def _run(self, name: str, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _routes(self) -> list[Route]:
        settings = self.settings
        doorkeeper = Doorkeeper(settings["webhook_token"], settings["webhook_networks"])
        mapping = load_mapping(Path(settings["siem_mapping"]) if settings["siem_mapping"] else SHIPPED)
        hooks = Hooks(doorkeeper, self._committer, mapping, body_limit=settings["body_limit"])
        api = FeedApi(self.feeds, Doorkeeper(settings["feed_token"]))
        people = PeopleApi(lambda: self._tools, settings["approvers"])
        pages = self.console.routes() if self.console is not None else []
        metrics = MetricsPage(self._scrape, Doorkeeper(settings["metrics_token"]))
        pages += metrics.routes() if settings["metrics"] else []
        return self.meter.routes(
            [*hooks.routes(), *health_routes(self.store.check), *api.routes(), *people.routes(), *pages]
        )

    def _console(self) -> Console | None:
        if not self.settings["console"]:
            return None
        desk = Desk(
            self.settings, self.store, self.clock, self.journal, self.playbooks, self.policy, lambda: self._tools,
            self.switch, Errands(self.store, self.clock),
        )  # fmt: skip
        return Console(desk, secure=bool(self.settings["tls_certificate"]))

    def _count_audit(self) -> None:
        """A long chain that was never counted takes a while: it is not left to the first scrape."""
        try:
            self._scrape.counting.catch_up(self._stopping.is_set)
        except StoreError as error:
            _LOG.error("the audit chain is counted with the next scrape: %s", error)

    def _keep_versions(self) -> None:
        """Notice changed playbooks also where no alert makes the engine look, and keep from when on they decide."""
        while not self._stopping.wait(_VERSIONS_SECONDS):
            try:
                self.versions.note(self.playbooks())
            except (StoreError, Conflict) as error:
                _LOG.error("the playbooks' versions are kept with the next look: %s", error)

    def _start_engine(self) -> None:
        """Wait for TheHive's first answer; a refusal that only a person can mend is logged and tried again."""
        while not self._stopping.is_set():
            try:
                hive = connect_hive(self.settings, self.clock)
                account = hive.me().login
                self._go(hive, account)
            except (HttpError, ConfigurationError) as error:
                _LOG.error("the engine waits for TheHive: %s", error)
                self._stopping.wait(_RECONNECT_SECONDS)
                continue
            except (StoreError, Conflict) as error:  # another node began at the same moment, or the database is away
                _LOG.error("the engine waits for the store: %s", error)
                self._stopping.wait(_RECONNECT_SECONDS)
                continue
            _LOG.info("the engine works as %s in TheHive %s", account, hive.version())
            return

    def _go(self, hive: Hive, account: str) -> None:
        settings = self.settings
        tools = Tools(
            self.store,
            self.clock,
            hive,
            self.journal,
            self.playbooks,
            self.policy,
            lambda: settings["mode"],
            account,
            self.switch,
        )
        self._tools = tools
        cortex = connect_cortex(settings, self.clock)
        if cortex is not None:
            self._watcher = Watcher(cortex.wait_report, self.store, self._wake)
        parts = build(settings, tools, self.outbox, self._watcher.watch if self._watcher else None)
        decided.complete(self.store)
        self.journal.complete_index()
        self.versions.note(self.playbooks())
        if self.console is not None:
            self.console.begin()
        with self.store.transaction() as work:
            self.switch.look(work)
            parts.begin(work)
            self.journal.write(
                work, "service started", operator=account, mode=settings["mode"], playbooks=self.playbooks().digest,
                policy=self.policy().describe()["digest"],
            )  # fmt: skip
        owner = f"{socket.gethostname()}:{os.getpid()}"
        handlers = self.meter.handlers(parts.handlers)
        self.engine = Loop(
            self.store, self.clock, handlers, owner=owner, buried=self._buried, claiming=self.switch.look
        )
        self.engine.start(settings["workers"])
        if self._watcher is not None:
            self._watcher.start()

    def _wake(self) -> None:
        if self.engine is not None:
            self.engine.wake()

    def _buried(self, work: Transaction, item: Item, sentence: str) -> None:
        self.journal.write(work, "set aside", step=item.key, why=sentence)
        self.outbox.announce(work, Message("A step needs a person", f"{item.key}: {sentence}", "high"))
