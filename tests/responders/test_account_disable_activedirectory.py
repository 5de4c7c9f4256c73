"""AccountDisable's backend `activedirectory` against a real domain controller: Samba, started by the test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account_disable import samba_dc as lab
from account_disable.jobs import Jobs, observable
from account_disable.samba_dc import SambaDc
from cortexjob import Report
from suite import BackendSuite, Bench, is_sentence, look, refused, run, undo
from workers import load_backend

from propolis.clock import ManualClock
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Status, Target, Terms
from propolis.containment.flow import NotOurs
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.root,
    # ldap3 2.9 checks certificate names with it up to Python 3.11, and with its own copy from 3.12 on
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),
]

activedirectory = load_backend("AccountDisable", "activedirectory")
directory = load_backend("AccountDisable", "directory")
account = load_backend("AccountDisable", "account")
guard = load_backend("AccountDisable", "guard")

POLICY = Policy.parse("accounts: {never_names: [noted]}\n")


# ldap3 2.9 forgets the socket on which the check of the name failed
LEAKS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def aim(name: str) -> Target:
    return Target("account", name, "test")


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory, need: Callable[[object, str], None]) -> Iterator[SambaDc]:
    need(hasattr(os, "geteuid") and os.geteuid() == 0, "root")
    need(shutil.which("ip"), "iproute2")
    need(all(map(shutil.which, ("samba", "samba-tool", "ldbmodify"))), f"a Samba domain controller: {lab.PACKAGES}")
    running = SambaDc(tmp_path_factory.mktemp("samba"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


class Wire:
    """A relay before the domain controller that can lose the answer to the change that disables an account."""

    def __init__(self, controller: SambaDc):
        self.controller = controller
        self.losing = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((lab.DC, 636), timeout=10)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self.losing and self.controller.flags(self.losing) & 2:
                    self.losing = ""
                    break
                sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        sink.close()


class AdBench(Bench):
    target = aim("jdoe")
    other = aim("LAB\\asmith")
    missing = aim("nobody")
    ambiguous = aim("dup@lab.example.test")
    protected = (
        aim("Administrator"),
        aim("krbtgt"),
        aim("deepadmin"),
        aim("oldadmin"),
        aim("primadmin"),
        aim("break-glass-1"),
        aim("auto-disable"),
        aim("noted"),
    )
    hostile = (
        aim("*"),
        aim("jdo*"),
        aim("jdoe)(objectClass=*"),
        aim("*)(|(sAMAccountName=*"),
        aim("jdoe\x00"),
        aim("jd\u202eoe"),
        aim("WORKSTATION-7\\jdoe"),
        aim("a\\b\\jdoe"),
        aim("DC1$"),
        aim("@lab.example.test"),
        aim("(&"),
        aim("\\jdoe"),
        aim("x" * 300),
    )
    secrets = (lab.SERVICE_PASSWORD,)

    def __init__(self, controller: SambaDc, wire: Wire, *, attribute: str = "info"):
        self.controller = controller
        self.clock = ManualClock()
        self._attribute = attribute
        self._wire = wire
        self._port = wire.port
        self._start = self._seen = controller.version()

    def backend(self, **more: str) -> Backend:
        settings = directory.Settings(
            "127.0.0.1", self._port, lab.SERVICE, lab.SERVICE_PASSWORD, str(self.controller.ca_file), lab.NAME, 5
        )
        made: Backend = activedirectory.ActiveDirectory(settings, mark_attribute=self._attribute, **more)
        return made

    def writes(self) -> list[str]:
        """The directory numbers every change it makes."""
        return [f"change {number}" for number in range(self._start, self.controller.version())]

    def in_force(self, target: Target) -> bool:
        return "data 533" in self.controller.bind_says(target.value.rpartition("\\")[2])

    def contain_by_other_hands(self, target: Target) -> None:
        name = target.value.rpartition("\\")[2]
        self.controller.set(name, userAccountControl=lab.USERS[name].flags | 2)

    def release_by_other_hands(self, target: Target) -> None:
        name = target.value.rpartition("\\")[2]
        self.controller.set(name, userAccountControl=lab.USERS[name].flags)

    def guard(self, target: Target, status: Status | None) -> None:
        guard.check(POLICY, target, status)

    def canonical(self, target: Target) -> Target:
        return target._replace(value=account.parse_account(target.value).text)

    def shows(self, target: Target) -> tuple[str, ...]:
        return (lab.USERS[target.value].dn, "66048 -> 66050", "info")

    def lose_answer(self) -> None:
        self._wire.losing = self.target.value

    def take_down(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = int(probe.getsockname()[1])


@pytest.fixture
def wire(controller: SambaDc) -> Iterator[Wire]:
    relay = Wire(controller)
    yield relay
    relay.close()


@pytest.fixture
def clean(controller: SambaDc) -> SambaDc:
    controller.reset()
    return controller


class TestActiveDirectory(BackendSuite):
    @pytest.fixture
    def bench(self, clean: SambaDc, wire: Wire) -> AdBench:
        return AdBench(clean, wire)


class TestActiveDirectoryWithoutMarks(BackendSuite):
    @pytest.fixture
    def bench(self, clean: SambaDc, wire: Wire) -> AdBench:
        made = AdBench(clean, wire, attribute="")
        made.shows = lambda target: (lab.USERS[target.value].dn, "66048 -> 66050")  # type: ignore[method-assign]
        return made


@pytest.fixture
def bench(clean: SambaDc, wire: Wire) -> AdBench:
    return AdBench(clean, wire)


def plan_terms(mark: str = "propolis case=128") -> Terms:
    return Terms(3600, mark)


def settings(controller: SambaDc, **other: object) -> object:
    made = directory.Settings(lab.DC, 636, lab.SERVICE, lab.SERVICE_PASSWORD, str(controller.ca_file), lab.NAME, 5)
    return made._replace(**other)


def fault(bench: Bench, made: Backend, name: str = "jdoe") -> str:
    """The sentence with which a look at an account fails."""
    sentence = refused(bench, lambda: made.status(aim(name)), BackendError)
    made.close()
    return sentence


def test_the_flags_come_back_exactly(bench: AdBench) -> None:
    assert bench.controller.flags("jdoe") == 66048
    run(bench, bench.target)
    assert bench.controller.flags("jdoe") == 66050
    undo(bench, bench.target)
    assert bench.controller.flags("jdoe") == 66048


def test_a_flag_that_somebody_else_sets_meanwhile_stays(bench: AdBench) -> None:
    run(bench, bench.other)
    bench.controller.set("asmith", userAccountControl=512 | 2 | 0x10000)
    undo(bench, bench.other)
    assert bench.controller.flags("asmith") == 512 | 0x10000


def test_the_bind_of_the_disabled_is_refused_and_works_again_after_the_undo(bench: AdBench) -> None:
    assert bench.controller.bind_says("jdoe") == ""
    run(bench, bench.target)
    assert "data 533" in bench.controller.bind_says("jdoe")
    undo(bench, bench.target)
    assert bench.controller.bind_says("jdoe") == ""


def test_a_connection_that_is_open_goes_on_and_the_report_says_so(bench: AdBench) -> None:
    connection, said = bench.controller.bind("LAB\\jdoe", lab.PASSWORD)
    assert said == ""
    outcome = run(bench, bench.target)
    assert connection.search(lab.STAFF, "(sAMAccountName=asmith)", attributes=["cn"])
    connection.unbind()
    assert any("connections that are open" in line for line in outcome.remaining)
    assert any("Kerberos service tickets" in line for line in outcome.remaining)
    assert any("password was not changed" in line for line in outcome.remaining)


@pytest.mark.parametrize(
    "name", ["asmith", "ASMITH", "LAB\\asmith", "lab.example.test\\asmith", "anna.smith@lab.example.test",
             "Anna.Smith@LAB.example.test", "asmith@lab.example.test"]
)  # fmt: skip
def test_every_spelling_means_the_same_account(bench: AdBench, name: str) -> None:
    assert look(bench, aim(name)).subject.id == lab.USERS["asmith"].dn


@pytest.mark.parametrize("name", ["WORKSTATION-7\\asmith", "OTHER\\asmith", "NT AUTHORITY\\SYSTEM"])
def test_an_account_of_another_domain_or_of_a_machine_is_not_ours_to_find(bench: AdBench, name: str) -> None:
    assert "no account of the domain LAB" in refused(bench, lambda: look(bench, aim(name)), NotFound)


@pytest.mark.parametrize("name", ["dc1$", "asmith@elsewhere.example.test", "mith", "Domain Users"])
def test_only_a_user_of_exactly_this_name_is_found(bench: AdBench, name: str) -> None:
    refused(bench, lambda: look(bench, aim(name)), NotFound)


def test_two_users_of_one_name_are_listed_and_left_alone(bench: AdBench) -> None:
    with pytest.raises(Ambiguous) as caught:
        run(bench, aim(f"dup@{lab.REALM}"))
    assert set(caught.value.candidates) == {lab.USERS["dup"].dn, lab.USERS["twin"].dn}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("deepadmin", "administrative"),
        ("oldadmin", "administrative"),
        ("primadmin", "administrative"),
        ("Administrator", "built-in administrator"),
        ("krbtgt", "krbtgt"),
        ("break-glass-1", "break-glass"),
        ("auto-disable", "integration works with"),
        ("noted", "names noted"),
    ],
)
def test_the_protected_are_refused_for_the_right_reason(bench: AdBench, name: str, why: str) -> None:
    assert why in refused(bench, lambda: run(bench, aim(name)), Refused)


def test_an_administrator_by_nested_groups_shows_every_group(bench: AdBench) -> None:
    subject = look(bench, aim("deepadmin")).subject
    assert {"Helpers", "Seniors", "Domain Admins", "Administrators", "Domain Users"} <= set(subject.groups)
    assert subject.privileged
    assert not look(bench, aim("asmith")).subject.privileged


def test_an_account_whose_groups_are_hidden_is_not_disabled_and_its_undo_still_works(bench: AdBench) -> None:
    everyone_out = bench.controller.hide_groups()
    try:
        sentence = refused(bench, lambda: run(bench, bench.target), Refused)
        assert "groups" in sentence
        assert bench.controller.flags("jdoe") == 66048
    finally:
        everyone_out()
    run(bench, bench.target)
    shown_again = bench.controller.hide_groups()
    try:
        assert undo(bench, bench.target).result == "released"
    finally:
        shown_again()


def test_the_delegated_right_ends_at_its_unit(bench: AdBench) -> None:
    sentence = refused(bench, lambda: run(bench, aim("outsider")), BackendError)
    assert "(50)" in sentence
    assert "docs/backends-accounts.md" in sentence
    assert bench.controller.flags("outsider") == 512


def test_other_peoples_notes_survive_to_the_letter(bench: AdBench) -> None:
    bench.guard = lambda target, status: None  # type: ignore[method-assign]
    before = bench.controller.notes("noted")
    run(bench, aim("noted"))
    during = bench.controller.notes("noted")
    assert during.endswith(before)
    assert during.startswith("propolis case=128")
    bench.controller.set("noted", info=during + "\r\nCalled him, 14:30.")
    undo(bench, aim("noted"))
    assert bench.controller.notes("noted") == before + "\r\nCalled him, 14:30."


def test_empty_notes_are_empty_again(bench: AdBench) -> None:
    run(bench, bench.target)
    undo(bench, bench.target)
    assert bench.controller.read(lab.USERS["jdoe"].dn, "info").get("info", []) == []


def test_prose_that_begins_like_our_mark_is_no_mark(bench: AdBench) -> None:
    bench.controller.set("asmith", info="propolis is what bees use", userAccountControl=514)
    refused(bench, lambda: undo(bench, bench.other), NotOurs)
    assert bench.controller.flags("asmith") == 514


def test_a_mark_left_on_an_account_that_was_enabled_by_hand_is_replaced_and_removed(bench: AdBench) -> None:
    run(bench, bench.target)
    bench.release_by_other_hands(bench.target)
    assert "a mark of ours left in info" in look(bench, bench.target).detail
    run(bench, bench.target, mark="propolis case=130")
    assert bench.controller.notes("jdoe") == "propolis case=130 was=66048"
    undo(bench, bench.target)
    assert bench.controller.notes("jdoe") == ""


def test_notes_written_between_our_look_and_our_write_stop_the_write(bench: AdBench) -> None:
    backend = bench.backend()
    inner = backend._directory  # type: ignore[attr-defined]
    change = inner.change

    def late(dn: str, changes: object) -> None:
        bench.controller.set("jdoe", info="On sick leave.")
        change(dn, changes)

    inner.change = late
    with pytest.raises(BackendError, match="changed by somebody else meanwhile"):
        backend.contain(bench.target, backend.status(bench.target), plan_terms())
    backend.close()
    assert bench.controller.flags("jdoe") == 66048
    assert bench.controller.notes("jdoe") == "On sick leave."


def test_two_jobs_at_the_same_moment_are_one_disable_with_one_mark(bench: AdBench) -> None:
    first, second = bench.backend(), bench.backend()
    seen = second.status(bench.target)
    inner = second._directory  # type: ignore[attr-defined]
    change = inner.change

    def late(dn: str, changes: object) -> None:
        first.contain(bench.target, first.status(bench.target), plan_terms())
        change(dn, changes)

    inner.change = late
    assert "another job did it" in second.contain(bench.target, seen, plan_terms("propolis case=999")).done
    first.close()
    second.close()
    assert bench.controller.notes("jdoe") == "propolis case=128 was=66048"


def test_an_account_that_was_replaced_meanwhile_is_left_alone(bench: AdBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    moved = seen._replace(subject=seen.subject._replace(ids=("S-1-5-21-1-2-3-4",)))
    with pytest.raises(BackendError, match="moved or deleted meanwhile"):
        backend.contain(bench.target, moved, plan_terms())
    backend.close()
    assert bench.controller.flags("jdoe") == 66048


def test_notes_too_full_for_a_mark_stop_the_disable(bench: AdBench) -> None:
    bench.controller.set("asmith", info="x" * 1020)
    assert "ad_mark_attribute" in refused(bench, lambda: run(bench, bench.other), BackendError)
    assert bench.controller.flags("asmith") == 512
    assert bench.controller.notes("asmith") == "x" * 1020


@pytest.mark.parametrize(
    ("attribute", "why"),
    [("description", "(50)"), ("noSuchAttribute", "schema lacks the mark attribute"), ("comment", "(50)")],
)
def test_a_mark_attribute_that_cannot_be_written_stops_the_disable(bench: AdBench, attribute: str, why: str) -> None:
    bench._attribute = attribute
    assert why in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.controller.flags("jdoe") == 66048


def test_a_mark_attribute_of_several_values_is_refused(bench: AdBench) -> None:
    bench.controller.set("asmith", info=None)
    bench.controller.set_values("asmith", "otherTelephone", ["1", "2"])
    bench._attribute = "otherTelephone"
    assert "holds 2 values" in refused(bench, lambda: look(bench, bench.other), BackendError)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"ca_file": None}, "not trusted"),
        pytest.param({"valid_name": None}, "another name", marks=LEAKS),
        pytest.param({"valid_name": "dc2.lab.example.test"}, "another name", marks=LEAKS),
        ({"bind_password": "Wr0ng-" + lab.SERVICE_PASSWORD}, "data 52e"),
        ({"bind_user": "LAB\\gone", "bind_password": lab.PASSWORD}, "data 533"),
        ({"bind_user": "LAB\\nobody"}, "ad_bind_user"),
        ({"port": 389}, "does not speak TLS"),
        ({"port": 1}, "refused the connection"),
        ({"server": "dc1.invalid"}, "cannot be resolved"),
    ],
)
def test_what_keeps_us_from_the_directory_is_one_sentence(bench: AdBench, other: dict[str, object], why: str) -> None:
    sentence = fault(bench, activedirectory.ActiveDirectory(settings(bench.controller, **other)))
    assert why in sentence
    assert lab.SERVICE_PASSWORD not in sentence


def test_a_base_that_does_not_exist_is_named(bench: AdBench) -> None:
    made = activedirectory.ActiveDirectory(settings(bench.controller), base_dn=f"OU=Nowhere,{lab.BASE}")
    assert "ad_base_dn (32)" in fault(bench, made)


def test_below_its_base_nothing_else_is_found(bench: AdBench) -> None:
    made = activedirectory.ActiveDirectory(settings(bench.controller), base_dn=lab.STAFF)
    assert "outsider is no user account" in fault(bench, made, "outsider")


def test_a_base_that_is_no_name_is_a_configuration_error(clean: SambaDc) -> None:
    with pytest.raises(ConfigurationError, match="ad_base_dn"):
        activedirectory.ActiveDirectory(settings(clean), base_dn="Staff")


def test_a_dry_run_shows_the_exact_change_and_makes_none(bench: AdBench) -> None:
    version = bench.controller.version()
    outcome = run(bench, bench.target, observing=("dry_run is true.",))
    assert "replace userAccountControl 66048 -> 66050" in outcome.request
    assert "was=66048" in outcome.request
    assert bench.controller.version() == version


# --- as Cortex starts it --------------------------------------------------------------------------------------------


@pytest.fixture
def jobs(clean: SambaDc, tmp_path: Path) -> Jobs:
    return Jobs(
        tmp_path,
        backend="activedirectory",
        ad_server=lab.DC,
        ad_valid_name=lab.NAME,
        ad_ca_file=str(clean.ca_file),
        ad_bind_user=lab.SERVICE,
        ad_bind_password=lab.SERVICE_PASSWORD,
        ad_mark_attribute="info",
    )


def quiet(report: Report) -> str:
    """The sentence of a failure in which no secret shows."""
    assert is_sentence(report.error), report.error
    assert lab.SERVICE_PASSWORD not in report.text
    assert "Traceback" not in report.text
    return report.error


def test_a_job_disables_the_undo_enables_and_the_flags_are_as_before(jobs: Jobs, clean: SambaDc) -> None:
    done = jobs.disable("LAB\\jdoe")
    assert done.full["result"] == "contained"
    assert done.full["subject"] == {"id": lab.USERS["jdoe"].dn, "name": "LAB\\jdoe"}
    assert "66048 -> 66050" in done.full["done"]
    assert "userAccountControl is 66050, disabled" in done.full["verified"]
    assert "data 533" in clean.bind_says("jdoe")
    assert done.full["until"] is None
    assert "a person must run the undo" in " ".join(done.full["notes"])
    assert done.body["operations"][0]["tag"] == "propolis:contained:activedirectory:until=undone-by-hand"
    assert jobs.disable("jdoe").full["result"] == "already_contained"
    undone = jobs.enable("jdoe@lab.example.test")
    assert undone.full["result"] == "released"
    assert clean.flags("jdoe") == 66048
    assert clean.notes("jdoe") == ""
    assert jobs.enable("jdoe").full["result"] == "already_released"
    assert lab.SERVICE_PASSWORD not in done.text + undone.text


def test_a_job_without_a_mark_attribute_needs_the_lease_for_its_undo(jobs: Jobs, clean: SambaDc) -> None:
    jobs.saved["ad_mark_attribute"] = None
    assert jobs.disable("asmith", parameters={"lease": "lease-9"}).full["result"] == "contained"
    assert "no mark of ours" in quiet(jobs.enable("asmith"))
    assert clean.flags("asmith") == 514
    assert jobs.enable("asmith", parameters={"lease": "lease-9"}).full["result"] == "released"
    assert clean.flags("asmith") == 512


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("deepadmin", "never disabled"),
        ("oldadmin", "never disabled"),
        ("primadmin", "never disabled"),
        ("Administrator", "never disabled"),
        ("LAB\\krbtgt", "never disabled"),
        ("break-glass-1", "never disabled"),
        ("auto-disable", "integration works with"),
        (f"dup@{lab.REALM}", "exactly one is needed"),
        ("WORKSTATION-7\\jdoe", "no account of the domain LAB"),
        ("*", "which no account has"),
        ("jdoe)(objectClass=*", "which no account has"),
        ("jdoe)(objectClass=user", "is no user account"),
        ("nobody", "is no user account"),
        ("outsider", "(50)"),
    ],
)
def test_a_job_refuses_in_one_sentence_and_writes_nothing(jobs: Jobs, clean: SambaDc, name: str, why: str) -> None:
    version = clean.version()
    assert why in quiet(jobs.disable(name))
    assert clean.version() == version


def test_a_job_as_installed_reads_everything_and_writes_nothing(jobs: Jobs, clean: SambaDc) -> None:
    version = clean.version()
    report = jobs.disable("jdoe", saved={"dry_run": None})
    assert report.full["result"] == "would_contain"
    assert "replace userAccountControl 66048 -> 66050" in report.full["request"]
    assert clean.version() == version
    assert lab.SERVICE_PASSWORD not in report.text


@pytest.mark.parametrize("flavour", ["AccountDisable", "AccountEnable"])
@pytest.mark.parametrize(
    ("saved", "why"),
    [
        ({"ad_ca_file": None}, "not trusted"),
        ({"ad_valid_name": None}, "another name"),
        ({"ad_bind_password": "Wr0ng-" + lab.SERVICE_PASSWORD}, "data 52e"),
        ({"ad_bind_user": "LAB\\gone", "ad_bind_password": lab.PASSWORD}, "data 533"),
        ({"ad_base_dn": f"OU=Nowhere,{lab.BASE}"}, "ad_base_dn (32)"),
    ],
)
def test_a_job_that_cannot_reach_the_directory_says_why(
    jobs: Jobs, flavour: str, saved: dict[str, object], why: str
) -> None:
    assert why in quiet(jobs.start(flavour, observable("jdoe"), saved=saved))
