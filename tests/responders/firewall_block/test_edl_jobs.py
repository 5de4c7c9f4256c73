"""FirewallBlock and FirewallUnblock with the backend `edl`, started as processes, against the service's real lists."""

from __future__ import annotations

import itertools
import json
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, definition, run_job
from list_service import TOKEN, ListService

from propolis.clock import SystemClock

ATTACKER = "203.0.113.45"  # the address in TheHive's payloads
POLICY = "firewall: {own: [198.51.100.0/24]}"


class Jobs:
    """Runs jobs as Cortex configures them: every item with its default, and what an operator filled in."""

    def __init__(self, service: ListService, folder: Path, fixtures: Path):
        self.service = service
        self._folder, self._fixtures = folder, fixtures
        self._numbers = itertools.count(1)

    def run(self, flavour: str, data_type: str = "ip", data: str = ATTACKER, **config: Any) -> Report:
        shipped = definition("responders", "FirewallBlock", flavour)
        payload = self._fixtures / "thehive_payloads" / "responder_input_v5_case_artifact.json"
        job: dict[str, Any] = json.loads(payload.read_text())
        job["data"].update(dataType=data_type, data=data)
        defaults = {item["name"]: item.get("defaultValue") for item in shipped["configurationItems"]}
        saved = {"backend": "edl", "edl_url": self.service.url, "edl_token": TOKEN, "policy": POLICY, "dry_run": False}
        job["config"] = {**defaults, "max_tlp": 2, "max_pap": 2, **saved, **shipped["config"], **config}
        report = run_job(self._folder / str(next(self._numbers)), "responders", shipped, job)
        assert TOKEN not in report.text
        return report


@pytest.fixture
def jobs(tmp_path: Path, fixtures: Path) -> Iterator[Jobs]:
    with ListService(SystemClock()) as service:
        yield Jobs(service, tmp_path, fixtures)


def test_an_observable_is_listed_and_taken_off(jobs: Jobs) -> None:
    report = jobs.run("FirewallBlock")
    full = report.full
    assert full["result"] == "contained"
    assert full["message"].startswith(f"Contained {ATTACKER} at block list blocklist of {jobs.service.url} until 20")
    assert full["mark"].startswith("propolis case=128 by=playbook@soc.example at=20")
    assert any("at the latest 5m after its end" in line for line in full["sessions"]["remaining"])
    (operation,) = report.body["operations"]
    assert operation["type"] == "AddTagToArtifact"
    assert operation["tag"].startswith("propolis:contained:edl:until=20")
    assert jobs.service.fetch() == [ATTACKER]
    assert jobs.run("FirewallBlock").full["result"] == "already_contained"
    assert jobs.run("FirewallUnblock").full["result"] == "released"
    assert jobs.service.fetch() == []
    assert jobs.run("FirewallUnblock").full["result"] == "already_released"


def test_a_dry_run_shows_the_call_and_lists_nothing(jobs: Jobs) -> None:
    full = jobs.run("FirewallBlock", dry_run=True).full
    assert full["result"] == "would_contain"
    assert full["request"].startswith(f"PUT {jobs.service.url}/api/v1/blocklist/blocklist/{ATTACKER} {{")
    assert '"ttl": 86400' in full["request"]
    assert jobs.service.fetch() == []


def test_names_and_pages_go_on_lists_of_their_own(jobs: Jobs) -> None:
    lists = {"edl_domain_list": "names", "edl_url_list": "pages"}
    page = "https://evil.example.net/a/b?c=d"
    for data_type, data in (("domain", "evil.example.net"), ("fqdn", "c2.example.org"), ("url", page)):
        assert jobs.run("FirewallBlock", data_type, data, **lists).full["result"] == "contained"
    assert jobs.service.fetch("names") == ["c2.example.org", "evil.example.net"]
    assert jobs.service.fetch("pages") == [page]
    assert jobs.service.fetch() == []
    assert jobs.run("FirewallUnblock", "url", page, **lists).full["result"] == "released"
    assert jobs.service.fetch("pages") == []


def test_a_kind_without_a_list_is_refused_with_those_that_have_one(jobs: Jobs) -> None:
    assert "edl cannot contain a domain; it takes ip." in jobs.run("FirewallBlock", "domain", "evil.example.net").error


@pytest.mark.parametrize(
    ("data_type", "data", "why"),
    [
        ("ip", "10.1.2.3", "private"),
        ("ip", "198.51.100.7", "firewall.own"),
        ("ip", "010.1.1.8", "octal"),
        ("domain", "google.com", "everybody uses"),
        ("url", "http://10.0.0.1/x", "private"),
    ],
)
def test_what_must_not_be_blocked_is_refused_in_one_sentence(jobs: Jobs, data_type: str, data: str, why: str) -> None:
    report = jobs.run("FirewallBlock", data_type, data, edl_domain_list="names", edl_url_list="pages")
    assert why in report.error
    assert [*jobs.service.fetch(), *jobs.service.fetch("names"), *jobs.service.fetch("pages")] == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"edl_url": None}, "edl_url"),
        ({"edl_url": "http://propolis.example.org"}, "https://"),
        ({"edl_url": "http://127.0.0.1:9"}, "refused"),
        ({"edl_token": None}, "edl_token"),
        ({"edl_token": "another"}, "edl_token"),
        ({"edl_list": None}, "edl_list"),
        ({"edl_list": "names"}, "one of kind domain"),
        ({"timeout_seconds": "soon"}, "timeout_seconds"),
    ],
)
def test_a_configuration_that_cannot_work_names_the_item(jobs: Jobs, config: dict[str, Any], said: str) -> None:
    assert said in jobs.run("FirewallBlock", **config).error
    assert jobs.service.fetch() == []


def test_cortexs_proxy_is_not_used(jobs: Jobs) -> None:
    proxy = {"http": "http://127.0.0.1:9", "https": "http://127.0.0.1:9"}
    assert jobs.run("FirewallBlock", proxy=proxy).full["result"] == "contained"


def test_over_tls_with_a_ca_of_ones_own(tmp_path: Path, fixtures: Path, need: Callable[[object, str], None]) -> None:
    need(shutil.which("openssl"), "openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = (
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=feed",
    )
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", "req", *made, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ListService(SystemClock(), context) as service:
        jobs = Jobs(service, tmp_path / "jobs", fixtures)
        assert "not trusted" in jobs.run("FirewallBlock").error
        assert jobs.run("FirewallBlock", edl_ca_file=str(certificate)).full["result"] == "contained"
        assert service.book.entry("blocklist", ATTACKER) is not None
