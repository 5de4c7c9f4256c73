"""ConsensusScore started as Cortex's process runner starts it, against a stateful Cortex and TheHive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_soc import CORTEX_KEY, THEHIVE_KEY, FakeSoc

ROOT = Path(__file__).resolve().parent.parent.parent
ADDRESS = "203.0.113.45"
NOW_MS = int(time.time() * 1000)
RED = {
    "AbuseIPDB_2_0": ("Abuse Confidence Score", "100"),
    "VirusTotal_GetReport_3_1": ("GetReport", "12/94"),
    "GreyNoise_3_2": ("classification", "malicious"),
    "Crowdsec_Analyzer_1_1": ("Reputation", "malicious"),
}


@pytest.fixture
def soc() -> Iterator[FakeSoc]:
    with FakeSoc() as server:
        yield server


def taxonomy(level: str, predicate: str, value: str) -> dict[str, str]:
    return {"level": level, "namespace": "N", "predicate": predicate, "value": value}


def job(definition: str, level: str, predicate: str = "P", value: str = "1", **changes: Any) -> dict[str, Any]:
    ended = NOW_MS - changes.pop("hours", 1) * 3_600_000
    found = {
        "id": f"job-{definition}-{ended}",
        "analyzerDefinitionId": definition,
        "type": "analyzer",
        "status": "Success",
        "dataType": "ip",
        "data": ADDRESS,
        "startDate": ended - 2000,
        "endDate": ended,
        "report": {"success": True, "summary": {"taxonomies": [taxonomy(level, predicate, value)]}, "full": {}},
    }
    return {**found, **changes}


def red_jobs() -> list[dict[str, Any]]:
    return [job(name, "malicious", *words) for name, words in RED.items()]


class Ran:
    """What a job left behind."""

    def __init__(self, output: Path, printed: str):
        self.text = output.read_text("utf-8") + printed
        self.body = json.loads(output.read_text("utf-8"))
        self.printed = printed

    @property
    def full(self) -> dict[str, Any]:
        assert self.body["success"], self.body
        return dict(self.body["full"])

    @property
    def error(self) -> str:
        assert not self.body["success"], self.body
        return str(self.body["errorMessage"])


def run(
    folder: Path,
    config: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None,
    *,
    worker: str = "analyzers/ConsensusScore/consensus_score.py",
    **changes: Any,
) -> Ran:
    job_folder = folder / "job"
    (job_folder / "input").mkdir(parents=True)
    (job_folder / "output").mkdir()
    given = {"data": ADDRESS, "dataType": "ip", "tlp": 2, "pap": 2, "message": "128"}
    given |= {"parameters": parameters or {}, "config": config or {}} | changes
    (job_folder / "input" / "input.json").write_text(json.dumps(given))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        [str(ROOT / worker), str(job_folder)],
        cwd=(ROOT / worker).parent.parent,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Ran(job_folder / "output" / "output.json", (done.stdout + done.stderr).decode())


def cortex(soc: FakeSoc, **changes: Any) -> dict[str, Any]:
    return {"cortex_url": soc.url, "cortex_key": CORTEX_KEY, **changes}


def thehive(soc: FakeSoc, **changes: Any) -> dict[str, Any]:
    return {"thehive_url": soc.url, "thehive_key": THEHIVE_KEY, **changes}


def test_reports_that_are_handed_over_give_a_verdict_without_any_call(tmp_path: Path) -> None:
    done = run(tmp_path, parameters={"reports": red_jobs(), "user": "a", "organisation": "b"})
    full = done.full
    assert (full["verdict"], full["recommendation"], full["malicious"], full["families"]) == ("malicious", "act", 4, 4)
    assert done.body["summary"]["taxonomies"] == [
        {"level": "malicious", "namespace": "Propolis", "predicate": "Consensus", "value": "malicious 0.97 (act)"},
        {"level": "info", "namespace": "Propolis", "predicate": "Sources", "value": "4/0/0 of 4, 4 families"},
    ]
    assert done.body["artifacts"] == []
    assert done.printed == ""


def test_the_report_says_which_profile_window_and_sources_spoke_and_that_it_is_for_display(tmp_path: Path) -> None:
    config = {"profile": "count", "window_hours": 48, "sources": "Own: {grade: A}"}
    full = run(tmp_path, config, {"reports": red_jobs()}).full
    assert (full["profile"], full["window_hours"], full["recommendation"]) == ("count", 48.0, "ask")
    assert full["sources_file"] == "shipped file, overridden by the item sources"
    assert full["note"].startswith("This verdict is for display.")
    assert full["gathered"] == "4 reports that were handed over"


def test_jobs_named_by_id_are_fetched_from_cortex(tmp_path: Path, soc: FakeSoc) -> None:
    soc.jobs = red_jobs()
    done = run(tmp_path, cortex(soc), {"job_ids": [entry["id"] for entry in soc.jobs[:2]]})
    assert done.full["malicious"] == 2
    assert len(soc.requests) == 2


def test_a_job_that_is_gone_is_named_and_does_not_stop_the_others(tmp_path: Path, soc: FakeSoc) -> None:
    soc.jobs = red_jobs()[:1]
    full = run(tmp_path, cortex(soc), {"job_ids": ["gone/../x", soc.jobs[0]["id"], soc.jobs[0]["id"]]}).full
    assert full["malicious"] == 1
    assert full["gathered"] == "1 jobs that were named by id, fetched from Cortex; not there any more: gone/../x"


def test_the_job_history_is_paged_newest_first_and_compared_here(tmp_path: Path, soc: FakeSoc) -> None:
    noise = [
        job("AbuseIPDB_2_0", "malicious", "Records", "9", data=f"198.51.100.{n}", hours=n % 9 + 2) for n in range(150)
    ]
    soc.jobs = [
        *noise,
        *red_jobs(),
        job("ConsensusScore_1_0", "malicious"),
        job("Onyphe_Summary_1_0", "safe", hours=9999),
    ]
    soc.analyzers = [*RED, "Maltiverse_Report_1_0", "ConsensusScore_1_0"]
    full = run(tmp_path, cortex(soc)).full
    assert (full["malicious"], full["missing"], full["unrated"]) == (4, 1, [])
    assert soc.requests.count("POST /api/job/_search") == 2
    assert full["gathered"] == "4 matching among the newest 155 ip jobs of Cortex's history"
    assert 0.7 < full["coverage"] < 1.0


def test_the_history_is_not_paged_without_end(tmp_path: Path, soc: FakeSoc) -> None:
    soc.jobs = [job("AbuseIPDB_2_0", "safe", data="192.0.2.1", id=f"n{n}") for n in range(2300)]
    full = run(tmp_path, cortex(soc)).full
    assert soc.requests.count("POST /api/job/_search") == 20
    assert full["gathered"].endswith("newest 2000 ip jobs of Cortex's history of 2300: older ones were not looked at")


def test_thehive_is_asked_where_it_is_configured(tmp_path: Path, soc: FakeSoc) -> None:
    entry = {"_id": "~1", "_createdAt": NOW_MS - 10**7, "dataType": "ip", "data": ADDRESS}
    reports = {name: {"taxonomies": [taxonomy("malicious", *words)]} for name, words in RED.items()}
    soc.observables = [{**entry, "reports": reports}, {**entry, "_id": "~2", "data": "192.0.2.9", "reports": reports}]
    done = {"analyzerDefinition": "", "status": "Success", "startDate": NOW_MS - 9000, "endDate": NOW_MS - 5000}
    soc.hive_jobs["~1"] = [{**done, "analyzerName": name, "analyzerDefinition": name} for name in RED]
    soc.hive_jobs["~1"].append(
        {"analyzerName": "Maltiverse_Report_1_0", "analyzerDefinition": "Maltiverse_Report_1_0", "status": "Failure",
         "startDate": NOW_MS - 8000, "report": {"success": False, "errorMessage": "quota exceeded"}}
    )  # fmt: skip
    full = run(tmp_path, {**thehive(soc), **cortex(soc)}).full
    assert (full["malicious"], full["missing"], full["recommendation"]) == (4, 1, "act")
    assert full["ledger"][-1]["reason"] == "rate-limited"
    assert "in TheHive" in full["gathered"]
    assert set(soc.requests) == {"POST /api/v1/query"}


def test_of_very_many_occurrences_in_thehive_the_newest_are_read_and_it_is_said(tmp_path: Path, soc: FakeSoc) -> None:
    entry = {"dataType": "ip", "data": ADDRESS, "reports": {}}
    soc.observables = [{**entry, "_id": f"~{number}", "_createdAt": NOW_MS - number} for number in range(25)]
    full = run(tmp_path, thehive(soc)).full
    assert len(soc.requests) == 21
    assert full["gathered"].endswith(
        "newest 20 occurrences of the observable in TheHive: older ones, if there are any, were not looked at"
    )


def test_with_nowhere_to_read_from_it_says_what_to_set(tmp_path: Path) -> None:
    assert run(tmp_path).error == (
        "There is nowhere to read reports from: hand them over as parameters.reports, or set cortex_url and "
        "cortex_key, or thehive_url and thehive_key."
    )


def test_job_ids_without_a_cortex_are_refused(tmp_path: Path) -> None:
    assert "set cortex_url and cortex_key" in run(tmp_path, parameters={"job_ids": ["x"]}).error


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"reports": "AbuseIPDB"}, "parameters.reports must be a list of Cortex jobs."),
        ({"reports": [1]}, "parameters.reports must be a list of Cortex jobs."),
        ({"job_ids": [{}]}, "parameters.job_ids must be a list of job ids."),
        ({"reports": [], "asked": "all"}, "parameters.asked must be a list of analyzer definition names."),
        ({"reports": [{}] * 10_001}, "parameters.reports has more than 10000 entries."),
    ],
)
def test_parameters_of_the_wrong_form_are_refused(tmp_path: Path, parameters: dict[str, Any], said: str) -> None:
    assert run(tmp_path, {"cortex_url": "http://127.0.0.1:9"}, parameters).error == said


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"profile": "votes"}, "configuration item profile: must be one of evidence, count, but is 'votes'."),
        ({"window_hours": 0}, "configuration item window_hours: must lie between 1 and 87600, but is 0."),
        ({"window_hours": "week"}, "configuration item window_hours: must be a number, not str."),
        ({"never": "example.org\n10.0.0.0/99"}, "configuration item never:2: '10.0.0.0/99' is not a network"),
        ({"sources": "A: {grade: B}\nB: {grade: Q}"}, "configuration item sources:2: B.grade: must be one of A, B, C"),
        ({"sources": "A: {grade: B}\nB: [oops"}, "configuration item sources:2: is not valid YAML"),
        ({"verify_tls": "no", "cortex_url": "https://x.test", "cortex_key": "k"}, "verify_tls: must be true or false"),
    ],
)
def test_a_bad_configuration_is_named_with_its_place(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    parameters = {} if "cortex_url" in config else {"reports": []}
    assert said in run(tmp_path, config, parameters).error


def test_an_unset_item_arrives_as_null_and_means_the_default(tmp_path: Path) -> None:
    config = dict.fromkeys(("profile", "window_hours", "sources", "never", "verify_tls", "cortex_url"))
    assert run(tmp_path, config, {"reports": []}).full["profile"] == "evidence"


def test_tlp_and_pap_above_the_limit_are_refused(tmp_path: Path) -> None:
    assert "TLP is higher than allowed" in run(tmp_path / "a", parameters={"reports": []}, tlp=3).error
    assert "PAP is higher than allowed" in run(tmp_path / "b", parameters={"reports": []}, pap=3).error


def test_a_server_that_is_down_is_one_sentence_without_the_key(tmp_path: Path) -> None:
    done = run(tmp_path, {"cortex_url": "http://127.0.0.1:9", "cortex_key": CORTEX_KEY}, {"job_ids": ["x"]})
    assert "127.0.0.1:9" in done.error
    assert CORTEX_KEY not in done.text
    assert "Traceback" not in done.text


def test_a_wrong_key_is_told_and_not_shown(tmp_path: Path, soc: FakeSoc) -> None:
    done = run(tmp_path, cortex(soc, cortex_key="a-wrong-key-4711"))
    assert "401" in done.error
    assert "a-wrong-key-4711" not in done.text


def test_a_server_that_limits_the_rate_is_asked_again(tmp_path: Path, soc: FakeSoc) -> None:
    soc.jobs = red_jobs()
    soc.refuse = [429]
    assert run(tmp_path, cortex(soc), {"job_ids": [soc.jobs[0]["id"]]}).full["malicious"] == 1


def test_a_server_that_keeps_limiting_the_rate_is_told(tmp_path: Path, soc: FakeSoc) -> None:
    soc.refuse = [429] * 10
    assert "429" in run(tmp_path, cortex(soc), {"job_ids": ["x"]}).error


@pytest.mark.parametrize("body", [b"<html>login</html>", b"{}", b'"Running"'])
def test_an_answer_that_is_not_the_apis_is_told(tmp_path: Path, soc: FakeSoc, body: bytes) -> None:
    soc.body = body
    assert "address is the API's own" in run(tmp_path, cortex(soc)).error


def test_secrets_are_nowhere_in_the_output(tmp_path: Path, soc: FakeSoc) -> None:
    leak = job("AbuseIPDB_2_0", "malicious", "Records", f"{CORTEX_KEY} {THEHIVE_KEY}", data=f"x{CORTEX_KEY}")
    done = run(tmp_path, {**cortex(soc), "thehive_key": THEHIVE_KEY}, {"reports": [leak]})
    assert done.full["dropped"]
    assert CORTEX_KEY not in done.text
    assert THEHIVE_KEY not in done.text


def test_hostile_reports_end_in_a_verdict(tmp_path: Path) -> None:
    deep: Any = {"error": "x"}
    for _ in range(300):
        deep = {"a": [deep]}
    hostile = [
        {},
        {"analyzerDefinitionId": ["x"]},
        job("AbuseIPDB_2_0", "malicious", "Records", "\ud800<script>alert(1)</script>"),
        job("VirusTotal_GetReport_3_1", "malicious", report=deep),
        job("GreyNoise_3_2", "malicious", endDate="tomorrow", startDate=None),
        job("MISP_2_1", "info", report={"success": True, "summary": [], "full": [deep] * 3}),
    ]
    full = run(tmp_path, parameters={"reports": hostile}).full
    assert full["malicious"] == 1
    assert len(full["dropped"]) == 2


def test_the_never_list_is_a_veto(tmp_path: Path) -> None:
    full = run(tmp_path, {"never": "203.0.113.0/24"}, {"reports": red_jobs()}).full
    assert (full["recommendation"], full["veto"]) == ("ask", ["never list: 203.0.113.0/24"])


def test_the_responder_reads_the_taxonomies_of_the_observable_and_makes_no_call(tmp_path: Path, fixtures: Path) -> None:
    entity = json.loads((fixtures / "verdict" / "thehive_observable.json").read_text())
    entity["startDate"] = entity["createdAt"] = NOW_MS
    done = run(
        tmp_path,
        worker="responders/ConsensusScore/consensus_verdict.py",
        data=entity,
        dataType="thehive:case_artifact",
    )
    assert (done.full["verdict"], done.full["recommendation"]) == ("malicious", "act")
    assert done.full["dropped"][0]["definition"] == "ConsensusScore_1_0"
    assert done.body["operations"] == [{"type": "AddTagToArtifact", "tag": "propolis:verdict=malicious"}]


@pytest.mark.parametrize("kind", ["thehive:case", "thehive:alert"])
def test_the_responder_is_refused_elsewhere(tmp_path: Path, kind: str) -> None:
    done = run(tmp_path, worker="responders/ConsensusScore/consensus_verdict.py", data={"id": "~1"}, dataType=kind)
    assert done.error == "Start this responder on an observable that has a value: it reads the reports on it."


@pytest.mark.parametrize(
    "path", ["analyzers/ConsensusScore/ConsensusScore.json", "responders/ConsensusScore/ConsensusVerdict.json"]
)
def test_the_definition_has_what_cortex_needs_and_the_readme_names_every_item(path: str) -> None:
    file = ROOT / path
    definition = json.loads(file.read_text())
    assert {"name", "version", "description", "author", "url", "license", "command", "baseConfig"} <= set(definition)
    command = file.parent.parent / definition["command"]
    assert os.access(command, os.X_OK)
    assert command.read_text().startswith("#!/usr/bin/env python3\n")
    readme = (file.parent / "README.md").read_text()
    for item in definition["configurationItems"]:
        assert f"`{item['name']}`" in readme
        assert item["type"] in ("string", "text", "number", "boolean")


def test_the_analyzer_has_exactly_the_items_it_should_have() -> None:
    definition = json.loads((ROOT / "analyzers/ConsensusScore/ConsensusScore.json").read_text())
    names = {item["name"] for item in definition["configurationItems"]}
    servers = {"thehive_url", "thehive_key", "cortex_url", "cortex_key", "verify_tls"}
    assert names == {"profile", "window_hours", "sources", "never"} | servers


def test_reports_that_are_handed_over_need_no_http_library(tmp_path: Path) -> None:
    """`requests` is the largest part of a worker's start: it is imported only on the path that talks HTTP."""
    modules = ("presentation", "collect", "explanation", "reading")
    imports = "; ".join(f"import propolis.verdict.{module}" for module in modules)
    code = f"import sys; {imports}; print([name for name in ('requests', 'propolis.http') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
