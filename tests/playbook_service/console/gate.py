"""A console that is asked directly, as a WSGI application, with sessions that were begun without TheHive."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from console_house import ANALYST, ORGADMIN
from filled import Filled

from playbook_service.console import session
from playbook_service.console.console import Console
from playbook_service.console.errand import Errands
from playbook_service.console.frame import ROOT
from playbook_service.console.pages import PLACES
from playbook_service.console.person import Person, Role
from playbook_service.console.session import COOKIE
from playbook_service.console.visit import Desk, Place
from playbook_service.engine.switch import Switch
from playbook_service.settings import load
from playbook_service.web.application import Application

READER = "reader@soc.example"
PERSONS = {
    Role.VIEWER: Person(READER, "Reader", "read-only", Role.VIEWER),
    Role.OPERATOR: Person(ANALYST, "Analyst", "analyst", Role.OPERATOR),
    Role.ADMIN: Person(ORGADMIN, "Org admin", "org-admin", Role.ADMIN),
}
ACTS = [place for place in PLACES if place.act is not None]
SHOWS = [place for place in PLACES if place.show is not None]
FORM = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}


class Reply(NamedTuple):
    """An answer, without a browser between."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        """A header's value, empty where there is none."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), "")

    @property
    def cookies(self) -> list[str]:
        """What is left with the browser."""
        return [value for name, value in self.headers if name == "Set-Cookie"]

    @property
    def text(self) -> str:
        """What people read."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.body)).strip()


class Gate:
    """A console asked directly, with sessions that were begun without TheHive."""

    def __init__(self, world: Filled, *, settings: Mapping[str, str] | None = None, places: Any = PLACES, **how: Any):
        self.world = world
        store, clock = world.store, world.clock
        self.settings = load({"PROPOLIS_MODE": "enforce", **(settings or {})})
        self.switch = Switch()
        self.desk = Desk(
            self.settings, store, clock, world.journal, lambda: world.books, world.policy, lambda: world.tools,
            self.switch, Errands(store, clock),
        )  # fmt: skip
        self.console = Console(self.desk, secure=how.get("secure", False), places=places)
        self.console.begin()
        self.application = Application(self.console.routes())

    def cookie(self, role: Role, name: str = COOKIE) -> tuple[str, str]:
        """A session of that role: its cookie, and what its forms carry."""
        with self.world.store.transaction() as work:
            number = session.begin(work, PERSONS[role], self.world.clock.now())
            found = session.current(work, number, self.world.clock.now())
        assert found is not None
        return f"{name}={session.seal_of(self.world.store).sealed('session', number)}", found.csrf

    def get(self, path: str, cookie: str = "", **more: str) -> Reply:
        """Ask for a page; `more` are lines of the WSGI environment."""
        return self._ask("GET", path, {"HTTP_COOKIE": cookie, **more}, b"")

    def post(self, path: str, form: Mapping[str, str], cookie: str = "", **more: str) -> Reply:
        """Send a form."""
        return self._ask("POST", path, {"HTTP_COOKIE": cookie, **FORM, **more}, urlencode(form).encode())

    def _ask(self, method: str, path: str, more: Mapping[str, str], body: bytes) -> Reply:
        told: list[Any] = []
        where, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": where, "QUERY_STRING": query, "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "console.soc.example", "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body),
            **more,
        }  # fmt: skip
        chunks = self.application(environ, lambda status, headers: told.extend((status, headers)))
        return Reply(int(told[0][:3]), told[1], b"".join(chunks).decode())


def filled() -> Filled:
    """A busy fortnight's data."""
    world = Filled()
    world.fortnight()
    return world


def made_real(place: Place) -> str:
    """An address of the place, whatever its variable parts are."""
    return ROOT + re.sub(r"\{\w+\*?\}", "something", place.path)
