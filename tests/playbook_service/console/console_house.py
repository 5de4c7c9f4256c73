"""A console that is served for real, over a lab's TheHive for signing in and a store that is filled as one likes.

`Visitor` is somebody with a browser that runs no script: it follows links, fills in forms as they stand on the page,
and keeps cookies.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from html.parser import HTMLParser
from typing import Any

import requests
from filled import Filled

from playbook_service.console.console import Console
from playbook_service.console.errand import Errands
from playbook_service.console.visit import Desk
from playbook_service.engine.switch import Switch
from playbook_service.hive.discovery import connect
from playbook_service.lab import Lab
from playbook_service.lab.lab import PASSWORD
from playbook_service.settings import load
from playbook_service.web.application import Application
from playbook_service.web.server import Server
from propolis.clock import SystemClock

ANALYST, APPROVER, ORGADMIN = "analyst@soc.example", "approver@soc.example", "orgadmin@soc.example"


class House:
    """Use as a context manager. `world` is the data; its TheHive is the lab's only for who people are."""

    def __init__(self, world: Filled | None = None, *, mode: str = "enforce", version: int = 5):
        self.world = world or Filled()
        self.world.mode = mode
        self.lab = Lab(version)
        self.settings = load({"PROPOLIS_MODE": mode})

    def __enter__(self) -> House:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def _open(self, stack: ExitStack) -> None:
        self.lab.start()
        stack.callback(self.lab.stop)
        world = self.world
        hive = connect(self.lab.thehive_url, self.lab.keys.service, organisation="", ca_file=None, clock=SystemClock())
        stack.callback(hive.close)
        self.switch = Switch()
        self.tools = world.tools._replace(hive=hive, account=hive.me().login, switch=self.switch)
        self.errands = Errands(world.store, world.clock)
        self.desk = Desk(
            self.settings, world.store, world.clock, world.journal, lambda: world.books, world.policy,
            lambda: self.tools, self.switch, self.errands,
        )  # fmt: skip
        self.console = Console(self.desk, secure=False)
        self.console.begin()
        self.server = Server(("127.0.0.1", 0), Application(self.console.routes()), SystemClock())
        thread = threading.Thread(target=self.server.run, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(self.server.stop)
        stack.callback(self.errands.join)

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.server.port}"

    def visitor(self, login: str = "", secret: str = PASSWORD) -> Visitor:
        """Somebody with a browser; signed in where a login is given."""
        visitor = Visitor(self.url)
        if login:
            visitor.sign_in(login, secret)
        return visitor


class Seen:
    """A page as somebody sees it."""

    def __init__(self, answer: requests.Response):
        self.status = answer.status_code
        self.headers = answer.headers
        self.html = answer.content.decode()
        reader = _Reader()
        reader.feed(self.html)
        self.text = re.sub(r"\s+", " ", " ".join(reader.words)).strip()
        self.forms = reader.forms
        self.links = reader.links
        self.tags = reader.tags

    def form(self, action: str) -> dict[str, str]:
        """The fields of the form that posts to this address, with the values they stand there with."""
        for where, fields in self.forms:
            if where == action:
                return dict(fields)
        raise AssertionError(f"there is no form to {action}, only {[where for where, _ in self.forms]}")


class Visitor:
    """Follows, fills in, keeps cookies."""

    def __init__(self, url: str):
        self.url = url
        self.client = requests.Session()
        self.cookies: dict[str, str] = {}

    def get(self, path: str = "/console", **headers: str) -> Seen:
        """A page, after all redirects."""
        answer = self._send("GET", path, headers)
        for _ in range(5):
            if answer.status_code != 303:
                break
            answer = self._send("GET", str(answer.headers["Location"]), headers)
        return Seen(answer)

    def post(self, path: str, form: Mapping[str, Any], **headers: str) -> Seen:
        """Send a form, and see where it leads."""
        answer = self._send("POST", path, headers, data=dict(form))
        return self.get(str(answer.headers["Location"])) if answer.status_code == 303 else Seen(answer)

    def press(self, page: Seen, action: str, **changes: str) -> Seen:
        """Fill in the page's form to this address, and send it."""
        return self.post(action, {**page.form(action), **changes})

    def sign_in(self, login: str, secret: str = PASSWORD) -> Seen:
        """As everybody does."""
        return self.press(self.get("/console/sign-in"), "/console/sign-in", login=login, secret=secret)

    def _send(self, method: str, path: str, headers: Mapping[str, str], **options: Any) -> requests.Response:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        self.client.cookies.clear()
        answer = self.client.request(
            method, self.url + path.partition("#")[0], headers=sent, allow_redirects=False, timeout=30, **options
        )
        for name, value in re.findall(r"(\w+)=([^;,]*); Path=/console", str(answer.headers.get("Set-Cookie", ""))):
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "a":
            self.links.append(found.get("href", ""))
        if tag == "form":
            self.forms.append((found.get("action", ""), {}))
        chosen = found.get("type") not in ("radio", "checkbox") or "checked" in found
        if tag == "input" and self.forms and found.get("name") and chosen:
            self.forms[-1][1][found["name"]] = found.get("value", "")
        if tag == "select":
            self._select = found.get("name", "")
        if tag == "option" and self._select and "selected" in found:
            self.forms[-1][1][self._select] = found.get("value", "")
        if tag == "textarea":
            self._area = found.get("name", "")
            self.forms[-1][1][self._area] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1][1][self._area] += data
        self.words.append(data)
