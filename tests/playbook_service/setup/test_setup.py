"""`propolis setup` on the lab's TheHive 4 and 5 and its Cortex: what is missing is made, once, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from setup_file import ROOT, TOKEN, File

from playbook_service.hive.rights import least_profile
from playbook_service.lab import Lab
from propolis.clock import SystemClock
from propolis.http import Client, session

MakeFile = Callable[[Lab], File]
Admin = Callable[[Lab, str], Client]
Output = pytest.CaptureFixture[str]


def workers(lab: Lab) -> dict[str, Any]:
    return {one.definition.id: one for one in lab.cortex.workers.values()}


def listing(lab: Lab, admin: Admin) -> str:
    """All that setup may have changed, as text."""
    hive = lab.hive
    kinds = ("CustomField", "ObservableType", "CaseTemplate", "Profile", "User", "ApiKey", "AnalyzerTemplate")
    catalogues = [sorted(f"{one.id} {one.updated_at}" for one in hive.store.all(kind)) for kind in kinds]
    return f"{catalogues} {hive.endpoints} {hive.notifications} {sorted(lab.cortex.workers)}"


def test_a_fresh_pair_of_servers_is_brought_to_what_the_file_says(lab: Lab, file: MakeFile, admin: Admin):
    made = file(lab)
    made.run()
    platform, owner = admin(lab, "admin"), admin(lab, "orgadmin")
    fields = {one["name"]: one["type"] for one in platform.get("/api/v1/customField").json()}
    assert fields.items() >= {"wazuh_rule_level": "integer", "wazuh_alert_id": "string", "wazuh_user": "string"}.items()
    assert platform.get("/api/v1/observable/type/wazuh-alert").json()["isAttachment"] is False
    template = owner.get("/api/v1/caseTemplate/Wazuh%20alert").json()
    assert ([one["title"] for one in template["tasks"]], template["tags"]) == (["Triage"], ["wazuh"])
    user = owner.get("/api/v1/user/propolis%40soc.example").json()
    assert user["profile"] == "propolis"
    enabled = workers(lab)
    assert set(enabled) == {
        "WazuhAlert_1_0", "ConsensusScore_1_0", "ConsensusVerdict_1_0", "FirewallBlock_1_0", "FirewallUnblock_1_0",
    }  # fmt: skip
    assert enabled["ConsensusScore_1_0"].cache == 0
    assert enabled["FirewallUnblock_1_0"].timeout == 5
    assert "own: [198.51.100.0/24]" in enabled["FirewallUnblock_1_0"].configuration["policy"]


def test_the_account_can_do_what_the_service_does_and_no_more(lab: Lab, file: MakeFile):
    made = file(lab)
    made.run()
    assert made.key_file.stat().st_mode & 0o777 == 0o600
    key = made.key_file.read_text().strip()
    with session(lab.thehive_url, headers={"Authorization": f"Bearer {key}"}, retries=0) as client:
        me = client.get("/api/v1/user/current").json()
    assert (me["login"], tuple(sorted(me["permissions"]))) == ("propolis@soc.example", least_profile(lab.version))
    if lab.version == 5:
        assert me["type"] == "Service"


def test_the_key_that_setup_makes_reaches_the_workers_in_the_same_run(lab5: Lab, file: MakeFile):
    made = file(lab5)
    made.run()
    assert workers(lab5)["ConsensusScore_1_0"].configuration["thehive_key"] == made.key_file.read_text().strip()


def test_a_second_run_changes_nothing_and_check_agrees(lab: Lab, file: MakeFile, admin: Admin, capsys: Output):
    made = file(lab)
    assert made.run() == 0
    before = listing(lab, admin)
    assert made.run("--check") == 0
    assert made.run() == 0
    assert listing(lab, admin) == before
    assert "Nothing was changed." in capsys.readouterr().out


def test_check_says_all_that_it_would_do_and_does_none_of_it(lab: Lab, file: MakeFile, admin: Admin, capsys: Output):
    made = file(lab)
    before = listing(lab, admin)
    assert made.run("--check") == 1
    assert listing(lab, admin) == before
    assert not made.key_file.exists()
    out = capsys.readouterr().out
    assert "make    custom field wazuh_rule_level (integer)" in out
    assert "make    FirewallBlock_1_0: backend edl, policy (from a file), dry_run true, jobTimeout 5" in out


def test_what_the_file_does_not_name_keeps_its_value(lab5: Lab, file: MakeFile, admin: Admin, capsys: Output):
    lab5.enable("FirewallBlock_1_0", {"backend": "edl", "dry_run": False, "duration_hours": 7}, rate=5, rateUnit="Hour")
    made = file(lab5)
    made.run()
    worker = workers(lab5)["FirewallBlock_1_0"]
    assert (worker.configuration["duration_hours"], worker.rate) == (7, 5)
    assert worker.configuration["dry_run"] is True
    assert "change  FirewallBlock_1_0: policy (from a file), another value than Cortex has; dry_run false -> true" in (
        capsys.readouterr().out
    )


def test_a_template_of_the_analysts_is_added_to_and_never_overwritten(
    lab5: Lab, file: MakeFile, admin: Admin, capsys: Output
):
    owner = admin(lab5, "orgadmin")
    mine = {"name": "Wazuh alert", "severity": 3, "tags": ["ours"], "tasks": [{"title": "Call the owner"}]}
    owner.post("/api/v1/caseTemplate", json=mine)
    made = file(lab5)
    assert made.run() == 1, "a task is left to a person"
    template = owner.get("/api/v1/caseTemplate/Wazuh%20alert").json()
    assert (template["severity"], template["tags"]) == (2, ["ours", "wazuh"])
    assert [one["title"] for one in template["tasks"]] == ["Call the owner"]
    out = capsys.readouterr().out
    assert "severity 3 -> 2; tags + wazuh" in out
    assert "Tasks of the case template 'Wazuh alert'" in out


def test_a_field_of_another_type_is_left_to_a_person(lab5: Lab, file: MakeFile, admin: Admin, capsys: Output):
    body = {"name": "wazuh_rule_level", "group": "x", "type": "string", "description": "", "options": []}
    admin(lab5, "admin").post("/api/v1/customField", json=body)
    assert file(lab5).run() == 1
    assert "It is of the type string and must be integer." in capsys.readouterr().out


def test_others_endpoints_and_notifications_of_thehive_4_stay(lab4: Lab, file: MakeFile):
    lab4.notify("http://127.0.0.1:9/theirs", name="theirs")
    made = file(lab4)
    made.document.pop("cortex")
    assert made.run() == 0
    assert {one["name"]: one["url"] for one in lab4.hive.endpoints} == {
        "theirs": "http://127.0.0.1:9/theirs", "propolis": "http://127.0.0.1:9/hooks/thehive",
    }  # fmt: skip
    assert [one["notifier"]["endpoint"] for one in lab4.hive.notifications["soc-main"]] == ["theirs", "propolis"]


def test_a_webhook_of_thehive_4_follows_the_file(lab4: Lab, file: MakeFile):
    made = file(lab4)
    made.document.pop("cortex")
    made.run()
    made.document["thehive"]["webhook"]["url"] = "http://127.0.0.1:10/hooks/thehive"
    assert made.run() == 0
    (endpoint,) = lab4.hive.endpoints
    assert (endpoint["url"], endpoint["auth"]) == (
        "http://127.0.0.1:10/hooks/thehive", {"type": "bearer", "key": TOKEN},
    )  # fmt: skip
    assert len(lab4.hive.notifications["soc-main"]) == 1


def test_thehive_5_gets_steps_with_the_exact_values_but_the_token(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    assert made.run() == 0
    out = capsys.readouterr().out
    assert "  URL                  http://127.0.0.1:9/hooks/thehive" in out
    assert f"Bearer, its key is what is in the file {made.path.parent / 'webhook.token'}" in out


def test_an_older_version_beside_ours_is_named(lab5: Lab, file: MakeFile, tmp_path: Any, capsys: Output):
    folder = tmp_path / "old" / "FirewallBlock"
    folder.mkdir(parents=True)
    old = {
        "name": "FirewallBlock", "version": "0.9", "description": "d", "author": "a", "url": "u", "license": "l",
        "dataTypeList": ["thehive:case_artifact"],
    }  # fmt: skip
    (folder / "old.json").write_text(json.dumps(old))
    lab5.cortex.add_places("responder", [tmp_path / "old"])
    lab5.enable("FirewallBlock_0_9")
    assert file(lab5).run() == 1
    assert "FirewallBlock_0_9 is enabled in Cortex beside the present version" in capsys.readouterr().out


def test_no_secret_is_printed(lab: Lab, file: MakeFile, capsys: Output):
    made = file(lab)
    made.run("--check")
    made.run()
    made.run("--format", "json")
    said = "".join(capsys.readouterr())
    for secret in (lab.keys.admin, lab.keys.orgadmin, lab.keys.cortex_admin, TOKEN, made.key_file.read_text().strip()):
        assert secret not in said


def test_json_says_the_same(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    assert made.run("--check", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"servers", "right", "changes", "steps", "failed"}
    assert {"verb": "make", "what": "observable type wazuh-alert", "done": False}.items() <= next(
        one for one in document["changes"] if "wazuh-alert" in one["what"]
    ).items()
    assert made.run("--format", "json") == 0
    assert all(one["done"] for one in json.loads(capsys.readouterr().out)["changes"])


def test_what_fails_on_the_way_is_said_and_the_next_run_goes_on(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    lab5.faults.apply({"thehive": {"fail": 1, "status": 500, "only": "POST /api/v1/caseTemplate"}})
    assert made.run() == 1
    out = capsys.readouterr().out
    assert "It stopped at case template 'Wazuh alert': " in out
    assert "make    profile propolis (10 permissions, the least)  (not done)" in out
    assert lab5.hive.store.by_key("ObservableType", ("wazuh-alert",)) is not None
    assert workers(lab5) == {}
    assert made.run() == 0
    assert made.run("--check") == 0


def test_a_key_is_never_renewed_under_a_running_service(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.run()
    key = made.key_file.read_text()
    made.key_file.unlink()
    made.document.pop("cortex")
    assert made.run() == 1
    assert "It has a key, but" in capsys.readouterr().out
    with session(lab5.thehive_url, headers={"Authorization": f"Bearer {key.strip()}"}, retries=0) as client:
        assert client.get("/api/v1/user/current").status == 200


def test_killed_in_the_middle_it_goes_on_where_it_was(lab: Lab, file: MakeFile, capsys: Output):
    """A real process, SIGKILL while TheHive makes the profile; the next run finds what is done."""
    made = file(lab)
    lab.faults.apply({"thehive": {"hang": 1, "only": "POST /api/v1/profile"}})
    code = (
        "import sys; from playbook_service.cli import COMMANDS, Command, main; "
        "COMMANDS['setup'] = Command('playbook_service.commands.setup', 'set up'); sys.exit(main())"
    )
    words = [sys.executable, "-c", code, "setup", str(made.write())]
    process = subprocess.Popen(words, cwd=made.path.parent, env={**os.environ, "PYTHONPATH": str(ROOT)})
    clock, end = SystemClock(), SystemClock().monotonic() + 60
    while lab.hive.store.by_key("CaseTemplate", ("soc-main", "Wazuh alert")) is None:
        assert process.poll() is None
        assert clock.monotonic() < end
        clock.sleep(0.05)
    process.kill()
    process.wait()
    lab.faults.clear()
    assert lab.hive.store.by_key("User", ("propolis@soc.example",)) is None
    assert made.run() == 0
    assert made.run("--check") == 0
    assert "right   case template 'Wazuh alert'" in capsys.readouterr().out


def test_fields_of_thehive_4_go_by_their_reference(lab4: Lab, file: MakeFile, admin: Admin):
    """There `name` is what is shown."""
    made = file(lab4)
    made.document.pop("cortex")
    made.run()
    shown = {one["reference"]: one["name"] for one in admin(lab4, "admin").get("/api/customField").json()}
    assert shown["wazuh_rule_level"] == "Wazuh rule level"


def account(lab: Lab, admin: Admin, **changes: Any) -> None:
    """An account that is there before setup is."""
    body = {"login": "propolis@soc.example", "name": "P", "organisation": "soc-main", "profile": "analyst", **changes}
    admin(lab, "orgadmin").post("/api/v1/user", json=body)


def test_the_profile_of_analysts_serves_too(lab: Lab, file: MakeFile, admin: Admin):
    account(lab, admin, **({"type": "Service"} if lab.version == 5 else {}))
    made = file(lab)
    made.document["thehive"]["account"]["profile"] = "analyst"
    assert made.run() == 0
    assert made.run("--check") == 0


@pytest.mark.parametrize(
    ("changes", "wished", "says"),
    [
        ({"type": "Service"}, "propolis", "It has the profile analyst in soc-main: give it propolis."),
        ({"type": "Normal"}, "analyst", "make one of the type Service for the service alone"),
        ({"type": "Service", "profile": "org-admin"}, "org-admin", "It holds manageConfig, manageShare, manageUser"),
        ({"type": "Service", "profile": "read-only"}, "read-only", "It lacks manageAction, manageAlert/create"),
        ({"type": "Service", "locked": True}, "analyst", "It is locked: unlock it."),
    ],
    ids=["another profile", "a person", "too much", "too little", "locked"],
)
def test_an_account_that_is_not_as_wished_is_left_to_a_person(
    lab5: Lab, file: MakeFile, admin: Admin, capsys: Output, changes: dict[str, Any], wished: str, says: str
):
    account(lab5, admin, **changes)
    made = file(lab5)
    made.document["thehive"]["account"] = {"login": "propolis@soc.example", "profile": wished}
    made.document.pop("cortex")
    assert made.run() == 1
    assert says in capsys.readouterr().out


def test_permissions_that_our_own_profile_lacks_are_added_and_others_stay(lab5: Lab, file: MakeFile, admin: Admin):
    mine = {"name": "propolis", "permissions": ["manageAction", "managePage"]}
    admin(lab5, "admin").post("/api/v1/profile", json=mine)
    assert file(lab5).run() == 0
    held = admin(lab5, "admin").get("/api/v1/profile/propolis").json()["permissions"]
    assert set(held) == {*least_profile(5), "managePage"}


def test_a_definition_that_was_put_there_lately_is_found(lab5: Lab, file: MakeFile, tmp_path: Any, capsys: Output):
    """Cortex reads its folders when it is told to; `--check` does not tell it."""
    folder = tmp_path / "responders" / "Late"
    folder.mkdir(parents=True)
    lab5.cortex.add_places("responder", [folder.parent])
    late = {"name": "Late", "version": "1.0", "description": "d", "author": "a", "url": "u", "license": "l"}
    (folder / "late.json").write_text(json.dumps(late))
    made = file(lab5)
    made.document["cortex"]["workers"].append({"enable": ["Late_1_0"]})
    assert made.run("--check") == 2
    assert "Cortex does not know Late_1_0" in capsys.readouterr().err
    assert made.run() == 0
    assert "Late_1_0" in workers(lab5)


def test_a_key_whose_answer_was_lost_is_not_taken_for_there(lab5: Lab, file: MakeFile, capsys: Output):
    made = file(lab5)
    made.document.pop("cortex")
    lab5.faults.apply({"thehive": {"lose": 1, "only": "POST .*/key/renew"}})
    assert made.run() == 1
    assert "It may have been done all the same." in capsys.readouterr().out
    assert made.key_file.read_text() == ""
    assert made.run() == 1
    assert "is not there or empty" in capsys.readouterr().out
