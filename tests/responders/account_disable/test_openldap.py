"""AccountDisable's backend `openldap` against a real slapd with the overlay ppolicy, started by the test session."""

from __future__ import annotations

import gc
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from front_bench import FrontBench
from suite import BackendSuite, look, refused, run, undo
from workers import load_backend

from account_disable import lab_slapd as lab
from account_disable.jobs import Jobs
from account_disable.lab_slapd import DNS, Slapd, Wire
from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.flow import NotOurs
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

pytestmark = [
    pytest.mark.daemon,
    # ldap3 2.9 checks certificate names with it up to Python 3.11, and with its own copy from 3.12 on
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),
]

openldap = load_backend("AccountDisable", "openldap")
server = load_backend("AccountDisable", "ldap_server")
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def aim(name: str) -> Target:
    return Target("account", name, "test")


JDOE, ASMITH = aim("jdoe"), aim("asmith")


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[Slapd]:
    need(shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin"), f"an OpenLDAP server: {lab.PACKAGES}")
    need(shutil.which("openssl"), "openssl")
    running = Slapd(tmp_path_factory.mktemp("slapd"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def forgotten_sockets() -> Iterator[None]:
    """ldap3 2.9 forgets the socket on which TLS failed; it is collected while the test may still ignore it."""
    yield
    gc.collect()


class LdapBench(FrontBench):
    responder = "AccountDisable"
    target = JDOE
    other = ASMITH
    missing = aim("nobody")
    ambiguous = aim("dup")
    protected = tuple(
        aim(name)
        for name in ("deepadmin", "wheeled", "unixroot", "primary", "break-glass-1", "auto-lock", "chair", "noted")
    )
    hostile = (
        aim("*"),
        aim("jdo*"),
        aim("jdoe)(objectClass=*"),
        aim("*)(|(uid=*"),
        aim("x)(uid=jdoe"),
        aim("jdoe\\2a"),
        aim("jdoe\x00"),
        aim("jd\u202eoe"),
        aim("LAB\\jdoe"),
        aim("jdoe@example.org"),
        aim("@example.org"),
        aim("(&"),
        aim("alias"),
        aim("outsider"),
        aim(DNS["asmith"]),
        aim("x" * 300),
    )
    secrets = (lab.SERVICE_PASSWORD,)

    def __init__(self, slapd: Slapd, wire: Wire, *, attribute: str = "description"):
        self.slapd, self.wire, self.attribute = slapd, wire, attribute
        self.clock = ManualClock(NOW)
        self.policy = Policy.parse("accounts: {never_names: [noted], never_groups: [Board]}")
        self._port = wire.port
        self._seen = len(slapd.changes())

    def settings(self, **other: object) -> Any:
        made = server.Settings(
            "127.0.0.1", self._port, False, lab.SERVICE, lab.SERVICE_PASSWORD, str(self.slapd.ca_file), lab.NAME, 5
        )
        return made._replace(**other)

    def backend(self, settings: Any = None, **other: str) -> Backend:
        options = {
            "base_dn": lab.PEOPLE, "group_base_dn": lab.GROUPS, "default_policy": lab.POLICY,
            "mark_attribute": self.attribute, **other,
        }  # fmt: skip
        made: Backend = openldap.OpenLdap(settings or self.settings(), self.clock, **options)
        return made

    def writes(self) -> list[str]:
        return self.slapd.changes()[self._seen :]

    def in_force(self, target: Target) -> bool:
        return self.slapd.bind_says(target.value) == 49

    def contain_by_other_hands(self, target: Target) -> None:
        self.slapd.set(DNS[target.value], **{lab.LOCK: "000001010000Z"})

    def release_by_other_hands(self, target: Target) -> None:
        self.slapd.set(DNS[target.value], **{lab.LOCK: None})

    def shows(self, target: Target) -> tuple[str, ...]:
        return (DNS[target.value].partition("\\")[0], lab.LOCK, "(none) -> 000001010000Z", self.attribute)

    def lose_answer(self) -> None:
        self.wire.losing = lambda: bool(self.slapd.lock(self.target.value))

    def take_down(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])


@pytest.fixture
def wire(slapd: Slapd) -> Iterator[Wire]:
    relay = Wire(slapd.tls_port)
    yield relay
    relay.close()


@pytest.fixture
def bench(slapd: Slapd, wire: Wire) -> LdapBench:
    slapd.reset()
    return LdapBench(slapd, wire)


class TestOpenLdap(BackendSuite):
    """The fixture `bench` is the module's."""


class TestOpenLdapWithoutMarks(BackendSuite):
    @pytest.fixture
    def bench(self, slapd: Slapd, wire: Wire) -> LdapBench:
        slapd.reset()
        return LdapBench(slapd, wire, attribute="")


# --- the lock, and what makes it one --------------------------------------------------------------------------------


def test_the_bind_of_the_locked_is_refused_and_works_again_after_the_undo(bench: LdapBench) -> None:
    assert bench.slapd.bind_says("jdoe") == 0
    run(bench, JDOE)
    assert bench.slapd.bind_says("jdoe") == 49
    undo(bench, JDOE)
    assert bench.slapd.bind_says("jdoe") == 0


def test_a_lock_where_no_policy_locks_is_neither_made_nor_believed(bench: LdapBench) -> None:
    """slapd stores the attribute and lets the user in."""
    for more in ({}, {"observing": ("dry_run is true.",)}):
        sentence = refused(bench, lambda more=more: run(bench, aim("unlocked"), **more), BackendError)  # type: ignore[misc]
        assert f"{lab.NO_LOCKS} does not say pwdLockout TRUE" in sentence
    assert bench.writes() == []
    bench.contain_by_other_hands(aim("unlocked"))
    assert bench.slapd.bind_says("unlocked") == 0
    assert not look(bench, aim("unlocked")).contained


def test_a_lock_of_ours_that_a_new_policy_made_void_is_still_taken_away(bench: LdapBench) -> None:
    run(bench, ASMITH)
    bench.slapd.set(DNS["asmith"], pwdPolicySubentry=lab.NO_LOCKS)
    try:
        seen = look(bench, ASMITH)
        assert (seen.contained, seen.ours, seen.remains) == (False, True, True)
        assert undo(bench, ASMITH).result == "released"
    finally:
        bench.slapd.set(DNS["asmith"], pwdPolicySubentry=None)
    assert (bench.slapd.lock("asmith"), bench.slapd.notes("asmith")) == ("", [])


@pytest.mark.parametrize(
    ("policy", "why"),
    [("", "set openldap_default_policy"), (f"cn=gone,{lab.POLICIES}", "cannot be read")],
)
def test_without_a_policy_that_can_be_read_nobody_is_locked(bench: LdapBench, policy: str, why: str) -> None:
    backend = bench.backend(default_policy=policy)
    seen = backend.status(JDOE)
    sentence = refused(bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError)
    backend.close()
    assert why in sentence
    assert bench.writes() == []


def test_a_lock_after_wrong_passwords_that_ends_by_itself_becomes_one_that_does_not(bench: LdapBench) -> None:
    bench.slapd.set(DNS["asmith"], **{lab.LOCK: "20270115075955Z"})
    seen = look(bench, ASMITH)
    assert not seen.contained
    assert "for a while" in seen.detail
    assert "it was 20270115075955Z, after wrong passwords" in run(bench, ASMITH).done
    assert bench.slapd.lock("asmith") == "000001010000Z"
    undo(bench, ASMITH)
    assert bench.slapd.lock("asmith") == ""


def test_a_lock_after_wrong_passwords_that_is_over_is_told_from_one_that_is_not(bench: LdapBench) -> None:
    bench.slapd.set(DNS["asmith"], **{lab.LOCK: "20270115074955Z"})
    assert "and over" in look(bench, ASMITH).detail


def test_a_lock_after_wrong_passwords_that_never_ends_is_the_servers_and_stays(bench: LdapBench) -> None:
    bench.slapd.set(DNS["strict"], **{lab.LOCK: "20260115075955Z"})
    assert "somebody else" in run(bench, aim("strict")).done
    refused(bench, lambda: undo(bench, aim("strict")), NotOurs)
    assert bench.slapd.lock("strict") == "20260115075955Z"
    assert bench.writes() == []


def test_an_undo_by_lease_takes_away_no_lock_of_the_servers_own(slapd: Slapd, wire: Wire) -> None:
    slapd.reset()
    bench = LdapBench(slapd, wire, attribute="")
    bench.slapd.set(DNS["strict"], **{lab.LOCK: "20260115075955Z"})
    refused(bench, lambda: undo(bench, aim("strict"), lease="lease-1"))
    assert bench.slapd.lock("strict") == "20260115075955Z"


def test_a_connection_that_is_bound_goes_on_and_the_report_says_so(bench: LdapBench) -> None:
    connection, code = bench.slapd.connect(DNS["jdoe"], lab.PASSWORD)
    assert code == 0
    remaining = " ".join(run(bench, JDOE).remaining)
    assert connection.search(lab.POLICIES, "(cn=default)", attributes=["cn"])
    assert connection.response
    connection.unbind()
    for words in ("bound already", "SSH keys", "cached credentials", "password was not changed"):
        assert words in remaining


# --- the mark -------------------------------------------------------------------------------------------------------


def test_the_mark_is_a_value_of_its_own_and_other_peoples_stay(bench: LdapBench) -> None:
    bench.guard = lambda target, status: None  # type: ignore[method-assign]
    run(bench, aim("noted"))
    assert bench.slapd.notes("noted") == [
        "Ticket 4711: wants a second screen.",
        "propolis case=128 by=analyst@soc.example lock=ppolicy",
    ]
    bench.slapd.set(DNS["noted"], description=[*bench.slapd.notes("noted"), "Called him, 14:30."])
    undo(bench, aim("noted"))
    assert bench.slapd.notes("noted") == ["Called him, 14:30.", "Ticket 4711: wants a second screen."]


def test_prose_that_begins_like_our_mark_is_no_mark(bench: LdapBench) -> None:
    bench.slapd.set(DNS["asmith"], description="propolis is what bees use", **{lab.LOCK: "000001010000Z"})
    refused(bench, lambda: undo(bench, ASMITH), NotOurs)
    assert bench.slapd.lock("asmith") == "000001010000Z"


def test_a_mark_left_on_an_account_that_was_unlocked_by_hand_is_replaced_or_taken_away(bench: LdapBench) -> None:
    run(bench, JDOE)
    bench.release_by_other_hands(JDOE)
    assert "our mark is left in description" in look(bench, JDOE).detail
    run(bench, JDOE, mark="propolis case=130")
    assert bench.slapd.notes("jdoe") == ["propolis case=130 lock=ppolicy"]
    bench.release_by_other_hands(JDOE)
    assert undo(bench, JDOE).result == "released"
    assert bench.slapd.notes("jdoe") == []


def test_an_attribute_that_takes_no_further_value_stops_the_lock(bench: LdapBench) -> None:
    bench.slapd.set(DNS["asmith"], preferredLanguage="en")
    bench.attribute = "employeeNumber"
    assert "docs/backends-openldap.md" in refused(bench, lambda: run(bench, ASMITH), BackendError)
    assert bench.slapd.lock("asmith") == ""


def test_two_jobs_at_the_same_moment_are_one_lock_with_one_mark(bench: LdapBench) -> None:
    first, second = bench.backend(), bench.backend()
    seen = second.status(JDOE)
    edge = second._server  # type: ignore[attr-defined]
    change = edge.change

    def late(dn: str, changes: object) -> None:
        first.contain(JDOE, first.status(JDOE), Terms(60, "propolis case=128"))
        change(dn, changes)

    edge.change = late
    assert "another job did it" in second.contain(JDOE, seen, Terms(60, "propolis case=999")).done
    first.close()
    second.close()
    assert bench.slapd.notes("jdoe") == ["propolis case=128 lock=ppolicy"]


def test_a_lock_set_by_somebody_else_since_the_look_is_not_taken_for_ours(bench: LdapBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    bench.contain_by_other_hands(JDOE)
    assert "somebody else just now" in refused(
        bench, lambda: backend.contain(JDOE, seen, Terms(60, "propolis")), BackendError
    )
    backend.close()
    assert bench.writes() == []


def test_an_account_that_was_replaced_meanwhile_is_left_alone(bench: LdapBench) -> None:
    backend = bench.backend()
    seen = backend.status(JDOE)
    moved = seen._replace(subject=seen.subject._replace(ids=("another-uuid",)))
    for act in (lambda: backend.contain(JDOE, moved, Terms(60, "propolis")), lambda: backend.release(JDOE, moved)):
        assert "moved or deleted meanwhile" in refused(bench, act, BackendError)
    backend.close()
    assert bench.writes() == []


# --- who ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["jdoe", "JDOE", "jane.doe@example.org", "Jane.Doe@Example.ORG"])
def test_the_login_name_and_the_mail_address_mean_the_same_account(bench: LdapBench, name: str) -> None:
    assert look(bench, aim(name)).subject.id.casefold() == DNS["jdoe"].casefold()


def test_two_accounts_of_one_name_are_listed_and_left_alone(bench: LdapBench) -> None:
    with pytest.raises(Ambiguous) as caught:
        run(bench, aim("dup"))
    assert set(caught.value.candidates) == set(lab.DUP)


@pytest.mark.parametrize("name", ["j doe", "outsider", "alias", "Somebody"])
def test_only_an_account_of_exactly_this_name_below_the_base_is_found(bench: LdapBench, name: str) -> None:
    refused(bench, lambda: look(bench, aim(name)), NotFound)


def test_spaces_that_the_server_does_not_count_do_not_make_another_name_ours(bench: LdapBench) -> None:
    bench.slapd.set(DNS["asmith"], mail="anna  smith@example.org")
    try:
        assert "only nearly" in refused(bench, lambda: look(bench, aim("anna smith@example.org")), NotFound)
    finally:
        bench.slapd.set(DNS["asmith"], mail=None)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("deepadmin", "administrative"),
        ("wheeled", "administrative"),
        ("unixroot", "administrative"),
        ("primary", "administrative"),
        ("break-glass-1", "break-glass"),
        ("auto-lock", "integration works with"),
        ("noted", "names noted"),
        ("chair", "names Board"),
    ],
)
def test_the_protected_are_refused_for_the_right_reason(bench: LdapBench, name: str, why: str) -> None:
    assert why in refused(bench, lambda: run(bench, aim(name)), Refused)


def test_every_group_shows_the_nested_ones_and_the_unix_ones_too(bench: LdapBench) -> None:
    assert {"helpers", "seniors", "admins", f"cn=admins,{lab.GROUPS}"} <= set(
        look(bench, aim("deepadmin")).subject.groups
    )
    assert set(look(bench, ASMITH).subject.groups) == {"users", f"cn=users,{lab.GROUPS}"}


def test_where_groups_cannot_be_read_nobody_is_locked_and_an_undo_still_works(bench: LdapBench) -> None:
    backend = bench.backend(group_base_dn=f"ou=gone,{lab.BASE}")
    seen = backend.status(JDOE)
    assert seen.subject.privileged
    with pytest.raises(Refused, match="nobody could tell"):
        bench.guard(JDOE, seen)
    backend.close()
    run(bench, JDOE)
    backend = bench.backend(group_base_dn=f"ou=gone,{lab.BASE}")
    backend.release(JDOE, backend.status(JDOE))
    backend.close()
    assert not bench.in_force(JDOE)


def test_a_distinguished_name_can_stand_in_never_ids(bench: LdapBench) -> None:
    bench.policy = Policy.parse(f"accounts: {{never_ids: ['{DNS['asmith'].upper()}']}}")
    assert "never_ids" in refused(bench, lambda: run(bench, ASMITH), Refused)


# --- the connection -------------------------------------------------------------------------------------------------


def starttls(bench: LdapBench, **other: object) -> Any:
    return bench.settings(port=bench.slapd.port, starttls=True, **other)


def test_starttls_serves_as_ldaps_does(bench: LdapBench) -> None:
    backend = bench.backend(starttls(bench))
    backend.contain(JDOE, backend.status(JDOE), Terms(60, "propolis"))
    assert backend.status(JDOE).ours
    assert "with StartTLS" in backend.where
    backend.close()
    assert bench.in_force(JDOE)


@pytest.mark.usefixtures("forgotten_sockets")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["ldaps", "starttls"])
@pytest.mark.parametrize(
    ("other", "why"), [({"ca_file": None}, "openldap_ca_file"), ({"valid_name": "other.example.test"}, "another name")]
)
def test_a_certificate_that_does_not_hold_gets_no_password(
    bench: LdapBench, way: str, other: dict[str, object], why: str
) -> None:
    before = bench.slapd.log.read_text("utf-8", "replace").count("BIND dn")
    settings = starttls(bench, **other) if way == "starttls" else bench.settings(**other)
    backend = bench.backend(settings)
    assert why in refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()
    assert bench.slapd.log.read_text("utf-8", "replace").count("BIND dn") == before


def test_a_server_without_starttls_gets_no_password(bench: LdapBench, tmp_path: Path) -> None:
    bare = Slapd(tmp_path, tls=False)
    try:
        bare.start()
        backend = bench.backend(starttls(bench)._replace(port=bare.port))
        assert "offers no StartTLS" in refused(bench, lambda: backend.status(JDOE), BackendError)
        backend.close()
        assert f'BIND dn="{lab.SERVICE}"' not in bare.log.read_text("utf-8", "replace")
    finally:
        bare.stop()


@pytest.mark.usefixtures("forgotten_sockets")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["tls to a port without", "starttls to a port with"])
def test_the_wrong_port_is_one_clear_sentence(bench: LdapBench, way: str) -> None:
    settings = (
        bench.settings(port=bench.slapd.port)
        if way.startswith("tls")
        else starttls(bench)._replace(port=bench.slapd.tls_port, timeout=1)
    )
    backend = bench.backend(settings)
    refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


@pytest.mark.parametrize(
    ("other", "why"),
    [({"bind_password": "wr0ng"}, "openldap_bind_password"), ({"bind_dn": f"cn=nobody,{lab.BASE}"}, "(49)")],
)
def test_credentials_that_are_refused_name_their_items(bench: LdapBench, other: dict[str, object], why: str) -> None:
    bench.secrets = ("wr0ng", lab.SERVICE_PASSWORD)
    backend = bench.backend(bench.settings(**other))
    assert why in refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


def test_a_connection_that_broke_is_opened_again(bench: LdapBench) -> None:
    backend = bench.backend()
    backend.status(JDOE)
    bench.wire.losing = lambda: True
    refused(bench, lambda: backend.status(JDOE), BackendError)
    assert not backend.status(JDOE).contained
    backend.close()


def test_a_base_that_is_not_there_is_named(bench: LdapBench) -> None:
    backend = bench.backend(base_dn=f"ou=gone,{lab.BASE}")
    assert "openldap_base_dn" in refused(bench, lambda: backend.status(JDOE), BackendError)
    backend.close()


def test_the_bind_account_can_write_two_attributes_below_people_and_nothing_else(bench: LdapBench) -> None:
    """The access rules of the documentation, which are the lab's."""
    backend = bench.backend()
    edge = backend._server  # type: ignore[attr-defined]
    for dn, attribute in ((DNS["jdoe"], "mail"), (DNS["jdoe"], "userPassword"), (DNS["outsider"], "description")):
        with pytest.raises(BackendError, match=r"\(50\)"):
            edge.change(dn, {attribute: [("replace", [b"x@example.org"])]})
    backend.close()


# --- jobs, as Cortex starts them ------------------------------------------------------------------------------------


def test_a_job_locks_the_undo_unlocks_and_no_report_shows_the_password(bench: LdapBench, tmp_path: Path) -> None:
    jobs = Jobs(
        tmp_path,
        backend="openldap",
        openldap_server="127.0.0.1",
        openldap_port=bench.slapd.tls_port,
        openldap_valid_name=lab.NAME,
        openldap_ca_file=str(bench.slapd.ca_file),
        openldap_bind_dn=lab.SERVICE,
        openldap_bind_password=lab.SERVICE_PASSWORD,
        openldap_base_dn=lab.PEOPLE,
        openldap_group_base_dn=lab.GROUPS,
        openldap_default_policy=lab.POLICY,
        openldap_mark_attribute="description",
    )
    done = jobs.disable("jdoe")
    assert done.full["result"] == "contained"
    assert "pwdAccountLockedTime is 000001010000Z" in done.full["verified"]
    assert bench.slapd.bind_says("jdoe") == 49
    assert "administrative" in jobs.disable("deepadmin").error
    undone = jobs.enable("jdoe")
    assert undone.full["result"] == "released"
    assert bench.slapd.bind_says("jdoe") == 0
    assert lab.SERVICE_PASSWORD not in done.text + undone.text


# --- settings -------------------------------------------------------------------------------------------------------


def made(**more: object) -> Any:
    items = {
        "openldap_server": "ldap.example.org", "openldap_bind_dn": lab.SERVICE, "openldap_base_dn": lab.PEOPLE,
        "openldap_bind_password": "secret", **more,
    }  # fmt: skip
    return openldap.make(Workbench(Items(items), ManualClock(), None))


def test_it_is_made_from_its_items() -> None:
    backend = made(openldap_mark_attribute="description")
    assert backend.where == f"ldaps://ldap.example.org:636 below {lab.PEOPLE}"
    assert backend.marks
    assert not made().marks
    assert made(openldap_starttls=True).where.startswith("ldap://ldap.example.org:389 with StartTLS")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"openldap_server": "ldap://ldap.example.org"}, "a host name or an address alone"),
        ({"openldap_server": None}, "openldap_server: is required"),
        ({"openldap_bind_dn": "propolis"}, "openldap_bind_dn: is no distinguished name"),
        ({"openldap_base_dn": None}, "openldap_base_dn: is required"),
        ({"openldap_base_dn": "people"}, "openldap_base_dn: is no distinguished name"),
        ({"openldap_default_policy": "default"}, "openldap_default_policy: is no distinguished name"),
        ({"openldap_group_base_dn": "groups"}, "openldap_group_base_dn: is no distinguished name"),
        ({"openldap_login_attribute": "uid)(a=*"}, "no name of an attribute"),
        ({"openldap_mark_attribute": "userPassword"}, "cannot carry a mark"),
        ({"openldap_mark_attribute": "a b"}, "no name of an attribute"),
        ({"openldap_valid_name": "*"}, "would switch the check off"),
        ({"openldap_ca_file": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
        ({"openldap_ca_file": "/etc/hostname"}, "no certificate in PEM form"),
        ({"timeout_seconds": 0}, "between 1 and 120"),
    ],
)
def test_a_setting_that_cannot_work_is_named(values: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        made(**values)
    assert why in str(caught.value)
