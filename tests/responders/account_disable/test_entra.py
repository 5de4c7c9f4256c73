"""AccountDisable's backend `entra`: the suite, and what is Entra ID's own, against a tenant that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract import Contract, read
from failing_front import Asked, Front, Told
from front_bench import FrontBench
from suite import BackendSuite, Failure, HttpFailures, look, refused, run, undo
from workers import load_backend

from account_disable.fake_entra import CLIENT, GLOBAL_ADMIN, SECRET, TENANT, FakeEntra, directory_role, group, role
from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotVerified
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

entra = load_backend("AccountDisable", "entra")
graph = load_backend("AccountDisable", "entra_graph")
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "account_disable"
SINCE = "signInSessionsValidFromDateTime"


def aim(name: str) -> Target:
    return Target("account", name, "test")


JDOE, ASMITH = aim("jdoe@example.org"), aim("o'brien+x@example.org")
GUEST = aim("ann_partner.test#EXT#@example.onmicrosoft.com")
ADMINISTRATORS = ("boss", "grouped", "eligible", "custom", "nameless")


class EntraBench(FrontBench):
    responder = "AccountDisable"
    target = JDOE
    other = ASMITH
    missing = aim("nobody@example.org")
    ambiguous = aim("shared@example.org")
    protected = (
        *(aim(f"{name}@example.org") for name in ADMINISTRATORS),
        aim("break-glass-1@example.org"),
        aim("chair@example.org"),
        aim("guarded@example.org"),
        aim("legacy@example.org"),
    )
    hostile = (
        aim("jdoe"),
        aim("LAB\\jdoe"),
        aim("x' or accountEnabled eq true or mail eq 'x@example.org"),
        aim("' or startswith(userPrincipalName,'j') or mail eq '@example.org"),
        aim("*@example.org"),
        aim("jdoe@example.org\x00"),
        aim("jd\u202eoe@example.org"),
        aim("../users/jdoe@example.org"),
        aim("me"),
        aim("$count"),
        aim("jdoe@example.org&$top=999"),
        aim("jdoe@example.or"),
        aim(CLIENT),
        aim(f"{CLIENT}/../me"),
        aim("@"),
        aim("x" * 300),
    )
    secrets = (SECRET,)

    def __init__(self, tenant: FakeEntra, front: Front, clock: ManualClock):
        self.tenant, self.front, self.clock = tenant, front, clock
        guarded = tenant.add("guarded@example.org").document["id"]
        self.policy = Policy.parse(
            f"accounts: {{never_ids: ['{guarded}'], never_groups: [Board], never_roles: [Helpdesk Tier 2]}}"
        )
        tenant.add("jdoe@example.org", belongs=[group("All Staff")])
        tenant.add("o'brien+x@example.org")
        tenant.add("shared@example.org")
        tenant.add(GUEST.value, mail="shared@example.org", userType="Guest")
        tenant.add("boss@example.org", belongs=[directory_role("Global Administrator", GLOBAL_ADMIN)])
        tenant.add("grouped@example.org", belongs=[group("Tier 0 operators", for_roles=True)])
        tenant.add("eligible@example.org", eligible=[role("User Administrator", "fe930be7")])
        tenant.add("custom@example.org", assigned=[role("Helpdesk Tier 2", "custom-1", "/administrativeUnits/u-1")])
        tenant.add("nameless@example.org", belongs=[directory_role(None, None)])
        tenant.add("break-glass-1@example.org")
        tenant.add("chair@example.org", belongs=[group("Board")])
        tenant.add("legacy@example.org", onPremisesSamAccountName="svc-backup", onPremisesSyncEnabled=False)

    def backend(self, **more: Any) -> Backend:
        cloud = graph.Cloud(self.front.url, self.front.url)
        settings = graph.Settings(cloud, TENANT, CLIENT, more.pop("secret", SECRET), None, None, 0.3)
        made: Backend = entra.Entra(settings, self.clock, **more)
        return made

    def in_force(self, target: Target) -> bool:
        return not self.tenant.user(target.value).document["accountEnabled"]

    def contain_by_other_hands(self, target: Target) -> None:
        self.tenant.user(target.value).document["accountEnabled"] = False

    def release_by_other_hands(self, target: Target) -> None:
        self.tenant.user(target.value).document["accountEnabled"] = True

    def shows(self, target: Target) -> tuple[str, ...]:
        one = self.tenant.user(target.value).document["id"]
        return (target.value, f"PATCH {self.front.url}/v1.0/users/{one}", '{"accountEnabled": false}', "revokeSign")

    def expire_token(self) -> None:
        self.tenant.tokens.clear()

    def token_requests(self) -> int:
        return sum("oauth2" in asked.target for asked in self.front.requests)


@pytest.fixture
def bench() -> Iterator[EntraBench]:
    clock = ManualClock()
    tenant = FakeEntra(clock)
    with Front(tenant.answer, lambda asked: "oauth2" in asked.target) as front:
        tenant.next_base = front.url
        yield EntraBench(tenant, front, clock)


class TestEntra(BackendSuite, HttpFailures):
    """The fixture `bench` is the module's."""


def document(bench: EntraBench, target: Target = JDOE) -> dict[str, Any]:
    return bench.tenant.user(target.value).document


def test_nothing_but_the_switch_and_the_sessions_is_touched(bench: EntraBench) -> None:
    before = dict(document(bench))
    run(bench, JDOE)
    changed = {name for name, value in document(bench).items() if value != before[name]}
    assert changed == {"accountEnabled", SINCE}
    bodies = [asked.body for asked in bench.front.requests if asked.method == "PATCH"]
    assert [json.loads(body) for body in bodies] == [{"accountEnabled": False}]


def test_the_user_is_disabled_first_and_then_the_sessions_are_revoked(bench: EntraBench) -> None:
    outcome = run(bench, JDOE)
    assert [change.split()[0] for change in bench.writes()] == ["PATCH", "POST"]
    assert outcome.ended == ("Refresh tokens and browser sessions from before 2026-01-01T00:00:00Z, within minutes.",)


def test_what_lives_on_is_told(bench: EntraBench) -> None:
    remaining = " ".join(run(bench, JDOE).remaining)
    for words in ("about an hour", "Continuous Access Evaluation", "authentication methods", "password"):
        assert words in remaining


def test_an_undo_gives_no_session_back(bench: EntraBench) -> None:
    run(bench, JDOE)
    since = document(bench)[SINCE]
    assert "signs in again" in " ".join(undo(bench, JDOE).remaining)
    assert document(bench)[SINCE] == since


# --- sessions that were not ended -----------------------------------------------------------------------------------


def test_a_revocation_that_fails_is_told_and_the_user_stays_disabled(bench: EntraBench) -> None:
    bench.tenant.revocation_fails = True
    outcome = run(bench, JDOE)
    assert outcome.result == "contained"
    assert outcome.ended == ()
    assert outcome.remaining[0].startswith("Sessions NOT ended")
    assert "User.RevokeSessions.All" in outcome.remaining[0]


@pytest.mark.parametrize("status", [202, 204])
def test_a_revocation_may_be_answered_with_another_success(bench: EntraBench, status: int) -> None:
    bench.tenant.revoked_with = status
    assert run(bench, JDOE).ended


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_revocation_that_was_taken_and_does_not_show_is_not_claimed(bench: EntraBench, status: int) -> None:
    bench.tenant.revocation_shows, bench.tenant.revoked_with = False, status
    outcome = run(bench, JDOE)
    assert outcome.ended == ()
    assert "does not show it yet" in outcome.remaining[0]


def test_a_revocation_whose_answer_is_lost_is_looked_up_and_not_repeated(bench: EntraBench) -> None:
    def losing(asked: Asked) -> Told:
        bench.front.lose_next = asked.target.endswith("/revokeSignInSessions")
        return bench.tenant.answer(asked)

    bench.front.product = losing
    assert run(bench, JDOE).ended
    assert [change.split()[0] for change in bench.writes()] == ["PATCH", "POST"]


def test_a_revocation_that_was_lost_and_not_made_is_told(bench: EntraBench) -> None:
    def losing(asked: Asked) -> Told:
        bench.front.lose_next = asked.target.endswith("/revokeSignInSessions")
        return Told(500, b"") if bench.front.lose_next else bench.tenant.answer(asked)

    bench.front.product = losing
    outcome = run(bench, JDOE)
    assert outcome.result == "contained"
    assert "the change was not made" in outcome.remaining[0]


def test_a_guests_sessions_are_not_claimed_to_be_ended(bench: EntraBench) -> None:
    outcome = run(bench, GUEST)
    assert outcome.result == "contained"
    assert outcome.ended == ()
    assert "guest's own tenant" in outcome.remaining[0]
    assert not any("revokeSignInSessions" in change for change in bench.writes())


# --- a directory that shows a change later --------------------------------------------------------------------


def test_a_replica_that_lags_is_asked_again_before_anything_is_claimed(bench: EntraBench) -> None:
    bench.tenant.lag = 3
    start = bench.clock.now()
    assert run(bench, JDOE).result == "contained"
    assert bench.clock.now() > start
    assert undo(bench, JDOE).result == "released"
    assert bench.clock.now() - start < 60


def test_a_change_that_never_shows_is_not_claimed(bench: EntraBench) -> None:
    bench.tenant.lag = 1000
    assert "Nothing is claimed" in refused(bench, lambda: run(bench, JDOE), NotVerified)
    assert sum("PATCH" in change for change in bench.writes()) == 1


def test_a_look_that_changed_nothing_does_not_wait(bench: EntraBench) -> None:
    start = bench.clock.now()
    look(bench, JDOE)
    run(bench, JDOE, observing=("dry_run is true.",))
    assert bench.clock.now() == start


def test_a_lost_answer_is_looked_up_even_where_replicas_lag(bench: EntraBench) -> None:
    bench.tenant.lag = 2
    bench.lose_answer()
    assert "the answer was lost" in run(bench, JDOE).done
    assert sum("PATCH" in change for change in bench.writes()) == 1


def test_an_undo_is_not_talked_out_of_it_by_a_replica_that_lags(bench: EntraBench) -> None:
    run(bench, JDOE)
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.tenant.user(JDOE.value).lag = 1
    backend.release(JDOE, seen)
    backend.close()
    assert not bench.in_force(JDOE)


def test_no_query_asks_the_index_that_may_lag_behind(bench: EntraBench) -> None:
    run(bench, JDOE)
    undo(bench, JDOE)
    assert not [asked for asked in bench.front.requests if "consistencylevel" in asked.headers]


# --- who must stay enabled ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ADMINISTRATORS)
def test_whoever_holds_or_may_take_a_role_is_an_administrator(bench: EntraBench, name: str) -> None:
    assert "administrative" in refused(bench, lambda: run(bench, aim(f"{name}@example.org")), Refused)
    assert bench.writes() == []


def test_roles_are_known_by_name_and_by_template_and_groups_by_name_and_id(bench: EntraBench) -> None:
    assert look(bench, aim("boss@example.org")).subject.tags == ("Global Administrator", GLOBAL_ADMIN)
    assert look(bench, aim("custom@example.org")).subject.tags == ("Helpdesk Tier 2", "custom-1")
    staff = group("All Staff")
    assert look(bench, JDOE).subject.groups == ("All Staff", staff["id"])


def test_ids_of_the_directory_and_of_the_old_domain_are_held_against_the_policy(bench: EntraBench) -> None:
    document(bench)["onPremisesSecurityIdentifier"] = "S-1-5-21-1-2-3-500"
    assert document(bench)["securityIdentifier"] in look(bench, JDOE).subject.ids
    assert "never disabled" in refused(bench, lambda: run(bench, JDOE), Refused)


def test_every_page_of_memberships_is_read(bench: EntraBench) -> None:
    bench.tenant.page = 2
    bench.tenant.user(JDOE.value).belongs = [*(group(f"Team {number}") for number in range(4)), group("Board")]
    assert "Board" in refused(bench, lambda: run(bench, JDOE), Refused)


def test_a_next_page_at_another_host_is_never_asked_for(bench: EntraBench) -> None:
    bench.tenant.page = 1
    bench.tenant.next_base = bench.front.other_url
    bench.tenant.user(JDOE.value).belongs = [group("One"), group("Two")]
    assert "another address" in refused(bench, lambda: run(bench, JDOE), Refused)
    assert bench.redirected() == []


def test_pages_without_end_are_given_up(bench: EntraBench) -> None:
    bench.tenant.page = 1
    bench.tenant.user(JDOE.value).belongs = [group(f"Team {number}") for number in range(60)]
    assert "pages" in refused(bench, lambda: run(bench, JDOE), Refused)


def test_where_group_names_are_hidden_nobody_is_disabled(bench: EntraBench) -> None:
    bench.tenant.user(JDOE.value).belongs = [group(None)]
    assert "GroupMember.Read.All" in refused(bench, lambda: run(bench, JDOE), Refused)
    assert bench.writes() == []


def test_where_the_kind_of_a_membership_is_hidden_nobody_is_disabled(bench: EntraBench) -> None:
    bench.tenant.user(JDOE.value).belongs = [{"id": "1"}]
    refused(bench, lambda: run(bench, JDOE), Refused)
    assert bench.writes() == []


def test_where_roles_cannot_be_read_nobody_is_disabled_and_an_undo_still_works(bench: EntraBench) -> None:
    run(bench, JDOE)
    bench.tenant.roles_readable = False
    assert undo(bench, JDOE).result == "released"
    assert "RoleManagement.Read.Directory" in refused(bench, lambda: run(bench, JDOE), Refused)


def test_without_a_licence_for_eligible_roles_nobody_is_eligible(bench: EntraBench) -> None:
    bench.tenant.premium = False
    assert run(bench, JDOE).result == "contained"


def test_a_role_taken_between_look_and_change_is_refused_by_entra_and_left_so(bench: EntraBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.tenant.user(JDOE.value).belongs = [directory_role("Global Administrator", GLOBAL_ADMIN)]
    sentence = refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert "then leave it so" in sentence
    assert not bench.in_force(JDOE)


# --- accounts that come from elsewhere ------------------------------------------------------------------------------


def test_a_synchronised_account_is_refused_with_what_to_do(bench: EntraBench) -> None:
    document(bench)["onPremisesSyncEnabled"] = True
    for more in ({}, {"observing": ("dry_run is true.",)}):
        sentence = refused(bench, lambda more=more: run(bench, JDOE, **more), BackendError)  # type: ignore[misc]
        assert "backend activedirectory" in sentence
        assert "entra_allow_synced" in sentence
    assert bench.writes() == []


def test_a_synchronised_account_is_disabled_where_that_is_allowed_and_the_rest_is_told(bench: EntraBench) -> None:
    document(bench)["onPremisesSyncEnabled"] = True
    backend = bench.backend(allow_synced=True)
    seen = backend.status(JDOE)
    effect = backend.contain(JDOE, seen, Terms(60, "propolis"))
    undone = backend.release(JDOE, seen)
    backend.close()
    assert "synchronised from Active Directory" in seen.detail
    assert any("next synchronisation" in line for line in effect.remaining)
    assert any("next synchronisation" in line for line in undone.remaining)


def test_an_account_that_is_synchronised_no_more_is_a_cloud_account(bench: EntraBench) -> None:
    document(bench)["onPremisesSyncEnabled"] = False
    assert run(bench, JDOE).result == "contained"


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["JDOE@Example.ORG", "j.doe@mail.example.org"])
def test_principal_name_and_mail_address_mean_the_same_user(bench: EntraBench, name: str) -> None:
    document(bench)["mail"] = "j.doe@mail.example.org"
    assert look(bench, aim(name)).subject.name == JDOE.value


def test_an_object_id_means_its_user(bench: EntraBench) -> None:
    one = document(bench)["id"]
    assert run(bench, aim(one.upper())).status.subject.id == one


def test_a_guests_principal_name_is_escaped_on_its_way(bench: EntraBench) -> None:
    assert look(bench, GUEST).subject.name == GUEST.value
    assert look(bench, GUEST).subject.types == ("guest",)


def test_a_quote_in_a_name_is_doubled(bench: EntraBench) -> None:
    assert run(bench, ASMITH).status.subject.name == ASMITH.value
    assert any("o%27%27brien%2Bx" in asked.target for asked in bench.front.requests)


def test_a_name_that_is_a_query_is_nobodys_name(bench: EntraBench) -> None:
    refused(bench, lambda: look(bench, aim("x' or mail eq 'jdoe@example.org")), NotFound)


def test_an_id_settles_what_a_name_leaves_open(bench: EntraBench) -> None:
    ambiguous = bench.ambiguous
    with pytest.raises(Ambiguous) as caught:
        look(bench, ambiguous)
    assert GUEST.value in str(caught.value)
    assert run(bench, aim(document(bench, GUEST)["id"])).result == "contained"


def test_a_short_name_is_taken_only_where_its_domain_is_set(bench: EntraBench) -> None:
    assert "entra_domain" in refused(bench, lambda: look(bench, aim("jdoe")), NotFound)
    backend = bench.backend(domain="example.org")
    assert backend.status(aim("jdoe")).subject.name == JDOE.value
    refused(bench, lambda: backend.status(aim("LAB\\jdoe")), NotFound)
    backend.close()


def search_finds(bench: EntraBench, *documents: dict[str, Any]) -> None:
    """Whatever is asked, the search finds these."""
    answer = Told(200, json.dumps({"value": documents}).encode())
    bench.tenant._search = lambda query: answer  # type: ignore[method-assign]


def test_a_search_that_finds_too_much_gets_nobody_disabled(bench: EntraBench) -> None:
    search_finds(bench, *(user.document for user in bench.tenant.users.values()))
    refused(bench, lambda: run(bench, aim("jdo@example.org")), NotFound)
    assert run(bench, JDOE).status.subject.name == JDOE.value


def test_a_search_that_knows_an_old_name_gets_nobody_disabled(bench: EntraBench) -> None:
    search_finds(bench, dict(document(bench)))
    document(bench).update(userPrincipalName="j.doe@example.org", mail="j.doe@example.org")
    assert "renamed" in refused(bench, lambda: run(bench, JDOE), NotFound)
    assert bench.writes() == []


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("AADSTS7000215: Invalid client secret provided.", "secret's value, not its id"),
        ("AADSTS7000222: The provided client secret keys are expired.", "has expired"),
        ("AADSTS700016: Application not found in the directory.", "no app of this tenant"),
        ("AADSTS90002: Tenant not found.", "entra_tenant"),
    ],
)
def test_a_refused_login_names_what_to_correct(bench: EntraBench, fault: str, why: str) -> None:
    bench.tenant.login_fault = fault
    assert why in refused(bench, lambda: run(bench, JDOE), BackendError)


def test_a_wrong_secret_is_not_shown(bench: EntraBench) -> None:
    bench.secrets = ("wr0ng~" + SECRET,)
    backend = bench.backend(secret="wr0ng~" + SECRET)
    assert "entra_client_secret" in refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


@pytest.mark.parametrize("name", ["accountEnabled", "userPrincipalName"])
def test_a_user_that_is_shown_in_part_is_not_disabled(bench: EntraBench, name: str) -> None:
    one = document(bench)["id"]
    document(bench)[name] = None
    assert "User.Read.All" in refused(bench, lambda: run(bench, aim(one)), BackendError)
    assert bench.writes() == []


def test_a_token_that_ends_between_look_and_change_is_renewed(bench: EntraBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.expire_token()
    backend.contain(JDOE, seen, Terms(60, "propolis"))
    backend.close()
    assert bench.in_force(JDOE)
    assert bench.token_requests() == 2


def test_an_account_disabled_since_the_look_is_not_taken_for_ours(bench: EntraBench) -> None:
    """A lease for it would enable what somebody else disabled."""
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.contain_by_other_hands(JDOE)
    sentence = refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert "somebody else" in sentence
    assert bench.writes() == []


def test_a_failing_undo_of_a_disabled_account_asks_no_rights(bench: EntraBench) -> None:
    run(bench, JDOE)
    bench.front.requests.clear()
    bench.fail(Failure.FORBIDDEN, writes_only=True)
    refused(bench, lambda: undo(bench, JDOE), BackendError)
    assert not [asked for asked in bench.front.requests if "roleManagement" in asked.target]


# --- settings -------------------------------------------------------------------------------------------------------


def made(proxy: str | None = None, **more: object) -> Any:
    items = {"entra_tenant": TENANT, "entra_client_id": CLIENT, "entra_client_secret": SECRET, **more}
    return entra.make(Workbench(Items(items), ManualClock(), proxy))


@pytest.mark.parametrize(
    ("cloud", "host"),
    [
        (None, "graph.microsoft.com"),
        ("usgov", "graph.microsoft.us"),
        ("usgov-dod", "dod-graph.microsoft.us"),
        ("china", "microsoftgraph.chinacloudapi.cn"),
    ],
)
def test_each_cloud_has_its_own_graph_and_the_token_is_asked_for_it(cloud: str | None, host: str) -> None:
    backend = made(entra_cloud=cloud)
    assert backend._graph.url == f"https://{host}/v1.0"
    assert backend._graph._api._source._form["scope"] == f"https://{host}/.default"
    assert backend.where == f"Entra ID tenant {TENANT}"


def test_cortexs_proxy_is_used_unless_switched_off() -> None:
    assert made("http://proxy.example.org:3128")._graph._client._proxy == "http://proxy.example.org:3128"
    assert made("http://proxy.example.org:3128", entra_use_proxy=False)._graph._client._proxy is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"entra_tenant": None}, "entra_tenant: is required"),
        ({"entra_tenant": "common"}, "tenant's id or one of its domains"),
        ({"entra_tenant": "../common"}, "tenant's id or one of its domains"),
        ({"entra_client_id": "propolis"}, "app's id"),
        ({"entra_client_secret": None}, "entra_client_secret: is required"),
        ({"entra_cloud": "germany"}, "must be one of global"),
        ({"entra_domain": "not a domain"}, "a domain, such as"),
        ({"entra_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(values: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(**values)
    assert why in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_domain_may_be_written_with_its_at_sign() -> None:
    assert made(entra_domain="@example.org", entra_tenant="example.onmicrosoft.com")._domain == "example.org"


@pytest.mark.shared
def test_every_request_is_one_that_graphs_documentation_knows(bench: EntraBench, shared: Path) -> None:
    bench.tenant.page = 1
    bench.tenant.user(JDOE.value).belongs = [group("One"), group("Two")]
    bench.tenant.lag = 1
    run(bench, JDOE)
    run(bench, JDOE)
    undo(bench, JDOE)
    run(bench, GUEST)
    refused(bench, lambda: run(bench, bench.ambiguous), Ambiguous)
    refused(bench, lambda: run(bench, bench.missing), NotFound)
    contract = Contract(shared / "data/specs/msgraph-users.yaml", FIXTURES / "entra_directory.yaml")
    sent = [read(asked, "/v1.0") for asked in bench.front.requests if "oauth2" not in asked.target]
    assert len(sent) > 30
    assert [fault for request in sent for fault in contract.faults(request)] == []


def test_the_token_is_asked_for_as_the_identity_platform_wants_it(bench: EntraBench) -> None:
    look(bench, JDOE)
    assert bench.tenant.logins == [
        {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET,
         "scope": f"{bench.front.url}/.default"}
    ]  # fmt: skip
