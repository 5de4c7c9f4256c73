"""QuarantineFile's backend `defender`: the suite but for what its API cannot do, and what is Defender's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract import Contract, read
from failing_front import Front
from front_bench import FrontBench
from isolate_host.fake_defender import CLIENT, SECRET, TENANT, FakeDefender
from suite import (
    MARK,
    OTHER_MARK,
    BackendSuite,
    Failure,
    HttpFailures,
    SlowActions,
    SlowBench,
    look,
    refused,
    result_or_sentence,
    run,
    undo,
)
from workers import load_backend, load_backends

from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, NotFound, Target, Terms
from propolis.containment.change import AnswerLost
from propolis.containment.defender_api import CLOUDS, Cloud, Settings
from propolis.containment.flow import NotOurs
from propolis.containment.responder import Workbench
from propolis.errors import ConfigurationError
from propolis.guardrails import Policy, Refused
from propolis.worker.items import Items

defender = load_backend("QuarantineFile", "defender")

EVIL, TOOL, WINDOWS = "1" * 40, "2" * 40, "3" * 40
EVIL_SHA256 = "a" * 64


def aim(file: str, host: str = "pc-17") -> Target:
    return Target("file", file, "test", (("host", host),))


class QuarantineBench(FrontBench, SlowBench):
    responder = "QuarantineFile"
    target = aim(EVIL)
    other = aim(EVIL, "pc-18")
    missing = aim("9" * 40)
    ambiguous = aim(EVIL, "twin")
    protected = (
        aim(WINDOWS),
        aim(EVIL, "dc01"),
        aim(EVIL, "finance-7"),
        aim(EVIL, "10.20.30.40"),
        aim(EVIL, "own-box"),
    )
    hostile = (
        aim("d41d8cd98f00b204e9800998ecf8427e"),
        aim("da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        aim(r"C:\Users\anna\Downloads\invoice.exe"),
        aim("../files"),
        aim("*"),
        aim(EVIL + "'"),
        aim(EVIL, "pc-17' or 1 eq 1"),
        aim(EVIL, "*"),
        aim(""),
    )
    secrets = (SECRET,)

    def __init__(self, product: FakeDefender, front: Front, clock: ManualClock):
        self.product, self.front, self.clock = product, front, clock
        self.policy = Policy.parse("hosts: {never_networks: [10.20.0.0/16]}")
        hosts = [product.add(f"{name}.corp.example") for name in ("pc-17", "pc-18", "dc01", "own-box")]
        hosts += [product.add("twin.corp.example"), product.add("twin.branch.example")]
        hosts += [
            product.add("finance-7.corp.example", machineTags=["tier0"]),
            product.add("printer.corp.example", lastIpAddress="10.20.30.40"),
            product.add("app-01.corp.example", osPlatform="WindowsServer2022"),
        ]
        for sha1, sha256, signer in (
            (EVIL, EVIL_SHA256, None),
            (TOOL, "b" * 64, "Somebody Ltd."),
            (WINDOWS, "c" * 64, "Microsoft Windows"),
        ):
            signed = {"signer": signer, "isValidCertificate": signer is not None}
            product.files.append({"sha1": sha1, "sha256": sha256, "isPeFile": True, **signed})
            product.seen_on[sha1] = list(hosts)

    def backend(self, **changes: object) -> Backend:
        cloud = Cloud(self.front.url, self.front.url, CLOUDS["commercial"].audience)
        settings = Settings(cloud, TENANT, CLIENT, SECRET, 0.3, own_name="OWN-BOX")._replace(**changes)
        made: Backend = defender.DefenderBackend(settings, self.clock)
        return made

    def machine(self, target: Target) -> str:
        return self.product.id_of(dict(target.hints)["host"])

    def in_force(self, target: Target) -> bool:
        self.product.settle()
        return (self.machine(target), EVIL) in self.product.quarantined

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.portal("StopAndQuarantineFile", self.machine(target), sha1=EVIL)

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self.machine(target), EVIL, MARK, "no call that restores")

    def slow(self, seconds: float | None, *, fails: bool = False) -> None:
        self.product.takes, self.product.fails = seconds, fails

    def finish(self) -> None:
        self.product.finish()

    def expire_token(self) -> None:
        self.product.tokens.clear()

    def token_requests(self) -> int:
        return self.product.logins


@pytest.fixture
def bench() -> Iterator[QuarantineBench]:
    clock = ManualClock()
    product = FakeDefender(clock)
    with Front(product.answer, lambda asked: "/oauth2/" in asked.target) as front:
        front.now = clock.now
        yield QuarantineBench(product, front, clock)


def cannot_undo(bench: QuarantineBench, target: Target) -> None:
    """An undo is refused with the way back, asks Defender for nothing, and the file stays where it is."""
    writes = bench.writes()
    sentence = refused(bench, lambda: undo(bench, target, patience=60), BackendError)
    assert "MpCmdRun.exe" in sentence
    assert "pc-1" in sentence
    assert bench.writes() == writes
    assert bench.in_force(target)


class TestQuarantineByDefender(BackendSuite, HttpFailures, SlowActions):
    """The suite. Where it undoes what holds, this is what Defender lets us do instead: nothing, and say so."""

    def test_undo(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        cannot_undo(bench, bench.target)

    def test_a_second_undo_is_fine(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        cannot_undo(bench, bench.target)
        cannot_undo(bench, bench.target)

    def test_an_undo_leaves_the_others_alone(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        run(bench, bench.other, mark=OTHER_MARK)
        cannot_undo(bench, bench.target)
        assert bench.in_force(bench.other)

    def test_it_can_be_contained_again_after_an_undo(self, bench: QuarantineBench) -> None:
        """The only undo there is: calling off what has not begun."""
        bench.slow(None)
        run(bench, bench.target)
        assert undo(bench, bench.target).result == "released"
        bench.slow(0)
        assert run(bench, bench.target).result == "contained"

    def test_what_nothing_would_end_or_prove_ours_needs_a_lease_or_the_operators_word(
        self, bench: QuarantineBench
    ) -> None:
        """The operator's word, that is: a lease is refused, for it could never end."""
        for lease in ("", "lease-1"):
            sentence = refused(bench, lambda lease=lease: run(bench, bench.target, without_end=False, lease=lease))
            assert "allow_without_expiry" in sentence
        assert bench.writes() == []
        assert run(bench, bench.target, without_end=True).result == "contained"

    @pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name.lower())
    def test_a_failing_undo_is_never_reported_as_done(self, bench: QuarantineBench, failure: Failure) -> None:
        """Of what has not begun."""
        bench.slow(None)
        run(bench, bench.target)
        bench.fail(failure, writes_only=True)
        result = result_or_sentence(lambda: undo(bench, bench.target))
        assert result == "pending" or "still under way" in result
        bench.mend()
        assert undo(bench, bench.target).result == "released"

    def test_the_backend_itself_keeps_the_contained_contained_with_the_new_terms(self, bench: QuarantineBench) -> None:
        """But for the mark: it is the comment of the request, and a second request is never made."""
        run(bench, bench.target)
        writes = bench.writes()
        backend = bench.backend()
        backend.contain(bench.target, backend.status(bench.target), Terms(7200, OTHER_MARK))
        assert "case=128" in backend.status(bench.target).mark
        backend.close()
        assert bench.writes() == writes

    def test_a_slow_undo_is_waited_for(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        bench.slow(20)
        cannot_undo(bench, bench.target)

    def test_an_endless_undo_is_pending_taken_over_and_never_asked_for_twice(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        bench.slow(None)
        cannot_undo(bench, bench.target)

    def test_an_undo_that_fails_is_not_claimed(self, bench: QuarantineBench) -> None:
        run(bench, bench.target)
        bench.slow(10, fails=True)
        cannot_undo(bench, bench.target)

    def test_nothing_is_contained_while_its_release_is_under_way(self, bench: QuarantineBench) -> None:
        pytest.skip("Defender knows no release of a file")

    def test_an_undo_of_what_is_under_way_leaves_nothing_contained(self, bench: QuarantineBench) -> None:
        bench.slow(None)
        run(bench, bench.target)
        assert undo(bench, bench.target).result == "released"
        bench.finish()
        assert not bench.in_force(bench.target)


def test_that_there_is_no_undo_is_said_before_and_after(bench: QuarantineBench) -> None:
    would = run(bench, bench.target, observing=("dry_run is true.",))
    assert "no undo" in would.request
    assert any("RestoreFile cannot undo this" in line for line in run(bench, bench.target).remaining)


def test_a_dry_run_for_a_lease_says_that_it_will_be_refused(bench: QuarantineBench) -> None:
    observing = ("dry_run is true.",)
    assert "by hand" in refused(bench, lambda: run(bench, bench.target, lease="l-1", observing=observing), BackendError)


def test_a_sha256_is_asked_for_by_its_sha1(bench: QuarantineBench) -> None:
    assert run(bench, aim(EVIL_SHA256)).result == "contained"
    assert EVIL in bench.writes()[-1]
    assert run(bench, bench.target).result == "already_contained"


def test_a_path_is_refused_with_what_to_do(bench: QuarantineBench) -> None:
    path = aim(r"C:\Users\anna\Downloads\invoice.exe")
    assert "SHA-1" in refused(bench, lambda: run(bench, path), BackendError)


def test_a_file_that_microsoft_signed_is_never_taken(bench: QuarantineBench) -> None:
    assert "Microsoft Windows" in refused(bench, lambda: run(bench, aim(WINDOWS)), Refused)
    assert run(bench, aim(TOOL)).result == "contained"


def test_a_signature_that_does_not_hold_protects_nobody(bench: QuarantineBench) -> None:
    bench.product.files[-1]["isValidCertificate"] = False
    assert run(bench, aim(WINDOWS)).result == "contained"


def test_a_file_that_was_never_seen_on_the_host_is_not_found_there(bench: QuarantineBench) -> None:
    bench.product.seen_on[EVIL].remove(bench.machine(bench.target))
    for observing in ((), ("dry_run is true.",)):
        sentence = refused(bench, lambda observing=observing: run(bench, bench.target, observing=observing), NotFound)
        assert "pc-17.corp.example" in sentence
    assert bench.writes() == []


def test_a_file_on_a_server_may_be_taken_unless_the_policy_lists_types(bench: QuarantineBench) -> None:
    assert run(bench, aim(EVIL, "app-01")).result == "contained"
    bench.policy = Policy.parse("hosts: {never_types: [Server]}")
    assert "never_types" in refused(bench, lambda: run(bench, aim(TOOL, "app-01")), Refused)


def test_another_file_and_another_machine_are_not_this_one(bench: QuarantineBench) -> None:
    run(bench, bench.target)
    assert not look(bench, aim(TOOL)).contained
    assert not look(bench, bench.other).contained


def test_that_it_may_have_come_back_is_said(bench: QuarantineBench) -> None:
    run(bench, bench.target)
    assert "came back" in look(bench, bench.target).detail


def test_what_others_ask_for_is_taken_over_and_not_called_off(bench: QuarantineBench) -> None:
    theirs = bench.product.portal("StopAndQuarantineFile", bench.machine(bench.target), open_=True, sha1=EVIL)
    assert run(bench, bench.target).pending == theirs
    refused(bench, lambda: undo(bench, bench.target), NotOurs)
    assert bench.writes() == []


def test_what_began_since_our_look_is_taken_over_without_a_request(bench: QuarantineBench) -> None:
    backend = bench.backend()
    seen = backend.status(bench.target)
    theirs = bench.product.portal("StopAndQuarantineFile", bench.machine(bench.target), open_=True, sha1=EVIL)
    assert backend.contain(bench.target, seen, Terms(3600, MARK)).pending == theirs
    backend.release(bench.target, seen)
    backend.close()
    assert bench.writes() == []


def test_somebody_elses_quarantine_is_not_taken_for_the_one_whose_answer_was_lost(bench: QuarantineBench) -> None:
    backend = bench.backend()

    def lost(machine: str, verb: str, body: dict[str, str]) -> object:
        bench.product.portal("StopAndQuarantineFile", machine, open_=True, sha1=EVIL)
        raise AnswerLost("POST failed: no complete answer in time.")

    seen = backend.status(bench.target)
    backend._defender.ask = lost
    sentence = refused(bench, lambda: backend.contain(bench.target, seen, Terms(3600, MARK)), BackendError)
    assert "was not asked for" in sentence
    backend.close()


def test_what_cannot_be_called_off_any_more_is_said(bench: QuarantineBench) -> None:
    bench.slow(None)
    run(bench, bench.target)
    bench.product.cancellable = False
    assert "still under way" in refused(bench, lambda: undo(bench, bench.target), BackendError)


def test_defender_busy_with_something_else_is_said(bench: QuarantineBench) -> None:
    bench.product.portal("Isolate", bench.machine(bench.target), open_=True)
    assert "action centre" in refused(bench, lambda: run(bench, bench.target), BackendError)


def test_a_machine_that_is_not_active_is_not_asked(bench: QuarantineBench) -> None:
    for entry in bench.product.machines:
        entry["healthStatus"] = "Inactive"
    assert "Inactive" in refused(bench, lambda: run(bench, bench.target), BackendError)
    assert bench.writes() == []


def made(**more: object) -> Backend:
    items = {"defender_tenant_id": TENANT, "defender_client_id": CLIENT, "defender_client_secret": SECRET, **more}
    backend: Backend = load_backends("QuarantineFile").BACKENDS["defender"](
        Workbench(Items(items), ManualClock(), None)
    )
    return backend


def test_it_is_made_from_its_items() -> None:
    assert made().where == f"Microsoft Defender for Endpoint at {CLOUDS['commercial'].api}"


@pytest.mark.parametrize("item", ["defender_tenant_id", "defender_client_id", "defender_client_secret"])
def test_a_missing_item_is_named(item: str) -> None:
    with pytest.raises(ConfigurationError, match=item):
        made(**{item: None})


@pytest.mark.shared
def test_every_request_is_one_of_the_documentation(bench: QuarantineBench, shared: Path, fixtures: Path) -> None:
    """Two readings of Microsoft's pages; there is no description of the API by the vendor."""
    contract = Contract(
        fixtures / "quarantine_file" / "defender-files.yaml", shared / "data" / "specs" / "defender-endpoint.yaml"
    )
    run(bench, aim(EVIL_SHA256))
    refused(bench, lambda: undo(bench, bench.target))
    bench.slow(None)
    run(bench, bench.other)
    undo(bench, bench.other)
    sent = [read(asked) for asked in bench.front.requests if "/oauth2/" not in asked.target]
    assert [fault for request in sent for fault in contract.faults(request)] == []
    posted = {request.path.rpartition("/")[2] for request in sent if request.method == "POST"}
    assert posted == {"StopAndQuarantineFile", "cancel"}
