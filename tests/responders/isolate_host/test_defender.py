"""IsolateHost's backend `defender`: the suite, and what is Defender's own, against a tenant that remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Contract, read
from failing_front import Asked, Front, Told
from front_bench import FrontBench
from isolate_host.fake_defender import CLIENT, SECRET, TENANT, FakeDefender, error
from suite import (
    HOUR,
    MARK,
    OTHER_MARK,
    BackendSuite,
    Failure,
    HttpFailures,
    SlowActions,
    SlowBench,
    look,
    refused,
    run,
    undo,
)
from workers import load_backend, load_backends

from propolis.clock import ManualClock, utc_text
from propolis.containment.backend import Ambiguous, Backend, BackendError, NotFound, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.defender_api import CLOUDS, Cloud, Settings, literal, settings_from
from propolis.containment.flow import NotOurs
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

defender = load_backend("IsolateHost", "defender")
BACKENDS = load_backends("IsolateHost").BACKENDS


def aim(name: str) -> Target:
    return Target("host", name, "test")


class DefenderBench(FrontBench, SlowBench):
    responder = "IsolateHost"
    target = aim("pc-17.corp.example")
    other = aim("pc-18")
    missing = aim("pc-99.corp.example")
    ambiguous = aim("twin")
    protected = tuple(aim(name) for name in ("dc01", "app-01", "finance-7", "localhost", "10.20.30.40", "own-box"))
    hostile = tuple(
        aim(text)
        for text in (
            "pc-1",
            "pc-17' or computerDnsName ne '",
            "*",
            "pc-*",
            "pc-17.corp",
            "../machines",
            "pc-17)",
            "pc-17\r\nX-Evil: 1",
            "pc-17,pc-18",
            "",
        )
    )
    secrets = (SECRET,)

    def __init__(self, product: FakeDefender, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("hosts: {never_networks: [10.20.0.0/16]}")
        for name in ("pc-17.corp.example", "pc-18.corp.example", "dc01.corp.example", "own-box.corp.example"):
            product.add(name)
        product.add("twin.corp.example")
        product.add("twin.branch.example")
        product.add("app-01.corp.example", osPlatform="WindowsServer2022")
        product.add("finance-7.corp.example", machineTags=["tier0"])
        product.add("printer.corp.example", lastIpAddress="10.20.30.40")

    def backend(self, **changes: object) -> Backend:
        cloud = Cloud(self.front.url, self.front.url, CLOUDS["commercial"].audience)
        settings = Settings(cloud, TENANT, CLIENT, SECRET, 0.3, own_name="OWN-BOX")._replace(**changes)
        made: Backend = defender.DefenderBackend(settings, self.clock)
        return made

    def machine(self, target: Target) -> str:
        return self.product.id_of(target.value)

    def in_force(self, target: Target) -> bool:
        self.product.settle()
        return self.machine(target) in self.product.isolated

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.portal("Isolate", self.machine(target))

    def release_by_other_hands(self, target: Target) -> None:
        self.product.portal("Unisolate", self.machine(target))

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self.machine(target), '"IsolationType": "Full"', MARK)

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self.product.takes, self.product.fails = seconds, fails

    def finish(self) -> None:
        self.product.finish()

    def expire_token(self) -> None:
        self.product.tokens.clear()

    def token_requests(self) -> int:
        return self.product.logins

    def kinds(self, target: Target) -> list[str]:
        """The types of the actions of a machine, oldest first."""
        return [one["type"] for one in self.product.actions if one["machineId"] == self.machine(target)]


@pytest.fixture
def bench() -> Iterator[DefenderBench]:
    clock = ManualClock()
    product = FakeDefender(clock)
    with Front(product.answer, lambda asked: "/oauth2/" in asked.target) as front:
        front.now = clock.now
        yield DefenderBench(product, front, clock)


class TestDefender(BackendSuite, HttpFailures, SlowActions):
    """The fixture `bench` is the module's."""

    def test_the_backend_itself_keeps_the_contained_contained_with_the_new_terms(self, bench: DefenderBench) -> None:
        """But for the mark: it is the comment of the request, and a second request is never made."""
        run(bench, bench.target)
        writes = bench.writes()
        backend = bench.backend()
        backend.contain(bench.target, backend.status(bench.target), Terms(7200, OTHER_MARK))
        assert "case=128" in backend.status(bench.target).mark
        backend.close()
        assert bench.writes() == writes
        assert bench.in_force(bench.target)


def test_an_isolation_by_other_hands_under_way_is_taken_over_and_not_ours(bench: DefenderBench) -> None:
    theirs = bench.product.portal("Isolate", bench.machine(bench.target), open_=True)
    outcome = run(bench, bench.target)
    assert (outcome.result, outcome.pending) == ("pending", theirs)
    refused(bench, lambda: undo(bench, bench.target), NotOurs)
    assert bench.writes() == []


def test_an_action_that_began_between_look_and_request_is_taken_over(bench: DefenderBench) -> None:
    """Defender answers 400 ActiveRequestAlreadyExists: neither success nor failure of ours."""
    backend = bench.backend()
    seen = backend.status(bench.target)
    ask = backend._defender.ask

    def raced(machine: str, verb: str, body: dict[str, str]) -> object:
        bench.product.portal("Isolate", machine, open_=True)
        return ask(machine, verb, body)

    backend._defender.ask = raced
    effect = backend.contain(bench.target, seen, Terms(3600, MARK))
    assert "under way already" in effect.done
    assert effect.pending == bench.product.actions[-1]["id"]
    assert bench.kinds(bench.target) == ["Isolate"]
    backend.close()


def test_what_began_since_our_look_is_taken_over_without_a_request(bench: DefenderBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    theirs = bench.product.portal("Isolate", bench.machine(bench.target), open_=True)
    assert backend.contain(bench.target, seen, Terms(3600, MARK)).pending == theirs
    backend.close()
    assert bench.writes() == []


def test_somebody_elses_isolation_is_not_taken_for_the_one_whose_answer_was_lost(bench: DefenderBench) -> None:
    backend = bench.backend()

    def lost(machine: str, verb: str, body: dict[str, str]) -> object:
        bench.product.portal("Isolate", machine, open_=True)
        raise AnswerLost("POST failed: no complete answer in time.")

    seen = backend.status(bench.target)
    backend._defender.ask = lost
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(3600, MARK)), BackendError)
    assert "was not asked for" in sentence
    backend.close()


def test_defender_busy_with_something_else_is_said(bench: DefenderBench) -> None:
    bench.product.portal("RunAntiVirusScan", bench.machine(bench.target), open_=True)
    sentence = refused(bench, lambda: run(bench, bench.target), BackendError)
    assert "action centre" in sentence
    assert bench.kinds(bench.target) == ["RunAntiVirusScan"]


def test_state_is_the_newest_action_that_succeeded_by_its_end(bench: DefenderBench) -> None:
    """Isolate, Unisolate, Isolate asked for, and ended in another order: the machine is where the last end left it."""
    machine = bench.machine(bench.target)
    for kind in ("Isolate", "Unisolate", "Isolate"):
        bench.product.portal(kind, machine, MARK, open_=True)
    first, second, third = bench.product.actions
    for action in (first, third, second):
        bench.product.end(action, "Succeeded")
    assert not look(bench, bench.target).contained
    bench.product.portal("Isolate", machine, MARK, open_=True)
    bench.product.end(bench.product.actions[-1], "Succeeded")
    assert look(bench, bench.target).contained


@pytest.mark.parametrize("status", ["Failed", "TimeOut", "Cancelled"])
def test_an_action_that_did_not_succeed_is_no_isolation(bench: DefenderBench, status: str) -> None:
    bench.product.portal("Isolate", bench.machine(bench.target), MARK, open_=True)
    bench.product.end(bench.product.actions[-1], status)
    seen = look(bench, bench.target)
    assert (seen.contained, seen.pending) == (False, "")
    assert run(bench, bench.target).result == "contained"


@pytest.mark.parametrize("status", ["Pending", "InProgress"])
def test_a_machine_that_is_switched_off_is_pending_for_days(bench: DefenderBench, status: str) -> None:
    bench.slow(None)
    first = run(bench, bench.target, patience=60)
    bench.product.actions[-1]["status"] = status
    bench.clock.advance(2 * 86400)
    assert (run(bench, bench.target).result, first.result) == ("pending", "pending")
    assert bench.kinds(bench.target) == ["Isolate"]


def test_an_undo_cancels_our_isolation_that_is_under_way_and_asks_for_no_release(bench: DefenderBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    outcome = undo(bench, bench.target)
    assert outcome.result == "released"
    assert "cancelled" in outcome.done
    assert bench.product.actions[-1]["status"] == "Cancelled"
    assert bench.kinds(bench.target) == ["Isolate"]


def test_an_isolation_that_cannot_be_cancelled_any_more_is_said_and_nothing_claimed(bench: DefenderBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    bench.product.cancellable = False
    assert "still under way" in refused(bench, lambda: undo(bench, bench.target), BackendError)
    bench.finish()
    bench.slow(0)
    assert undo(bench, bench.target).result == "released"


def test_an_isolation_that_began_to_hold_before_it_was_cancelled_is_released(bench: DefenderBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    backend = bench.backend()
    seen, cancel = backend.status(bench.target), backend._defender.cancel

    def late(action: object, comment: str) -> object:
        bench.finish()
        bench.slow(0)
        return cancel(action, comment)

    backend._defender.cancel = late
    assert "had ended before it was cancelled; asked for the release" in backend.release(bench.target, seen).done
    backend.close()
    assert not bench.in_force(bench.target)


def test_a_cancel_whose_answer_is_lost_is_looked_up(bench: DefenderBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    bench.lose_answer()
    assert undo(bench, bench.target).result == "released"
    assert sum("/cancel" in change for change in bench.writes()) == 1


def test_our_second_isolation_left_over_by_a_race_does_not_come_back_after_the_undo(bench: DefenderBench) -> None:
    """The order isolate, unisolate, unisolate, isolate was seen in the field, with the machine isolated at the end."""
    run(bench, bench.target)
    bench.product.portal("Isolate", bench.machine(bench.target), OTHER_MARK, open_=True)
    undo(bench, bench.target)
    bench.finish()
    assert not bench.in_force(bench.target)


def test_an_undo_warns_of_somebody_elses_isolation_that_is_under_way(bench: DefenderBench) -> None:
    run(bench, bench.target)
    theirs = bench.product.portal("Isolate", bench.machine(bench.target), open_=True)
    backend = bench.backend()
    seen = backend._look(bench.machine(bench.target))
    assert any(theirs in line for line in defender._left(seen))
    assert theirs in backend.status(bench.target).detail
    backend.close()


def test_nothing_is_isolated_while_somebody_elses_release_is_under_way(bench: DefenderBench) -> None:
    bench.product.portal("Unisolate", bench.machine(bench.target), open_=True)
    assert "release" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def test_an_undo_whose_answer_is_lost_is_looked_up_and_not_repeated(bench: DefenderBench) -> None:
    run(bench, bench.target)
    bench.lose_answer()
    assert undo(bench, bench.target).result == "released"
    assert bench.kinds(bench.target) == ["Isolate", "Unisolate"]


def test_who_isolated_it_since_our_look_keeps_it(bench: DefenderBench) -> None:
    run(bench, bench.target)
    backend = bench.backend()
    seen = backend.status(bench.target)
    bench.release_by_other_hands(bench.target)
    bench.contain_by_other_hands(bench.target)
    assert "somebody else" in refused(bench, lambda: backend.release(bench.target, seen), BackendError)
    backend.close()
    assert bench.in_force(bench.target)


@pytest.mark.parametrize("name", ["pc-17.corp.example", "PC-17", "pc-17.CORP.example."])
def test_a_name_in_full_or_short_means_the_machine(bench: DefenderBench, name: str) -> None:
    assert look(bench, aim(name)).subject.id == bench.machine(bench.target)


def test_the_machines_own_id_means_the_machine(bench: DefenderBench) -> None:
    assert run(bench, aim(bench.machine(bench.target))).status.subject.name == "pc-17.corp.example"


def test_a_short_name_that_two_domains_have_is_refused_with_both(bench: DefenderBench) -> None:
    with pytest.raises(Ambiguous) as caught:
        run(bench, aim("twin"))
    assert {"twin.corp.example", "twin.branch.example"} == {text.split(" ")[0] for text in caught.value.candidates}


def test_of_two_entries_with_one_name_the_active_one_is_meant(bench: DefenderBench) -> None:
    old = bench.product.add("pc-17.corp.example", healthStatus="Inactive")
    assert look(bench, bench.target).subject.id != old


def test_two_entries_with_one_name_and_none_active_are_refused_with_their_state(bench: DefenderBench) -> None:
    for entry in bench.product.machines[:1]:
        entry["healthStatus"] = "Inactive"
    bench.product.add("pc-17.corp.example", healthStatus="NoSensorData")
    with pytest.raises(Ambiguous) as caught:
        look(bench, bench.target)
    assert "NoSensorData" in str(caught.value)


@pytest.mark.parametrize(
    "state",
    [{"healthStatus": "Inactive"}, {"healthStatus": "ImpairedCommunication"}, {"onboardingStatus": "CanBeOnboarded"}],
)
def test_a_machine_that_is_not_active_is_not_asked_but_can_be_released(
    bench: DefenderBench, state: dict[str, str]
) -> None:
    run(bench, bench.other)
    for entry in bench.product.machines:
        entry.update(state)
    for observing in ((), ("dry_run is true.",)):
        sentence = refused(bench, lambda observing=observing: run(bench, bench.target, observing=observing))
        assert next(iter(state.values())) in sentence
    assert bench.kinds(bench.target) == []
    assert undo(bench, bench.other).result == "released"


def test_an_address_means_the_one_machine_that_has_it_now(bench: DefenderBench) -> None:
    machine = bench.product.add("pc-30.corp.example", lastIpAddress="192.0.2.30")
    assert look(bench, aim("192.0.2.30")).subject.id == machine


def test_an_address_that_another_machine_had_last_is_refused_with_both(bench: DefenderBench) -> None:
    """DHCP: whoever has it now, and whoever is still listed with it."""
    bench.product.add("pc-30.corp.example", lastIpAddress="192.0.2.30", seenWith="")
    bench.product.add("pc-31.corp.example", lastIpAddress="192.0.2.31", seenWith="192.0.2.30")
    with pytest.raises(Ambiguous):
        run(bench, aim("192.0.2.30"))


def test_an_isolated_machine_that_is_not_seen_with_its_address_any_more_is_still_found(bench: DefenderBench) -> None:
    bench.product.add("pc-30.corp.example", lastIpAddress="192.0.2.30", seenWith="")
    assert look(bench, aim("192.0.2.30")).subject.name == "pc-30.corp.example"


def test_an_address_nobody_has_is_not_found(bench: DefenderBench) -> None:
    refused(bench, lambda: look(bench, aim("192.0.2.99")), NotFound)


def test_a_service_that_ignores_the_filter_gets_nobody_isolated(bench: DefenderBench) -> None:
    bench.product.lists_other_machines = True
    refused(bench, lambda: run(bench, bench.missing), NotFound)
    bench.product.portal("Isolate", bench.machine(bench.other))
    assert not look(bench, bench.target).contained


def test_a_quote_in_a_query_is_doubled(bench: DefenderBench) -> None:
    """The responder lets no quote in; the backend does not rely on it."""
    assert literal("o'brien' or '1' eq '1") == "'o''brien'' or ''1'' eq ''1'"
    refused(bench, lambda: bench.backend().status(aim("x' or computerDnsName ne 'y")), NotFound)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"osPlatform": "WindowsServer2019"}, "Server"),
        ({"machineTags": ["Domain Controllers"]}, "Domain Controller"),
        ({"rbacGroupName": "Domain Controllers"}, "Domain Controller"),
        ({"machineTags": ["never-isolate"]}, "never-isolate"),
        ({"deviceValue": "High"}, "device-value:high"),
    ],
)
def test_what_defender_says_of_the_machine_speaks_to_the_guardrails(
    bench: DefenderBench, facts: dict[str, object], why: str
) -> None:
    bench.policy = Policy.parse("hosts: {never_tags: ['device-value:high']}")
    bench.product.add("pc-40.corp.example", **facts)
    assert why in refused(bench, lambda: run(bench, aim("pc-40")), Refused)
    assert bench.writes() == []


def test_a_client_may_be_isolated_selectively_and_the_report_says_what_keeps_talking(bench: DefenderBench) -> None:
    backend = bench.backend()
    backend._type = "Selective"
    effect = backend.contain(bench.target, backend.status(bench.target), Terms(3600, MARK))
    assert bench.product.actions[-1]["scope"] == "Selective"
    assert any("Teams" in line for line in effect.remaining)
    backend.close()


def test_a_platform_that_cannot_do_it_is_said(bench: DefenderBench) -> None:
    def unsupported(asked: Asked) -> Told:
        if asked.target.endswith("/isolate"):
            return error(400, "OsPlatformNotSupported", "OS Platform Windows7 isn't supported for this action.")
        return bench.product.answer(asked)

    bench.front.product = unsupported
    assert "sensor cannot" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_wrong_secret_names_the_items_and_shows_no_secret(bench: DefenderBench) -> None:
    bench.secrets = ("wr0ng-" + SECRET, SECRET)
    backend = bench.backend(client_secret="wr0ng-" + SECRET)
    assert "defender_client_secret" in refused(bench, lambda: backend.status(bench.target), BackendError)


def test_a_missing_permission_is_said(bench: DefenderBench) -> None:
    bench.fail(Failure.FORBIDDEN)
    bench.front.writes_only = True
    assert "WindowsDefenderATP" in refused(bench, lambda: run(bench, bench.target), BackendError)


def workbench(**more: object) -> Workbench:
    items = {"defender_tenant_id": TENANT, "defender_client_id": CLIENT, "defender_client_secret": SECRET, **more}
    return Workbench(Items(items), ManualClock(), "http://proxy.example:3128")


def made(**more: object) -> Backend:
    backend: Backend = BACKENDS["defender"](workbench(**more))
    return backend


@pytest.mark.parametrize("cloud", CLOUDS)
def test_it_is_made_from_its_items_for_every_cloud(cloud: str) -> None:
    assert made(defender_cloud=cloud).where == f"Microsoft Defender for Endpoint at {CLOUDS[cloud].api}"


def test_the_proxy_of_cortex_is_used_unless_it_is_said_not_to_be() -> None:
    assert settings_from(workbench(), "").proxy == "http://proxy.example:3128"
    assert settings_from(workbench(defender_use_proxy=False), "").proxy is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"defender_tenant_id": None}, "defender_tenant_id"),
        ({"defender_tenant_id": "a/../b"}, "defender_tenant_id"),
        ({"defender_client_id": None}, "defender_client_id"),
        ({"defender_client_secret": None}, "defender_client_secret"),
        ({"defender_cloud": "moon"}, "commercial"),
        ({"defender_isolation_type": "UnManagedDevice"}, "Full"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        made(**wrong)


@pytest.mark.shared
def test_every_request_is_one_of_the_documentation(bench: DefenderBench, shared: Path) -> None:
    """The document is a reading of Microsoft's pages: there is no description of the API by the vendor."""
    contract = Contract(shared / "data" / "specs" / "defender-endpoint.yaml")
    bench.product.add("pc-30.corp.example", lastIpAddress="192.0.2.30")
    run(bench, bench.target)
    run(bench, bench.target)
    undo(bench, bench.target)
    bench.slow(None)
    run(bench, bench.other)
    undo(bench, bench.other)
    look(bench, aim("192.0.2.30"))
    look(bench, aim(bench.machine(bench.target)))
    sent = [read(asked) for asked in bench.front.requests if "/oauth2/" not in asked.target]
    assert [fault for request in sent for fault in contract.faults(request)] == []
    assert {request.path.rpartition("/")[2] for request in sent if request.method == "POST"} == {
        "isolate",
        "unisolate",
        "cancel",
    }


def test_a_machine_that_sent_no_report_for_two_days_is_left_alone(bench: DefenderBench) -> None:
    """A full report comes once a day, so that one of yesterday is not old."""
    machine = bench.product.add("pc-77")
    (told,) = [one for one in bench.product.machines if one["id"] == machine]
    told["lastSeen"] = utc_text(bench.clock.now() - 49 * HOUR)
    assert "hosts.max_last_seen" in refused(bench, lambda: run(bench, aim("pc-77")), Refused)
    told["lastSeen"] = utc_text(bench.clock.now() - 47 * HOUR)
    assert run(bench, aim("pc-77")).result == "contained"
