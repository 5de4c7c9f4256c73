"""AccountDisable's backend `keycloak`: the suite, and what is Keycloak's own, against a realm that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from account_disable.fake_keycloak import CLIENT, MANAGEMENT, REALM, SECRET, FakeKeycloak
from contract import Contract, Request
from suite import BackendSuite, Failure, HttpBench, HttpFailures, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Status, Target, Terms
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

keycloak = load_backend("AccountDisable", "keycloak")
realm = load_backend("AccountDisable", "realm")
account = load_backend("AccountDisable", "account")
guard = load_backend("AccountDisable", "guard")


FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "account_disable"


def aim(name: str) -> Target:
    return Target("account", name, "test")


class KeycloakBench(HttpBench):
    target = aim("jdoe")
    other = aim("asmith")
    missing = aim("nobody")
    ambiguous = aim("shared@mail.example.test")
    protected = (
        aim("admin"),
        aim("break-glass-1"),
        aim("helpdesk"),
        aim("grouped"),
        aim("composed"),
        aim("service-account-robot"),
        aim(f"service-account-{CLIENT}"),
    )
    hostile = (
        aim("jdo"),
        aim("*"),
        aim("j*"),
        aim("../jdoe"),
        aim("jdoe&exact=false"),
        aim("jdoe\x00"),
        aim("jd\u202eoe"),
        aim("a\\b\\jdoe"),
        aim("@"),
        aim("x" * 300),
    )
    secrets = (SECRET,)

    def __init__(self, product: FakeKeycloak, *, marks: bool = True):
        self.product = product
        self.clock = ManualClock()
        self.mark = "propolis" if marks else ""
        product.add("jdoe", online=2, offline={"mail-app": 1}, consents={"mail-app": ["profile"], "evil-app": ["mail"]})
        product.add("asmith")
        product.add("jdoe-2")
        product.add("one", email="shared@mail.example.test")
        product.add("two", email="shared@mail.example.test")
        product.add("admin", realm_roles=["admin"])
        product.add("break-glass-1")
        product.add("helpdesk", client_roles={MANAGEMENT: ["query-users"]})
        product.add("grouped", groups=["/it/admins"])
        product.group_roles["/it/admins"] = {MANAGEMENT: ["manage-users"]}
        product.add("composed", realm_roles=["support-lead"])
        product.composites["support-lead"] = {MANAGEMENT: ["view-users"]}
        product.add("service-account-robot")

    def backend(self, **more: str) -> Backend:
        settings = realm.Settings(self.product.url, self.product.realm, CLIENT, SECRET, None, None, 0.4)
        made: Backend = keycloak.Keycloak(settings, self.clock, mark_attribute=self.mark, **more)
        return made

    def writes(self) -> list[str]:
        return list(self.product.changes)

    def in_force(self, target: Target) -> bool:
        return not self.product.user(target.value).document["enabled"]

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.user(target.value).document["enabled"] = False

    def release_by_other_hands(self, target: Target) -> None:
        self.product.user(target.value).document["enabled"] = True

    def guard(self, target: Target, status: Status | None) -> None:
        guard.check(Policy.parse(None), target, status)

    def canonical(self, target: Target) -> Target:
        return target._replace(value=account.parse_account(target.value).text)

    def lose_answer(self) -> None:
        self.product.lose_next = True

    def take_down(self) -> None:
        self.product.take_down()

    def shows(self, target: Target) -> tuple[str, ...]:
        return (target.value, self.product.user(target.value).document["id"], "enabled: false")

    def fail(self, failure: Failure, *, writes_only: bool = False) -> None:
        self.product.failure, self.product.writes_only = failure, writes_only

    def mend(self) -> None:
        self.product.failure = None

    def redirected(self) -> list[str]:
        return self.product.elsewhere

    def expire_token(self) -> None:
        self.product.tokens.clear()

    def token_requests(self) -> int:
        return sum("openid-connect" in request.path for request in self.product.requests)


@pytest.fixture
def product() -> Iterator[FakeKeycloak]:
    with FakeKeycloak() as running:
        yield running


class TestKeycloak(BackendSuite, HttpFailures):
    @pytest.fixture
    def bench(self, product: FakeKeycloak) -> KeycloakBench:
        return KeycloakBench(product)


class TestKeycloakWithoutMarks(BackendSuite):
    @pytest.fixture
    def bench(self, product: FakeKeycloak) -> KeycloakBench:
        return KeycloakBench(product, marks=False)


@pytest.fixture
def bench(product: FakeKeycloak) -> KeycloakBench:
    return KeycloakBench(product)


def text_of(bench: KeycloakBench, name: str) -> str:
    return refused(bench, lambda: run(bench, aim(name)))


def test_everything_of_the_user_survives_but_what_was_asked_for(bench: KeycloakBench) -> None:
    user = bench.product.user("jdoe")
    before = dict(user.document)
    run(bench, bench.target)
    during = dict(user.document)
    undo(bench, bench.target)
    assert during["attributes"] == {**before["attributes"], "propolis": ["propolis case=128 by=analyst@soc.example"]}
    assert {name: during[name] for name in before if name not in ("enabled", "attributes", "notBefore")} == {
        name: before[name] for name in before if name not in ("enabled", "attributes", "notBefore")
    }
    assert {**user.document, "notBefore": 0} == before


def test_what_others_change_meanwhile_stays(bench: KeycloakBench) -> None:
    run(bench, bench.target)
    bench.product.user("jdoe").document["attributes"]["ticket"] = ["4711"]
    bench.product.user("jdoe").document["requiredActions"] = ["UPDATE_PASSWORD"]
    undo(bench, bench.target)
    document = bench.product.user("jdoe").document
    assert document["attributes"] == {"department": ["R&D"], "badge": ["17", "18"], "ticket": ["4711"]}
    assert document["requiredActions"] == ["UPDATE_PASSWORD"]


def test_sessions_end_and_the_offline_ones_do_not_come_back_with_the_undo(bench: KeycloakBench) -> None:
    assert bench.product.revives("jdoe", "mail-app")
    outcome = run(bench, bench.target)
    user = bench.product.user("jdoe")
    assert (user.online, user.offline, user.consents) == (0, {}, {})
    assert outcome.ended == (
        "2 online sessions.",
        "Tokens issued before 2026-01-01T00:00:00Z are refused by Keycloak.",
        "The consent of client evil-app.",
        "The consent and 1 offline session of client mail-app.",
    )
    undo(bench, bench.target)
    assert user.document["enabled"]
    assert not bench.product.revives("jdoe", "mail-app")


def test_the_report_names_what_lives_on(bench: KeycloakBench) -> None:
    remaining = " ".join(run(bench, bench.target).remaining)
    assert "Access tokens issued already" in remaining
    assert "password" in remaining


def test_sessions_that_could_not_be_ended_are_told_and_the_user_stays_disabled(bench: KeycloakBench) -> None:
    bench.product.logout_fails = True
    outcome = run(bench, bench.target)
    assert outcome.result == "contained"
    assert any(line.startswith("NOT ended") and "manage-users" in line for line in outcome.remaining)
    assert "2 online session(s) at Keycloak." in outcome.remaining
    assert bench.product.user("jdoe").offline == {}


def test_an_undo_warns_of_offline_sessions_that_come_back(bench: KeycloakBench) -> None:
    run(bench, bench.target)
    bench.product.user("jdoe").offline["mail-app"] = 1
    assert any("mail-app" in line for line in undo(bench, bench.target).remaining)


def test_a_realm_that_drops_our_attribute_is_named_before_anything_is_disabled(bench: KeycloakBench) -> None:
    bench.product.unmanaged = None
    sentence = text_of(bench, "jdoe")
    assert "did not store the attribute propolis" in sentence
    assert "Unmanaged attributes" in sentence
    assert bench.product.user("jdoe").document["enabled"]
    assert not any("enabled=False" in change for change in bench.writes())


def test_somebody_elses_text_in_the_attribute_is_never_overwritten(bench: KeycloakBench) -> None:
    bench.product.user("jdoe").document["attributes"]["propolis"] = ["from the hive"]
    assert "never overwritten" in text_of(bench, "jdoe")
    assert bench.writes() == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("admin", "first administrator"),
        ("helpdesk", "administrative"),
        ("grouped", "administrative"),
        ("composed", "administrative"),
        ("break-glass-1", "break-glass"),
        ("service-account-robot", "service accounts"),
        (f"service-account-{CLIENT}", "service accounts"),
    ],
)
def test_the_protected_are_refused_for_the_right_reason(bench: KeycloakBench, name: str, why: str) -> None:
    sentence = refused(bench, lambda: run(bench, aim(name)), Refused)
    assert why in sentence
    assert bench.writes() == []


def test_in_the_realm_master_whoever_administers_any_realm_is_an_administrator() -> None:
    with FakeKeycloak("master", "master-realm") as product:
        bench = KeycloakBench(product)
        product.add("elsewhere-admin", client_roles={"staff-realm": ["view-users"]})
        product.add("root-like", realm_roles=["create-realm"])
        for name in ("elsewhere-admin", "root-like"):
            assert "administrative" in refused(bench, lambda name=name: run(bench, aim(name)), Refused)
        assert run(bench, bench.target).result == "contained"


def test_a_group_and_a_role_on_the_never_list_are_found(bench: KeycloakBench) -> None:
    bench.product.user("jdoe").groups = ["/board/chairs"]
    bench.product.user("asmith").client_roles = {"mail-app": ["postmaster"]}
    assert "/board/chairs" in look(bench, bench.target).subject.groups
    assert {"postmaster", "mail-app:postmaster"} <= set(look(bench, bench.other).subject.tags)


def test_where_roles_are_hidden_nobody_is_disabled(bench: KeycloakBench) -> None:
    bench.product.hides_roles = True
    sentence = text_of(bench, "jdoe")
    assert "view-clients" in sentence
    assert "view-realm" in sentence
    assert bench.writes() == []


def test_an_undo_does_not_wait_for_roles_to_be_shown(bench: KeycloakBench) -> None:
    run(bench, bench.target)
    bench.product.hides_roles = True
    assert undo(bench, bench.target).result == "released"


def test_a_token_that_says_nothing_of_us_is_no_obstacle(bench: KeycloakBench) -> None:
    bench.product.lightweight = True
    assert run(bench, bench.target).result == "contained"
    assert look(bench, aim(f"service-account-{CLIENT}")).subject.own


def test_we_ourselves_are_known_even_where_service_accounts_are_allowed(bench: KeycloakBench) -> None:
    subject = look(bench, aim(f"service-account-{CLIENT}")).subject
    assert subject.own
    assert subject.privileged
    assert not look(bench, aim("service-account-robot")).subject.own


@pytest.mark.parametrize("name", ["JDoe", "jdoe@mail.example.test", "JDOE@MAIL.example.test"])
def test_name_and_mail_address_mean_the_same_user(bench: KeycloakBench, name: str) -> None:
    assert look(bench, aim(name)).subject.name == "jdoe"


def test_a_name_that_is_part_of_many_others_is_found(bench: KeycloakBench) -> None:
    for number in range(20):
        bench.product.add(f"kim-{number}")
    bench.product.add("kim")
    assert look(bench, aim("kim")).subject.name == "kim"
    assert look(bench, aim("kim@mail.example.test")).subject.name == "kim"


def test_one_users_name_that_is_anothers_mail_address_means_two(bench: KeycloakBench) -> None:
    bench.product.add("asmith@mail.example.test", email="other@mail.example.test")
    with pytest.raises(Ambiguous):
        run(bench, aim("asmith@mail.example.test"))


def test_a_windows_domain_is_only_taken_where_it_is_configured(bench: KeycloakBench) -> None:
    assert "kc_domain" in refused(bench, lambda: look(bench, aim("LAB\\jdoe")), NotFound)
    backend = bench.backend(domain="lab")
    assert backend.status(aim("LAB\\jdoe")).subject.name == "jdoe"
    refused(bench, lambda: backend.status(aim("PC-7\\jdoe")), NotFound)
    backend.close()


def test_a_server_that_ignores_exact_gets_nobody_disabled(bench: KeycloakBench) -> None:
    search = bench.product._search
    bench.product._search = lambda query: search({**query, "exact": "false"})  # type: ignore[method-assign]
    refused(bench, lambda: run(bench, aim("jdo")), NotFound)
    assert run(bench, bench.target).status.subject.name == "jdoe"


def test_a_federated_user_that_is_read_only_is_said_to_be_so(bench: KeycloakBench) -> None:
    bench.product.add("ldapper", federation="ldap-1", read_only=True)
    sentence = text_of(bench, "ldapper")
    assert "user federation" in sentence
    assert "disable it in that directory" in sentence


def test_a_federated_user_that_can_be_written_is_disabled_with_a_warning(bench: KeycloakBench) -> None:
    bench.product.add("ldapper", federation="ldap-1")
    outcome = run(bench, aim("ldapper"))
    assert any("next synchronisation may undo this" in line for line in outcome.remaining)
    assert bench.product.user("ldapper").document["federationLink"] == "ldap-1"


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "2"}, {"Retry-After": "Thu, 01 Jan 2026 00:00:07 GMT"}, {"X-RateLimit-Reset": "1767225605000"}],
    ids=["seconds", "date", "epoch ms"],
)
def test_a_change_that_was_put_off_is_made_after_the_wait(bench: KeycloakBench, headers: dict[str, str]) -> None:
    bench.product.refuse_once = [(429, headers), (503, headers)]
    start = bench.clock.now()
    assert run(bench, bench.target).result == "contained"
    assert bench.clock.now() > start
    assert len(bench.writes()) == len(set(bench.writes()))


def test_a_change_whose_answer_is_lost_is_looked_up_and_told(bench: KeycloakBench) -> None:
    bench.mark = ""
    bench.product.lose_next = True
    outcome = run(bench, bench.target)
    assert "the answer was lost, and the change was found made" in outcome.done
    assert sum("PUT" in change for change in bench.writes()) == 1


def test_an_undo_whose_answer_is_lost_is_looked_up_and_told(bench: KeycloakBench) -> None:
    run(bench, bench.target)
    bench.product.lose_next = True
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "found made" in outcome.done


def test_a_token_that_ends_between_look_and_change_is_renewed(bench: KeycloakBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.product.tokens.clear()
    backend.contain(bench.target, seen, Terms(60, "propolis case=1"))
    backend.close()
    assert bench.in_force(bench.target)


def test_a_wrong_secret_names_the_items_and_shows_no_secret(bench: KeycloakBench) -> None:
    settings = realm.Settings(bench.product.url, REALM, CLIENT, "wr0ng-" + SECRET, None, None, 1.0)
    backend = keycloak.Keycloak(settings, bench.clock)
    bench.secrets = ("wr0ng-" + SECRET,)
    sentence = refused(bench, lambda: backend.status(bench.target), BackendError)
    assert "kc_client_secret" in sentence


def test_a_dry_run_reads_and_never_writes(bench: KeycloakBench) -> None:
    outcome = run(bench, bench.target, observing=("dry_run is true.",))
    assert "enabled: false" in outcome.request
    assert {request.method for request in bench.product.requests if "openid" not in request.path} == {"GET"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"kc_url": "http://sso.example.org"}, "must begin with https://"),
        ({"kc_url": "ftp://sso.example.org"}, "must begin with https://"),
        ({"kc_url": "https://"}, "name a host"),
        ({"kc_url": None}, "kc_url: is required"),
        ({"kc_client_secret": None}, "kc_client_secret: is required"),
        ({"kc_mark_attribute": "email"}, "cannot carry a mark"),
        ({"kc_mark_attribute": "a b"}, "cannot carry a mark"),
        ({"kc_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem does not exist"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(values: dict[str, object], why: str) -> None:
    config = {
        "kc_url": "https://sso.example.org",
        "kc_realm": REALM,
        "kc_client_id": CLIENT,
        "kc_client_secret": SECRET,
        **values,
    }
    with pytest.raises(ConfigurationError) as caught:
        keycloak.Keycloak.from_items(Items(config), clock=ManualClock(), proxy=None)
    assert why in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mark", ["propolis", ""])
def test_what_somebody_else_disables_between_look_and_act_is_not_made_ours(bench: KeycloakBench, mark: str) -> None:
    bench.mark = mark
    backend = bench.backend()
    status = backend.status(bench.target)
    bench.contain_by_other_hands(bench.target)
    refused(bench, lambda: backend.contain(bench.target, status, Terms(3600, "propolis case=1")), BackendError)
    backend.close()


@pytest.mark.shared
def test_every_request_is_one_that_the_official_client_could_send(bench: KeycloakBench, shared: Path) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    refused(bench, lambda: run(bench, bench.ambiguous or bench.target), Ambiguous)
    contract = Contract(shared / "data/specs/keycloak-admin.yaml", FIXTURES / "keycloak_roles.yaml")
    assert len(bench.product.requests) > 20
    assert [fault for request in bench.product.requests for fault in contract.faults(request)] == []


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (("DELETE", "/admin/realms/staff/users/1", (), {}, None, ""), "no such operation"),
        (("GET", "/admin/realms/staff/groups", (), {}, None, ""), "no such path"),
        (("GET", "/admin/realms/staff/users", (("name", "x"),), {}, None, ""), "name"),
        (("GET", "/admin/realms/staff/users", (("exact", "yes"),), {}, None, ""), "exact"),
        (("PUT", "/admin/realms/staff/users/1", (), {}, {"enabled": "no"}, "application/json"), "enabled"),
        (("PUT", "/admin/realms/staff/users/1", (), {}, None, ""), "body"),
    ],
)
@pytest.mark.shared
def test_the_contract_would_notice(shared: Path, request_: tuple[Any, ...], why: str) -> None:
    contract = Contract(shared / "data/specs/keycloak-admin.yaml", FIXTURES / "keycloak_roles.yaml")
    assert why in " ".join(contract.faults(Request(*request_)))
