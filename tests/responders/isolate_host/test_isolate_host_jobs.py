"""IsolateHost and ReleaseHost started as processes, exactly as Cortex starts them, against a real host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, definition, run_job
from isolation_lab import HOST4, HOST_MGMT, INVENTORY, POLICY, IsolationLab

pytestmark = [pytest.mark.root, pytest.mark.daemon]


class Jobs:
    """Runs jobs from the management machine of a lab."""

    def __init__(self, lab: IsolationLab, folder: Path, fixtures: Path):
        self.lab = lab
        self._folder, self._payloads = folder, fixtures / "thehive_payloads"
        self._count = 0
        self._known = folder / "known_hosts"
        self._known.write_text(lab.web.known_hosts.read_text())

    def payload(self, name: str) -> dict[str, Any]:
        job: dict[str, Any] = json.loads((self._payloads / f"responder_input_{name}.json").read_text())
        return job

    def run(self, flavour: str, job: dict[str, Any], *, raw: bytes | None = None, **config: Any) -> Report:
        self._count += 1
        shipped = definition("responders", "IsolateHost", flavour)
        job["config"] = {
            "backend": "nftables_ssh",
            "policy": POLICY,
            "dry_run": False,
            "isolate_hosts": [INVENTORY[0]],
            "isolate_ssh_key_file": str(self.lab.web.key),
            "isolate_ssh_known_hosts": str(self._known),
            **shipped["config"],
            **config,
        }
        prefix = self.lab.prefix("mgmt")
        return run_job(self._folder / str(self._count), "responders", shipped, job, prefix=prefix, raw=raw)

    def of(self, data_type: str, data: str, **more: Any) -> dict[str, Any]:
        job = self.payload("v5_case_artifact")
        job["data"].update(dataType=data_type, data=data, **more)
        return job

    def case(self, shape: str = "v5_case", **fields: str) -> dict[str, Any]:
        job = self.payload(shape)
        job["data"]["customFields"] = {name: {"string": value, "order": 0} for name, value in fields.items()}
        job["data"]["customFieldValues"] = {}
        return job


@pytest.fixture
def jobs(fresh: IsolationLab, tmp_path: Path, fixtures: Path) -> Jobs:
    return Jobs(fresh, tmp_path, fixtures)


@pytest.mark.parametrize(
    ("data_type", "data", "tags"),
    [
        ("hostname", "WEB-01", []),
        ("fqdn", "web-01.example.org", []),
        ("ip", HOST_MGMT, []),
        ("other", "web-01", ["subtype:hostname"]),
    ],
)
def test_an_observable_that_names_a_host(jobs: Jobs, data_type: str, data: str, tags: list[str]) -> None:
    report = jobs.run("IsolateHost", jobs.of(data_type, data, tags=tags))
    full = report.full
    assert full["result"] == "contained"
    assert full["subject"]["name"] == "web-01"
    assert "management still gets in" in full["done"]
    assert full["sessions"]["ended"]
    assert report.body["operations"][0]["tag"].startswith("propolis:contained:nftables_ssh:until=20")
    assert not jobs.lab.pings("evil", HOST4)
    released = jobs.run("ReleaseHost", jobs.of(data_type, data, tags=tags), dry_run=True)
    assert released.full["result"] == "released"
    assert jobs.lab.pings("evil", HOST4)


@pytest.mark.parametrize("shape", ["v4_case", "v5_case", "v4_alert", "v5_alert"])
def test_a_case_or_alert_names_the_host_by_a_custom_field(jobs: Jobs, shape: str) -> None:
    job = jobs.case(shape, wazuh_agent_name="web-01", wazuh_agent_id="003")
    full = jobs.run("IsolateHost", job).full
    assert full["result"] == "contained"
    assert full["target"]["from"] == "custom field wazuh_agent_name"


def test_a_case_names_the_host_by_a_tag(jobs: Jobs) -> None:
    job = jobs.payload("v5_case")
    job["data"]["tags"] = ["propolis:target=web-01", "propolis:for=30m"]
    assert jobs.run("IsolateHost", job).full["duration"]["seconds"] == 1800


def test_a_field_and_a_tag_that_disagree_are_refused_with_both(jobs: Jobs) -> None:
    job = jobs.case(wazuh_agent_name="web-01")
    job["data"]["tags"] = ["propolis:target=app-02"]
    error = jobs.run("IsolateHost", job).error
    assert "web-01" in error
    assert "app-02" in error


@pytest.mark.parametrize(
    ("job_of", "why"),
    [
        (lambda jobs: jobs.case(wazuh_agent_name="web-01", wazuh_agent_id="000"), "Wazuh manager"),
        (lambda jobs: jobs.of("hostname", "db-01"), "hosts.never_names"),
        (lambda jobs: jobs.of("hostname", "dc1"), "domain controller"),
        (lambda jobs: jobs.of("hostname", "cortex"), "response chain"),
        (lambda jobs: jobs.of("hostname", "web-01", tags=["crown-jewel"]), "hosts.never_tags"),
        (lambda jobs: jobs.of("hostname", "web-01", tags=["tier0"]), "hosts.never_tags"),
        (lambda jobs: jobs.of("hostname", "web-09"), "isolate_hosts"),
        (lambda jobs: jobs.of("hostname", "web"), "isolate_hosts"),
        (lambda jobs: jobs.of("hostname", "-oProxyCommand=id"), "no host name"),
        (lambda jobs: jobs.of("hostname", "web-01; id"), "no host name"),
        (lambda jobs: jobs.of("other", "web-01"), "accepted are"),
        (lambda jobs: jobs.payload("v5_case"), "wazuh_agent_name"),
        (lambda jobs: jobs.payload("v5_case_task"), "cannot be started on"),
    ],
)
def test_what_must_not_be_isolated_is_refused_in_one_sentence(jobs: Jobs, job_of: Any, why: str) -> None:
    assert why in jobs.run("IsolateHost", job_of(jobs)).error
    assert jobs.lab.logged.writes() == []


def test_a_name_that_means_two_hosts_is_refused_with_both(jobs: Jobs) -> None:
    inventory = ["web-01,www=root@192.0.2.1:2222", "web-02,www=root@192.0.2.9:2222"]
    error = jobs.run("IsolateHost", jobs.of("hostname", "www"), isolate_hosts=inventory).error
    assert "web-01" in error
    assert "web-02" in error


def test_as_delivered_it_only_says_what_it_would_do(jobs: Jobs) -> None:
    shipped = definition("responders", "IsolateHost", "IsolateHost")
    defaults = {item["name"]: item["defaultValue"] for item in shipped["configurationItems"] if "defaultValue" in item}
    report = jobs.run("IsolateHost", jobs.of("hostname", "web-01"), **{"policy": None, **defaults})
    assert report.full["result"] == "would_contain"
    assert "propolis_isolation" in report.full["request"]
    assert report.body["operations"] == []
    assert jobs.lab.logged.writes() == []
    assert jobs.lab.pings("evil", HOST4)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"backend": "magic"}, "nftables_ssh"),
        ({"isolate_hosts": []}, "names no host"),
        ({"isolate_hosts": ["web-01"]}, "name[,alias...]=user@address"),
        ({"isolate_hosts": ["web-01=root@-oProxyCommand"]}, "host name"),
        ({"isolate_ssh_key_file": None}, "isolate_ssh_key_file"),
        ({"isolate_ssh_key_file": "/nowhere/key"}, "key file"),
        ({"isolate_ssh_known_hosts": None}, "isolate_ssh_known_hosts"),
        ({"policy": "hosts: {never_names: 7}"}, "policy"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(jobs: Jobs, config: dict[str, Any], said: str) -> None:
    assert said in jobs.run("IsolateHost", jobs.of("hostname", "web-01"), **config).error


@pytest.mark.parametrize(("key", "name"), [("tlp", "TLP"), ("pap", "PAP")])
def test_tlp_and_pap_are_limits(jobs: Jobs, key: str, name: str) -> None:
    job = jobs.of("hostname", "web-01")
    job[key] = 3
    assert f"{name} is higher than allowed" in jobs.run("IsolateHost", job).error


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_broken_job_is_a_valid_report(jobs: Jobs, raw: bytes) -> None:
    assert jobs.run("IsolateHost", {}, raw=raw).error


def test_a_host_that_is_down_is_one_sentence_without_secrets(jobs: Jobs) -> None:
    jobs.lab.web.down()
    try:
        report = jobs.run("IsolateHost", jobs.of("hostname", "web-01"))
    finally:
        jobs.lab.web.up()
    assert "refuses connections" in report.error
    assert jobs.lab.web.key.read_text().splitlines()[1] not in report.text


def test_an_isolation_by_somebody_else_is_left_to_them(jobs: Jobs) -> None:
    jobs.run("IsolateHost", jobs.of("hostname", "web-01"))
    for ip in ("ipv4", "ipv6"):
        jobs.lab.nft("web", "delete", "element", "inet", "propolis_isolation", "active", f"{{ {ip} }}")
        element = f'{{ {ip} timeout 1h comment "ticket 17" }}'
        jobs.lab.nft("web", "add", "element", "inet", "propolis_isolation", "active", element)
    standing = jobs.run("IsolateHost", jobs.of("hostname", "web-01"))
    assert "somebody else" in standing.full["message"]
    assert standing.body["operations"] == []
    assert "ticket 17" in jobs.run("ReleaseHost", jobs.of("hostname", "web-01")).error
    assert not jobs.lab.pings("evil", HOST4)
