"""AccountDisable's backend `wazuh`: the suite, and what is a local account's own: its host, and who it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_agent import FakeAgent
from fake_wazuh import PASSWORD
from suite import BackendSuite, HttpFailures, look, refused, run, undo
from wazuh_bench import VICTIM, LeftToOthers, WazuhBench, faults, opened
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target
from propolis.containment.responder import Workbench
from propolis.errors import InputError
from propolis.guardrails import Refused
from propolis.worker.items import Items

backends = load_backend("AccountDisable", "wazuh")


def aim(value: str, hints: tuple[tuple[str, str], ...] = VICTIM) -> Target:
    return Target("account", value, "test", hints)


def user(name: str, uid: int, groups: str) -> dict[str, object]:
    """As the inventory lists it (`GET /syscollector/{agent_id}/users`)."""
    return {"name": name, "id": uid, "groups": groups, "shell": "/bin/bash", "password_status": "active"}


class AccountBench(WazuhBench):
    responder = "AccountDisable"
    verb = "lock"
    target = aim("mallory")
    other = aim("mallory@web02", ())
    missing = aim("mallory@nowhere", ())
    protected = (aim("root"), aim("toor"), aim("operator"), aim("backup"), aim("unlisted"))
    hostile = tuple(
        aim(text)
        for text in (
            *(
                "mallory;id",
                "../mallory",
                "mal..lory",
                "mal lory",
                "*",
                "-l",
                "mallory~0",
                "mallory%",
                'm"',
                "mallory,root",
            ),
            "x" * 40,
        )
    )
    inventory = True

    def __init__(self, *more: Any):
        super().__init__(*more)
        for number in ("003", "004"):
            self.wazuh.agents[number].users = [
                user("root", 0, "root"),
                user("toor", 0, "toor"),
                user("operator", 1000, "operator,sudo"),
                user("backup", 34, "backup"),
                user("mallory", 1001, "mallory users"),
                user("mallory2", 1002, "mallory2"),
            ]

    def backend(self, **changes: Any) -> Backend:
        made: Backend = backends.WazuhAccount(self.manager(**changes), self.clock, 30, inventory=self.inventory)
        return made

    def place(self, target: Target) -> FakeAgent:
        return self.wazuh.agents["004" if target.value.endswith("@web02") else "003"]

    def key(self, target: Target) -> str:
        return "mallory"

    def shows(self, target: Target) -> tuple[str, ...]:
        return (f"agents_list={self.place(target).id}", '["lock", "mallory", "propolis case=128')


@pytest.fixture
def bench() -> Iterator[AccountBench]:
    with opened(AccountBench) as made:
        yield made


class TestWazuhAccount(LeftToOthers, BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_the_program_is_told_the_name_and_the_mark_and_nothing_else(bench: AccountBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert [command["arguments"][:2] for command in bench.commands()] == [["lock", "mallory"], ["unlock", "mallory"]]


def test_nothing_ends_it_and_that_is_said(bench: AccountBench) -> None:
    outcome = run(bench, bench.target)
    assert outcome.until is None
    assert outcome.notes == ("Nothing will end this by itself: a person must run the undo.",)
    assert "without an end" in outcome.verified


def test_what_goes_on_is_said(bench: AccountBench) -> None:
    remaining = " ".join(run(bench, bench.target).remaining)
    assert "open sessions" in remaining
    assert "other hosts" in remaining


def test_the_host_is_the_agent_of_the_alert_or_the_one_behind_the_name(bench: AccountBench) -> None:
    run(bench, aim("mallory"))
    assert bench.wazuh.agents["003"].calls
    assert run(bench, aim("web02\\mallory", ())).result == "contained"
    assert bench.wazuh.agents["004"].calls
    assert "wazuh_agent_name" in refused(bench, lambda: run(bench, aim("mallory", ())), NotFound)
    sentence = refused(bench, lambda: run(bench, aim("mallory@web02")), BackendError)
    assert "names agent web01 (003)" in sentence


def test_a_mail_address_is_not_taken_for_a_local_account(bench: AccountBench) -> None:
    refused(bench, lambda: run(bench, aim("mallory@soc.example", ())), NotFound)
    assert bench.writes() == []


def test_who_it_is_comes_from_the_inventory(bench: AccountBench) -> None:
    assert "administrative" in refused(bench, lambda: run(bench, aim("operator")), Refused)
    assert "administrative" in refused(bench, lambda: run(bench, aim("toor")), Refused)
    assert "service accounts" in refused(bench, lambda: run(bench, aim("backup")), Refused)
    assert look(bench, bench.target).subject.groups == ("mallory", "users")


@pytest.mark.parametrize("why", ["unlisted", "old manager"])
def test_an_account_that_nobody_can_tell_about_is_refused_unless_the_operator_says_otherwise(
    bench: AccountBench, why: str
) -> None:
    bench.wazuh.agents["003"].users.clear()
    if why == "old manager":
        bench.wazuh.version = "4.9.2"
    assert "inventory of local users" in refused(bench, lambda: run(bench, bench.target), Refused)
    assert bench.writes() == []
    bench.inventory = False
    assert run(bench, bench.target).result == "contained"


def test_an_undo_needs_no_inventory(bench: AccountBench) -> None:
    run(bench, bench.target)
    bench.wazuh.agents["003"].users.clear()
    assert undo(bench, bench.target).result == "released"


def test_two_accounts_of_one_name_are_ambiguous(bench: AccountBench) -> None:
    bench.wazuh.agents["003"].users.append(user("mallory", 0, "root"))
    assert "uid 0" in refused(bench, lambda: run(bench, bench.target), Ambiguous)


def test_the_hosts_own_never_users_are_told(bench: AccountBench) -> None:
    bench.wazuh.agents["003"].spared.add("mallory")
    assert "it said: mallory is never touched here" in refused(bench, lambda: run(bench, bench.target), BackendError)


@pytest.mark.parametrize("platform", ["windows", "darwin"])
def test_other_systems_than_linux_are_refused(bench: AccountBench, platform: str) -> None:
    bench.wazuh.agents["003"].platform = platform
    assert "no Linux host" in refused(bench, lambda: run(bench, bench.target), InputError)


@pytest.mark.shared
def test_every_request_is_one_of_the_official_description(bench: AccountBench, shared: Path) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert faults(bench, shared) == []
    assert any("/users?" in asked.target for asked in bench.front.requests)


def test_it_is_made_from_its_items() -> None:
    items = {"wazuh_url": "https://w.example.org:55000", "wazuh_user": "propolis", "wazuh_password": PASSWORD}
    made = backends.make(Workbench(Items({**items, "wazuh_users_inventory": False}), ManualClock(), None))
    assert (made.name, made.expires, made.where) == ("wazuh", False, "Wazuh at https://w.example.org:55000")
