"""QuarantineFile as Cortex starts it: which file on which host is meant, and what is never taken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cortexjob import Report, run_job
from workers import load_responder

from propolis.containment.backend import Status, Subject, Target
from propolis.containment.file import host_of
from propolis.containment.path import canonical_file, is_path
from propolis.containment.registry import responder as registered
from propolis.containment.registry.definition import definition
from propolis.containment.target import find_target
from propolis.errors import InputError
from propolis.guardrails import Policy, Refused

QuarantineFile = load_responder("QuarantineFile", "quarantine_file").QuarantineFile
SHA1 = "1" * 40
Document = dict[str, Any]


def worker(entity: Document) -> Any:
    """The responder for a job on this entity."""
    jobless = type("QuarantineFile", (QuarantineFile,), {"entity": entity})
    return object.__new__(jobless)


def observable(data: str = SHA1, *, tags: tuple[str, ...] = (), case: Document | None = None) -> Document:
    return {"dataType": "hash", "data": data, "tags": list(tags), "case": case or {}}


def case(*tags: str, **fields: str) -> Document:
    return {"tags": list(tags), "customFields": {name: {"string": text} for name, text in fields.items()}}


def aimed(entity: Document, kind: str = "case_artifact") -> Target:
    """The target as backends see it."""
    made: Target = worker(entity).canonical(find_target(entity, f"thehive:{kind}", QuarantineFile.wanted))
    return made


@pytest.mark.parametrize(
    ("entity", "host"),
    [
        (observable(tags=("propolis:host=PC-17",)), "pc-17"),
        (observable(case=case("propolis:host=pc-17.corp.example")), "pc-17.corp.example"),
        (observable(case=case(wazuh_agent_name="PC-17")), "pc-17"),
        (observable(case=case("propolis:host=pc-17", wazuh_agent_name="PC-17.")), "pc-17"),
        (observable(tags=("propolis:host=pc-18",), case=case(wazuh_agent_name="pc-17")), "pc-18"),
    ],
    ids=["own tag", "case's tag", "case's field", "tag and field agree", "own tag before case's field"],
)
def test_the_host_is_named_beside_the_file(entity: Document, host: str) -> None:
    assert host_of(aimed(entity)) == host


def test_a_case_names_file_and_host() -> None:
    entity = case("propolis:target=/tmp/x.sh", wazuh_agent_name="web-01", wazuh_agent_id="003")
    target = aimed(entity, "case")
    assert (target.value, target.hints) == ("/tmp/x.sh", (("host", "web-01"), ("wazuh_agent_id", "003")))


def test_the_agents_id_comes_along_only_for_the_host_it_belongs_to() -> None:
    fields = case(wazuh_agent_name="web-01", wazuh_agent_id="003")
    assert dict(aimed(observable(case=fields)).hints)["wazuh_agent_id"] == "003"
    assert "wazuh_agent_id" not in dict(aimed(observable(tags=("propolis:host=pc-18",), case=fields)).hints)


@pytest.mark.parametrize(
    ("entity", "said"),
    [
        (observable(), "propolis:host="),
        (observable(tags=("propolis:host=",)), "No host is named"),
        (observable(tags=("propolis:host=pc-17", "propolis:host=pc-18")), "pc-17, pc-18"),
        (observable(case=case("propolis:host=pc-18", wazuh_agent_name="pc-17")), "2 hosts"),
        (observable(tags=("propolis:host=pc-17' or 1 eq 1",)), "no host name"),
        (observable(tags=("propolis:host=*",)), "no host name"),
    ],
)
def test_no_host_two_hosts_and_what_is_no_host_are_refused(entity: Document, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("*", r"\*")):
        aimed(entity)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("A" * 40, "a" * 40),
        ("B" * 64, "b" * 64),
        ("/home/anna/.cache/x y.sh", "/home/anna/.cache/x y.sh"),
        ("/tmp/pâté.sh", "/tmp/pâté.sh"),
        (r"c:\Users\anna\invoice.exe", r"C:\Users\anna\invoice.exe"),
        ("C:/Users/anna/invoice.exe", r"C:\Users\anna\invoice.exe"),
    ],
)
def test_a_hash_or_a_full_path_names_a_file(given: str, meant: str) -> None:
    assert canonical_file(given) == meant


@pytest.mark.parametrize(
    "given",
    [
        "invoice.exe",
        "tmp/x.sh",
        "~/x.sh",
        "/tmp/../etc/shadow",
        "/tmp//x.sh",
        "/tmp/./x.sh",
        "/tmp/",
        "/",
        "/tmp/x.sh\n/etc/shadow",
        "/tmp/x\x00.sh",
        "/tmp/\u202ehs.x",
        "C:\\",
        r"C:\Users\..\Windows\System32\lsass.exe",
        r"C:\Windows\System32.\lsass.exe",
        r"C:\Users\anna\invoice.exe.",
        r"C:\Users\anna\invoice.exe:stream",
        r"C:\PROGRA~1\x.exe",
        r"%TEMP%\x.exe",
        r"C:\%TEMP%\x.exe",
        r"C:\Users\*\x.exe",
        r"\\server\share\x.exe",
        r"\\?\C:\x.exe",
        "d41d8cd98f00b204e9800998ecf8427e",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "",
        "/" + "x" * 2000,
    ],
)
def test_what_could_mean_another_file_is_refused(given: str) -> None:
    with pytest.raises(InputError) as caught:
        canonical_file(given)
    assert str(caught.value).endswith(".")


NEVER = (
    "/lib64/ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/systemd/systemd", "/sbin/init",
    "/bin/bash", "/usr/bin/sudo", "/usr/sbin/sshd", "/etc/ssh/sshd_config", "/etc/shadow", "/etc/pam.d/sshd",
    "/boot/vmlinuz-6.1", "/proc/1/exe", "/var/ossec/bin/wazuh-agentd", "/opt/CrowdStrike/falcond",
    r"C:\Windows\System32\lsass.exe", r"c:\WINDOWS\system32\NTOSKRNL.EXE", r"C:\Windows\SysWOW64\kernel32.dll",
    r"C:\Windows\System32\config\SAM", r"C:\Windows\System32\drivers\tcpip.sys", r"C:\Windows\explorer.exe",
    r"C:\Program Files (x86)\ossec-agent\wazuh-agent.exe", r"C:\Program Files\Windows Defender\MsMpEng.exe",
    r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18\MpCmdRun.exe",
)  # fmt: skip
MAY = (
    "/tmp/x.sh", "/dev/shm/.x", "/home/anna/bin/bash", "/var/www/html/shell.php", "/usr/local/bin/miner",
    "/etc/systemd/system/evil.service", "/usr/lib/evil.so", r"C:\Windows\System32\evil.dll",
    r"C:\Windows\Temp\lsass.exe",
    r"C:\Users\anna\AppData\Local\Temp\cmd.exe", r"D:\tools\winlogon.exe", SHA1,
)  # fmt: skip


def guarded(
    value: str, status: Status | None = None, policy: str = "hosts: {never_names: [crown*]}", **hints: str
) -> None:
    target = Target("file", value, "test", tuple({"host": "web-01", **hints}.items()))
    worker({}).guard(Policy.parse(policy), target, status)


@pytest.mark.parametrize("path", NEVER)
def test_what_a_host_needs_to_run_or_to_be_managed_is_never_taken(path: str) -> None:
    with pytest.raises(Refused, match="cannot be switched off"):
        guarded(canonical_file(path))


@pytest.mark.parametrize("path", MAY)
def test_everything_else_may_be_taken_also_under_a_systems_name_elsewhere(path: str) -> None:
    guarded(canonical_file(path))


def found(**more: Any) -> Status:
    return Status(Subject("id-7", "x on web-01", **{"names": ("web-01.example.org",), **more}), contained=False)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (found(names=("web-01", "/usr/sbin/sshd")), "/usr/sbin/sshd"),
        (found(names=("web-01", r"C:\Windows\System32\lsass.exe")), "core of Windows"),
        (found(privileged=True), "operating system"),
        (found(names=("crown-jewel.example.org",)), "never_names"),
        (found(tags=("tier0",)), "never_tags"),
        (found(types=("Domain Controller",)), "Domain Controller"),
        (found(own=True), "this integration works on"),
    ],
)
def test_what_the_product_says_of_file_and_host_is_asked_too(status: Status, said: str) -> None:
    with pytest.raises(Refused) as caught:
        guarded(SHA1, status)
    assert said in str(caught.value)


def test_a_file_on_a_host_of_the_never_list_is_refused_before_the_product_is_asked() -> None:
    with pytest.raises(Refused, match="never_names"):
        guarded(SHA1, host="crown-1")
    with pytest.raises(Refused, match="Wazuh manager"):
        guarded(SHA1, wazuh_agent_id="000")


def test_a_server_is_held_back_only_where_the_policy_lists_its_type() -> None:
    """A file's quarantine takes no server off the network."""
    server = found(types=("WindowsServer2022", "Server"))
    guarded(SHA1, server)
    with pytest.raises(Refused, match="never_types"):
        guarded(SHA1, server, policy="hosts: {never_types: [Server]}")


def test_a_path_is_told_from_a_hosts_name() -> None:
    assert [is_path(text) for text in ("/x", r"C:\x", "C:x", "web-01", "crown-dc")] == [True, True, False, False, False]


@pytest.fixture
def job(fixtures: Path, tmp_path: Path) -> Any:
    def start(service: str, **entity: Any) -> Report:
        given = json.loads((fixtures / "thehive_payloads" / "responder_input_v5_case_artifact.json").read_text())
        given["data"].update(entity)
        row = registered("QuarantineFile")
        (flavour,) = (one for one in row.flavours if one.service == service)
        shipped = definition(row, flavour)
        given["config"] = {
            "backend": "defender", "defender_tenant_id": "t", "defender_client_id": "c", "dry_run": False,
            "defender_client_secret": "n0t-to-be-seen", "policy": "firewall: {own: [198.51.100.0/24]}",
            **shipped["config"],
        }  # fmt: skip
        return run_job(tmp_path / service, "responders", shipped, given)

    return start


def test_a_job_without_a_host_fails_with_what_to_do(job: Any) -> None:
    for service in ("contain", "release"):
        report = job(service, dataType="hash", data=SHA1, tags=[])
        assert "propolis:host=" in report.error
        assert "n0t-to-be-seen" not in report.text


def test_a_job_on_a_system_file_is_refused_and_asks_nobody(job: Any) -> None:
    report = job("contain", dataType="filename", data="/usr/sbin/sshd", tags=["propolis:host=web-01"])
    assert "never contained" in report.error


def test_a_job_on_another_type_says_which_are_taken(job: Any) -> None:
    assert "hash, filename" in job("contain", dataType="ip", data="203.0.113.7", tags=["propolis:host=web-01"]).error


@pytest.mark.parametrize("flavour", ["QuarantineFile", "RestoreFile"])
def test_the_templates_read_only_what_a_report_holds(flavour: str, root: Path) -> None:
    """A name that no report has would simply be left blank by TheHive."""
    report = {
        "message", "result", "backend", "where", "target.value", "target.from", "subject.id", "subject.name", "done",
        "until", "verified", "mark", "lease", "sessions.remaining", "request", "pending", "notes", "requested_by.user",
        "dry_run", "errorMessage",
    }  # fmt: skip
    for name in ("long.html", "short.html"):
        text = (root / "thehive-templates" / f"{flavour}_1_0" / name).read_text()
        assert set(re.findall(r"content\.([\w.]+)", text)) <= report
        assert "ng-bind-html" not in text
        assert text.count("<div") == text.count("</div>")
