"""AccountDisable's backend `freeipa`: the suite, and what is FreeIPA's own, against a server that remembers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from failing_front import Asked, Front, Told
from front_bench import FrontBench
from suite import BackendSuite, Failure, HttpFailures, look, refused, result_or_sentence, run, undo
from workers import load_backend

from account_disable.fake_freeipa import PASSWORD, REALM, USER, FakeIpa
from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs, NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

freeipa = load_backend("AccountDisable", "freeipa")
ipa_api = load_backend("AccountDisable", "ipa_api")


def aim(name: str) -> Target:
    return Target("account", name, "test")


JDOE, ASMITH = aim("jdoe"), aim("a.smith_2")


class IpaBench(FrontBench):
    responder = "AccountDisable"
    front: Front
    target = JDOE
    other = ASMITH
    missing = aim("nobody")
    protected = tuple(
        aim(name)
        for name in ("chief", "deep", "helper", USER, "break-glass-1", "svc-backup", "chair", "lonely", "guarded")
    )
    hostile = (
        aim("*"),
        aim("jdo*"),
        aim("LAB\\jdoe"),
        aim("jdoe@other.example.org"),
        aim("jdoe)(uid=*"),
        aim('jdoe","all":true'),
        aim("jdoe/../admin"),
        aim("jdoe admin"),
        aim("--all"),
        aim("jdoe\x00"),
        aim("jd\u202eoe"),
        aim("@"),
        aim("x" * 300),
    )
    secrets = (PASSWORD,)

    def __init__(self, ipa: FakeIpa, front: Front, *, attribute: str = "description"):
        self.ipa, self.front, self.clock, self.attribute = ipa, front, ManualClock(), attribute
        ipa.host = front.url
        self.policy = Policy.parse("accounts: {never_groups: [board], never_ids: [6a7e-guarded]}")
        ipa.add("jdoe", "sales")
        ipa.add("a.smith_2")
        ipa.add(USER, memberof_role=["Propolis"])
        ipa.add("chief", "admins")
        ipa.add("deep", memberofindirect_group=["admins"])
        ipa.add("helper", memberof_role=["helpdesk"])
        ipa.add("lonely", memberof_group=[])
        ipa.add("guarded", ipauniqueid=["6a7e-guarded"])
        ipa.add("chair", "board")
        ipa.add("break-glass-1")
        ipa.add("svc-backup")

    def backend(self, **more: Any) -> Backend:
        settings = ipa_api.Settings(self.front.url, USER, more.pop("password", PASSWORD), None, None, 0.3)
        made: Backend = freeipa.FreeIpa(settings, self.clock, mark_attribute=self.attribute, **more)
        return made

    def in_force(self, target: Target) -> bool:
        return self.ipa.users[target.value]["nsaccountlock"] is True

    def contain_by_other_hands(self, target: Target) -> None:
        self.ipa.users[target.value]["nsaccountlock"] = True

    def release_by_other_hands(self, target: Target) -> None:
        self.ipa.users[target.value]["nsaccountlock"] = False

    def shows(self, target: Target) -> tuple[str, ...]:
        return (f"user_disable {target.value}", "/ipa/session/json", self.attribute)

    def expire_token(self) -> None:
        self.ipa.sessions.clear()

    def token_requests(self) -> int:
        return self.ipa.logins

    def commands(self) -> list[str]:
        return [json.loads(change.partition(" {")[2].join(["{", ""]))["method"] for change in self.writes()]


def call(asked: Asked) -> dict[str, Any]:
    """The command of a request; empty for a login."""
    found: dict[str, Any] = json.loads(asked.body) if asked.target.endswith("/json") else {"method": "", "params": []}
    return found


@pytest.fixture
def front() -> Iterator[tuple[FakeIpa, Front]]:
    ipa = FakeIpa()
    with Front(ipa.answer, lambda asked: asked.target.endswith("/login_password")) as made:
        made.reading = lambda asked: call(asked)["method"] == "user_show"
        yield ipa, made


@pytest.fixture
def bench(front: tuple[FakeIpa, Front]) -> IpaBench:
    return IpaBench(*front)


class TestFreeIpa(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


class TestFreeIpaWithoutMarks(BackendSuite):
    @pytest.fixture
    def bench(self, front: tuple[FakeIpa, Front]) -> IpaBench:
        return IpaBench(*front, attribute="")


# --- what is done ---------------------------------------------------------------------------------------------------


def test_the_mark_comes_first_and_goes_last(bench: IpaBench) -> None:
    run(bench, JDOE)
    undo(bench, JDOE)
    assert bench.commands() == ["user_mod", "user_disable", "user_enable", "user_mod"]


def test_nothing_but_lock_and_mark_is_touched_and_other_peoples_words_stay(bench: IpaBench) -> None:
    bench.ipa.users["jdoe"]["description"] = ["Ticket 4711", "propolis is what bees use"]
    before = json.loads(json.dumps(bench.ipa.users["jdoe"]))
    run(bench, JDOE)
    mark = "propolis case=128 by=analyst@soc.example lock=freeipa"
    assert bench.ipa.users["jdoe"] == {
        **before, "nsaccountlock": True, "description": [*before["description"], mark],
    }  # fmt: skip
    undo(bench, JDOE)
    assert bench.ipa.users["jdoe"] == before


def test_what_lives_on_is_told(bench: IpaBench) -> None:
    remaining = " ".join(run(bench, JDOE).remaining)
    for words in ("Kerberos tickets issued already", "SSSD has cached", "SSH keys", "password"):
        assert words in remaining


def test_a_mark_without_a_lock_is_taken_away_by_an_undo(bench: IpaBench) -> None:
    run(bench, JDOE)
    bench.release_by_other_hands(JDOE)
    assert look(bench, JDOE).remains
    assert undo(bench, JDOE).result == "released"
    assert "description" not in bench.ipa.users["jdoe"]


def test_prose_that_begins_like_our_mark_is_no_mark(bench: IpaBench) -> None:
    bench.ipa.users["jdoe"]["description"] = ["propolis is what bees use"]
    bench.contain_by_other_hands(JDOE)
    refused(bench, lambda: undo(bench, JDOE), NotOurs)
    assert bench.in_force(JDOE)


# --- errors with HTTP 200 -------------------------------------------------------------------------------------------


def test_a_refusal_with_http_200_is_a_refusal_and_leaves_no_mark(bench: IpaBench) -> None:
    bench.ipa.writable = {"description"}
    sentence = refused(bench, lambda: run(bench, JDOE), BackendError)
    assert "(2100)" in sentence
    assert "docs/backends-freeipa.md" in sentence
    assert not bench.in_force(JDOE)
    assert "description" not in bench.ipa.users["jdoe"]


def test_a_mark_that_may_not_be_written_stops_the_disable(bench: IpaBench) -> None:
    bench.ipa.writable = {"nsaccountlock"}
    assert "(2100)" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert not bench.in_force(JDOE)


def test_what_freeipa_itself_protects_is_told(bench: IpaBench) -> None:
    bench.guard = lambda target, status: None  # type: ignore[method-assign]
    bench.ipa.add("admin", "admins")
    assert "(4308)" in refused(bench, lambda: run(bench, aim("admin")), BackendError)


@pytest.mark.parametrize("body", [{"result": None, "error": None}, {"result": {"result": {}}}, {"error": None}, []])
def test_an_answer_of_another_shape_is_no_success(bench: IpaBench, body: object) -> None:
    def odd(asked: Asked) -> Told:
        answer = Told(200, json.dumps(body).encode())
        return answer if call(asked)["method"] == "user_disable" else bench.ipa.answer(asked)

    bench.front.product = odd
    assert "was not made" in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_a_disable_that_was_taken_and_does_not_show_is_not_claimed(bench: IpaBench) -> None:
    done = json.dumps({"result": {"result": True, "value": "jdoe", "summary": None}, "error": None}).encode()

    def idle(asked: Asked) -> Told:
        return Told(200, done) if call(asked)["method"] == "user_disable" else bench.ipa.answer(asked)

    bench.front.product = idle
    refused(bench, lambda: run(bench, JDOE), NotVerified)


def racing(bench: IpaBench, method: str, lock: bool) -> Callable[[Asked], Told]:
    """Somebody else does it at the very moment."""

    def product(asked: Asked) -> Told:
        if call(asked)["method"] == method:
            bench.ipa.users["jdoe"]["nsaccountlock"] = lock
        return bench.ipa.answer(asked)

    return product


def test_a_user_disabled_by_somebody_else_at_that_moment_is_theirs(bench: IpaBench) -> None:
    """AlreadyInactive right after our look: the lock is not ours, so our mark may not stay on it."""
    bench.front.product = racing(bench, "user_disable", True)
    assert "is theirs" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert "description" not in bench.ipa.users["jdoe"]
    refused(bench, lambda: undo(bench, JDOE), NotOurs)


def test_a_user_disabled_since_the_look_is_not_taken_for_ours(bench: IpaBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.contain_by_other_hands(JDOE)
    assert "just now" in refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert bench.writes() == []


def test_a_user_enabled_by_somebody_else_at_that_moment_is_released(bench: IpaBench) -> None:
    run(bench, JDOE)
    bench.front.product = racing(bench, "user_enable", False)
    assert undo(bench, JDOE).result == "released"
    assert "description" not in bench.ipa.users["jdoe"]


@pytest.mark.parametrize("method", ["user_mod", "user_disable"])
def test_every_lost_answer_is_looked_up_and_not_repeated(bench: IpaBench, method: str) -> None:
    def losing(asked: Asked) -> Told:
        bench.front.lose_next = call(asked)["method"] == method
        return bench.ipa.answer(asked)

    bench.front.product = losing
    assert run(bench, JDOE).result == "contained"
    assert bench.commands() == ["user_mod", "user_disable"]


@pytest.mark.parametrize("method", ["user_enable", "user_mod"])
def test_every_lost_answer_of_an_undo_is_looked_up_and_not_repeated(bench: IpaBench, method: str) -> None:
    run(bench, JDOE)

    def losing(asked: Asked) -> Told:
        bench.front.lose_next = call(asked)["method"] == method
        return bench.ipa.answer(asked)

    bench.front.product = losing
    assert undo(bench, JDOE).result == "released"
    assert bench.commands()[2:] == ["user_enable", "user_mod"]


# --- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("chief", "administrative"),
        ("deep", "administrative"),
        ("helper", "administrative"),
        (USER, "integration works with"),
        ("break-glass-1", "break-glass"),
        ("svc-backup", "service accounts"),
        ("chair", "names board"),
        ("lonely", "nobody could tell"),
        ("guarded", "never_ids"),
    ],
)
def test_the_protected_are_refused_for_the_right_reason(bench: IpaBench, name: str, why: str) -> None:
    assert why in refused(bench, lambda: run(bench, aim(name)), Refused)


def test_the_undo_asks_for_no_groups(bench: IpaBench) -> None:
    run(bench, JDOE)
    bench.ipa.users["jdoe"]["memberof_group"] = []
    assert undo(bench, JDOE).result == "released"


@pytest.mark.parametrize("name", ["jdoe", "JDoe", f"jdoe@{REALM}", "jdoe@lab.example.test", "jdoe@mail.example.org"])
def test_login_principal_and_mail_address_mean_the_same_user(bench: IpaBench, name: str) -> None:
    assert look(bench, aim(name)).subject.name == "jdoe"


def test_a_user_of_another_name_is_not_taken_for_the_one_that_was_asked_for(bench: IpaBench) -> None:
    bench.ipa.users["alias"] = bench.ipa.users["chief"]
    refused(bench, lambda: look(bench, aim("alias")), NotFound)


def test_a_user_deleted_and_made_anew_meanwhile_is_left_alone(bench: IpaBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.ipa.users["jdoe"]["ipauniqueid"] = ["another"]
    for act in (lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), lambda: backend.release(JDOE, seen)):
        assert "made anew" in refused(bench, act, BackendError)
    backend.close()
    assert bench.writes() == []


def test_a_preserved_user_is_contained_by_somebody_else_and_never_brought_back(bench: IpaBench) -> None:
    run(bench, JDOE)
    bench.ipa.users["jdoe"]["preserved"] = True
    assert "preserved" in look(bench, JDOE).detail
    writes = bench.writes()
    refused(bench, lambda: undo(bench, JDOE), NotOurs)
    assert bench.writes() == writes


def test_a_preserved_user_is_not_enabled_by_a_lease_either(front: tuple[FakeIpa, Front]) -> None:
    bench = IpaBench(*front, attribute="")
    bench.ipa.users["jdoe"] |= {"preserved": True, "nsaccountlock": True}
    assert "not ours to take back" in refused(bench, lambda: undo(bench, JDOE), BackendError)


@pytest.mark.parametrize("value", [True, [True], "TRUE", ["true"]])
def test_the_lock_is_read_in_every_form_that_versions_give_it(bench: IpaBench, value: object) -> None:
    bench.ipa.users["jdoe"]["nsaccountlock"] = value
    assert look(bench, JDOE).contained


@pytest.mark.parametrize("value", [None, [], "maybe", 1, [True, False]])
def test_a_lock_that_cannot_be_read_is_not_guessed(bench: IpaBench, value: object) -> None:
    bench.ipa.users["jdoe"]["nsaccountlock"] = value
    assert "nsaccountlock" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert bench.writes() == []


@pytest.mark.parametrize("name", ["uid", "ipauniqueid"])
def test_a_user_that_is_shown_in_part_is_not_disabled(bench: IpaBench, name: str) -> None:
    bench.ipa.users["jdoe"][name] = []
    refused(bench, lambda: run(bench, JDOE), BackendError)
    assert bench.writes() == []


# --- the session ----------------------------------------------------------------------------------------------------


def test_every_request_names_freeipa_as_its_referer(bench: IpaBench) -> None:
    run(bench, JDOE)
    assert {asked.headers["referer"] for asked in bench.front.requests} == {f"{bench.front.url}/ipa"}


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("", "is wrong"),
        ("invalid-password", "user or password is wrong"),
        ("password-expired", "has expired"),
        ("user-locked", "is locked"),
        ("denied", "denied"),
    ],
)
def test_a_login_that_is_refused_names_its_items_and_the_reason(bench: IpaBench, reason: str, why: str) -> None:
    bench.ipa.rejection = reason
    bench.secrets = ("wr0ng-" + PASSWORD,)
    backend = bench.backend(password="wr0ng-" + PASSWORD)
    sentence = refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()
    assert why in sentence
    assert "freeipa_password" in sentence


def test_the_session_and_the_password_show_in_no_sentence(bench: IpaBench) -> None:
    backend = bench.backend()
    backend.status(JDOE)
    bench.secrets = (PASSWORD, *bench.ipa.sessions)
    bench.front.product = lambda asked: Told(500, asked.headers.get("cookie", "").encode())
    refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


def test_a_session_that_ends_before_a_change_is_renewed_and_the_change_made_once(bench: IpaBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.ipa.sessions.clear()
    backend.contain(JDOE, seen, Terms(60, "propolis"))
    backend.close()
    assert bench.in_force(JDOE)
    assert bench.ipa.logins == 2


def test_an_undo_that_fails_is_not_reported_as_done(bench: IpaBench) -> None:
    run(bench, JDOE)
    bench.fail(Failure.FORBIDDEN, writes_only=True)
    assert "(403)" in result_or_sentence(lambda: undo(bench, JDOE))


# --- the form of requests -------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_every_request_has_the_form_that_was_read_from_the_sources(bench: IpaBench, shared: Path) -> None:
    spec = json.loads((shared / "data/specs/freeipa.json").read_text("utf-8"))
    run(bench, JDOE)
    undo(bench, JDOE)
    login, *calls = bench.front.requests
    assert (login.method, login.target) == (spec["login"]["method"], spec["login"]["path"])
    for name in ("Content-Type", "Accept"):
        assert login.headers[name.lower()] == spec["login"]["headers"][name]
    wanted = {part["method"]: part for part in spec["call"].values() if isinstance(part, dict) and "method" in part}
    seen = set()
    for asked in calls:
        if asked.target == spec["login"]["path"]:
            continue
        assert (asked.method, asked.target) == (spec["call"]["method"], spec["call"]["path"])
        for name in ("Content-Type", "Accept"):
            assert asked.headers[name.lower()] == spec["call"]["headers"][name]
        body = json.loads(asked.body)
        seen.add(body["method"])
        if body["method"] in wanted:
            model = wanted[body["method"]]
            assert body.keys() == model.keys()
            assert body["params"][0] == model["params"][0]
            assert body["params"][1].keys() == model["params"][1].keys()
    assert seen == {*wanted, "user_mod"}


# --- settings -------------------------------------------------------------------------------------------------------


def made(proxy: str | None = None, **more: object) -> Any:
    items = {"freeipa_url": "https://ipa.example.org", "freeipa_user": USER, "freeipa_password": PASSWORD, **more}
    return freeipa.make(Workbench(Items(items), ManualClock(), proxy))


def test_it_is_made_from_its_items() -> None:
    backend = made("http://proxy.example.org:3128", freeipa_mark_attribute="Description")
    assert backend.where == "FreeIPA at https://ipa.example.org"
    assert (backend.marks, backend._attribute) == (True, "description")
    assert not made().marks
    assert backend._ipa._client._proxy is None
    used = made("http://proxy.example.org:3128", freeipa_use_proxy=True)
    assert used._ipa._client._proxy == "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"freeipa_url": None}, "freeipa_url: is required"),
        ({"freeipa_url": "http://ipa.example.org"}, "must begin with https://"),
        ({"freeipa_url": "https://ipa.example.org/ipa"}, "without a path"),
        ({"freeipa_user": None}, "freeipa_user: is required"),
        ({"freeipa_password": None}, "freeipa_password: is required"),
        ({"freeipa_mark_attribute": "userPassword"}, "cannot carry a mark"),
        ({"freeipa_mark_attribute": "a=b"}, "cannot carry a mark"),
        ({"freeipa_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_work_is_named(values: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(**values)
    assert why in str(caught.value)
