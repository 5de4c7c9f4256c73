"""FirewallBlock and FirewallUnblock started as processes, exactly as Cortex starts them, on a real firewall."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, definition, run_job
from firewall_lab import FW4, FW_MGMT, POLICY, PORT, FirewallLab

pytestmark = pytest.mark.root

ATTACKER = "203.0.113.45"  # the address in TheHive's payloads
CONFIG = {"backend": "nftables", "policy": POLICY, "dry_run": False, "max_tlp": 2, "max_pap": 2}


class Jobs:
    """Runs jobs on the firewall of a lab, from TheHive's own payloads."""

    def __init__(self, lab: FirewallLab, folder: Path, fixtures: Path):
        self.lab = lab
        self._folder, self._payloads = folder, fixtures / "thehive_payloads"
        self._numbers = itertools.count(1)

    def payload(self, name: str) -> dict[str, Any]:
        job: dict[str, Any] = json.loads((self._payloads / f"responder_input_{name}.json").read_text())
        return job

    def run(self, flavour: str, job: dict[str, Any], *, raw: bytes | None = None, **config: Any) -> Report:
        shipped = definition("responders", "FirewallBlock", flavour)
        job["config"] = {**CONFIG, **shipped["config"], **config}
        prefix = self.lab.prefix("fw")
        return run_job(self._folder / str(next(self._numbers)), "responders", shipped, job, prefix=prefix, raw=raw)

    def block(self, name: str = "v5_case_artifact", **config: Any) -> Report:
        return self.run("FirewallBlock", self.payload(name), **config)

    def unblock(self, name: str = "v5_case_artifact", **config: Any) -> Report:
        return self.run("FirewallUnblock", self.payload(name), **config)

    def of(self, data_type: str, data: str, **more: Any) -> dict[str, Any]:
        """The payload of an observable with other data."""
        job = self.payload("v5_case_artifact")
        job["data"].update(dataType=data_type, data=data, **more)
        return job

    def rules(self) -> str:
        return self.lab.nft("fw", "list", "ruleset")


@pytest.fixture
def jobs(fresh: FirewallLab, tmp_path: Path, fixtures: Path) -> Jobs:
    return Jobs(fresh, tmp_path, fixtures)


@pytest.mark.parametrize("shape", ["v4_case_artifact", "v5_case_artifact", "v5_case_artifact_in_alert"])
def test_an_observable_in_every_shape_of_thehive(jobs: Jobs, shape: str) -> None:
    report = jobs.block(shape)
    full = report.full
    assert full["result"] == "contained"
    assert full["message"].startswith(f"Contained {ATTACKER} at nftables on this machine until 20")
    assert full["requested_by"] == {"user": "playbook@soc.example", "organisation": "soc-main"}
    (operation,) = report.body["operations"]
    assert operation["type"] == "AddTagToArtifact"
    assert operation["tag"].startswith("propolis:contained:nftables:until=20")
    assert ATTACKER in jobs.rules()
    released = jobs.unblock(shape)
    assert released.full["result"] == "released"
    assert released.body["operations"][0]["tag"].startswith("propolis:released:nftables:at=")
    assert ATTACKER not in jobs.rules()


def test_the_mark_at_the_firewall_names_case_person_and_time(jobs: Jobs) -> None:
    assert jobs.block().full["mark"].startswith("propolis case=128 by=playbook@soc.example at=20")
    assert 'comment "propolis case=128 by=playbook@soc.example' in jobs.rules()


def test_a_second_block_says_so_and_tags_nothing(jobs: Jobs) -> None:
    jobs.block()
    again = jobs.block()
    assert again.full["result"] == "already_contained"
    assert again.full["changed"] is False
    assert again.body["operations"] == []


def test_a_second_unblock_is_fine(jobs: Jobs) -> None:
    assert jobs.unblock().full["result"] == "already_released"


@pytest.mark.parametrize(("shape", "operation"), [("v4_case", "AddTagToCase"), ("v5_alert", "AddTagToAlert")])
def test_a_case_or_alert_names_its_target_by_a_tag(jobs: Jobs, shape: str, operation: str) -> None:
    job = jobs.payload(shape)
    job["data"]["tags"] += [f"propolis:target={ATTACKER}", "propolis:for=2h"]
    report = jobs.run("FirewallBlock", job)
    assert report.full["duration"] == {"seconds": 7200, "from": "tag propolis:for=2h"}
    assert report.body["operations"][0]["type"] == operation
    assert "timeout 2h" in jobs.rules()


@pytest.mark.parametrize("shape", ["v4_alert", "v5_alert", "v4_case", "v5_case"])
def test_a_case_or_alert_without_a_target_says_how_to_name_one(jobs: Jobs, shape: str) -> None:
    report = jobs.block(shape)
    assert "propolis:target=" in report.error
    assert jobs.rules() == ""


def test_two_targets_are_refused_with_both(jobs: Jobs) -> None:
    job = jobs.payload("v5_case")
    job["data"]["tags"] += ["propolis:target=203.0.113.1", "propolis:target=203.0.113.2"]
    error = jobs.run("FirewallBlock", job).error
    assert "203.0.113.1" in error
    assert "203.0.113.2" in error
    assert jobs.rules() == ""


@pytest.mark.parametrize("shape", ["v4_case_task", "v5_case_task", "v4_case_task_log", "v5_case_task_log"])
def test_a_task_is_no_target(jobs: Jobs, shape: str) -> None:
    assert "cannot be started on a case_task" in jobs.block(shape).error


def test_as_delivered_it_only_says_what_it_would_do(jobs: Jobs) -> None:
    shipped = definition("responders", "FirewallBlock", "FirewallBlock")
    defaults = {item["name"]: item["defaultValue"] for item in shipped["configurationItems"] if "defaultValue" in item}
    report = jobs.run("FirewallBlock", jobs.payload("v5_case_artifact"), **{"policy": None, **defaults})
    assert report.full["result"] == "would_contain"
    assert report.full["message"].startswith("DRY RUN")
    assert "dry_run" in report.full["notes"][0]
    assert "firewall.own" in report.full["notes"][1]
    assert json.loads(report.full["request"])["nftables"]
    assert report.body["operations"] == []
    assert jobs.rules() == ""


def test_without_a_policy_it_only_says_what_to_set(jobs: Jobs) -> None:
    report = jobs.block(policy=None)
    assert report.full["result"] == "would_contain"
    assert "firewall.own" in report.full["message"]
    assert jobs.rules() == ""


def test_an_undo_asks_neither_dry_run_nor_policy(jobs: Jobs) -> None:
    jobs.block()
    assert jobs.unblock(dry_run=True, policy="firewall: {never: [nonsense]}").full["result"] == "released"


def test_an_undo_leaves_what_somebody_else_blocked(jobs: Jobs) -> None:
    jobs.block()
    jobs.lab.nft("fw", "delete", "element", "inet", "propolis", "b4", f"{{ {ATTACKER} }}")
    jobs.lab.nft("fw", "add", "element", "inet", "propolis", "b4", f'{{ {ATTACKER} comment "ticket 17" }}')
    assert "ticket 17" in jobs.unblock().error
    assert ATTACKER in jobs.rules()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.1.2.3", "private"),
        ("192.0.2.77", "firewall.own"),
        (FW4, "the firewall's own address"),
        ("0.0.0.0/0", "touches"),
        ("::ffff:192.168.1.1", "private"),
        ("203.0.113.0/24", "wider than"),
        ("203.0.113.5 }; flush ruleset; #", "not an IP address"),
        ("010.1.1.8", "octal"),
        ("", "no data"),
    ],
)
def test_what_must_not_be_blocked_is_refused_in_one_sentence(jobs: Jobs, address: str, why: str) -> None:
    report = jobs.run("FirewallBlock", jobs.of("ip", address))
    assert why in report.error
    assert jobs.rules() == ""


@pytest.mark.parametrize(
    ("data_type", "data"), [("domain", "evil.example.org"), ("fqdn", "c2.example.org"), ("url", "http://example.org/x")]
)
def test_names_are_refused_plainly_by_a_packet_filter(jobs: Jobs, data_type: str, data: str) -> None:
    assert "nftables cannot contain a" in jobs.run("FirewallBlock", jobs.of(data_type, data)).error


def test_another_data_type_is_refused_with_those_that_are_taken(jobs: Jobs) -> None:
    assert "accepted are ip" in jobs.run("FirewallBlock", jobs.of("hash", "d41d8cd98f00b204e9800998ecf8427e")).error


@pytest.mark.parametrize(("key", "name"), [("tlp", "TLP"), ("pap", "PAP")])
def test_tlp_and_pap_are_limits(jobs: Jobs, key: str, name: str) -> None:
    job = jobs.payload("v5_case_artifact")
    job[key] = 3
    assert f"{name} is higher than allowed" in jobs.run("FirewallBlock", job).error
    assert jobs.rules() == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"backend": "iptables"}, "must be one of "),
        ({"backend": None}, "backend"),
        ({"service": "destroy"}, "service"),
        ({"duration_hours": "a day"}, "duration_hours"),
        ({"duration_hours": 0}, "duration_hours"),
        ({"dry_run": "no"}, "dry_run"),
        ({"policy": "firewall: {never: [10.0.0.0/33]}"}, "policy"),
        ({"policy": "firewall: {nevr: []}"}, "nevr"),
        ({"nft_binary": "/nowhere/nft"}, "install nftables"),
        ({"nft_gate": "/nowhere/gate"}, "gate"),
        ({"nft_ssh_host": "fw", "nft_ssh_key_file": None}, "nft_ssh_key_file"),
        ({"nft_ssh_host": "-oProxyCommand=id", "nft_ssh_key_file": "/k", "nft_ssh_known_hosts": "/h"}, "host name"),
        ({"nft_ssh_host": "fw", "nft_ssh_key_file": "/nowhere/key", "nft_ssh_known_hosts": "/etc/hosts"}, "key file"),
        ({"nft_ssh_host": "fw", "nft_ssh_port": 70000}, "nft_ssh_port"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(jobs: Jobs, config: dict[str, Any], said: str) -> None:
    assert said in jobs.block(**config).error
    assert jobs.rules() == ""


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"data": 1}', b"\xff\xfe", b'{"dataType": "thehive:case"}'])
def test_a_broken_job_is_a_valid_report(jobs: Jobs, raw: bytes) -> None:
    assert jobs.run("FirewallBlock", {}, raw=raw).error


def test_parameters_shorten_and_never_choose(jobs: Jobs) -> None:
    job = jobs.payload("v5_case_artifact")
    job["parameters"].update(duration_seconds=600, target="198.51.100.9", data="198.51.100.9", dry_run=False)
    full = jobs.run("FirewallBlock", job).full
    assert full["target"]["value"] == ATTACKER
    assert full["duration"]["seconds"] == 600
    jobs.unblock()
    job["parameters"]["duration_seconds"] = 30 * 86400
    assert jobs.run("FirewallBlock", job).full["duration"]["seconds"] == 86400
    assert "198.51.100.9" not in jobs.rules()


def test_the_policys_ceiling_cuts_a_long_wish(jobs: Jobs) -> None:
    job = jobs.of("ip", ATTACKER, tags=["propolis:for=30d"])
    assert jobs.run("FirewallBlock", job).full["duration"]["seconds"] == 7 * 86400


def test_two_jobs_at_the_same_moment_are_one_block_and_one_base(jobs: Jobs) -> None:
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: jobs.block(), range(2)))
    assert {report.full["result"] for report in reports} <= {"contained", "already_contained"}
    assert jobs.rules().count(ATTACKER) == 1
    assert jobs.rules().count("drop") == 6
    assert jobs.unblock().full["result"] == "released"


@pytest.mark.daemon
def test_over_ssh_and_with_the_firewall_down(jobs: Jobs) -> None:
    ssh = jobs.lab.ssh
    items = {
        "nft_ssh_host": FW_MGMT,
        "nft_ssh_port": PORT,
        "nft_ssh_user": "root",
        "nft_ssh_key_file": str(ssh.key),
        "nft_ssh_known_hosts": str(ssh.known_hosts),
    }
    report = jobs.block(**items)
    assert report.full["where"] == f"root@{FW_MGMT} port {PORT}"
    assert jobs.unblock(**items).full["result"] == "released"
    ssh.down()
    try:
        down = jobs.block(**items)
        assert "refuses connections" in down.error
    finally:
        ssh.up()
    for text in (report.text, down.text):
        assert ssh.key.read_text().splitlines()[1] not in text
        assert "PRIVATE KEY" not in text


def test_a_service_that_many_share_is_blocked_only_when_somebody_says_that_it_is_meant(jobs: Jobs) -> None:
    refused = jobs.run("FirewallBlock", jobs.of("ip", "1.1.1.1"))
    assert "an analyst must agree" in refused.body["errorMessage"]
    assert "propolis:shared=ok" in refused.body["errorMessage"]
    assert "1.1.1.1" not in jobs.rules()
    meant = jobs.run("FirewallBlock", jobs.of("ip", "1.1.1.1", tags=["propolis:shared=ok"]))
    assert meant.full["result"] == "contained"
    jobs.run("FirewallUnblock", jobs.of("ip", "1.1.1.1"))
