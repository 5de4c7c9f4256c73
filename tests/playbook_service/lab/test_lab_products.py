"""The lab's products keep the contract of every backend, and its responders the guardrails of the real ones."""

from __future__ import annotations

import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

from playbook_service.lab.product import DIRECTORY, ENDPOINTS, FIREWALL, FileClock, Kind, LabBackend, Product
from propolis.clock import ManualClock
from propolis.containment.backend import Backend, BackendError, Status, Subject, Target
from propolis.errors import ConfigurationError, InputError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "responders"))  # the suite that all backends pass

pytest.register_assert_rewrite("suite", "cortexjob")

from cortexjob import Report, run_job  # noqa: E402
from suite import BackendSuite, Bench  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
WORKERS = ROOT / "playbook_service" / "lab" / "workers"
POLICY = (ROOT / "playbook_service" / "samples" / "policy.yml").read_text(encoding="utf-8")
NOW = 1_767_225_600.0
HOSTS = (
    Subject("006", "FIN-WS07", names=("ws07",), types=("workstation",)),
    Subject("007", "FIN-WS08", names=("desk", "ws08")),
    Subject("008", "FIN-WS09", names=("desk",)),
    Subject("004", "DC01", tags=("tier0",)),
)


class ProductBench(Bench):
    """A file, looked at without the backend."""

    def __init__(self, folder: Path, kind: Kind, subjects: tuple[Subject, ...] = ()):
        self.clock = ManualClock(NOW)
        self.product = Product(folder / "product.json", kind, self.clock).create(subjects)

    def backend(self) -> Backend:
        return LabBackend(Product(self.product.path, self.product.kind, self.clock))

    def writes(self) -> list[str]:
        return [f"{entry['verb']} {entry['id']} {entry['mark']}" for entry in self.product.log()]

    def in_force(self, target: Target) -> bool:
        return not self.product.passes(self._id(target))

    def contain_by_other_hands(self, target: Target) -> None:
        self.product.contain(self._id(target), "maintenance", 7200)

    def release_by_other_hands(self, target: Target) -> None:
        self.product.release(self._id(target))

    def shows(self, target: Target) -> tuple[str, ...]:
        return (self._id(target),)

    def take_down(self) -> None:
        self.product.path.unlink()

    def _id(self, target: Target) -> str:
        known = [one.id for one in self.product.subjects() if target.value in (one.id, one.name)]
        return known[0] if known else target.value


class HostBench(ProductBench):
    target = Target("host", "FIN-WS07", "test")
    other = Target("host", "FIN-WS08", "test")
    missing = Target("host", "FIN-WS99", "test")
    ambiguous = Target("host", "desk", "test")
    protected = (Target("host", "DC01", "test"),)

    def guard(self, target: Target, status: Status | None) -> None:
        if status is not None and "tier0" in status.subject.tags:
            raise InputError(f"{target.value} is never isolated.")


class FirewallBench(ProductBench):
    target = Target("ip", "203.0.113.7", "test")
    other = Target("ip", "203.0.113.8", "test")


class TestFirewall(BackendSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return FirewallBench(tmp_path, FIREWALL)


class TestEndpoints(BackendSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return HostBench(tmp_path, ENDPOINTS, HOSTS)


class TestDirectory(BackendSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        bench = HostBench(tmp_path, DIRECTORY, HOSTS)
        bench.target, bench.other = Target("account", "FIN-WS07", "test"), Target("account", "FIN-WS08", "test")
        bench.missing = bench.ambiguous = None
        bench.protected = ()
        return bench


def test_the_probe_passes_before_a_block_is_stopped_by_it_and_passes_after_its_end(tmp_path: Path):
    clock = ManualClock(NOW)
    firewall = Product(tmp_path / "firewall.json", FIREWALL, clock).create()
    assert firewall.passes("203.0.113.7")
    firewall.contain("203.0.113.7", "propolis case=1", 60)
    assert not firewall.passes("203.0.113.7")
    assert firewall.passes("203.0.113.8")
    clock.advance(60)
    assert firewall.passes("203.0.113.7")
    assert firewall.contained() == {}


def test_a_directory_ends_nothing_by_itself(tmp_path: Path):
    clock = ManualClock(NOW)
    directory = Product(tmp_path / "directory.json", DIRECTORY, clock).create()
    directory.contain("backup", "propolis case=1", 60)
    clock.advance(1_000_000)
    assert not directory.passes("backup")


def _contain_many(path: str, first: int) -> None:
    product = Product(Path(path), FIREWALL)
    for number in range(first, first + 25):
        product.contain(f"203.0.113.{number}", "propolis", 600)


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path):
    product = Product(tmp_path / "firewall.json", FIREWALL).create()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_contain_many, args=(str(product.path), first)) for first in (0, 50, 100)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(product.contained()) == len(product.log()) == 75


def test_a_file_that_is_no_product_is_one_clear_sentence(tmp_path: Path):
    path = tmp_path / "firewall.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(BackendError, match="cannot be read: it holds no JSON"):
        Product(path, FIREWALL).contained()


def test_a_test_clock_without_a_time_is_one_clear_sentence(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="holds no wall time"):
        FileClock(tmp_path / "clock").now()


# the responders, started as Cortex starts them


class Worker:
    """One responder of the lab at one product, in processes of its own."""

    def __init__(self, folder: Path, name: str, kind: Kind, subjects: tuple[Subject, ...] = ()):
        self.folder, self.name = folder, name
        self.clock = folder / "clock"
        self.at(NOW)
        self.product = Product(folder / "state.json", kind, FileClock(self.clock)).create(subjects)
        self.jobs = 0

    def at(self, now: float) -> None:
        self.clock.write_text(str(now), encoding="ascii")

    def run(self, flavour: str, entity: dict[str, Any], **parameters: Any) -> Report:
        definition = json.loads((WORKERS / self.name / f"{flavour}.json").read_text(encoding="utf-8"))
        config = {
            **definition["config"], "backend": "lab", "state_file": str(self.product.path), "policy": POLICY,
            "dry_run": False, "clock_file": str(self.clock),
        }  # fmt: skip
        job = {
            "data": {"_type": "case_artifact", "case": {"caseId": 7}, **entity}, "dataType": "thehive:case_artifact",
            "tlp": 2, "pap": 2, "parameters": {"user": "analyst@soc.example", **parameters}, "config": config,
        }  # fmt: skip
        self.jobs += 1
        return run_job(self.folder / f"job-{self.jobs}", "playbook_service/lab/workers", definition, job)


def observable(data_type: str, data: str, *tags: str) -> dict[str, Any]:
    return {"dataType": data_type, "data": data, "tags": list(tags)}


@pytest.fixture
def firewall(tmp_path: Path) -> Worker:
    return Worker(tmp_path, "FirewallBlock", FIREWALL)


def test_an_address_is_blocked_with_our_mark_until_its_end_and_no_longer(firewall: Worker):
    report = firewall.run("FirewallBlock", observable("ip", "203.0.113.7"), lease="P1", duration_seconds=30)
    assert report.full["result"] == "contained"
    assert report.full["until"] == "2026-01-01T00:00:30Z"
    assert "lease=P1" in firewall.product.contained()["203.0.113.7"]["mark"]
    assert not firewall.product.passes("203.0.113.7")
    firewall.at(NOW + 30)
    assert firewall.product.passes("203.0.113.7")
    assert firewall.run("FirewallUnblock", observable("ip", "203.0.113.7")).full["result"] == "already_released"


def test_a_block_is_taken_back(firewall: Worker):
    firewall.run("FirewallBlock", observable("ip", "203.0.113.7"), lease="P1")
    assert firewall.run("FirewallUnblock", observable("ip", "203.0.113.7"), lease="P1").full["result"] == "released"
    assert firewall.product.passes("203.0.113.7")


@pytest.mark.parametrize("address", ["192.0.2.5", "198.51.100.81", "127.0.0.1", "::ffff:192.0.2.5"])
def test_the_firewall_responder_has_the_guardrails(firewall: Worker, address: str):
    assert "never blocked" in firewall.run("FirewallBlock", observable("ip", address)).error
    assert firewall.product.log() == []


def test_what_many_share_needs_a_word(firewall: Worker):
    assert "propolis:shared=ok" in firewall.run("FirewallBlock", observable("ip", "9.9.9.9")).error
    meant = firewall.run("FirewallBlock", observable("ip", "9.9.9.9", "propolis:shared=ok"))
    assert meant.full["result"] == "contained"


def test_an_account_is_disabled_and_enabled_again(tmp_path: Path):
    worker = Worker(tmp_path, "AccountDisable", DIRECTORY, (Subject("backup", "backup"),))
    entity = observable("other", r"EXAMPLE\Backup", "subtype:username")
    assert worker.run("AccountDisable", entity, lease="P2").full["result"] == "contained"
    assert not worker.product.passes("backup")
    assert worker.run("AccountEnable", entity, lease="P2").full["result"] == "released"
    assert worker.product.passes("backup")


@pytest.mark.parametrize("name", ["administrator", "svc-backup", "chief", "root*"])
def test_the_account_responder_has_the_guardrails(tmp_path: Path, name: str):
    subjects = (Subject("svc-backup", "svc-backup"), Subject("chief", "chief", groups=("Domain Admins",)))
    worker = Worker(tmp_path, "AccountDisable", DIRECTORY, subjects)
    assert not worker.run("AccountDisable", observable("username", name), lease="P2").success
    assert worker.product.log() == []


def test_a_host_is_isolated_and_released(tmp_path: Path):
    worker = Worker(tmp_path, "IsolateHost", ENDPOINTS, HOSTS)
    entity = observable("hostname", "FIN-WS07")
    assert worker.run("IsolateHost", entity, lease="P3").full["result"] == "contained"
    assert not worker.product.passes("006")
    assert worker.run("ReleaseHost", entity, lease="P3").full["result"] == "released"


@pytest.mark.parametrize("name", ["dc01", "siem01", "gw01", "-oProxyCommand=id"])
def test_the_host_responder_has_the_guardrails(tmp_path: Path, name: str):
    worker = Worker(tmp_path, "IsolateHost", ENDPOINTS, HOSTS)
    assert not worker.run("IsolateHost", observable("hostname", name), lease="P3").success
    assert worker.product.log() == []


def test_the_definitions_are_what_cortex_reads(make_lab: Any):
    lab = make_lab(5, responders=[WORKERS])
    names = {definition.id for definition in lab.cortex.definitions("responder")}
    wanted = {"FirewallBlock", "FirewallUnblock", "AccountDisable", "AccountEnable", "IsolateHost", "ReleaseHost"}
    assert names == {f"{name}_1_0" for name in wanted}
    assert set(lab.enable_all()) == names, "each needs its product's file"


def test_the_service_finds_each_undo_beside_its_responder():
    from playbook_service.playbook.responder import RESPONDERS

    for name, entry in RESPONDERS.items():
        assert (WORKERS / name / f"{name}.json").is_file()
        assert (WORKERS / name / f"{entry.undo}.json").is_file()
