"""The service, put together from its settings: intake, engine, block lists, timers.

Intake comes up first and stays up: an event is taken in and kept also while TheHive is away. The engine starts when
TheHive has answered once, and from then on waits by itself whenever it does not.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

from playbook_service.audit.journal import AuditFiles, Journal
from playbook_service.engine import approval, lease, timer
from playbook_service.engine.deciding import asking
from playbook_service.engine.loop import Loop
from playbook_service.engine.pipeline import Pipeline, Seams, pipeline
from playbook_service.engine.step import Done, Handler, Outcome
from playbook_service.engine.tell import Teller
from playbook_service.engine.tools import Tools
from playbook_service.feed.book import Bounds, FeedBook
from playbook_service.feed.entry import KINDS
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.hive.contract import Hive
from playbook_service.hive.discovery import connect
from playbook_service.intake.committer import Committer
from playbook_service.intake.credential import Doorkeeper
from playbook_service.intake.routes import Hooks, health_routes
from playbook_service.intake.siem import SHIPPED, load_mapping
from playbook_service.notify.channel import Mail, parse_channel
from playbook_service.notify.message import Message
from playbook_service.notify.outbox import Outbox
from playbook_service.playbook import SHIPPED as SHIPPED_PLAYBOOKS
from playbook_service.playbook import Playbooks, load
from playbook_service.reload import Reloading
from playbook_service.retention import forget
from playbook_service.settings import Settings
from playbook_service.store.contract import Item, Store, StoreError, Transaction
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.application import Application, Route
from playbook_service.web.server import Server, is_loopback
from propolis.clock import Clock
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy
from propolis.http import HttpError

_LOG = logging.getLogger("propolis.service")
_AUDIT_SECONDS, _HOUSEKEEPING_SECONDS = 5.0, 3600.0
_RECONNECT_SECONDS = 5.0


class Service:
    """One node. `start()` returns when intake listens; `stop()` lets what is in hand be finished."""

    def __init__(self, settings: Settings, clock: Clock, store: Store | None = None):
        self.settings = settings
        self.clock = clock
        self.policy = policy_of(settings)
        self.playbooks = playbooks_of(settings)
        self.playbooks()
        self.policy()
        self.store = store or open_store(settings, clock)
        self.journal = Journal(self.store, clock)
        self.outbox = outbox_of(settings, clock)
        self.engine: Loop | None = None
        self.feeds = feed_book(settings, self.store, clock, self.policy)
        self._committer = Committer(self.store, clock, backlog_limit=settings["backlog_limit"])
        self._servers: list[Server] = []
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
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
        self._committer.__enter__()
        if listen:
            self._listen(self.settings["listen"], self.application)
        if self.settings["feed_listen"][0]:
            pages = FeedPages(self.feeds, self.settings["feed_readers"])
            self._listen(self.settings["feed_listen"], Application(pages.routes()))
        self._run("engine-start", self._start_engine)

    def stop(self) -> None:
        """Stop taking in, finish what is in hand, close the store."""
        self._stopping.set()
        for server in self._servers:
            server.stop()
        self._committer.__exit__()
        if self.engine is not None:
            self.engine.stop()
        for thread in self._threads:
            thread.join()
        self.store.close()

    def _listen(self, address: tuple[str, int], application: Application) -> None:
        server = Server(address, application, self.clock, tls=tls_of(self.settings))
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
        return [*hooks.routes(), *health_routes(self.store.check), *api.routes()]

    def _start_engine(self) -> None:
        """Wait for TheHive's first answer; a refusal that only a person can mend is logged and tried again."""
        while not self._stopping.is_set():
            try:
                hive = connect_hive(self.settings, self.clock)
                account = hive.me().login
            except (HttpError, ConfigurationError) as error:
                _LOG.error("the engine waits for TheHive: %s", error)
                self._stopping.wait(_RECONNECT_SECONDS)
                continue
            self.engine = self._engine(hive, account)
            self.engine.start(self.settings["workers"])
            _LOG.info("the engine works as %s in TheHive %s", account, hive.version())
            return

    def _engine(self, hive: Hive, account: str) -> Loop:
        settings = self.settings
        tools = Tools(
            self.store, self.clock, hive, self.journal, self.playbooks, self.policy, lambda: settings["mode"], account
        )
        ask = asking(tools, settings["approvers"], settings["approvals_needed"])
        parts = pipeline(tools, Seams(ask=ask))
        with self.store.transaction() as work:
            for name in ("tick-audit", "tick-housekeeping"):
                timer.begin(work, name)
            self.journal.write(
                work, "service started", operator=account, mode=settings["mode"], playbooks=self.playbooks().digest,
                policy=self.policy().describe()["digest"],
            )  # fmt: skip
        owner = f"{socket.gethostname()}:{os.getpid()}"
        return Loop(self.store, self.clock, self._handlers(tools, parts), owner=owner, buried=self._buried)

    def _handlers(self, tools: Tools, parts: Pipeline) -> dict[str, Handler]:
        desk = approval.Desk(tools, parts.deciding.recheck)
        teller = Teller(tools, self.outbox.announce)
        files = AuditFiles(Path(self.settings["data_dir"]) / "audit")
        return {
            **parts.handlers(),
            "contain": lambda item: lease.contain(tools, item),
            "release": lambda item: lease.release(tools, item),
            "approve": desk.step,
            "tell": teller.step,
            "notify": self._notify,
            "tick-audit": timer.every(_AUDIT_SECONDS, lambda: _ignore(files.catch_up(self.journal))),
            "tick-housekeeping": timer.every(_HOUSEKEEPING_SECONDS, self._tidy),
        }

    def _notify(self, item: Item) -> Outcome:
        """A message for one channel, or a playbook's own notification for all of them."""
        if "channel" in item.body:
            return self.outbox.step(item)
        facts = item.body
        message = Message(
            str(facts.get("text") or "A playbook has something to say"), "", case=str(facts.get("case") or "")
        )
        return Done(lambda work: self.outbox.announce(work, message))

    def _buried(self, work: Transaction, item: Item, sentence: str) -> None:
        self.journal.write(work, "set aside", step=item.key, why=sentence)
        self.outbox.announce(work, Message("A step needs a person", f"{item.key}: {sentence}", "high"))

    def _tidy(self) -> None:
        """Forget what was handled long ago."""
        forget(self.store, self.clock.now() - self.settings["retention"])


def policy_of(settings: Settings) -> Callable[[], Policy]:
    """The policy as it is now; without a file, the built-in one."""
    if not settings["policy"]:
        built_in = Policy.parse(None)
        return lambda: built_in
    path = Path(settings["policy"])
    return Reloading(path, lambda: Policy.parse(_text(path), source=str(path)), strict=True)


def playbooks_of(settings: Settings) -> Callable[[], Playbooks]:
    """The playbooks as they are now."""
    place = Path(settings["playbooks"]) if settings["playbooks"] else SHIPPED_PLAYBOOKS
    return Reloading(place, lambda: load(place), strict=False)


def open_store(settings: Settings, clock: Clock) -> Store:
    """The store in the data folder, which is made with access for its owner only."""
    folder = Path(settings["data_dir"])
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreError(f"The data folder {folder} cannot be made: {error}.") from None
    return SqliteStore(folder / "propolis.db", clock)


def connect_hive(settings: Settings, clock: Clock) -> Hive:
    """TheHive as it is configured. Raises ConfigurationError where it is not."""
    if not settings["thehive_url"]:
        raise ConfigurationError("TheHive's address is missing: set thehive_url.")
    organisations = settings["thehive_organisations"]
    return connect(
        settings["thehive_url"],
        settings["thehive_key"],
        organisation=organisations[0] if organisations else "",
        ca_file=settings["thehive_ca_file"] or None,
        clock=clock,
    )


def outbox_of(settings: Settings, clock: Clock) -> Outbox:
    """The channels for announcements."""
    channels = [parse_channel(text)._replace(template=settings["notify_template"]) for text in settings["notify"]]
    host, port = settings["smtp_server"]
    mailing = None
    if host:
        mailing = Mail(
            host, port, settings["smtp_from"], settings["smtp_to"], settings["smtp_user"], settings["smtp_password"],
            settings["smtp_starttls"],
        )  # fmt: skip
    return Outbox(clock, channels, mailing)


def feed_book(settings: Settings, store: Store, clock: Clock, policy: Callable[[], Policy]) -> FeedBook:
    """The block lists. Raises ConfigurationError for one of no known kind."""
    kinds = {}
    for text in settings["feeds"]:
        name, _, kind = text.partition(":")
        if not name.replace("-", "").replace("_", "").isalnum() or kind not in KINDS:
            known = ", ".join(KINDS)
            raise ConfigurationError(f"must be <name>:<kind> with a kind of {known}, not {text!r}.", path="feeds")
        kinds[name] = kind
    return FeedBook(store, clock, policy, kinds, Bounds(settings["feed_limit"], settings["feed_change"]))


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """The listener's TLS, where a certificate is configured."""
    if not settings["tls_certificate"]:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings["tls_certificate"], settings["tls_key"] or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot be used: {error}.", path="tls_certificate") from None
    return context


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine without a secret. Raises ConfigurationError."""
    host, _ = settings["listen"]
    if not settings["webhook_token"] and not is_loopback(host):
        raise ConfigurationError(
            f"Without webhook_token the service listens on this machine only, but listen says {host}: set a token, or "
            "listen on 127.0.0.1.",
            path="listen",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}.", source=str(path)) from None


def _ignore(_: object) -> None:
    return None
