"""Signing in by TheHive's word, and what TheHive is asked again before something is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from console_house import ANALYST, ORGADMIN, House, Visitor
from filled import Filled
from gate import ACTS, READER, Gate, filled

from playbook_service.console.console import Console
from playbook_service.console.frame import ROOT
from playbook_service.console.person import Role
from playbook_service.console.session import COOKIE
from playbook_service.engine import approval, lease
from playbook_service.lab.hive import birth, people
from playbook_service.lab.lab import ORGANISATION, PASSWORD
from playbook_service.store.contract import Filter
from playbook_service.web.application import Application


@pytest.fixture(scope="module")
def open_house() -> Iterator[House]:
    """A console whose TheHive is real enough to sign in; for tests that put back what they change."""
    with House(filled()) as house:
        yield house


# TheHive has the last word --------------------------------------------------------------------------------------------


def member(house: House, login: str, places: list[dict[str, Any]]) -> None:
    """The account's memberships from now on, as an administrator of TheHive sets them."""
    hive = house.lab.hive
    user = hive.store.by_key("User", (login,))
    assert user is not None
    with hive.transaction():
        hive.change(user, {"organisations": places}, birth.SYSTEM)


def renewing(house: House, visitor: Visitor) -> tuple[Any, str]:
    """A page with a form that prolongs a containment, and where that posts to: an act before which TheHive is asked."""
    with house.world.store.reading() as work:
        (held,) = work.find(lease.KIND, Filter(state=lease.ACTIVE))
    return visitor.get(f"/console/leases/{held.key}"), f"/console/leases/{held.key}/renew"


@pytest.fixture
def analysts_account(open_house: House) -> Iterator[Callable[[str], None]]:
    """Give the analyst another profile; an empty one is none at all."""
    was = [{"organisation": ORGANISATION, "profile": "analyst", "default": True}]

    def change(profile: str) -> None:
        member(open_house, ANALYST, [{**was[0], "profile": profile}] if profile else [])

    yield change
    member(open_house, ANALYST, was)


@pytest.mark.parametrize("profile", ["read-only", "org-admin", ""])
def test_an_act_of_somebody_whose_account_changed_is_refused(
    open_house: House, analysts_account: Callable[[str], None], profile: str
) -> None:
    visitor = open_house.visitor(ANALYST)
    page, renew = renewing(open_house, visitor)
    analysts_account(profile)
    answer = visitor.press(page, renew)
    assert answer.status == 403
    assert open_house.world.said("end moved") == []
    assert "Your account changed in TheHive since you signed in: sign in again." in answer.text


def test_what_makes_things_safer_is_done_all_the_same(
    open_house: House, analysts_account: Callable[[str], None]
) -> None:
    visitor, admin = open_house.visitor(ANALYST), open_house.visitor(ORGADMIN)
    page = visitor.get()
    analysts_account("read-only")
    try:
        assert "The mode is observe since" in visitor.press(page, "/console/stop").text
    finally:
        admin.press(admin.get(), "/console/mode", mode="enforce")


def test_only_what_makes_things_safer_or_only_looks_goes_without_asking_thehive() -> None:
    assert {place.path for place in ACTS if not place.recheck} == {
        "/stop", "/leases/{lease}/release", "/approvals/{approval}/deny", "/observe/again", "/sources/again",
        "/sources/one/again", "/audit/verify",
    }  # fmt: skip


def test_while_thehive_is_away_one_can_release_and_stop_and_nothing_else(open_house: House) -> None:
    visitor, admin = open_house.visitor(ANALYST), open_house.visitor(ORGADMIN)
    (held, renew), now = renewing(open_house, visitor), visitor.get()
    open_house.lab.faults.thehive.fail = -1
    try:
        refused = visitor.press(held, renew)
        assert refused.status == 503
        assert "TheHive cannot be asked now whether your account may still do this" in refused.text
        assert "The mode is observe since" in visitor.press(now, "/console/stop").text
        nobody = open_house.visitor()
        page = nobody.press(nobody.get(), "/console/sign-in", login=ANALYST, secret=PASSWORD)
        assert page.status == 503
        assert "TheHive cannot be asked now who you are: try again soon." in page.text
    finally:
        open_house.lab.faults.clear()
        admin.press(admin.get(), "/console/mode", mode="enforce")


@pytest.mark.parametrize("word", ["grant", "deny"])
def test_a_viewer_whom_nobody_named_answers_nothing(open_house: House, word: str) -> None:
    visitor = open_house.visitor(READER)
    with open_house.world.store.reading() as work:
        asked = work.find(approval.KIND)[0]
    csrf = visitor.get().form("/console/sign-out")["csrf"]
    answer = visitor.post(f"/console/approvals/{asked.key}/{word}", {"csrf": csrf})
    assert answer.status == 403
    assert "being named as an approver" in answer.text
    assert open_house.world.record(approval.KIND, asked.key).body == asked.body


# signing in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 5])
def test_one_signs_in_with_a_password_or_with_a_key_alone(version: int) -> None:
    with House(Filled(), version=version) as house:
        assert "analyst@soc.example operator" in house.visitor(ANALYST).get().text
        keyed = house.visitor()
        page = keyed.press(keyed.get(), "/console/sign-in", login="", secret=house.lab.keys.reader)
        assert "reader@soc.example viewer" in page.text
        told = [(line["operator"], line["role"], line["profile"]) for line in house.world.said("signed in")]
        assert told == [(ANALYST, "operator", "analyst"), (READER, "viewer", "read-only")]


@pytest.mark.parametrize(
    ("login", "secret", "status"),
    [
        (ANALYST, "wrong", 401), (ANALYST, "", 401), ("", "", 401), ("", "guessed-key", 401),
        ("nobody@x", PASSWORD, 401), (f"{ANALYST}:x", PASSWORD, 401), ("", "key\r\nX-Organisation: admin", 403),
        ("", "\u043a\u043b\u044e\u0447", 403), (ANALYST, "\u0000\u202e", 401), ("a" * 100_000, "b" * 100_000, 401),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_who_cannot_prove_who_they_are_stays_outside(open_house: House, login: str, secret: str, status: int) -> None:
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login=login, secret=secret)
    assert page.status == status
    assert visitor.cookies == {}
    assert not secret.strip() or secret not in page.html
    assert "Traceback" not in page.html


def test_the_services_own_account_does_not_sign_in(open_house: House) -> None:
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login="", secret=open_house.lab.keys.service)
    assert (page.status, visitor.cookies) == (403, {})
    assert "The service's own account does not sign in." in page.text.replace("&#x27;", "'")


def test_who_works_in_another_organisation_stays_outside(open_house: House) -> None:
    hive = open_house.lab.hive
    with hive.transaction():
        people.add_organisation(hive, birth.SYSTEM, {"name": "other", "description": "Another"})
        document = {"login": "eve@other.example", "name": "Eve", "organisation": "other", "profile": "org-admin"}
        people.add_user(hive, birth.SYSTEM, {**document, "password": PASSWORD})
    visitor = open_house.visitor()
    page = visitor.press(visitor.get(), "/console/sign-in", login="eve@other.example", secret=PASSWORD)
    assert (page.status, visitor.cookies) == (403, {})
    assert f"This account works in another organisation of TheHive than {ORGANISATION}." in page.text


def test_a_failed_try_is_in_the_log_without_the_secret(open_house: House, caplog: pytest.LogCaptureFixture) -> None:
    visitor = open_house.visitor()
    with caplog.at_level(logging.DEBUG):
        visitor.press(visitor.get(), "/console/sign-in", login=ANALYST, secret="sesame-open")
    assert any("somebody could not sign in" in record.getMessage() for record in caplog.records)
    assert "sesame-open" not in caplog.text


def test_signing_in_anew_gives_a_new_session_and_ends_the_old_one(open_house: House) -> None:
    visitor = open_house.visitor(ANALYST)
    old = dict(visitor.cookies)
    visitor.sign_in(ORGADMIN)
    assert visitor.cookies[COOKIE] != old[COOKIE]
    visitor.cookies = old
    assert visitor.get().forms[0][0] == "/console/sign-in"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/", "//evil.example", "/\\evil.example", "/console//evil.example", "/api/v1/leases",
        "/consoles", "/console/../api", "/console/%2e%2e/api", "javascript:alert(1)", "/console\r\nX: y", "/console/ x",
        "/console/\u202e", "/console/'\"><script>", "\u0000", "x" * 100_000,
    ],
    ids=lambda to: to[:20],
)  # fmt: skip
def test_nobody_is_sent_elsewhere_after_signing_in(open_house: House, to: str) -> None:
    visitor = open_house.visitor()
    page = visitor.get("/console/sign-in?" + urlencode({"to": to[:5000]}))
    assert page.form("/console/sign-in")["to"] == ROOT
    answer = visitor._send("POST", "/console/sign-in", {}, data={"login": ANALYST, "secret": PASSWORD, "to": to})
    assert (answer.status_code, answer.headers["Location"]) == (303, ROOT)


@pytest.mark.parametrize("to", ["/console", "/console?x=1", "/console/decisions?q=203.0.113.0%2F24&state=act"])
def test_one_comes_back_to_where_one_wanted_to_be(open_house: House, to: str) -> None:
    visitor = open_house.visitor()
    answer = visitor._send("POST", "/console/sign-in", {}, data={"login": ANALYST, "secret": PASSWORD, "to": to})
    assert (answer.status_code, answer.headers["Location"]) == (303, to)


def test_before_the_service_has_met_thehive_it_says_so() -> None:
    gate = Gate(filled())
    gate.application = Application(Console(gate.desk._replace(tools=lambda: None), secure=False).routes())
    assert "The service is starting: try again soon." in gate.get(ROOT, gate.cookie(Role.VIEWER)[0]).text
    answer = gate.post("/console/sign-in", {"login": ANALYST, "secret": PASSWORD})
    assert (answer.status, "The service has not met TheHive yet" in answer.text) == (503, True)
