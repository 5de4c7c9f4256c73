"""What a page is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from playbook_service.audit.journal import Journal
from playbook_service.console.errand import Errands
from playbook_service.console.person import Person, Role
from playbook_service.engine.switch import Switch
from playbook_service.engine.tools import Tools
from playbook_service.playbook import Playbooks
from playbook_service.settings import Settings
from playbook_service.store.contract import Store, Transaction
from playbook_service.web.html import Html, el
from playbook_service.web.message import Answer, Failure
from propolis.clock import Clock
from propolis.guardrails import Policy


class Desk(NamedTuple):
    """What the console works with. `tools` gives None until the engine has met TheHive."""

    settings: Settings
    store: Store
    clock: Clock
    journal: Journal
    playbooks: Callable[[], Playbooks]
    policy: Callable[[], Policy]
    tools: Callable[[], Tools | None]
    switch: Switch
    errands: Errands

    def engine(self) -> Tools:
        """The engine's tools. Raises Failure (503) while TheHive has not been met."""
        tools = self.tools()
        if tools is None:
            raise Failure(HTTPStatus.SERVICE_UNAVAILABLE, "The service has not met TheHive yet: try again soon.")
        return tools


class Visit(NamedTuple):
    """One request of somebody who is signed in. `parts` are the variable parts of the path, `query` the words after
    the question mark (the last of each name), `csrf` what forms must carry."""

    desk: Desk
    person: Person
    parts: Mapping[str, str]
    query: Mapping[str, str]
    csrf: str

    def form(self, action: str, *fields: Any, button: str, kind: str = "", **attributes: Any) -> Html:
        """A form that posts to `action`. `kind` is the button's class: `go`, `stop` or empty."""
        return el(
            "form",
            el("input", type="hidden", name="csrf", value=self.csrf),
            fields,
            el("button", button, type="submit", class_=f"button {kind}".strip()),
            method="post",
            action=action,
            **attributes,
        )


class Page(NamedTuple):
    """A page's title and what stands in its main part. `live` are the seconds after which it looks again, 0: never."""

    title: str
    body: Html
    live: int = 0
    status: HTTPStatus = HTTPStatus.OK


class Told(NamedTuple):
    """The end of an act: where to go on, and one sentence that is shown there."""

    path: str
    sentence: str
    good: bool = True


Show = Callable[[Visit, Transaction], Page | Answer]
"""A page: read what it needs in the one consistent look it is given."""
Act = Callable[[Visit, Mapping[str, str]], Told]
"""What a form does: it opens its own transaction. Raises PropolisError with the sentence to show where it cannot."""


class Place(NamedTuple):
    """One address of the console: a page (`show`), or what a form posts to (`act`)."""

    path: str
    show: Show | None = None
    act: Act | None = None
    role: Role = Role.VIEWER
    recheck: bool = True
    """Before an act TheHive is asked again whether the account is still there with the same profile. What makes things
    safer (release, deny, lower the mode) does without, so that it works while TheHive is away."""
