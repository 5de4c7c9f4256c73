"""`propolis attack-coverage`, over files and over a service's store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feedback_shop import Shop, decision, wazuh
from navigator import faults

from playbook_service.cli import main
from playbook_service.commands.replay import SAMPLES
from playbook_service.engine import ruling
from playbook_service.judgement.guard import Judged
from playbook_service.store.sqlite import SqliteStore
from propolis.alert import Alert
from propolis.clock import ManualClock

PLAYBOOKS = str(Path(__file__).resolve().parent / "playbooks")
MITRE = {"id": ["T1110"], "tactic": ["Credential Access"], "technique": ["Brute Force"]}
RULE = {"level": 5, "description": "sshd: failed.", "id": "5760", "groups": ["sshd"], "mitre": MITRE}


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["attack-coverage", *words, "--format", "json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_samples_make_a_layer_as_the_format_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "layer.json"
    found = said(capsys, "--samples", "--output", str(path))
    layer = json.loads(path.read_text(encoding="utf-8"))
    assert faults(layer) == []
    assert (found["alerts"], found["techniques_seen"], found["alerts_without_technique"]) == (93, 37, 30)
    assert sum(found["answers"].values()) == 37
    shown = {entry["techniqueID"] for entry in layer["techniques"]}
    assert {one["id"] for one in found["techniques"]} <= shown
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_person_reads_what_is_seen_answered_and_not(capsys: pytest.CaptureFixture[str]):
    assert main(["attack-coverage", "--samples"]) == 0
    shown = capsys.readouterr().out
    assert "37 techniques seen" in shown
    assert "30 alerts name no technique" in shown
    assert "No playbook answers: T1595.002 (3)" in shown
    assert "T1562.001 was revoked by MITRE; T1685 took its place" in shown
    assert "Seen is not detectable" in shown


@pytest.mark.shared
@pytest.mark.parametrize("name", ["dev/alerts.jsonl", "v5_findings.jsonl"])
def test_real_alerts_are_covered_to_the_last(
    name: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file, path = shared / "data" / "wazuh_alerts" / name, tmp_path / "layer.json"
    named = [ids_of(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    found = said(capsys, str(file), "--output", str(path))
    assert found["alerts"] == len(named) > 20
    assert found["alerts_without_technique"] == named.count(set())
    seen = {one["id"]: one for one in found["techniques"]}
    assert {key: one["alerts"] for key, one in seen.items()} == Counter(one for ids in named for one in ids)
    assert found["unknown"] == []
    assert found["no_technique_ids"] == {}
    assert set(found["gaps"]) == {key for key, one in seen.items() if set(one["answers"]) == {"nothing"}}
    assert all(one["playbooks"] for key, one in seen.items() if key not in found["gaps"])
    assert not any(one["playbooks"] for key, one in seen.items() if key in found["gaps"])
    assert found["answers"]["acts"] == 0, "nobody is contained without a report"
    assert faults(json.loads(path.read_text(encoding="utf-8"))) == []


def ids_of(document: dict[str, Any]) -> set[str]:
    """The technique ids of an alert of Wazuh 4 or 5, read by hand."""
    if "rule" in document and "wazuh" not in document:
        return set(document["rule"].get("mitre", {}).get("id", ()))
    mitre = document["wazuh"]["rule"].get("mitre", {})
    return {one for kind in ("technique", "subtechnique") for one in ids_in(mitre.get(kind))}


def ids_in(value: Any) -> list[str]:
    found = value.get("id", ()) if isinstance(value, dict) else value or ()
    return [found] if isinstance(found, str) else list(found)


def test_a_file_without_reports_says_that_no_verdict_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "alerts.jsonl"
    file.write_text(json.dumps({**wazuh("1").document, "rule": RULE}) + "\n", encoding="utf-8")
    assert main(["attack-coverage", str(file)]) == 0
    assert "Without --reports there is no verdict" in capsys.readouterr().out
    assert main(["attack-coverage", "--samples"]) == 0
    assert "Without --reports" not in capsys.readouterr().out


def test_other_playbooks_answer_otherwise(capsys: pytest.CaptureFixture[str]):
    found = said(capsys, "--samples", "--playbooks", PLAYBOOKS)
    assert found["answers"]["nothing"] == 37


def test_only_the_time_that_is_asked_for(capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "--samples", "--since", "2026-11-17T09:00:00Z")["alerts"] < 93
    assert said(capsys, "--samples", "--since", "2027-01-01", code=1)["alerts"] == 0


def test_lines_that_cannot_be_read_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "alerts.json"
    path.write_bytes((SAMPLES / "alerts.jsonl").read_bytes() + b"{broken\n")
    assert main(["attack-coverage", str(path)]) == 1
    assert f"{path}:94:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "one of them"),
        (["--samples", "--store"], "one of them"),
        (["nowhere.json"], "cannot be read"),
        (["--samples", "--since", "soon"], "--since"),
        (["--samples", "--output", "no/such/folder/layer.json"], "cannot be written"),
        (["-", "--policy", "-"], "only one of the files"),
    ],
)
def test_a_wrong_call_gets_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    assert main(["attack-coverage", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_layer_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "layer.json"
    path.write_text("the old one")
    (tmp_path / "layer.json.partial").mkdir()
    assert main(["attack-coverage", "--samples", "--output", str(path)]) == 2
    assert path.read_text() == "the old one"


# a service's store ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A service's data folder with one alert that names T1110."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(data))
    monkeypatch.setenv("PROPOLIS_MODE", "enforce")
    clock = ManualClock()
    shop = Shop(store=SqliteStore(data / "propolis.db", clock), clock=clock)
    shop.arrived(Alert({**wazuh("1").document, "rule": RULE}), "~1")
    yield shop
    shop.store.close()


def decided(shop: Shop, kind: str, alert: str = "1") -> str:
    """What the service decided on an alert once the sources had spoken; the state that it got."""
    made = decision(kind=kind, wanted=kind, number=int(alert))
    scene = ruling.Scene("verdict", "~1", f"siem01:{alert}", "~203.0.113.17")
    with shop.store.transaction() as work:
        return ruling.Ruling(shop.tools, shop.ask).rule(work, shop.policy(), Judged(made, kind, kind), scene, "~41")


def test_what_the_service_decided_counts_for_the_alerts_of_its_store(shop: Shop, capsys: pytest.CaptureFixture[str]):
    assert said(capsys, "--store")["techniques"][0]["answer"] == "observed"
    assert decided(shop, "ask") == "ask"
    (technique,) = said(capsys, "--store")["techniques"]
    assert (technique["id"], technique["answer"], technique["alerts"]) == ("T1110", "asks", 1)
    assert "malicious-ip" in technique["playbooks"]
    assert decided(shop, "act") == "act"
    assert said(capsys, "--store")["techniques"][0]["answer"] == "acts"


def test_what_was_covered_already_counts_as_asked_since_the_record_does_not_say_more(
    shop: Shop, capsys: pytest.CaptureFixture[str]
):
    decided(shop, "act")
    other = {**RULE, "mitre": {"id": ["T1021.004"], "tactic": ["Lateral Movement"]}}
    shop.arrived(Alert({**wazuh("2").document, "rule": other}), "~1")
    assert decided(shop, "act", "2") == "covered"
    techniques = {one["id"]: one for one in said(capsys, "--store")["techniques"]}
    assert (techniques["T1021.004"]["answer"], techniques["T1021.004"]["would"]) == ("asks", "acts")


def test_other_playbooks_over_a_store_are_judged_by_themselves(shop: Shop, capsys: pytest.CaptureFixture[str]):
    decided(shop, "ask")
    assert said(capsys, "--store", "--playbooks", PLAYBOOKS)["techniques"][0]["answer"] == "nothing"


def test_without_a_data_folder_there_is_nothing_to_read(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PROPOLIS_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["attack-coverage", "--store"]) == 2
    assert not (tmp_path / "elsewhere").exists()
