"""Leases and approvals over HTTP: by people, with their own key, under the rules that hold everywhere."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from playbook_service.api.people import PeopleApi
from playbook_service.audit.journal import Journal
from playbook_service.engine import approval, launch, lease
from playbook_service.engine.tools import Tools
from playbook_service.hive.contract import Hive
from playbook_service.hive.model import Me
from playbook_service.playbook import Playbooks
from playbook_service.store.memory import MemoryStore
from playbook_service.web.application import Application
from propolis.clock import ManualClock
from propolis.guardrails import Policy
from propolis.http import HttpError

SERVICE, ANNA, EVE = "propolis@soc.example", "anna@soc.example", "eve@soc.example"
ANALYST = ("manageAction", "manageTask")
KEYS: Mapping[str, Me] = {
    "anna-key": Me(ANNA, "Anna", "soc", "analyst", ANALYST),
    "eve-key": Me(EVE, "Eve", "soc", "read-only", ()),
    "service-key": Me(SERVICE, "Propolis", "soc", "analyst", ANALYST),
}
GRANT = lease.Grant("L1", "FirewallBlock", "case_artifact", "~41", "~8", "203.0.113.7", 3600, "why", "d" * 64, "x")


class Directory(Hive):
    """TheHive as far as it says who somebody is."""

    down = False

    def whose(self, key: str) -> Me:
        if self.down:
            raise HttpError("GET thehive timed out.", kind="timeout", ambiguous=True)
        if key not in KEYS:
            raise HttpError("GET thehive: 401.", kind="status", status=401)
        return KEYS[key]


Directory.__abstractmethods__ = frozenset()


class House:
    """The API over one lease in force and one question that waits."""

    def __init__(self, approvers: tuple[str, ...] = ()):
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.hive = Directory()
        self.journal = Journal(self.store, self.clock)
        self.tools: Tools | None = Tools(
            self.store, self.clock, self.hive, self.journal, lambda: Playbooks(()),
            lambda: Policy.parse("firewall: {own: [198.51.100.0/24]}"), lambda: "enforce", SERVICE,
        )  # fmt: skip
        self.application = Application(PeopleApi(lambda: self.tools, approvers).routes())
        ended = launch.Ended(True, {"result": "contained", "where": "fw1"}, "", "job")
        with self.store.transaction() as work:
            lease.take(work, self.tools, GRANT, self.clock.now() + 3600, ended)
            question = approval.Ask(GRANT._replace(lease="A1", target="web01"), (), approvers, 1, 3600)
            approval.request(work, self.tools, question)

    def call(self, method: str, path: str, key: str = "anna-key", body: Any = None) -> tuple[int, dict[str, Any]]:
        raw = b"" if body is None else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "192.0.2.9", "CONTENT_LENGTH": str(len(raw)),
            "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(raw),
            "HTTP_AUTHORIZATION": f"Bearer {key}" if key else "",
        }  # fmt: skip
        told: list[int] = []
        chunks = self.application(environ, lambda status, _: told.append(int(status[:3])))
        return told[0], json.loads(b"".join(chunks))

    def record(self, kind: str, key: str) -> dict[str, Any]:
        with self.store.transaction() as work:
            found = work.get(kind, key)
        assert found is not None
        return {"state": found.state, **found.body}


@pytest.fixture
def house() -> House:
    return House()


def test_leases_and_approvals_are_listed_for_whoever_thehive_knows(house: House):
    status, body = house.call("GET", "/api/v1/leases", "eve-key")
    assert (status, [entry["lease"] for entry in body["leases"]]) == (200, ["L1"])
    status, body = house.call("GET", "/api/v1/approvals", "eve-key")
    assert (status, [entry["approval"] for entry in body["approvals"]]) == (200, ["A1"])


@pytest.mark.parametrize("path", ["/api/v1/leases", "/api/v1/approvals"])
@pytest.mark.parametrize(("key", "status"), [("", 401), ("made-up", 401), ("service-key", 403)])
def test_nobody_else_is_told_anything(house: House, path: str, key: str, status: int):
    answer, body = house.call("GET", path, key)
    assert answer == status
    assert "203.0.113.7" not in json.dumps(body)


def test_a_lease_is_released_and_the_audit_names_who_did_it(house: House):
    assert house.call("POST", "/api/v1/leases/L1/release")[0] == 200
    assert house.record(lease.KIND, "L1")["ended_by"] == ANNA
    assert list(house.journal.lines())[-1]["operator"] == ANNA
    assert house.call("POST", "/api/v1/leases/unknown/release")[0] == 409


def test_a_lease_is_renewed_for_as_long_as_was_said(house: House):
    status, body = house.call("POST", "/api/v1/leases/L1/renew", body={"for": "4h"})
    assert (status, body["until"]) == (200, "2026-01-01T05:00:00Z")
    for wrong, refused in (({"for": "soon"}, 409), ({"for": 4}, 400), ({}, 400), ([], 400)):
        assert house.call("POST", "/api/v1/leases/L1/renew", body=wrong)[0] == refused


def test_a_lease_is_made_permanent_by_a_person(house: House):
    assert house.call("POST", "/api/v1/leases/L1/permanent")[1]["permanent"] is True
    assert house.record(lease.KIND, "L1")["permanent"] is True


@pytest.mark.parametrize("act", ["release", "renew", "permanent"])
def test_who_may_not_run_responders_in_thehive_may_not_change_leases(house: House, act: str):
    status, body = house.call("POST", f"/api/v1/leases/L1/{act}", "eve-key", {"for": "4h"})
    assert status == 403
    assert "manageAction" in body["error"]


def test_only_approvers_prolong_where_any_are_named():
    assert House((EVE,)).call("POST", "/api/v1/leases/L1/renew", body={"for": "4h"})[0] == 403
    assert House((EVE,)).call("POST", "/api/v1/leases/L1/release")[0] == 200
    assert House(("profile:analyst",)).call("POST", "/api/v1/leases/L1/renew", body={"for": "4h"})[0] == 200


@pytest.mark.parametrize(("word", "answer"), [("grant", "granted"), ("deny", "denied")])
def test_an_approval_is_answered_once(house: House, word: str, answer: str):
    assert house.call("POST", f"/api/v1/approvals/A1/{word}")[1]["answer"] == answer
    assert house.record(approval.KIND, "A1")["given"] == [[ANNA, answer]]
    status, body = house.call("POST", f"/api/v1/approvals/A1/{word}")
    assert status == 409
    assert "answered already" in body["error"]


@pytest.mark.parametrize(("approvers", "key", "status"), [
    ((EVE,), "anna-key", 409), ((ANNA,), "anna-key", 200), (("profile:analyst",), "anna-key", 200),
    (("profile:analyst",), "eve-key", 409), (("profile:",), "anna-key", 409),
])  # fmt: skip
def test_only_those_who_may_approve_can_answer(approvers: tuple[str, ...], key: str, status: int):
    house = House(approvers)
    assert house.call("POST", "/api/v1/approvals/A1/grant", key)[0] == status


def test_while_thehive_cannot_say_who_somebody_is_nothing_is_done(house: House):
    house.hive.down = True
    assert house.call("POST", "/api/v1/leases/L1/release")[0] == 503
    house.hive.down = False
    house.tools = None
    assert house.call("POST", "/api/v1/leases/L1/release")[0] == 503
    assert house.record(lease.KIND, "L1")["ended_by"] == ""
