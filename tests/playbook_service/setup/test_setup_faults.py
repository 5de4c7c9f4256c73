"""One bad entry, and nothing is changed: all faults come at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from setup_file import ROOT, File

from playbook_service.lab import Lab
from playbook_service.setup.bundle import versions
from playbook_service.setup.document import read
from playbook_service.setup.look import SetupErrors

MakeFile = Callable[[Lab], File]
Output = pytest.CaptureFixture[str]
NO_ENVIRONMENT: Mapping[str, str] = {}


def faults(folder: Path, text: str, environment: Mapping[str, str] = NO_ENVIRONMENT) -> list[str]:
    path = folder / "s.yml"
    path.write_text(text)
    with pytest.raises(SetupErrors) as caught:
        read(path, environment)
    return [one.replace(f"{path}:", "") for one in caught.value.faults]


def untouched(lab: Lab) -> bool:
    return not lab.cortex.workers and lab.hive.store.by_key("CustomField", ("wazuh_rule_id",)) is None


def test_all_faults_of_the_file_at_once_with_line_and_place(tmp_path: Path):
    text = """\
thehive:
  url: not-an-address
  organisation: soc-main
  admin_key: written-out
  org_admin_key: {env: NOT_SET}
  color: green
  custom_fields:
    - {name: a.b, type: text}
    - {name: wazuh_rule_level, type: string}
  webhook: {url: https://p.example.org/hooks/thehive, token: {file: no-such-file}}
cortex:
  url: https://cortex.example.org:9001
  workers:
    - enable: [ConsensusScore]
      job_cache: 10
    - enable: [FirewallBlock, FirewallBlock]
      rate: 5
      configuration: {backend: edl, edl_token: written-out}
"""
    found = "\n".join(faults(tmp_path, text))
    for expected in (
        "2: thehive.url: ",
        "4: thehive.admin_key: is a secret: give it as {file: PATH} or {env: NAME}.",
        "5: thehive.org_admin_key: the environment variable NOT_SET is not set.",
        "6: thehive.color: is unknown here; known are url, organisation,",
        "8: thehive.custom_fields[0].name: must not hold a dot",
        "8: thehive.custom_fields[0].type: must be one of string, integer,",
        "9: thehive.custom_fields[1]: wazuh_rule_level is one of our own fields and must be of the type integer.",
        "10: thehive.webhook.token: the file ",
        "12: cortex.org_admin_key: is missing.",
        "14: cortex.workers[0].job_cache: must be 0 for ConsensusScore",
        "16: cortex.workers[1]: rate and rate_unit go together.",
        "16: cortex.workers[1]: FirewallBlock_1_0 is enabled by another entry already.",
        "18: cortex.workers[1].configuration.edl_token: is a secret",
    ):
        assert expected in found
    assert "written-out" not in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it asks for nothing"),
        ("- a\n- b\n", "must be a map with thehive, cortex"),
        ("thehive: [\n", "it is not YAML"),
        ("thehive: &x {}\ncortex: *x\n", "anchors (&) and aliases (*) are not allowed"),
    ],
    ids=["empty", "a list", "torn", "with an anchor"],
)
def test_what_is_no_set_up_file_is_said_to_be_none(tmp_path: Path, text: str, says: str):
    assert says in "\n".join(faults(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(SetupErrors, match="cannot be read"):
        read(tmp_path / "none.yml")


def test_configuration_that_cortex_would_refuse_is_refused_before_anything_is_changed(
    lab5: Lab, file: MakeFile, capsys: Output
):
    made = file(lab5)
    made.worker("FirewallBlock")["configuration"] |= {"dry_run": "no", "wall": "x"}
    made.document["cortex"]["workers"].append({"enable": ["IsolateHost", "Nobody_1_0"], "configuration": {}})
    assert made.run() == 2
    said = capsys.readouterr().err
    assert "cortex.workers[3].configuration: FirewallBlock_1_0: dry_run must be boolean." in said
    assert "FirewallUnblock_1_0: it has no item wall; it has " in said
    assert "cortex.workers[4]: Cortex does not know Nobody_1_0: put its folder into analyzer.urls" in said
    assert "propolis: Nothing was changed." in said
    assert untouched(lab5)


def test_a_required_item_without_value_is_a_fault(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.worker("FirewallBlock")["configuration"]["backend"] = ""
    assert made.run() == 2
    assert "FirewallBlock_1_0: the item backend is required." in capsys.readouterr().err
    assert untouched(lab5)


def test_a_version_that_cortex_does_not_have_names_those_that_it_has(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.document["cortex"]["workers"] = [{"enable": ["WazuhAlert_9_9"]}]
    assert made.run() == 2
    assert "Cortex does not know WazuhAlert_9_9: it has WazuhAlert_1_0." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "key", "says"),
    [
        ("ADMIN_KEY", "analyst", "thehive.admin_key"),
        ("ADMIN_KEY", "", "TheHive refuses thehive.admin_key (401)"),
        ("ORG_KEY", "reader", "whose profile read-only lacks manageCaseTemplate"),
        ("CORTEX_KEY", "cortex_reader", "cortex.org_admin_key belongs to reader, who lacks the role orgadmin"),
        ("CORTEX_KEY", "", "Cortex refuses cortex.org_admin_key (401)"),
    ],
    ids=["analyst for administrator", "unknown key", "reader for org-admin", "reader in Cortex", "unknown in Cortex"],
)
def test_a_key_that_may_too_little_is_found_before_anything_is_changed(
    lab5: Lab, file: MakeFile, monkeypatch: pytest.MonkeyPatch, capsys: Output, variable: str, key: str, says: str
):
    made = file(lab5)
    monkeypatch.setenv(variable, getattr(lab5.keys, key) if key else "a-key-that-nobody-has")
    assert made.run() == 2
    assert says in capsys.readouterr().err
    assert untouched(lab5)


def test_both_servers_faults_come_together(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.document["thehive"]["url"] = "http://127.0.0.1:9"
    made.document["cortex"]["url"] = lab5.thehive_url
    assert made.run() == 2
    said = capsys.readouterr().err
    assert "127.0.0.1:9" in said
    assert "is not Cortex" in said


def test_our_workers_have_the_versions_that_setup_expects():
    """The folders are what Cortex reads; setup must go by the same names and versions."""
    paths = [*ROOT.glob("analyzers/*/*.json"), *ROOT.glob("responders/*/*.json")]
    shipped = {one["name"]: one["version"] for one in map(yaml.safe_load, (path.read_text() for path in paths))}
    assert versions() == shipped


def test_the_example_that_ships_is_sound(tmp_path: Path):
    names = ("THEHIVE_ADMIN_KEY", "THEHIVE_ORG_ADMIN_KEY", "CORTEX_ORG_ADMIN_KEY", "ABUSEIPDB_KEY")
    text = (ROOT / "deploy/setup.example.yml").read_text().replace("/etc/propolis", str(tmp_path))
    (tmp_path / "policy.yml").write_text("firewall: {}\n")
    (tmp_path / "webhook.token").write_text("t\n")
    (tmp_path / "setup.yml").write_text(text)
    wish = read(tmp_path / "setup.yml", dict.fromkeys(names, "a-key"))
    workers: Any = wish.cortex.workers if wish.cortex else ()
    assert {"WazuhAlert_1_0", "FirewallUnblock_1_0", "AbuseIPDB_2_0"} <= {one.definition for one in workers}
