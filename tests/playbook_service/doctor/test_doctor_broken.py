"""One thing is broken at a time, and the doctor's line for it says so, with the way to mend it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

import pytest
from ward import ALERT, ROOT, Ward, send

from playbook_service.cli import COMMANDS, Command, main
from playbook_service.demo.shelf import Shelf
from playbook_service.doctor import clocks, flow, inbox, keeping, thehive, wazuh
from playbook_service.doctor.finding import harmless
from playbook_service.doctor.inbox import Unseen, arrivals, has_news, mark, opened
from playbook_service.engine import lease
from playbook_service.settings import load
from playbook_service.settings.loader import Settings
from playbook_service.store.contract import StoreError
from playbook_service.store.memory import MemoryStore
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.application import Application, Route
from playbook_service.web.message import Answer, Request
from playbook_service.web.server import Server
from propolis.clock import ManualClock, SystemClock
from propolis.http import Client, Response, session
from propolis.http.response import Headers

Output = pytest.CaptureFixture[str]


def store(ward: Ward, clock: ManualClock | None = None) -> SqliteStore:
    return SqliteStore(ward.folder / "data/propolis.db", clock or SystemClock())


# servers --------------------------------------------------------------------------------------------------------------


def test_thehive_is_away_and_the_rest_is_looked_at_all_the_same(ward5: Ward, capsys: Output):
    ward5.lab.stop_thehive()
    found = ward5.look(capsys)
    assert found.code == 1
    assert found.states("fail") == ["TheHive: reachable"]
    assert found["Way of an alert: webhook"]["state"] == "unknown"
    assert found["Cortex: workers"]["state"] == "ok"
    ward5.lab.start_thehive()


def test_cortex_is_away(ward5: Ward, capsys: Output):
    ward5.lab.stop_cortex()
    found = ward5.look(capsys)
    assert "Cortex: reachable" in found.states("fail")
    assert found["TheHive: connector"]["state"] == "fail"
    ward5.lab.start_cortex()


def test_without_cortex_in_the_settings_its_part_is_not_seen(ward5: Ward, capsys: Output):
    ward5.settings["cortex_url"] = ""
    found = ward5.look(capsys)
    assert (found.code, found["Cortex: reachable"]["state"]) == (0, "unknown")
    assert ward5.look(capsys, "--strict").code == 1


def test_the_service_does_not_run(ward5: Ward, capsys: Output):
    ward5.stop_service()
    found = ward5.look(capsys)
    assert found["Service: running"]["fix"].startswith("propolis serve")
    assert found["Way of an alert: webhook"]["text"] == "the service does not run, so nothing can arrive"


def test_another_program_answers_in_its_place(ward5: Ward, capsys: Output):
    found = ward5.look(capsys, "--no-probe", "--service", ward5.lab.cortex_url)
    assert "is not the service" in found["Service: running"]["text"]


@pytest.mark.parametrize(("key", "part"), [("thehive_key", "TheHive: reachable"), ("cortex_key", "Cortex: account")])
def test_a_key_that_is_refused(ward5: Ward, capsys: Output, key: str, part: str):
    ward5.settings[key] = "a-key-that-nobody-has"
    found = ward5.look(capsys, "--no-probe")
    assert found[part]["state"] == "fail"
    assert "(401)" in found[part]["text"]


# rights and catalogues ------------------------------------------------------------------------------------------------


def test_a_permission_that_was_taken_away_is_named(ward: Ward, capsys: Output):
    hive = ward.lab.hive
    profile = hive.store.by_key("Profile", ("propolis",))
    assert profile is not None
    left = [one for one in profile["permissions"] if one != "manageAction"]
    with hive.transaction():
        hive.store.put(profile.__class__(**{**profile.__dict__, "fields": {**profile.fields, "permissions": left}}))
    found = ward.look(capsys, "--no-probe")
    assert found["TheHive: permissions"]["text"] == "propolis@soc.example may not manageAction"
    assert found.code == 1


def test_an_account_that_may_too_much_and_approves_itself(ward5: Ward, capsys: Output):
    ward5.settings |= {"thehive_key": ward5.lab.keys.orgadmin, "approvers": ["orgadmin@soc.example"]}
    found = ward5.look(capsys, "--no-probe")
    assert "manageConfig" in found["TheHive: permissions"]["text"]
    assert "approvers" in found["TheHive: account"]["text"]


def test_catalogues_that_lack_something(ward: Ward, capsys: Output):
    hive = ward.lab.hive
    with hive.transaction():
        for kind, key in (
            ("CustomField", ("wazuh_rule_level",)), ("ObservableType", ("wazuh-alert",)),
            ("CaseTemplate", ("soc-main", "Wazuh alert")),
        ):  # fmt: skip
            entity = hive.store.by_key(kind, key)
            assert entity is not None
            hive.store.remove(entity.id)
    found = ward.look(capsys, "--no-probe")
    assert found.states("fail") == ["TheHive: custom fields", "TheHive: observable type", "TheHive: case template"]
    assert "wazuh_rule_level missing" in found["TheHive: custom fields"]["text"]
    ward.setup()
    assert ward.look(capsys, "--no-probe").states("fail") == []


@pytest.mark.parametrize(
    ("version", "state"),
    [("4.1.24-1", "ok"), ("4.0.5", "fail"), ("5.1.4-1", "warn"), ("5.5.13", "ok"), ("5.7.1", "fail"), ("5.7.3", "ok")],
)
def test_versions_of_thehive_that_do_not_work_are_known(version: str, state: str):
    assert thehive.version_of(version, "thehive.example.org").state == state


# workers --------------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_not_enabled_and_one_that_is_cached(ward5: Ward, capsys: Output):
    cortex = ward5.lab.cortex
    for worker in list(cortex.workers.values()):
        if worker.definition.id == "FirewallUnblock_1_0":
            del cortex.workers[worker.id]
        if worker.definition.id == "ConsensusScore_1_0":
            cortex.change(worker, {"jobCache": 10})
    found = ward5.look(capsys, "--no-probe")
    assert found["Cortex: workers"]["state"] == "warn"
    assert "not enabled, and not started yet: FirewallUnblock" in found["Cortex: workers"]["text"]
    assert found["Cortex: cache"]["text"].startswith("ConsensusScore is cached (10 minutes)")
    assert ward5.setup() == 0
    assert ward5.look(capsys, "--no-probe").states("fail") == []


def test_a_responder_that_may_be_started_has_to_be_there_with_its_undo(ward5: Ward, capsys: Output):
    cortex = ward5.lab.cortex
    for worker in [one for one in cortex.workers.values() if one.definition.id == "FirewallUnblock_1_0"]:
        del cortex.workers[worker.id]
    shelf = Shelf(ward5.folder / "playbooks")
    shelf.switch("enforce", "malicious-ip")
    ward5.settings["playbooks"] = str(shelf.folder)
    told = "not enabled, though playbooks may start them: FirewallUnblock"
    assert ward5.look(capsys, "--no-probe")["Cortex: workers"]["text"] == told
    ward5.settings["mode"] = "observe"
    assert ward5.look(capsys, "--no-probe")["Cortex: workers"]["state"] == "warn"


def test_another_version_than_ours(ward5: Ward, capsys: Output):
    cortex = ward5.lab.cortex
    folder = ward5.folder / "old" / "IsolateHost"
    folder.mkdir(parents=True)
    text = (ROOT / "playbook_service/lab/workers/IsolateHost/IsolateHost.json").read_text()
    (folder / "old.json").write_text(text.replace('"version": "1.0"', '"version": "0.9"'))
    cortex.add_places("responder", [folder.parent])
    (ours,) = [one for one in cortex.workers.values() if one.definition.id == "IsolateHost_1_0"]
    del cortex.workers[ours.id]
    ward5.lab.enable("IsolateHost_0_9", ours.configuration)
    assert ward5.look(capsys, "--no-probe")["Cortex: workers"]["text"] == "IsolateHost is not at 1.0"


def test_a_responder_that_cannot_work_says_why_when_it_is_run(ward5: Ward, capsys: Output):
    (worker,) = [one for one in ward5.lab.cortex.workers.values() if one.definition.id == "FirewallBlock_1_0"]
    unfit = {**worker.configuration, "policy": "firewall: {own: [300.0.0.1]}"}
    ward5.lab.cortex.change(worker, {"configuration": unfit})
    found = ward5.look(capsys, "--run", "--no-probe")
    assert found["Cortex: run FirewallBlock"]["state"] == "warn", "no playbook may start it yet"
    assert "300.0.0.1" in found["Cortex: run FirewallBlock"]["text"]
    assert found["Cortex: run IsolateHost"]["state"] == "ok"
    assert "FirewallBlock_1_0 (" in ward5.look(capsys, "--no-probe")["Cortex: answers"]["text"]
    shelf = Shelf(ward5.folder / "playbooks")
    shelf.switch("approve", "malicious-ip")
    ward5.settings["playbooks"] = str(shelf.folder)
    assert ward5.look(capsys, "--run", "--no-probe")["Cortex: run FirewallBlock"]["state"] == "fail"


def test_a_policy_that_protects_the_doctors_target_is_an_answer(ward5: Ward, capsys: Output):
    (worker,) = [one for one in ward5.lab.cortex.workers.values() if one.definition.id == "FirewallBlock_1_0"]
    owned = {**worker.configuration, "policy": "firewall: {own: [192.0.2.0/24]}"}
    ward5.lab.cortex.change(worker, {"configuration": owned})
    found = ward5.look(capsys, "--run", "--no-probe")["Cortex: run FirewallBlock"]
    assert found["state"] == "ok"
    assert "firewall.own" in found["text"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("401 for https://api.example.org/v1?apikey=abc&x=1 (Unauthorized)", "https://api.example.org/v1?... (Un"),
        ("bad key 9f8e7d6c5b4a39281706ff00aa11bb22", "bad key ..."),
        ("configuration item isolate_ssh_key_file: is required", "isolate_ssh_key_file: is required"),
    ],
)
def test_what_other_peoples_workers_say_is_told_without_what_may_be_a_key(text: str, told: str):
    assert told in harmless(text)


def test_a_worker_that_never_answers(ward5: Ward, capsys: Output):
    ward5.lab.faults.apply({"jobs": {"lose": ["WazuhAlert_1_0"]}})
    found = ward5.look(capsys, "--run", "--no-probe", "--wait", "1")
    assert found["Cortex: run WazuhAlert"]["text"].startswith("no answer within 1 s")


def test_runs_want_the_role_analyze(ward5: Ward, capsys: Output):
    ward5.settings["cortex_key"] = ward5.lab.keys.cortex_reader
    found = ward5.look(capsys, "--run", "--no-probe")
    assert "analyze" in found["Cortex: run WazuhAlert"]["fix"]
    assert found["Cortex: run WazuhAlert"]["state"] == "unknown"


# the webhook ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["nobody is told", "another token"])
def test_news_that_do_not_arrive(ward: Ward, capsys: Output, fault: str):
    if fault == "nobody is told":
        ward.lab.hive.notifications["soc-main"] = []
    else:
        ward.lab.hive.endpoints = [{**one, "auth": {"type": "bearer", "key": "x"}} for one in ward.lab.hive.endpoints]
    found = ward.look(capsys, "--wait", "1")
    assert found.states("fail") == ["Way of an alert: webhook"]
    assert "AnyEvent" in found["Way of an alert: webhook"]["fix"]


def test_the_reconciliation_cannot_stand_in_for_the_webhook(ward5: Ward, capsys: Output):
    ward5.stop_service()
    ward5.settings["reconcile"] = "1s"
    ward5.start_service()
    ward5.lab.hive.notifications["soc-main"] = []
    assert ward5.look(capsys, "--wait", "3")["Way of an alert: webhook"]["state"] == "fail"


def test_yesterdays_news_of_the_probe_do_not_count(ward5: Ward, capsys: Output):
    assert ward5.look(capsys)["Way of an alert: webhook"]["state"] == "ok"
    ward5.lab.hive.notifications["soc-main"] = []
    assert ward5.look(capsys, "--wait", "1")["Way of an alert: webhook"]["state"] == "fail"


# what is kept ---------------------------------------------------------------------------------------------------------


def test_what_was_set_aside_and_what_waits_too_long(ward5: Ward, capsys: Output):
    ward5.stop_service()
    kept = store(ward5, ManualClock(SystemClock().now() - 3600))
    with kept.transaction() as work:
        work.put("inbox", "wazuh:m:1", {"from": "wazuh"})
        work.put("step", "verdict:1", {"do": "verdict"})
        work.bury(work.claim("step", "me", seconds=60)[0], "no reason")
    kept.close()
    found = ward5.look(capsys)
    assert found["Keeping: backlog"]["text"] == "1 events wait, the oldest for 60 min"
    assert "verdict:1 (no reason)" in found["Keeping: set aside"]["text"]


def test_a_chain_that_somebody_changed(ward5: Ward, capsys: Output):
    ward5.stop_service()
    with closing(sqlite3.connect(ward5.folder / "data/propolis.db")) as connection, connection:
        connection.execute("update log set body = replace(body, 'enforce', 'observe')")
    assert ward5.look(capsys)["Keeping: chain"]["fix"] == "propolis audit verify"


@pytest.mark.parametrize(("state", "undos", "late", "expected"), [
    (lease.ACTIVE, 0, -600, "fail"), (lease.ACTIVE, 4, 600, "fail"), (lease.DOUBTFUL, 0, 600, "warn"),
    (lease.ACTIVE, 0, 600, "ok"),
])  # fmt: skip
def test_leases_past_their_end(ward5: Ward, capsys: Output, state: str, undos: int, late: int, expected: str):
    ward5.stop_service()
    kept = store(ward5)
    with kept.transaction() as work:
        work.save(lease.KIND, "L1", {"undos": undos}, state=state, due=SystemClock().now() + late)
    kept.close()
    assert ward5.look(capsys)["Keeping: leases"]["state"] == expected


def test_backups_fresh_stale_and_torn(ward5: Ward, capsys: Output, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(COMMANDS, "backup", Command("playbook_service.commands.backup", "back up"))
    folder = ward5.folder / "backups"
    options = ("--no-probe", "--backups", str(folder))
    assert ward5.look(capsys, *options)["Keeping: backup"]["state"] == "later"
    assert main(["backup", "--config", str(ward5.write()), "--to", str(folder)]) == 0
    found = ward5.look(capsys, *options)["Keeping: backup"]
    assert (found["state"], found["text"].partition(", read")[2]) == ("ok", " back and sound")
    (file,) = folder.glob("*.tar.gz")
    now = SystemClock().now()
    for days, state in ((2, "warn"), (10, "fail")):
        os.utime(file, (now - days * 86_400,) * 2)
        assert ward5.look(capsys, *options)["Keeping: backup"]["state"] == state
    file.write_bytes(file.read_bytes()[:-100])
    assert "cannot be restored" in ward5.look(capsys, *options)["Keeping: backup"]["text"]


@pytest.mark.parametrize(("free", "state"), [(100 << 20, "fail"), (1 << 30, "warn"), (100 << 30, "ok")])
def test_room_on_the_disk(free: int, state: str):
    assert keeping.room(free, Path("/var/lib/propolis")).state == state


def test_looking_makes_no_data_folder(ward5: Ward, capsys: Output):
    ward5.settings["data_dir"] = str(ward5.folder / "elsewhere")
    found = ward5.look(capsys)
    assert found["Keeping: store"]["state"] == "unknown"
    assert not (ward5.folder / "elsewhere").exists()


# what the service goes by ---------------------------------------------------------------------------------------------


def test_documents_that_cannot_be_used(ward5: Ward, capsys: Output):
    broken = ward5.folder / "broken"
    broken.mkdir()
    (broken / "p.yml").write_text("kind: nonsense\n")
    ward5.settings |= {
        "policy": str(broken / "p.yml"), "playbooks": str(broken), "escalation": str(broken / "p.yml")
    }  # fmt: skip
    found = ward5.look(capsys, "--no-probe")
    assert {"Service: policy", "Service: playbooks", "Service: escalation"} <= set(found.states("fail"))


def test_a_policy_that_holds_everything_back(ward5: Ward, capsys: Output):
    (ward5.folder / "policy.yml").write_text("firewall: {}\n")
    assert "firewall.own" in ward5.look(capsys, "--no-probe")["Service: policy"]["text"]


@pytest.mark.parametrize(
    ("ahead", "state"), [(0, "ok"), (-5, "ok"), (30, "warn"), (-30, "warn"), (300, "fail"), (-300, "fail")]
)
def test_clocks_that_disagree(ahead: int, state: str):
    answer = Response(200, Headers({"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}), b"")
    found = clocks.skew(answer, ManualClock(1_767_225_600.0 - ahead))
    assert found.state == state


def test_a_server_that_bears_no_date():
    assert clocks.skew(Response(200, Headers({}), b""), ManualClock()).state == "unknown"


# how it is called -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [("--wait", "0"), ("--wait", "601"), ("--config", "no-such-file.yml")])
def test_wrong_use_is_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Output, options: tuple[str, str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(COMMANDS, "doctor", Command("playbook_service.commands.doctor", "doctor"))
    assert main(["doctor", *options]) == 2
    assert capsys.readouterr().err.startswith("propolis: ")


def test_a_store_that_it_cannot_use_is_said_to_be_so_and_none_is_made(tmp_path: Path):
    settings = load({}, None)
    for store, error, text in (
        ("", Unseen, "there is no store"),
        ("postgresql://propolis:hidden@127.0.0.1:1/propolis", StoreError, "127.0.0.1:1/propolis is away"),
    ):
        elsewhere = Settings({**settings, "store": store, "data_dir": str(tmp_path)}, settings.origins)
        with pytest.raises(error, match=text) as told:
            opened(elsewhere, ManualClock())
        assert "hidden" not in str(told.value)
    assert not list(tmp_path.iterdir())


# what has arrived -----------------------------------------------------------------------------------------------------


def test_arrivals_are_told_by_their_hook_and_only_the_newest_are_looked_through(monkeypatch: pytest.MonkeyPatch):
    clock = ManualClock()
    kept, came = MemoryStore(clock), clock.now()
    for number, hook in enumerate(("wazuh", "siem", "wazuh", "thehive", "thehive")):
        with kept.transaction() as work:
            work.put("inbox", f"{hook}:{number}", {})
        clock.advance(60)
    assert arrivals(kept) == (came + 120, came + 60, came + 240, 5)
    monkeypatch.setattr(inbox, "NEWEST", 2)
    monkeypatch.setattr(wazuh, "NEWEST", 2)
    assert arrivals(kept) == (None, None, came + 240, 2)
    assert wazuh.received(arrivals(kept), clock).state == "warn"


def test_news_of_another_alert_and_news_from_before_the_mark_do_not_count():
    kept = MemoryStore(ManualClock())

    def tell(key: str, entity: str) -> None:
        with kept.transaction() as work:
            work.put("inbox", key, {"hook": {"entity_id": entity}})

    tell("thehive:1", "~1")
    before = mark(kept)
    tell("thehive:2", "~2")
    tell("wazuh:1", "~1")
    assert not has_news(kept, "~1", before)
    tell("thehive:3", "~1")
    assert has_news(kept, "~1", before)


# metrics and reports --------------------------------------------------------------------------------------------------


@contextmanager
def answering(status: HTTPStatus, text: str, seen: list[str]) -> Iterator[Client]:
    """A line to a service whose /metrics answers so; `seen` collects who asked."""

    def metrics(request: Request) -> Answer:
        seen.append(request.header("Authorization"))
        return Answer(status, text.encode(), (("Content-Type", "text/plain; version=0.0.4"),))

    server = Server(("127.0.0.1", 0), Application([Route("GET", "/metrics", metrics)]), SystemClock())
    threading.Thread(target=server.run, daemon=True).start()
    try:
        with session(f"http://127.0.0.1:{server.port}") as client:
            yield client
    finally:
        server.stop()


BUILD = '# TYPE propolis_build_info gauge\npropolis_build_info{version="1"} 1\n'


@pytest.mark.parametrize(("status", "text", "state"), [
    (HTTPStatus.OK, BUILD, "ok"), (HTTPStatus.OK, "up 1\n# HELP propolis_build_info\n", "warn"),
    (HTTPStatus.NOT_FOUND, "", "warn"), (HTTPStatus.FORBIDDEN, "", "unknown"), (HTTPStatus.UNAUTHORIZED, "", "unknown"),
])  # fmt: skip
def test_metrics_are_what_prometheus_would_read(status: HTTPStatus, text: str, state: str):
    seen: list[str] = []
    settings = load({}, None)
    with_token = Settings({**settings, "metrics_token": ("of-these-settings", "older")}, settings.origins)
    with answering(status, text, seen) as client:
        found = flow.metrics(client, with_token)
    assert (found.state, seen) == (state, ["Bearer of-these-settings"])
    assert bool(found.fix) == (state != "ok")


def test_metrics_that_are_switched_off_and_a_service_that_is_away():
    settings = load({}, None)
    with session("http://127.0.0.1:1", retries=0) as client:
        off = Settings({**settings, "metrics": False}, settings.origins)
        assert flow.metrics(client, off) == ("metrics", "ok", "switched off (the setting metrics)", "")
        assert flow.metrics(client, Settings({**settings, "metrics": True}, settings.origins)).state == "unknown"


def test_reports_need_a_store_that_can_be_read():
    kept = MemoryStore(ManualClock())
    assert flow.reports(None).state == "unknown"
    assert "propolis report --since 30d" in flow.reports(kept).text


# the console ----------------------------------------------------------------------------------------------------------


def test_metrics_and_console_of_a_service_as_it_runs(ward5: Ward, capsys: Output):
    look = ward5.look(capsys, "--no-probe")
    assert look["Way of an alert: metrics"]["text"].startswith("Prometheus on this machine (no metrics_token)")
    assert look["Way of an alert: console"]["text"].endswith("the mode is raised there by profile:org-admin")

    ward5.stop_service()
    ward5.settings |= {"metrics_token": "of-prometheus", "console_admins": ["analyst@soc.example"]}
    ward5.start_service()
    look = ward5.look(capsys, "--no-probe")
    assert look["Way of an alert: metrics"]["text"].startswith("Prometheus, with the token,")
    assert look["Way of an alert: console"]["text"].endswith("raised there by analyst@soc.example")

    admins = ["profile:org-admin", "ghost@soc.example"]
    ward5.settings |= {"metrics_token": "of-somebody-else", "console_admins": admins}
    look = ward5.look(capsys, "--no-probe")
    assert look["Way of an alert: metrics"]["state"] == "unknown"
    console = look["Way of an alert: console"]
    assert console["state"] == "warn"
    assert console["text"].startswith("console_admins names ghost@soc.example, whom TheHive does not know")

    ward5.stop_service()
    ward5.settings |= {"console": False, "metrics_token": "", "console_admins": ["ghost@soc.example"]}
    ward5.start_service()
    assert ward5.look(capsys, "--no-probe")["Way of an alert: console"]["text"].startswith("switched off")
    ward5.settings["console"] = True  # as somebody who forgot to restart
    console = ward5.look(capsys, "--no-probe")["Way of an alert: console"]
    assert (console["state"], "restart the service" in console["fix"]) == ("warn", True)


def test_a_console_that_is_served_beyond_this_machine_without_tls_is_warned_of(ward5: Ward, capsys: Output):
    port = ward5.settings["listen"].partition(":")[2]
    ward5.settings["listen"] = f"0.0.0.0:{port}"
    console = ward5.look(capsys, "--no-probe")["Way of an alert: console"]
    assert (console["state"], "without TLS" in console["text"]) == ("warn", True)
    assert "--console https://" in console["fix"]
    proxy = ward5.look(capsys, "--no-probe", "--console", "https://127.0.0.1:1")
    assert (proxy["Way of an alert: console"]["state"], proxy["Service: running"]["state"]) == ("unknown", "ok")


def test_a_console_without_a_service_cannot_be_looked_at(ward5: Ward, capsys: Output):
    ward5.stop_service()
    assert ward5.look(capsys, "--no-probe")["Way of an alert: console"]["state"] == "unknown"


# PostgreSQL -----------------------------------------------------------------------------------------------------------


@pytest.mark.daemon
def test_with_postgresql_everything_is_seen_that_is_seen_with_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: Callable[[object, str], None], capsys: Output
):
    need(find_spec("psycopg"), "psycopg (the extra `postgres`)")
    sys.path.insert(0, str(ROOT / "tests"))
    from postgres_server import PostgresServer, programs

    need(programs(), "PostgreSQL (apt-get install postgresql)")
    with PostgresServer() as server:
        ward = Ward(tmp_path, 5, monkeypatch)
        ward.settings["store"] = server.database()
        try:
            ward.open()
            send(ward, ALERT)
            found = ward.look(capsys)
        finally:
            ward.close()
    assert found["Wazuh: alerts received"]["state"] == "ok"
    assert found["Way of an alert: webhook"]["text"].startswith("a change in TheHive was here after")
    assert found.states("fail") == []


# TLS ------------------------------------------------------------------------------------------------------------------


def certificate(folder: Path, names: str) -> dict[str, str]:
    """A certificate of one's own for these names, as settings."""
    paths = {"tls_certificate": str(folder / "tls.pem"), "tls_key": str(folder / "tls.key")}
    words = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=propolis.example.org",
        "-addext", f"subjectAltName={names}", "-out", paths["tls_certificate"], "-keyout", paths["tls_key"],
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True)
    return paths


@pytest.mark.parametrize(("names", "state"), [("IP:127.0.0.1", "ok"), ("DNS:propolis.example.org", "unknown")])
def test_a_service_with_a_certificate_of_its_own(
    ward5: Ward, capsys: Output, need: Callable[[object, str], None], names: str, state: str
):
    need(shutil.which("openssl"), "openssl")
    ward5.stop_service()
    ward5.settings |= certificate(ward5.folder, names)
    ward5.start_service()
    found = ward5.look(capsys, "--no-probe")["Service: running"]
    assert found["state"] == state
    assert state == "ok" or "--service https://NAME:PORT" in found["fix"]
