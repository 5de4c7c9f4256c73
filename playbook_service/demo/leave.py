"""What is left to look at when the story is over: the report of it, and the console with the people who may sign in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playbook_service.console.person import Role, person_of
from playbook_service.demo.play import Play
from playbook_service.demo.stage import Stage
from playbook_service.hive.discovery import connect
from playbook_service.lab.lab import PASSWORD, PEOPLE
from playbook_service.reports.gather import Scope, gather
from playbook_service.reports.page import page
from propolis.errors import ConfigurationError

_GUESTS = ("reader", "analyst", "approver", "orgadmin")
_BEFORE = 60.0
"""Seconds before the story that its report begins."""
_MAY = {
    Role.VIEWER: "sees everything, changes nothing",
    Role.OPERATOR: "releases and renews, lowers the mode",
    Role.ADMIN: "also raises the mode again, and tries playbooks",
}


class Guest(NamedTuple):
    """Somebody who may sign in to the console."""

    login: str
    role: str
    may: str


def guests(stage: Stage) -> list[Guest]:
    """Who they are is asked of the lab's TheHive, with their password, as the console does. Raises HttpError."""
    settings = stage.running.settings
    hive = connect(stage.lab.thehive_url, stage.lab.keys.service)
    try:
        people = [person_of(hive.signed_in(PEOPLE[name][0], PASSWORD), settings["console_admins"]) for name in _GUESTS]
    finally:
        hive.close()
    answers = settings["approvers"]
    return [
        Guest(one.login, one.role.word, _MAY[one.role] + (", answers what is asked" if one.login in answers else ""))
        for one in people
    ]


def described(stage: Stage) -> dict[str, Any]:
    """Addresses, keys, logins and the console, for `--serve`."""
    console = {"url": console_of(stage), "people": [guest._asdict() for guest in guests(stage)]}
    return {
        **stage.lab.describe(), "password": PASSWORD,
        "propolis": {
            "url": stage.url, "webhookToken": stage.token, "folder": str(stage.folder), "console": console
        },
    }  # fmt: skip


def told(found: dict[str, Any], asked: str) -> Iterator[str]:
    """The same for people, line by line; `asked` is what a question stands about, where one does."""
    hive, cortex, propolis = found["thehive"], found["cortex"], found["propolis"]
    yield ""
    yield f"TheHive   {hive['url']}   organisation {found['organisation']}, password {found['password']}"
    for name, key in hive["keys"].items():
        yield f"          {hive['logins'][name]:<24} key {key}"
    yield f"Cortex    {cortex['url']}"
    for name, key in cortex["keys"].items():
        yield f"          {name:<24} key {key}"
    yield f"Propolis  {propolis['url']}   bearer token for its hooks {propolis['webhookToken']}"
    yield f"          settings, store, audit files and log are in {propolis['folder']}"
    yield f"          any command: propolis doctor --config {propolis['folder']}/propolis.yml"
    yield f"          metrics: {propolis['url']}/metrics"
    yield ""
    yield f"Console   {propolis['console']['url']}   password {found['password']}"
    for guest in propolis["console"]["people"]:
        yield f"          {guest['login']:<21} {guest['role']:<9} {guest['may']}"
    yield "Look at   Decisions: open one and read what it stands on, sentence by sentence"
    if asked:
        yield f"          Approvals: one question waits, about {asked}; sign in as the approver and answer it"
    yield "          Leases: what is contained until when; All leases: how each of the story ended"
    yield "          Audit: have the chain verified"


def console_of(stage: Stage) -> str:
    """The console's address."""
    return f"{stage.url}/console"


def write_report(play: Play, path: Path) -> None:
    """What `propolis report` makes of the story. Raises ConfigurationError where it cannot be written."""
    now = play.stage.clock.now()
    scope = Scope(now - play.voice.elapsed - _BEFORE, now, {}, float(play.stage.running.settings["retention"]))
    text = page(gather(play.stage.running.store, scope, now))
    try:
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"--report cannot be written: {error.strerror}.", source=str(path)) from None
