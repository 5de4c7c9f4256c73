"""Report templates go into TheHive 4 and 5, are kept as they ship, and stop nothing where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from setup_file import ROOT, File

from playbook_service.lab import Lab
from propolis.http import Client

MakeFile = Callable[[Lab], File]
Admin = Callable[[Lab, str], Client]
Output = pytest.CaptureFixture[str]
SHIPPED = {path.parent.name: path.read_text() for path in ROOT.glob("thehive-templates/*/long.html")}
RIGHTS = ("manageAnalyzerTemplate", "managePlatform")


def shown(lab: Lab) -> dict[str, str]:
    """What TheHive has."""
    return {one["analyzerId"]: one["content"] for one in lab.hive.store.all("AnalyzerTemplate")}


def take_right(lab: Lab) -> None:
    """The administrator's profile loses what templates need."""
    profile = lab.hive.store.by_key("Profile", ("admin",))
    assert profile is not None
    left = [one for one in profile["permissions"] if one not in RIGHTS]
    with lab.hive.transaction():
        lab.hive.store.put(replace(profile, fields={**profile.fields, "permissions": left}))


def test_what_ships_is_imported_once_and_can_be_read_back(lab: Lab, file: MakeFile, admin: Admin, capsys: Output):
    made = file(lab)
    assert made.run("--check") == 1
    assert "make    report template WazuhAlert_1_0\n" in capsys.readouterr().out
    assert shown(lab) == {}
    assert made.run() == 0
    assert shown(lab) == SHIPPED
    content = admin(lab, "admin").get("/api/connector/cortex/analyzer/template/content/ConsensusScore_1_0")
    assert content.text == SHIPPED["ConsensusScore_1_0"]
    assert made.run() == 0
    assert "right   report template WazuhAlert_1_0" in capsys.readouterr().out


def test_a_page_that_differs_is_changed_and_those_of_other_workers_stay(lab: Lab, file: MakeFile, capsys: Output):
    made = file(lab)
    made.run()
    with lab.hive.transaction():
        ours = lab.hive.store.by_key("AnalyzerTemplate", ("WazuhAlert_1_0",))
        assert ours is not None
        lab.hive.store.put(replace(ours, fields={**ours.fields, "content": "<p>of an older version</p>"}))
        other = replace(ours, id="~1", key=("AbuseIPDB_2_0",), fields={"analyzerId": "AbuseIPDB_2_0", "content": "x"})
        lab.hive.store.put(other)
    assert made.run("--check") == 1
    assert "change  report template WazuhAlert_1_0: another page than this one" in capsys.readouterr().out
    assert made.run() == 0
    assert shown(lab) == {**SHIPPED, "AbuseIPDB_2_0": "x"}


def test_an_account_that_may_not_gets_the_step_with_the_exact_command(lab: Lab, file: MakeFile, capsys: Output):
    take_right(lab)
    made = file(lab)
    assert made.run() == 1
    out = capsys.readouterr().out
    assert f"    cd {ROOT / 'thehive-templates'}\n" in out
    assert "    zip /tmp/propolis-templates.zip ConsensusScore_1_0/long.html Notify_1_0/long.html" in out
    assert f"permission {RIGHTS[lab.version == 5]}; which admin_key lacks" in out
    assert shown(lab) == {}
    assert len(lab.cortex.workers) == 5, "the rest is done"


def test_an_import_that_fails_stops_nothing_else(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    lab5.faults.apply({"thehive": {"fail": 9, "status": 500, "only": "POST .*/template/_import"}})
    assert made.run() == 1
    assert "It stopped at report template ConsensusScore_1_0: " in capsys.readouterr().out
    assert len(lab5.cortex.workers) == 5
    lab5.faults.clear()
    assert made.run() == 0
    assert shown(lab5) == SHIPPED


def test_a_thehive_that_does_not_show_them_gets_a_step_that_does_not_count(lab5: Lab, file: MakeFile, capsys: Output):
    lab5.faults.apply({"thehive": {"fail": 99, "status": 403, "only": "GET .*/template/content/.*"}})
    assert file(lab5).run() == 0
    out = capsys.readouterr().out
    assert "(TheHive's report templates)" in out
    assert "TheHive does not show them by API" in out


def test_one_may_have_pages_of_ones_own_or_leave_them_alone(lab5: Lab, file: MakeFile, tmp_path: Path, capsys: Output):
    made = file(lab5)
    made.document["thehive"]["report_templates"] = ""
    assert made.run() == 0
    assert shown(lab5) == {}
    own = tmp_path / "pages"
    (own / "WazuhAlert_1_0").mkdir(parents=True)
    made.document["thehive"]["report_templates"] = "pages"
    assert made.run() == 0
    assert f"There are none at {own}: name the repository's thehive-templates" in capsys.readouterr().out
    (own / "WazuhAlert_1_0" / "long.html").write_text("<p>ours</p>")
    assert made.run() == 0
    assert shown(lab5) == {"WazuhAlert_1_0": "<p>ours</p>"}


def test_a_folder_that_is_not_there_is_a_fault_with_its_line(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.document["thehive"]["report_templates"] = "nowhere"
    assert made.run() == 2
    assert "thehive.report_templates: there is no folder " in capsys.readouterr().err
    assert lab5.hive.store.by_key("CustomField", ("wazuh_rule_id",)) is None
