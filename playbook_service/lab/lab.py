"""The whole lab: an embedded TheHive and Cortex, joined, with people, faults and a way to wait for quiet."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from playbook_service.lab.agenda import settle
from playbook_service.lab.cortex.people import Organization, User
from playbook_service.lab.cortex.service import Cortex
from playbook_service.lab.cortex.worker import Worker
from playbook_service.lab.exchange import ApiError, Reply, Request, bad_request, not_found
from playbook_service.lab.faults import Faults
from playbook_service.lab.hive import birth, notifier, people
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.audit import Audit
from playbook_service.lab.hive.connector import Connector
from playbook_service.lab.hive.cortexclient import CortexServer
from playbook_service.lab.hive.notifier import Notifier
from playbook_service.lab.hive.service import Hive
from playbook_service.lab.hive.webhook import Webhooks
from playbook_service.lab.scripted import Script
from playbook_service.lab.server import Server
from propolis.clock import Clock, SystemClock
from propolis.errors import InputError

ORGANISATION = "soc-main"
CORTEX_NAME = "Cortex-01"
PASSWORD = "lab-password"  # noqa: S105 - of the people of a laboratory
_MAIL = "soc.example"
PEOPLE = {
    "orgadmin": (f"orgadmin@{_MAIL}", "Org admin", "org-admin"),
    "analyst": (f"analyst@{_MAIL}", "Analyst", "analyst"),
    "approver": (f"approver@{_MAIL}", "Approver", "analyst"),
    "wazuh": (f"wazuh@{_MAIL}", "Wazuh", "analyst"),
    "service": (f"playbook@{_MAIL}", "Playbook service", "analyst"),
    "reader": (f"reader@{_MAIL}", "Reader", "read-only"),
}
"""Login, name and profile of everybody in the lab's organisation, by the name their key goes under."""


@dataclass(frozen=True)
class Keys:
    """API keys. `admin` is TheHive's administrator; `cortex_*` are for Cortex."""

    admin: str
    orgadmin: str
    analyst: str
    approver: str
    wazuh: str
    service: str
    reader: str
    cortex_superadmin: str
    cortex_admin: str
    cortex_service: str
    cortex_thehive: str
    cortex_reader: str


class Lab:
    """A context manager: `with Lab(version=5) as lab: ...`.

    `thehive` and `cortex` are `host:port` (port 0: a free one). `analyzers` / `responders` are folders or files as
    Cortex reads them; `reports` are recordings that analyzers answer from, each answer after `answer_delay` seconds.
    `parallel` jobs run at a time. `environment` is added to that of worker processes. `duplicate_observable` is what
    TheHive 5 answers where nothing but duplicates was sent: 207 or 400, as the documentation leaves it open.
    """

    def __init__(  # noqa: PLR0913 - the lab's settings, all with defaults
        self,
        version: int = 5,
        *,
        thehive: str = "127.0.0.1:0",
        cortex: str = "127.0.0.1:0",
        analyzers: Sequence[Path] = (),
        responders: Sequence[Path] = (),
        reports: Sequence[Path] = (),
        answer_delay: float = 0.0,
        parallel: int = 4,
        refresh: float = 1.0,
        environment: Mapping[str, str] | None = None,
        duplicate_observable: int = 207,
        clock: Clock | None = None,
    ):
        self.version = version
        self.clock = clock or SystemClock()
        self.faults = Faults()
        self.script = Script(answer_delay)
        for path in reports:
            self.script.load(path)
        self._folder = Path(tempfile.gettempdir()) / f"propolis-lab-{secrets.token_hex(8)}"
        self.cortex = Cortex(
            self.clock, self.faults, self.script, self._folder, parallel=parallel, environment=environment
        )
        self.cortex.add_places("analyzer", analyzers)
        self.cortex.add_places("responder", responders)
        self.hive = Hive(self.clock, version, duplicate_observable=duplicate_observable)
        self.webhooks = Webhooks(self.hive, self.faults)
        self.thehive_server = _server(thehive, self._answer_hive, self.faults, "thehive", self.clock)
        self.cortex_server = _server(cortex, self.cortex.answer, self.faults, "cortex", self.clock)
        self._refresh = refresh
        self._connector: Connector | None = None
        self.keys = self._people()
        self._enable_scripted()

    # --- life --------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        try:
            self.start()
        except BaseException:  # a port that is taken, say: what was started is ended
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start both servers."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self.start_cortex()
        if self._connector is None:
            server = CortexServer(CORTEX_NAME, self.cortex_url, self.keys.cortex_thehive)
            self._connector = Connector(self.hive, [server], self._refresh)
            self.cortex.jobs.listeners.append(lambda job: self.connector.wake())
            notify = Notifier(self.hive).notify
            notify["webhook"] = self.webhooks.notify
            notify["RunAnalyzer"] = self.connector.notify_analyzer
            notify["RunResponder"] = self.connector.notify_responder
        self.start_thehive()

    def stop(self) -> None:
        """Stop both servers, end every thread, remove the job folders."""
        self.faults.clear()
        self.stop_thehive()
        self.stop_cortex()
        if self._connector is not None:
            self._connector.close()
        self.webhooks.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start_thehive(self) -> None:
        """Start TheHive (again): what it holds is what it held."""
        self.hive.stopping.clear()
        self.webhooks.agenda.start()
        self.connector.start()
        self.thehive_server.start()

    def stop_thehive(self) -> None:
        """Stop TheHive: webhooks that are not sent yet are lost."""
        self.hive.stopping.set()
        self.thehive_server.stop()
        if self._connector is not None:
            self._connector.stop()
        self.webhooks.agenda.stop()

    def start_cortex(self) -> None:
        """Start Cortex (again): waiting jobs are run, those that were in progress stay so for ever."""
        self.cortex.start()
        self.cortex_server.start()

    def stop_cortex(self) -> None:
        """Stop Cortex: the jobs that run are killed."""
        self.cortex.stopping.set()
        self.cortex_server.stop()
        self.cortex.stop()

    def restart_thehive(self) -> None:
        """Stop and start TheHive."""
        self.stop_thehive()
        self.start_thehive()

    def restart_cortex(self) -> None:
        """Stop and start Cortex."""
        self.stop_cortex()
        self.start_cortex()

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def thehive_url(self) -> str:
        """TheHive's address."""
        return self.thehive_server.url

    @property
    def cortex_url(self) -> str:
        """Cortex's address."""
        return self.cortex_server.url

    @property
    def connector(self) -> Connector:
        """The connector between the two; there from the first start on."""
        if self._connector is None:
            raise RuntimeError("the lab was not started")
        return self._connector

    @property
    def audits(self) -> list[Audit]:
        """TheHive's audit trail, oldest first."""
        return list(self.hive.trail.lines)

    def account(self, name: str) -> Account:
        """One of the lab's people (`analyst`, ...) as TheHive sees them."""
        account = self.connector.launcher(PEOPLE[name][0], ORGANISATION)
        if account is None:
            raise KeyError(name)
        return account

    # --- setting up --------------------------------------------------------------------------------------------------

    def enable(self, definition: str, configuration: Mapping[str, Any] | None = None, **settings: Any) -> Worker:
        """Enable a worker in Cortex, as its administrator would. Raises ApiError for a wrong configuration."""
        known = {one.id for one in self.cortex.definitions("analyzer")}
        kind = "analyzer" if definition in known else "responder"
        document = {"configuration": dict(configuration or {}), **settings}
        return self.cortex.enable(kind, definition, ORGANISATION, "orgadmin", document)

    def record(self, definition: str, data_type: str, data: str, report: dict[str, Any]) -> None:
        """Set what a recorded analyzer says of one observable from now on; one that is new is enabled."""
        known = self.script.knows(definition)
        self.script.record(definition, data_type, data, report)
        self.cortex.rescan()
        if known:
            self.cortex.refresh(definition)
        else:
            self.enable(definition)

    def enable_all(self) -> dict[str, str]:
        """Enable every worker that needs no configuration; the others by definition id, with what they lack."""
        left: dict[str, str] = {}
        enabled = {worker.definition.id for worker in self.cortex.workers.values()}
        for kind in ("analyzer", "responder"):
            for definition in self.cortex.definitions(kind):
                if definition.id not in enabled:
                    try:
                        self.enable(definition.id)
                    except ApiError as error:
                        left[definition.id] = error.message
        return left

    def notify(
        self, url: str, *, dialect: int = 1, auth: Mapping[str, Any] | None = None, name: str = "playbook"
    ) -> None:
        """Have TheHive send every event of the lab's organisation to a webhook."""
        endpoint = {"name": name, "url": url, "version": dialect, "auth": dict(auth or {"type": "none"})}
        self.hive.endpoints = [*(one for one in self.hive.endpoints if one["name"] != name), endpoint]
        rule = {"trigger": {"name": "AnyEvent"}, "notifier": {"name": "webhook", "endpoint": name}, "delegate": False}
        self.add_notification(rule)

    def add_notification(self, rule: Mapping[str, Any]) -> None:
        """Add a notification of the lab's organisation: `{"trigger": {...}, "notifier": {...}}`."""
        present = self.hive.notifications.get(ORGANISATION, [])
        self.hive.notifications[ORGANISATION] = notifier.check(self.hive, [*present, dict(rule)])

    def settle(self, timeout: float = 20.0, *, future: bool = True) -> None:
        """Wait until nothing is going on: no job runs, no webhook is on its way. Raises PropolisError after `timeout`.

        With `future=False` what is planned for later (by the clock) is not waited for: for clocks that tests move.
        Jobs that are made to hang or get lost do not count.
        """
        crew = [self.cortex.jobs.agenda, self.connector.agenda, self.webhooks.agenda]
        settle(crew, self.cortex.jobs.awakening, timeout=timeout, future=future)
        for server in (self.thehive_server, self.cortex_server):
            if server.failures:
                raise RuntimeError(f"the lab's {server.name} failed: {server.failures[0]!r}") from server.failures[0]

    def describe(self) -> dict[str, Any]:
        """Addresses, keys and people, as `propolis lab` prints them."""
        keys = {name: getattr(self.keys, name) for name in ("admin", *PEOPLE)}
        logins = {name: row[0] for name, row in PEOPLE.items()} | {"admin": birth.FIRST_ADMIN[0]}
        cortex_keys = {"superadmin": self.keys.cortex_superadmin, "orgadmin": self.keys.cortex_admin}
        workers = sorted(worker.name for worker in self.cortex.workers.values())
        cortex_keys |= {"service": self.keys.cortex_service, "thehive": self.keys.cortex_thehive}
        return {
            "version": self.version, "organisation": ORGANISATION, "thehive_url": self.thehive_url,
            "thehive_key": self.keys.service, "cortex_url": self.cortex_url, "cortex_key": self.keys.cortex_service,
            "admin": {"login": birth.FIRST_ADMIN[0], "password": birth.FIRST_ADMIN[1]}, "password": PASSWORD,
            "thehive": {"url": self.thehive_url, "keys": keys, "logins": logins},
            "cortex": {"url": self.cortex_url, "name": CORTEX_NAME, "keys": cortex_keys, "workers": workers},
        }  # fmt: skip

    def _people(self) -> Keys:
        birth.fill(self.hive)
        with self.hive.transaction():
            system = birth.SYSTEM
            people.add_organisation(self.hive, system, {"name": ORGANISATION, "description": "Main SOC"})
            admin = self.hive.store.by_key("User", (birth.FIRST_ADMIN[0],))
            keys = {"admin": people.renew_key(self.hive, system, admin)} if admin is not None else {}
            for name, (login, title, profile) in PEOPLE.items():
                kind = (
                    {"type": "Service"}
                    if name in ("service", "wazuh") and self.version == 5
                    else {"password": PASSWORD}
                )
                document = {"login": login, "name": title, "organisation": ORGANISATION, "profile": profile, **kind}
                keys[name] = people.renew_key(self.hive, system, people.add_user(self.hive, system, document))
        return Keys(**keys, **self._cortex_people())

    def _cortex_people(self) -> dict[str, str]:
        everyone = self.cortex.people
        everyone.organizations[ORGANISATION] = Organization(ORGANISATION, "Main SOC")
        rows = {
            "cortex_superadmin": User("admin", "Superadmin", "cortex", ("superadmin",), password=PASSWORD),
            "cortex_admin": User(
                "orgadmin", "Org admin", ORGANISATION, ("read", "analyze", "orgadmin"), password=PASSWORD
            ),
            "cortex_service": User("playbook", "Playbook service", ORGANISATION, ("read", "analyze")),
            "cortex_thehive": User("thehive", "TheHive", ORGANISATION, ("read", "analyze")),
            "cortex_reader": User("reader", "Reader", ORGANISATION, ("read",)),
        }
        return {name: everyone.renew_key(everyone.put(user)) for name, user in rows.items()}

    def _enable_scripted(self) -> None:
        for definition in self.script.definitions():
            self.enable(definition.id)

    # --- control over HTTP -------------------------------------------------------------------------------------------

    def _answer_hive(self, request: Request) -> Reply:
        if not request.path.startswith("/lab/"):
            return self.hive.answer(request)
        if (request.method, request.path) == ("PUT", "/lab/faults"):
            self._switch(request.document())
        elif (request.method, request.path) == ("DELETE", "/lab/faults"):
            self.faults.clear()
        elif (request.method, request.path) == ("PUT", "/lab/webhook"):
            asked = request.document()
            self.notify(asked["url"], dialect=int(asked.get("version", 1)), auth=asked.get("auth"))
        else:
            raise not_found(f"The lab has no switch {request.method} {request.path}")
        return Reply(200, {"ok": True})

    def _switch(self, document: Mapping[str, Any]) -> None:
        try:
            self.faults.apply(document)
        except InputError as error:
            raise bad_request(error.message) from None


def _server(address: str, answer: Any, faults: Faults, name: str, clock: Clock) -> Server:
    host, _, port = address.rpartition(":")
    return Server(host.strip("[]"), int(port), answer, faults, name, clock)
