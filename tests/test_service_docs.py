"""The operator's handbook says what is true: what it names exists, what exists is named, and its examples work."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from playbook_service.cli import COMMANDS
from playbook_service.commands.approvals import KEY_VARIABLE
from playbook_service.engine import approval
from playbook_service.feed.entry import KINDS
from playbook_service.feed.routes import FeedApi, FeedPages
from playbook_service.feedback.observation import still_needed
from playbook_service.intake.routes import MAX_BATCH, Hooks, health_routes
from playbook_service.intake.siem import load_mapping, to_alert
from playbook_service.lab import Lab
from playbook_service.lab.filter import matches, reader
from playbook_service.service import Service
from playbook_service.settings import SETTINGS, load
from playbook_service.store.sqlite import SqliteStore
from playbook_service.web.server import Limits
from propolis.clock import ManualClock, SystemClock
from propolis.guardrails import Policy
from propolis.http import session
from propolis.notify.bodies import BODIES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAYLOADS = ROOT / "tests" / "fixtures" / "thehive_payloads"
MINE = ("service.md", "thehive.md", "failures.md", "settings.md")
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MARKED = re.compile(r"^( *)<!-- (\w+): ?([^>]*?) -->\n\1```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PLAIN_MARK = re.compile(r"^( *)<!-- (query) -->\n\1```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code with a mark before it: `<!-- example: policy.yml -->`."""

    page: str
    about: str
    text: str


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


HANDBOOK = "\n".join(page(name) for name in MINE)


def marked(kind: str) -> list[Block]:
    found = []
    for name in MINE:
        for indent, word, about, text in MARKED.findall(page(name)):
            if word == kind:
                found.append(Block(name, about, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)))
    assert found, f"no block of the handbook is marked {kind}"
    return found


def examples(name: str) -> list[str]:
    return [block.text for block in marked("example") if block.about == name]


# what is named exists -------------------------------------------------------------------------------------------------


def shell_lines(text: str) -> Iterator[str]:
    for _, language, body in FENCE.findall(text):
        if language in ("sh", "shell", "bash", "ini", ""):
            yield from body.replace("\\\n", " ").splitlines()


def calls() -> list[tuple[str, str]]:
    """Every call of `propolis` in a shell block of any page, and in running text of the handbook's own pages."""
    found = [
        (path.name, line.strip().removeprefix("ExecStart=").removeprefix("$ "))
        for path in sorted(DOCS.glob("*.md"))
        for line in shell_lines(path.read_text(encoding="utf-8"))
    ]
    found += [(name, span) for name in MINE for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page(name))]
    return [(name, call) for name, call in found if re.match(r"(?:\S*/)?propolis [a-z]", call)]


def arguments_of(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[verb].module).add_arguments(parser)
    return parser


def test_every_command_that_the_pages_show_exists_with_its_options():
    shown = calls()
    assert len(shown) > 10
    for name, call in shown:
        words = shlex.split(call, comments=True)
        assert words[1] in COMMANDS, f"{name}: {call}"
        known = arguments_of(words[1]).format_help()
        unknown = [word for word in words[2:] if word.startswith("--") and word.partition("=")[0] not in known]
        assert not unknown, f"{name}: {call}"


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_command_is_in_the_handbook(verb: str):
    assert f"`propolis {verb}`" in page("service.md")


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_action_of_a_command_is_in_the_handbook(verb: str):
    for action in arguments_of(verb)._actions:
        for choice in action.choices or () if not action.option_strings else ():
            assert re.search(rf"`{choice}\b", page("service.md")), f"{verb} {choice}"


@pytest.mark.parametrize("name", [row.name for row in SETTINGS])
def test_every_setting_is_explained_outside_its_table(name: str):
    told = "".join(page(one) for one in MINE if one != "settings.md")
    variable = rf"PROPOLIS_{name.upper()}(_FILE)?\b"
    assert re.search(rf"`{name}\b|^{name}:|{variable}", told, re.MULTILINE), f"{name} is told of nowhere"


def test_every_variable_that_the_pages_name_is_a_setting_or_the_file_of_settings():
    known = {row.variable for row in SETTINGS} | {f"{row.variable}_FILE" for row in SETTINGS if row.secret}
    named = set(re.findall(r"\bPROPOLIS_[A-Z_]+[A-Z]\b", HANDBOOK))
    assert named - known == {"PROPOLIS_CONFIG", KEY_VARIABLE}


def headings(name: str) -> set[str]:
    """The places of a page that a link may lead to, as GitHub names them."""
    found = re.findall(r"^#+ (.+)$", FENCE.sub("", page(name)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}


@pytest.mark.parametrize("name", MINE)
def test_every_link_to_a_place_in_a_page_leads_there(name: str):
    for target, place in re.findall(r"\]\(([\w.-]*)#([^)]+)\)", page(name)):
        assert place in headings(target or name), f"{target or name}#{place}"


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "playbook_service").rglob("*.py")):
        if "lab" not in path.relative_to(ROOT).parts:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.expr) -> list[str]:
    """The texts that an argument may be: a constant, or either side of a choice."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return [*texts(node.body), *texts(node.orelse)] if isinstance(node, ast.IfExp) else []


def loggers() -> set[str]:
    return {
        text
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "getLogger"
        for text in texts(node.args[0])
    }


def audited() -> set[str]:
    """The actions of the audit chain: the second argument of `journal.write(work, ...)`, the third of `_audit(...)`."""
    found = {f"approval {state}" for state in (approval.GRANTED, approval.DENIED, approval.EXPIRED)}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                target = ast.unparse(node.func)
                position = 1 if target.endswith("journal.write") else 2 if target.endswith("._audit") else None
                if position is not None and len(node.args) > position:
                    found.update(texts(node.args[position]))
    return found


def test_every_logger_is_in_the_handbook():
    assert len(loggers()) >= 5
    assert [name for name in sorted(loggers()) if f"`{name}`" not in page("service.md")] == []


def test_every_action_of_the_audit_chain_is_in_the_handbook_and_no_other():
    table = re.search(r"\| action \| what happened \|\n(.*?)\n\n", page("service.md"), re.DOTALL)
    assert table is not None
    told = {name for row in table.group(1).splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])}
    assert told - {"case opened", "alert joined"} == audited()


def test_every_address_is_in_the_handbook():
    unused: Any = None
    routes = [
        *Hooks(unused, unused, unused, body_limit=1).routes(), *health_routes(unused),
        *FeedApi(unused, unused).routes(), *FeedPages(unused, ()).routes(),
    ]  # fmt: skip
    for route in routes:
        assert f"{route.method} {route.path.replace('*', '')}" in page("service.md")


def test_every_kind_of_channel_and_of_list_is_in_the_handbook():
    for kind in (*BODIES, *KINDS):
        assert f"`{kind}`" in page("service.md")


def test_the_numbers_are_those_of_the_code():
    told = " ".join(page("service.md").split())
    assert f"takes {still_needed(0, 0)} right cases" in told
    assert f"seen within {approval._POLL:.0f} seconds" in told
    assert f"up to {MAX_BATCH:,}" in told
    limits = Limits()
    assert f"At most {limits.connections} connections" in told
    assert f"a request may take {limits.request_seconds:.0f} seconds" in told


# the examples work ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", examples("propolis.yml"))
def test_an_example_of_settings_loads(text: str, tmp_path: Path):
    (tmp_path / "propolis.yml").write_text(text)
    settings = load({}, tmp_path / "propolis.yml")
    assert set(settings.origins.values()) != {"default"}


def environment(folder: Path) -> dict[str, str]:
    """The example's environment, with its files in another folder."""
    (text,) = examples("environment")
    names = dict(line.split("=", 1) for line in text.splitlines())
    for path in names.values():
        (folder / Path(path).name).write_text(f"content of {Path(path).name}\n")
    return {name: str(folder / Path(path).name) for name, path in names.items()}


def test_the_complete_example_starts_a_service(tmp_path: Path):
    names = environment(tmp_path)
    (tmp_path / "policy.yml").write_text(examples("policy.yml")[0])
    text = examples("propolis.yml")[0].replace("/etc/propolis", str(tmp_path)).replace("/var/lib/propolis", "data")
    text = re.sub(r"^tls_.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^data_dir: .*$", f"data_dir: {tmp_path / 'data'}", text, flags=re.MULTILINE)
    Path(names["PROPOLIS_CONFIG"]).write_text(text)
    settings = load(names | {"PROPOLIS_LISTEN": "127.0.0.1:0", "PROPOLIS_THEHIVE_URL": "http://127.0.0.1:9"})
    assert settings["thehive_key"] == "content of thehive.key"
    service = Service(settings, SystemClock())
    service.start()
    try:
        client = session(f"http://127.0.0.1:{service.port}", retries=0)
        assert client.get("/readyz").status == 200
        client.close()
    finally:
        service.stop()


def test_the_example_of_a_policy_lets_the_service_act():
    (text,) = examples("policy.yml")
    assert Policy.parse(text).holds_back() == []


def test_the_example_of_a_siem_mapping_reads_an_alert(tmp_path: Path):
    (text,) = examples("siem.yml")
    (tmp_path / "siem.yml").write_text(text)
    event = {"uid": "e1", "name": "Port scan", "priority": "error", "categories": ["scan"]}
    alert = to_alert({"event": event, "source": {"address": "203.0.113.7"}}, load_mapping(tmp_path / "siem.yml"))
    assert (alert["rule"]["level"], alert["data"]["srcip"]) == (12, "203.0.113.7")


def test_every_other_yaml_example_is_yaml_of_settings(tmp_path: Path):
    for name in MINE:
        for _, language, text in FENCE.findall(page(name)):
            if language == "yaml" and text not in (*examples("policy.yml"), *examples("siem.yml")):
                (tmp_path / "propolis.yml").write_text(text)
                load({}, tmp_path / "propolis.yml")


def queries() -> list[str]:
    found = [body for name in MINE for _, _, body in PLAIN_MARK.findall(page(name))]
    assert found
    return [re.search(r'"(.*)"', body, re.DOTALL).group(1) for body in found]  # type: ignore[union-attr]


@pytest.mark.parametrize("query", queries())
def test_a_query_of_the_store_runs(query: str, tmp_path: Path):
    store = SqliteStore(tmp_path / "propolis.db", ManualClock())
    with store.transaction() as work:
        work.put("step", "verdict:...", {"do": "verdict"})
        work.bury(work.claim("step", "me", seconds=60)[0], "no reason")
    store.close()
    connection = sqlite3.connect(tmp_path / "propolis.db")
    try:
        found = connection.execute(query)
        assert found.rowcount == 1 or found.fetchall()
    finally:
        connection.close()


# TheHive --------------------------------------------------------------------------------------------------------------


def curl(text: str) -> tuple[str, str, Any]:
    """Method, path and body of a call as the page shows it."""
    words = shlex.split(text)
    url = next(word for word in words if word.startswith("https://"))
    return words[words.index("-X") + 1], urlsplit(url).path, json.loads(words[words.index("-d") + 1])


@pytest.mark.parametrize("version", [4, 5])
def test_the_calls_that_prepare_thehive_are_taken_by_it(version: int):
    with Lab(version) as lab:
        done = []
        for block in marked("lab"):
            who, _, only = block.about.partition(" ")
            if only and int(only) != version:
                continue
            headers = {"Authorization": f"Bearer {getattr(lab.keys, who)}"}
            client = session(lab.thehive_url, headers=headers, retries=0)
            method, path, body = curl(block.text)
            answer = client.request(method, path, json=body, accept=lambda status: True, retry=False)
            client.close()
            assert answer.status in (200, 201, 204), f"{method} {path}: {answer.text}"
            done.append(path)
        assert len(done) == (5 if version == 4 else 3)
        if version == 4:
            (endpoint,) = [one for one in lab.hive.endpoints if one["name"] == "propolis"]
            assert endpoint["url"].endswith("/hooks/thehive")


def message(name: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PAYLOADS / f"v5_v1_{name}.json").read_text(encoding="utf-8"))
    for path, value in changes.items():
        found["object" if path == "dataType" else "details"][path] = value
    return found


RAW, MARK = {"dataType": "wazuh-alert"}, {"ioc": True}
FILTERS: dict[str, dict[str, dict[str, Any]]] = {
    "raw alerts": {"alert_observable_create": RAW, "observable_create": RAW},
    "addresses": {"alert_observable_create": {}, "observable_create": {}, "case_from_alert_observable_create": {}},
    "reports": {"observable_update_reports": {}},
    "marked": {"observable_update_tags": MARK},
}
"""Filter of the page -> the recorded messages that pass it, with what is changed in them before."""


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_a_filter_for_thehives_own_notifiers_passes_what_it_should_and_nothing_else(name: str):
    (expression,) = [json.loads(block.text) for block in marked("filter") if block.about == name]
    for payload, changes in FILTERS[name].items():
        assert matches(expression, reader(message(payload, **changes))), payload
    wanted = {payload for payload, changes in FILTERS[name].items() if not changes}
    passed = {
        path.stem.removeprefix("v5_v1_")
        for path in PAYLOADS.glob("v5_v1_*.json")
        if matches(expression, reader(json.loads(path.read_text(encoding="utf-8"))))
    }
    assert passed == wanted


def test_every_filter_of_the_page_is_tried():
    assert {block.about for block in marked("filter")} == set(FILTERS)


def call(lab: Lab, who: str, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {getattr(lab.keys, who)}"}
    client = session(lab.thehive_url, headers=headers, retries=0)
    answer = client.request(method, path, json=body, retry=False)
    client.close()
    return answer.json() if answer.body else None


def prepared(lab: Lab) -> str:
    """The page's own filters with the notifiers it names; returns the id of a case."""
    notifiers: dict[str, dict[str, Any]] = {
        "raw alerts": {"name": "RunAnalyzer", "analyzers": ["WazuhAlert_1_0"]},
        "addresses": {"name": "RunAnalyzer", "analyzers": ["AbuseIPDB_2_0", "OTXQuery_2_0"]},
        "reports": {"name": "RunResponder", "responders": ["ConsensusVerdict_1_0"]},
        "marked": {"name": "RunResponder", "responders": ["FirewallBlock_1_0"]},
    }
    lab.enable_all()
    for block in marked("filter"):
        trigger = {"name": "FilteredEvent", "filter": json.loads(block.text)}
        lab.add_notification({"trigger": trigger, "notifier": notifiers[block.about]})
    call(lab, "admin", "POST", "/api/v1/observable/type", {"name": "wazuh-alert", "isAttachment": False})
    made: str = call(lab, "analyst", "POST", "/api/v1/case", {"title": "t", "description": "d"})["_id"]
    return made


def test_thehives_own_notifiers_run_the_workers_with_the_filters_of_the_page():
    """No service: an alert is read, its address asked about and weighed, and blocked when an analyst marks it."""
    samples = ROOT / "playbook_service" / "samples"
    lines = (samples / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    alert = next(line for line in lines if json.loads(line)["rule"]["id"] == "5712")
    folders = {"analyzers": [ROOT / "analyzers"], "responders": [ROOT / "responders"]}
    with Lab(5, reports=[samples / "reports.jsonl"], **folders) as lab:
        case = prepared(lab)
        raw = {"dataType": "wazuh-alert", "data": alert}
        call(lab, "analyst", "POST", f"/api/v1/case/{case}/observable", raw)
        lab.settle(90)
        steps = [{"_name": "getCase", "idOrName": case}, {"_name": "observables"}]
        found = call(lab, "analyst", "POST", "/api/v1/query", {"query": steps})
        (address,) = [one for one in found if one["data"] == "203.0.113.17"]
        assert {"AbuseIPDB_2_0", "OTXQuery_2_0"} <= set(address["reports"])
        assert any(tag.startswith("propolis:verdict=") for tag in address["tags"])
        actions = f"/api/connector/cortex/action/case_artifact/{address['_id']}"
        assert {one["responderName"] for one in call(lab, "analyst", "GET", actions)} == {"ConsensusVerdict_1_0"}
        call(lab, "analyst", "PATCH", f"/api/v1/observable/{address['_id']}", {"ioc": True})
        lab.settle(90)
        ran = [one["responderName"] for one in call(lab, "analyst", "GET", actions)]
        assert ran.count("FirewallBlock_1_0") == 1
