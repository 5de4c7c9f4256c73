"""A SOC that `propolis setup` made is sound, the doctor says so piece by piece, and leaves it as it was."""

from __future__ import annotations

import json

import pytest
from ward import ALERT, Ward, send

from playbook_service.hive.discovery import connect
from playbook_service.settings import load

Output = pytest.CaptureFixture[str]


def test_nothing_is_broken_and_every_point_of_the_checklist_has_its_line(ward: Ward, capsys: Output):
    found = ward.look(capsys)
    assert (found.code, found.states("fail", "unknown")) == (0, []), found.document["findings"]
    assert found["TheHive: permissions"]["text"].startswith("all ")
    assert "ConsensusScore, AccountDisable, AccountEnable" in found["Cortex: workers"]["text"]
    assert found["Way of an alert: webhook"]["text"].startswith("a change in TheHive was here after")
    for name in ("Wazuh: alerts received", "Way of an alert: cases", "Keeping: backup"):
        assert found[name]["state"] == "later", name


def test_it_is_told_line_by_line_with_the_fix_below(ward5: Ward, capsys: Output):
    ward5.settings["webhook_token"] = ""
    assert ward5.doctor("--no-probe") == 0
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("  warn  token "))
    assert lines[place + 1].strip() == "-> set PROPOLIS_WEBHOOK_TOKEN_FILE"
    assert lines[-1].startswith("Nothing is broken: ")


def test_an_alert_on_its_way_shows_at_every_station(ward: Ward, capsys: Output):
    send(ward, ALERT)
    hive = connect(ward.lab.thehive_url, ward.lab.keys.analyst)
    ward.until(lambda: any(ward.lab.hive.store.all("Task")), "tasks in a case")
    found = ward.look(capsys)
    hive.close()
    assert found["Wazuh: alerts received"]["state"] == "ok"
    assert found["Way of an alert: alerts"]["text"].startswith("1 kept, the newest ")
    assert found["Way of an alert: observables"]["state"] == "ok"
    assert found["Way of an alert: cases"]["text"] == "1 cased"
    assert "severity" in found["Way of an alert: tasks"]["text"]


def test_the_probe_is_one_alert_that_asks_nothing_of_anybody(ward5: Ward, capsys: Output):
    """With the least profile of TheHive 5, which deletes nothing; used as often as one likes."""
    for _ in range(3):
        assert ward5.look(capsys)["Way of an alert: webhook"]["state"] == "ok"
    (probe,) = ward5.lab.hive.store.all("Alert")
    assert (probe["type"], probe["sourceRef"]) == ("propolis", "probe")
    assert ward5.lab.hive.view1.draw(probe)["stage"] == "Closed"
    ward5.lab.settle()
    assert not list(ward5.lab.hive.store.all("Case"))


def test_the_probe_goes_where_the_account_may_delete_it(ward: Ward, capsys: Output):
    """In TheHive 4 the least profile may: `manageAlert` has no parts there."""
    if ward.lab.version == 5:
        ward.settings["thehive_key"] = ward.lab.keys.service  # profile analyst
    assert ward.look(capsys)["Way of an alert: webhook"]["state"] == "ok"
    assert not list(ward.lab.hive.store.all("Alert"))


def test_without_the_probe_thehive_is_only_read(ward5: Ward, capsys: Output):
    before = len(ward5.lab.audits)
    ward5.look(capsys, "--no-probe")
    assert len(ward5.lab.audits) == before


def test_workers_answer_and_nothing_is_contained_although_they_could(ward5: Ward, capsys: Output):
    """Their dry_run is false and their policy lets them act."""
    files = [ward5.folder / f"{name}.json" for name in ("FirewallBlock", "AccountDisable", "IsolateHost")]
    before = [path.read_text() for path in files]
    found = ward5.look(capsys, "--run")
    assert [path.read_text() for path in files] == before
    runs = {
        name: found[f"Cortex: run {name}"] for name in ("WazuhAlert", "ConsensusScore", "FirewallBlock", "IsolateHost")
    }
    assert {one["state"] for one in runs.values()} == {"ok"}
    assert "DRY RUN: would contain 192.0.2.1" in runs["FirewallBlock"]["text"]
    assert "doctor-probe-nobody is not known" in runs["IsolateHost"]["text"]


def test_no_secret_is_told(ward: Ward, capsys: Output):
    capsys.readouterr()
    ward.doctor("--run")
    ward.doctor("--format", "json", "--no-probe")
    ward.settings["thehive_key"] = "a-key-that-is-refused"
    ward.doctor("--no-probe")
    said = "".join(capsys.readouterr())
    settings = load({}, ward.write())
    for secret in (*settings.secrets(), (ward.folder / "thehive.key").read_text().strip()):
        assert secret not in said


def test_json_counts_what_it_lists(ward5: Ward, capsys: Output):
    document = ward5.look(capsys).document
    assert set(document) == {"ok", "counts", "findings"}
    assert sum(document["counts"].values()) == len(document["findings"])
    assert set(document["findings"][0]) == {"part", "name", "state", "text", "fix"}
    assert json.dumps(document)
