"""AccountDisable's backend `okta`: the suite, and what is Okta's own, against an org that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Asked, Front, Told
from front_bench import FrontBench
from suite import BackendSuite, Failure, HttpFailures, look, refused, result_or_sentence, run, undo
from workers import load_backend

from account_disable.fake_okta import TOKEN, FakeOkta, group, role
from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.http.response import Headers, Response
from propolis.worker.items import Items

okta = load_backend("AccountDisable", "okta")
api = load_backend("AccountDisable", "okta_api")
STATES = ("LOCKED_OUT", "PASSWORD_EXPIRED", "RECOVERY", "PROVISIONED", "STAGED")


def aim(name: str) -> Target:
    return Target("account", name, "test")


JDOE, SLASHED = aim("jdoe@example.org"), aim("emea/o'brien+x@example.org")


class OktaBench(FrontBench):
    responder = "AccountDisable"
    target = JDOE
    other = SLASHED
    missing = aim("nobody@example.org")
    ambiguous = aim("shared@example.org")
    protected = (
        aim("boss@example.org"),
        aim("grouped@example.org"),
        aim("integration@example.org"),
        aim("break-glass-1@example.org"),
        aim("svc-backup@example.org"),
        aim("chair@example.org"),
        aim("00uGuarded0000000001"),
    )
    hostile = (
        aim("jdoe"),
        aim("LAB\\jdoe"),
        aim("me"),
        aim("00uNoSuchUser0000001"),
        aim("00uShortName00000001"),
        aim('x" or status eq "ACTIVE'),
        aim('x\\" or profile.login sw \\"j'),
        aim("x' or profile.login eq 'jdoe@example.org"),
        aim("*@example.org"),
        aim("../jdoe@example.org"),
        aim("jdoe@example.org/lifecycle/deactivate"),
        aim("jdoe@example.org?limit=1"),
        aim("jdoe@example.org\x00"),
        aim("jd\u202eoe@example.org"),
        aim("@"),
        aim("x" * 300),
    )
    secrets = (TOKEN,)
    rate_limits = (lambda now: {"X-Rate-Limit-Reset": str(int(now) + 2)},)

    def __init__(self, org: FakeOkta, front: Front, clock: ManualClock):
        self.org, self.front, self.clock = org, front, clock
        self.policy = Policy.parse("accounts: {never_ids: [00uGuarded0000000001], never_groups: [Board]}")
        org.add(JDOE.value, groups=[group("Everyone"), group("Sales")])
        org.add(SLASHED.value)
        org.add("jdoe@other.example.org")
        org.add("one@example.org", email="shared@example.org")
        org.add("shared@example.org", email="two@example.org")
        org.add("boss@example.org", roles=[role("SUPER_ADMIN", "Super Administrator")])
        org.add("grouped@example.org", roles=[role("CUSTOM", "Helpdesk Tier 2", "GROUP")])
        org.add("break-glass-1@example.org")
        org.add("svc-backup@example.org")
        org.add("chair@example.org", groups=[group("Board")])
        org.add("guarded@example.org", id="00uGuarded0000000001")
        org.add("00uShortName00000001@example.org")
        org.add("plain")
        org.owner = org.add("integration@example.org").document["id"]

    def backend(self, **more: Any) -> Backend:
        settings = api.Settings(self.front.url, more.pop("token", TOKEN), None, None, 0.3)
        made: Backend = okta.OktaBackend(settings, self.clock, **more)
        return made

    def state(self, target: Target) -> str:
        return str(self.org.user(target.value).document["status"])

    def in_force(self, target: Target) -> bool:
        return self.state(target) == "SUSPENDED"

    def contain_by_other_hands(self, target: Target) -> None:
        self.org.user(target.value).document["status"] = "SUSPENDED"

    def release_by_other_hands(self, target: Target) -> None:
        self.org.user(target.value).document["status"] = "ACTIVE"

    def shows(self, target: Target) -> tuple[str, ...]:
        one = self.org.user(target.value).document["id"]
        return (target.value, f"/api/v1/users/{one}/lifecycle/suspend", "sessions?oauthTokens=true")


@pytest.fixture
def bench() -> Iterator[OktaBench]:
    org = FakeOkta()
    with Front(org.answer) as front:
        yield OktaBench(org, front, ManualClock())


class TestOkta(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def test_the_user_is_suspended_first_and_then_the_sessions_end(bench: OktaBench) -> None:
    outcome = run(bench, JDOE)
    user = bench.org.user(JDOE.value)
    assert [change.split()[0] for change in bench.writes()] == ["POST", "DELETE"]
    assert (user.sessions, user.tokens) == (0, 0)
    assert "as Okta says" in outcome.ended[0]


def test_nothing_but_state_and_sessions_is_touched(bench: OktaBench) -> None:
    before = dict(bench.org.user(JDOE.value).document)
    run(bench, JDOE)
    assert bench.org.user(JDOE.value).document == {**before, "status": "SUSPENDED"}
    undo(bench, JDOE)
    assert bench.org.user(JDOE.value).document == before


def test_what_lives_on_is_told(bench: OktaBench) -> None:
    remaining = " ".join(run(bench, JDOE).remaining)
    for words in ("web and native applications", "signature", "factors", "password"):
        assert words in remaining
    assert "signs in again" in " ".join(undo(bench, JDOE).remaining)


@pytest.mark.parametrize("kind", ["ACTIVE_DIRECTORY", "LDAP", "FEDERATION", "SOCIAL"])
def test_a_password_that_somebody_else_checks_is_told(bench: OktaBench, kind: str) -> None:
    bench.org.user(JDOE.value).document["credentials"]["provider"] = {"type": kind, "name": "lab.example.org"}
    assert (
        f"Its password is that of {kind} lab.example.org: disable the account there too." in run(bench, JDOE).remaining
    )


def test_a_password_that_okta_checks_is_nobody_elses(bench: OktaBench) -> None:
    assert not any("there too" in line for line in run(bench, JDOE).remaining)


# --- sessions that were not ended -----------------------------------------------------------------------------------


def test_sessions_that_could_not_be_ended_are_told_and_the_user_stays_suspended(bench: OktaBench) -> None:
    bench.org.sessions_fail = True
    outcome = run(bench, JDOE)
    assert outcome.result == "contained"
    assert outcome.ended == ()
    assert outcome.remaining[0].startswith("Sessions NOT ended")
    assert "clear sessions" in outcome.remaining[0]


def test_sessions_whose_answer_is_lost_are_neither_claimed_nor_asked_for_twice(bench: OktaBench) -> None:
    def losing(asked: Asked) -> Told:
        bench.front.lose_next = asked.method == "DELETE"
        return bench.org.answer(asked)

    bench.front.product = losing
    outcome = run(bench, JDOE)
    assert outcome.result == "contained"
    assert outcome.ended == ()
    assert "NOT known" in outcome.remaining[0]
    assert sum("DELETE" in change for change in bench.writes()) == 1


# --- states ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
def test_a_state_that_cannot_be_suspended_is_explained_and_left_alone(bench: OktaBench, state: str) -> None:
    bench.org.user(JDOE.value).document["status"] = state
    for more in ({}, {"observing": ("dry_run is true.",)}):
        sentence = refused(bench, lambda more=more: run(bench, JDOE, **more), BackendError)  # type: ignore[misc]
        assert f"is {state} in Okta and was not suspended: it" in sentence
    assert bench.writes() == []


def test_a_state_that_nobody_knows_yet_is_left_alone(bench: OktaBench) -> None:
    bench.org.user(JDOE.value).document["status"] = "ACTIVATING"
    assert "only users that are ACTIVE" in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_a_change_of_state_under_way_is_not_raced(bench: OktaBench) -> None:
    bench.org.user(JDOE.value).document["transitioningToStatus"] = "DEPROVISIONED"
    assert "just becoming DEPROVISIONED" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert bench.writes() == []


def test_a_deactivated_user_is_contained_by_somebody_else_and_never_brought_back(bench: OktaBench) -> None:
    bench.org.user(JDOE.value).document["status"] = "DEPROVISIONED"
    assert "somebody else" in run(bench, JDOE).done
    assert "not ours to take back" in refused(bench, lambda: undo(bench, JDOE), BackendError)
    assert bench.writes() == []


def test_a_user_deactivated_after_we_suspended_it_stays_so(bench: OktaBench) -> None:
    run(bench, JDOE)
    bench.org.user(JDOE.value).document["status"] = "DEPROVISIONED"
    refused(bench, lambda: undo(bench, JDOE), BackendError)
    assert bench.state(JDOE) == "DEPROVISIONED"


def test_a_user_suspended_since_the_look_is_not_taken_for_ours(bench: OktaBench) -> None:
    """A lease for it would unsuspend what somebody else suspended."""
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.contain_by_other_hands(JDOE)
    sentence = refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert "somebody else" in sentence
    assert bench.writes() == []


def test_a_user_that_leaves_active_between_look_and_change_is_not_claimed(bench: OktaBench) -> None:
    def racing(asked: Asked) -> Told:
        if asked.method == "POST":
            bench.org.user(JDOE.value).document["status"] = "LOCKED_OUT"
        return bench.org.answer(asked)

    bench.front.product = racing
    assert "E0000001" in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_a_suspension_that_was_taken_and_does_not_show_is_not_claimed(bench: OktaBench) -> None:
    def idle(asked: Asked) -> Told:
        return Told(200, b"{}") if asked.method == "POST" else bench.org.answer(asked)

    bench.front.product = idle
    assert "ACTIVE" in refused(bench, lambda: run(bench, JDOE), NotVerified)


# --- who must stay as he is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["boss", "grouped"])
def test_whoever_has_a_role_is_an_administrator_be_it_by_a_group(bench: OktaBench, name: str) -> None:
    assert "administrative" in refused(bench, lambda: run(bench, aim(f"{name}@example.org")), Refused)


def test_roles_are_known_by_type_and_label_and_groups_by_name_and_id(bench: OktaBench) -> None:
    assert look(bench, aim("boss@example.org")).subject.tags == ("SUPER_ADMIN", "Super Administrator")
    assert look(bench, JDOE).subject.groups == ("Everyone", "00g-Everyone", "Sales", "00g-Sales")


def test_the_owner_of_our_token_is_us(bench: OktaBench) -> None:
    assert "integration works with" in refused(bench, lambda: run(bench, aim("integration@example.org")), Refused)
    assert not look(bench, JDOE).subject.own


def test_where_roles_cannot_be_read_nobody_is_suspended_and_an_undo_still_works(bench: OktaBench) -> None:
    run(bench, JDOE)
    bench.org.roles_readable = False
    assert undo(bench, JDOE).result == "released"
    assert "role assignments" in refused(bench, lambda: run(bench, JDOE), Refused)


def test_where_group_names_are_hidden_nobody_is_suspended(bench: OktaBench) -> None:
    bench.org.user(JDOE.value).groups = [group(None)]
    assert "view groups" in refused(bench, lambda: run(bench, JDOE), Refused)
    assert bench.writes() == []


def test_a_list_that_goes_on_on_another_page_is_not_taken_for_whole() -> None:
    link = '<https://x.example/api/v1/users/1/groups?after=2>; rel="next"'
    api.check_complete(Response(200, Headers({"Link": '<https://x.example/>; rel="self"'}), b"[]"))
    with pytest.raises(BackendError, match="more than one page"):
        api.check_complete(Response(200, Headers({"link": link}), b"[]", "GET x.example/api/v1/users/1/groups"))


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["JDOE@Example.ORG", "j.doe@mail.example.org"])
def test_login_and_mail_address_mean_the_same_user(bench: OktaBench, name: str) -> None:
    user = bench.org.user(JDOE.value)
    user.document["profile"]["email"] = user.indexed["profile"]["email"] = "j.doe@mail.example.org"
    assert look(bench, aim(name)).subject.name == JDOE.value


def test_an_id_means_its_user_and_never_somebody_whose_login_looks_like_one(bench: OktaBench) -> None:
    one = bench.org.user(JDOE.value).document["id"]
    assert look(bench, aim(one)).subject.name == JDOE.value
    refused(bench, lambda: look(bench, aim("00uShortName00000001")), NotFound)


def test_a_short_name_is_never_guessed(bench: OktaBench) -> None:
    refused(bench, lambda: look(bench, aim("jdoe")), NotFound)
    refused(bench, lambda: look(bench, aim("boss")), NotFound)
    assert look(bench, aim("plain")).subject.name == "plain"


def test_a_short_name_is_completed_with_the_domain_that_is_set(bench: OktaBench) -> None:
    bench.org.add("plain@example.org")
    backend = bench.backend(domain="example.org")
    assert backend.status(aim("jdoe")).subject.name == JDOE.value
    with pytest.raises(Ambiguous):
        backend.status(aim("plain"))
    backend.close()


def test_a_slash_in_a_login_never_gets_into_a_path(bench: OktaBench) -> None:
    run(bench, SLASHED)
    assert not [asked for asked in bench.front.requests if "emea" in asked.target.partition("?")[0]]


def test_two_users_of_one_address_are_told_apart_by_their_ids(bench: OktaBench) -> None:
    ids = [bench.org.user(login).document["id"] for login in ("one@example.org", "shared@example.org")]
    with pytest.raises(Ambiguous) as caught:
        look(bench, bench.ambiguous)
    assert all(one in str(caught.value) for one in ids)
    assert run(bench, aim(ids[0])).result == "contained"


def test_the_state_is_never_taken_from_the_search_which_lags_behind(bench: OktaBench) -> None:
    bench.contain_by_other_hands(JDOE)
    assert bench.org.user(JDOE.value).indexed["status"] == "ACTIVE"
    assert look(bench, JDOE).contained


def test_a_search_that_finds_too_much_gets_nobody_suspended(bench: OktaBench) -> None:
    answer = Told(200, json.dumps([user.indexed for user in bench.org.users.values()]).encode())
    bench.org._search = lambda query: answer  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, aim("jdo@example.org")), NotFound)
    assert run(bench, JDOE).status.subject.name == JDOE.value


def test_a_name_that_only_the_search_still_knows_is_nobodys(bench: OktaBench) -> None:
    bench.org.user(JDOE.value).document["profile"] |= {"login": "j.doe@example.org", "email": "j.doe@example.org"}
    assert "renamed" in refused(bench, lambda: run(bench, JDOE), NotFound)
    assert bench.writes() == []


def test_a_quote_cannot_leave_its_string(bench: OktaBench) -> None:
    backend: Any = bench.backend()
    assert backend._okta.find(('x" or profile.login eq "jdoe@example.org',)) == []
    assert backend._okta.find(("x\\",)) == []
    backend.close()


# --- errors ---------------------------------------------------------------------------------------------------------


def test_a_token_that_is_not_taken_names_the_item_and_is_not_shown(bench: OktaBench) -> None:
    bench.secrets = ("wr0ng-" + TOKEN,)
    backend = bench.backend(token="wr0ng-" + TOKEN)
    assert "okta_token" in refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


@pytest.mark.parametrize("name", ["status", "profile"])
def test_a_user_that_is_shown_in_part_is_not_suspended(bench: OktaBench, name: str) -> None:
    user = bench.org.user(JDOE.value)
    user.document[name] = {} if name == "profile" else None
    assert "view users" in refused(bench, lambda: run(bench, aim(user.document["id"])), BackendError)
    assert bench.writes() == []


def test_a_rate_limit_far_ahead_is_told_and_not_waited_out(bench: OktaBench) -> None:
    start = bench.clock.now()
    bench.refuse_next_change(429, {"X-Rate-Limit-Reset": str(int(start) + 60)})
    assert "429" in refused(bench, lambda: run(bench, JDOE), BackendError)
    assert bench.clock.now() - start < 5
    assert run(bench, JDOE).result == "contained"


def test_an_undo_asks_no_rights(bench: OktaBench) -> None:
    run(bench, JDOE)
    bench.front.requests.clear()
    bench.fail(Failure.FORBIDDEN, writes_only=True)
    assert "(403)" in result_or_sentence(lambda: undo(bench, JDOE))
    assert not [asked for asked in bench.front.requests if asked.target.endswith(("/roles", "/groups", "/me"))]


# --- settings -------------------------------------------------------------------------------------------------------


def made(proxy: str | None = None, **more: object) -> Any:
    items = {"okta_url": "https://example.okta.com", "okta_token": TOKEN, **more}
    return okta.make(Workbench(Items(items), ManualClock(), proxy))


def test_it_is_made_from_its_items() -> None:
    backend = made("http://proxy.example.org:3128", okta_domain="@example.org", okta_url="https://example.okta.com/")
    assert backend.where == "Okta at https://example.okta.com"
    assert backend._domain == "example.org"
    assert backend._okta._api._proxy == "http://proxy.example.org:3128"
    assert made("http://proxy.example.org:3128", okta_use_proxy=False)._okta._api._proxy is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"okta_url": None}, "okta_url: is required"),
        ({"okta_url": "http://example.okta.com"}, "must begin with https://"),
        ({"okta_url": "https://example-admin.okta.com"}, "without -admin"),
        ({"okta_url": "https://example.okta.com/api/v1"}, "without a path"),
        ({"okta_token": None}, "okta_token: is required"),
        ({"okta_domain": "not a domain"}, "a domain, such as"),
        ({"okta_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(**values)
    assert why in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.shared
def test_every_request_is_one_of_oktas_own_description(bench: OktaBench, shared: Path) -> None:
    for target in (JDOE, SLASHED):
        run(bench, target)
        run(bench, target)
        undo(bench, target)
    refused(bench, lambda: run(bench, bench.ambiguous), Ambiguous)
    refused(bench, lambda: run(bench, bench.missing), NotFound)
    contract = Contract(shared / "data/specs/okta.yaml")
    sent = [read(asked) for asked in bench.front.requests]
    assert len(sent) > 30
    assert [fault for request in sent for fault in contract.faults(request)] == []
