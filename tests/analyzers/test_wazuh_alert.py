"""The WazuhAlert worker, started as Cortex's process runner starts it: one process, one job folder, one JSON report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SECRET = "s3cr3t-Passw0rd"
ALLOWED = {  # what may be imported besides what cortexutils itself needs: the start of a job is spent in imports
    *("propolis", "propolis.alert", "propolis.alert.model", "propolis.alert.moment", "propolis.alert.severity"),
    *("propolis.errors", "propolis.observables", "propolis.observables.extractor", "propolis.observables.kinds"),
    *("propolis.observables.model", "propolis.observables.names", "propolis.observables.patterns"),
    *("propolis.observables.report", "propolis.observables.sources", "propolis.observables.table"),
    *("propolis.observables.tables", "propolis.observables.tables.unix", "propolis.observables.texts"),
    *("propolis.observables.texts.command", "propolis.observables.texts.syslog", "propolis.observables.values"),
    *("propolis.worker", "propolis.worker.analyzer", "propolis.worker.base", "propolis.worker.items"),
    *(
        "propolis.worker.jobfile",
        "propolis.worker.secrets",
        "__future__",
        "typing",
        "typing.io",
        "typing.re",
        "contextlib",
    ),
}


@pytest.fixture
def worker(root: Path) -> Path:
    return root / "analyzers" / "WazuhAlert" / "wazuh_alert.py"


@pytest.fixture
def alert(fixtures: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((fixtures / "wazuh_alert" / "sshd_unknown_user.json").read_text())["alert"]
    return document


def _run(worker: Path, job: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """As ProcessJobRunnerSrv: the file itself, the job folder as argument, in the folder above the worker's."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {**os.environ, "PATH": path, **(environment or {})}
    done = subprocess.run(
        [str(worker), str(job)], cwd=worker.parent.parent, env=variables, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("", "")
    text = (job / "output" / "output.json").read_text(encoding="utf-8")
    report: dict[str, Any] = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert done.returncode == (0 if report["success"] else 1)
    return report


def _job(place: Path, config: dict[str, Any] | None = None, **job: Any) -> Path:
    (place / "input").mkdir(parents=True)
    (place / "output").mkdir()
    document = {"dataType": "wazuh-alert", "tlp": 2, "pap": 2, "message": "", "parameters": {}, **job}
    document["config"] = {"api_token": SECRET, **(config or {})}
    (place / "input" / "input.json").write_text(json.dumps(document), encoding="utf-8")
    return place


def test_an_alert_is_reported(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    report = _run(worker, _job(tmp_path, data=json.dumps(alert)))
    full = report["full"]
    assert full["schema"] == "4.x"
    assert full["rule"]["id"] == "5710"
    assert full["severity"] == {"name": "Low", "thehive": 1, "level": 5}
    assert full["agent"] == {"id": "001", "name": "web01", "ip": "10.20.0.11"}
    assert full["mitre"] == {"ids": ["T1110"], "tactics": ["Credential Access"], "techniques": ["Brute Force"]}
    assert full["counts"] == {"ip": 1, "other": 1}
    assert full["notes"] == []
    assert [(seen["data_type"], seen["data"], seen["role"], seen["path"]) for seen in full["observables"]] == [
        ("ip", "203.0.113.24", "source", "data.srcip"),
        ("other", "oracle", "subject", "data.srcuser"),
    ]


def test_the_observables_are_artifacts(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    artifact = _run(worker, _job(tmp_path, data=json.dumps(alert)))["artifacts"][0]
    assert (artifact["dataType"], artifact["data"]) == ("ip", "203.0.113.24")
    assert artifact["tags"] == ["wazuh", "role:source", "external", "autoImport:true"]
    assert "data.srcip" in artifact["message"]


def test_the_taxonomies_say_level_severity_rule_and_number(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    alert["rule"]["level"] = 13
    taxonomies = _run(worker, _job(tmp_path, data=json.dumps(alert)))["summary"]["taxonomies"]
    assert [(entry["level"], entry["predicate"], entry["value"]) for entry in taxonomies] == [
        ("malicious", "Level", 13),
        ("malicious", "Severity", "High"),
        ("info", "Rule", "5710"),
        ("info", "Observables", 2),
    ]
    assert {entry["namespace"] for entry in taxonomies} == {"Wazuh"}


def test_the_case_gets_tags_and_custom_fields(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    operations = _run(worker, _job(tmp_path, data=json.dumps(alert)))["operations"]
    assert {"type": "AddTagToCase", "tag": "wazuh:rule=5710"} in operations
    assert {"type": "AddCustomFields", "name": "wazuh_rule_level", "tpe": "integer", "value": 5} in operations
    named = {entry["name"]: entry["value"] for entry in operations if entry["type"] == "AddCustomFields"}
    assert named["wazuh_agent_id"] == "001"
    assert named["wazuh_alert_id"] == alert["id"]
    assert set(named) == {"wazuh_rule_id", "wazuh_rule_level", "wazuh_agent_id", "wazuh_agent_name", "wazuh_alert_id"}


def test_the_items_switch_what_they_say(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    alert["data"]["dstip"] = "10.9.9.9"
    config = {"auto_import": False, "operations": False, "include_internal": False, "data_types": ["ip"]}
    report = _run(worker, _job(tmp_path, config, data=json.dumps(alert)))
    assert report["operations"] == []
    assert [(entry["data"], entry["tags"]) for entry in report["artifacts"]] == [
        ("203.0.113.24", ["wazuh", "role:source", "external"])
    ]


def test_an_observable_of_any_other_type_may_hold_an_alert(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    assert _run(worker, _job(tmp_path, data=json.dumps(alert), dataType="other"))["full"]["rule"]["id"] == "5710"


def test_an_alert_in_a_file(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    job = _job(tmp_path, dataType="file", file="attachment1", filename="alert.json")
    (job / "input" / "attachment1").write_bytes(b"\xef\xbb\xbf" + json.dumps(alert).encode())
    assert _run(worker, job)["full"]["rule"]["id"] == "5710"


def test_a_value_too_long_for_thehive_is_left_out_and_it_is_said(
    worker: Path, alert: dict[str, Any], tmp_path: Path
) -> None:
    alert["decoder"] = {"name": "web-accesslog"}
    alert["data"]["url"] = "/" + "A" * 5000
    full = _run(worker, _job(tmp_path, data=json.dumps(alert)))["full"]
    assert "uri_path" not in full["counts"]
    assert full["notes"] == ["The uri_path at data.url is longer than 4096 and was left out."]


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "not JSON": ({"data": "{"}, {}, "not valid JSON"),
    "truncated": ({"data": '{"rule": {"id": "5710"'}, {}, "not valid JSON"),
    "no alert": ({"data": '{"a": 1}'}, {}, "not a Wazuh alert"),
    "empty": ({"data": ""}, {}, "is empty"),
    "deep": ({"data": '{"rule":' + "[" * 20000}, {}, "nested too deeply"),
    "large": ({"data": '{"rule": "' + "x" * 50_000_000 + '"}'}, {}, "larger than 1024 KiB"),
    "no data": ({}, {}, "must be the alert's JSON"),
    "data that is an object": ({"data": {"rule": {}}}, {}, "must be the alert's JSON"),
    "another type": ({"data": "203.0.113.24", "dataType": "ip"}, {}, "not ip"),
    "no file": ({"dataType": "file"}, {}, "no file"),
    "a file elsewhere": ({"dataType": "file", "file": "../../etc/passwd"}, {}, "no file"),
    "TLP": ({"data": "{}", "tlp": 3}, {"check_tlp": True, "max_tlp": 2}, "TLP"),
    "PAP": ({"data": "{}", "pap": 3}, {"check_pap": True, "max_pap": 2}, "PAP"),
    "wrong item": ({"data": "{}"}, {"auto_import": "yes"}, "auto_import"),
    "wrong list": ({"data": "{}"}, {"data_types": [1]}, "data_types"),
}


@pytest.mark.parametrize(("job", "config", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_sentence(
    worker: Path, tmp_path: Path, job: dict[str, Any], config: dict[str, Any], sentence: str
) -> None:
    report = _run(worker, _job(tmp_path, config, **job))
    assert report["success"] is False
    assert sentence in report["errorMessage"]
    assert "\n" not in report["errorMessage"]
    assert len(json.dumps(report)) < 10_000


@pytest.mark.parametrize("text", ["", "[]", "not json", "{" * 3000])
def test_a_job_that_cannot_be_read_is_answered(worker: Path, tmp_path: Path, text: str) -> None:
    job = _job(tmp_path)
    (job / "input" / "input.json").write_text(text)
    assert _run(worker, job)["success"] is False


def test_hostile_text_comes_out_as_valid_json(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    alert["full_log"] = ""
    alert["data"] = {"srcuser": "<script>alert(1)</script>\ud800", "srcip": float("nan"), "dstuser": "{{constructor}}"}
    report = _run(worker, _job(tmp_path, data=json.dumps(alert)))
    assert {seen["data"] for seen in report["full"]["observables"]} == {"<script>alert(1)</script>?", "{{constructor}}"}


def test_ten_thousand_observables_are_reported_and_the_rest_is_said(worker: Path, tmp_path: Path) -> None:
    names = [f"h{number}.example.net" for number in range(12_000)]
    document = {
        "rule": {"id": "1", "level": 3},
        "data": {"event_type": "dns", "src_ip": "203.0.113.24", "dns": {"rrname": names}},
    }
    report = _run(worker, _job(tmp_path, data=json.dumps(document)))
    assert len(report["artifacts"]) == 10_000
    assert "further findings were left out" in report["full"]["notes"][0]


def test_a_secret_never_leaves_the_worker(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    alert["data"]["srcuser"] = SECRET
    alert["full_log"] = f"password {SECRET}"
    good = json.dumps(_run(worker, _job(tmp_path / "a", data=json.dumps(alert))))
    bad = json.dumps(_run(worker, _job(tmp_path / "b", data=SECRET + "{")))
    assert SECRET not in good + bad


def test_a_propolis_from_elsewhere_is_refused(worker: Path, tmp_path: Path) -> None:
    """A worker copied out of its bundle must not run against whatever package is installed."""
    copy = tmp_path / "analyzers" / "WazuhAlert" / "wazuh_alert.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(worker, copy)
    done = subprocess.run(
        [sys.executable, str(copy)], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode != 0
    assert "propolis" in done.stderr


def test_what_a_job_imports_is_what_it_needs(worker: Path, alert: dict[str, Any], tmp_path: Path) -> None:
    job = _job(tmp_path, data=json.dumps(alert))
    run = f"sys.argv = ['worker', {str(job)!r}]; runpy.run_path({str(worker)!r}, run_name='__main__')"
    baseline = _modules("import sys, runpy, pkgutil; import cortexutils.analyzer; print(*sys.modules)")
    loaded = _modules(f"import sys, runpy; {run}; print(*sys.modules)")
    assert not {name for name in loaded - baseline - ALLOWED if not name.startswith("_")}


def _modules(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_definition_is_what_cortex_reads(worker: Path, root: Path) -> None:
    definition = json.loads((worker.parent / "WazuhAlert.json").read_text())
    assert (definition["name"], definition["version"]) == ("WazuhAlert", "1.0")
    assert definition["dataTypeList"] == ["wazuh-alert", "other", "file"]
    assert (root / "analyzers" / definition["command"]) == worker
    assert os.access(worker, os.X_OK)
    assert worker.read_text().startswith("#!/usr/bin/env python3\n")
    assert len(worker.read_text().splitlines()) <= 150


@pytest.mark.shared
def test_the_definition_follows_the_schema_of_the_public_catalogue(worker: Path, shared: Path) -> None:
    schema = json.loads((shared / "data" / "flavor_schema.json").read_text())
    definition = json.loads((worker.parent / "WazuhAlert.json").read_text())
    assert not list(jsonschema.validators.validator_for(schema)(schema).iter_errors(definition))


def test_the_readme_lists_every_item(worker: Path) -> None:
    readme = (worker.parent / "README.md").read_text()
    for item in json.loads((worker.parent / "WazuhAlert.json").read_text())["configurationItems"]:
        assert f"`{item['name']}`" in readme


def test_the_template_speaks_of_every_part_of_the_report(
    root: Path, worker: Path, alert: dict[str, Any], tmp_path: Path
) -> None:
    template = (root / "thehive-templates" / "WazuhAlert_1_0" / "long.html").read_text()
    full = _run(worker, _job(tmp_path, data=json.dumps(alert)))["full"]
    for part in full:
        assert f"content.{part}" in template, f"the template says nothing of {part}"
    assert "ng-bind-html" not in template
    assert "<script" not in template
