"""Every worker of the bundle as a black box: found by its definition file, started as Cortex's process runner does.

Nothing here knows what a worker does. A worker that is added is under test from the moment its definition is there. The
rules are Cortex 4.1's own (`WorkerSrv`, `ProcessJobRunnerSrv`): one directory deep, `<command> <job folder>`, working
directory = parent of the worker's folder, the report is `output/output.json`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parent.parent
PATHS = sorted(path for room in ("analyzers", "responders") for path in (ROOT / room).glob("*/*.json"))
FOLDERS = sorted({path.parent for path in PATHS})
REQUIRED = ("name", "version", "description", "author", "url", "license", "command", "baseConfig")
OPTIONAL = {"dataTypeList", "dockerImage", "configurationItems", "config"}
CATALOGUE = {"registration_required", "subscription_required", "free_subscription", "service_homepage"}
CORTEX_OWN = {"check_tlp", "max_tlp", "check_pap", "max_pap", "proxy_http", "proxy_https", "cacerts", "jobTimeout"}
CORTEX_OWN |= {"auto_extract_artifacts", "jobCache"}
TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "text": (str,), "number": (int, float), "boolean": (bool,)}
LEVELS = {"info", "safe", "suspicious", "malicious"}
CANARY = "Zw7-canary-never-shown"
# What sounds like a secret, unless it is the path of a file that holds one.
# Where a key lies, and which one it is, is no secret.
SECRET_NAME = re.compile(r"^(?!.*_(file|key_id)$).*(key|password|passwd|passphrase|secret|token|credential)")
NOWHERE = "127.0.0.1:9"  # the discard port: refuses at once

each_worker = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


class Done(NamedTuple):
    """What a job left behind."""

    body: dict[str, Any]
    text: str
    """The report as it stands in the file, and everything that was printed."""


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def room(path: Path) -> str:
    return path.parent.parent.name


OBSERVABLES = {"AccountDisable": ("username", "jdoe"), "QuarantineFile": ("filename", "/srv/www/shell.php")}
"""What each responder is started on here, by its baseConfig; else an address."""


def good_job(path: Path, **changes: Any) -> dict[str, Any]:
    """A job of the kind the worker is for, with the configuration as Cortex sends it when nothing was filled in."""
    definition = load(path)
    data_type = definition["dataTypeList"][0]
    observable = OBSERVABLES.get(definition["baseConfig"], ("ip", "203.0.113.9"))
    data: Any = json.dumps({"rule": {"id": "5710", "level": 5}, "data": {"srcip": "203.0.113.9"}})
    if room(path) == "responders":
        case = {"caseId": 128, "tags": [], "customFields": {"wazuh_agent_name": {"string": "web-01"}}}
        data = {"dataType": observable[0], "data": observable[1], "tags": [], "case": case, "_type": "case_artifact"}
    elif data_type == "ip":
        data = "203.0.113.9"
    job = {
        "data": data,
        "dataType": data_type,
        "tlp": 2,
        "pap": 2,
        "message": "128",
        "parameters": {"organisation": "soc", "user": "analyst"},
        "config": {**definition.get("config", {}), **unset_items(definition)},
    }
    return {**job, **changes}


def unset_items(definition: dict[str, Any]) -> dict[str, Any]:
    """`null` for a single item and `[]` for a list, as Cortex hands over what was left empty (`WorkerSrv`)."""
    return {item["name"]: [] if item["multi"] else None for item in definition["configurationItems"]}


def with_config(job: dict[str, Any], **items: Any) -> dict[str, Any]:
    return {**job, "config": {**job["config"], **items}}


def start(folder: Path, path: Path, content: bytes) -> Done:
    """Run one job and hold what is true of every job, whatever it was."""
    (folder / "input").mkdir(parents=True)
    (folder / "output").mkdir()
    (folder / "input" / "input.json").write_bytes(content)
    done = subprocess.run(
        [str(path.parent.parent / load(path)["command"]), str(folder)],
        cwd=path.parent.parent,
        env={**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    printed = (done.stdout + done.stderr).decode("utf-8", "replace")
    output = folder / "output" / "output.json"
    assert output.is_file(), f"no report; the process printed: {printed}"
    text = output.read_bytes().decode("utf-8")
    body = json.loads(text, parse_constant=refuse_constant)
    assert printed == ""
    check_report(path, body)
    assert text.encode("utf-8").decode("utf-8") == text
    return Done(body, text + printed)


def start_all(folder: Path, path: Path, jobs: Iterable[dict[str, Any] | bytes]) -> list[Done]:
    """Several jobs of one worker at the same time, as Cortex runs them too."""
    raw = [job if isinstance(job, bytes) else json.dumps(job).encode() for job in jobs]
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(lambda pair: start(folder / str(pair[0]), path, pair[1]), enumerate(raw)))


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def check_report(path: Path, body: dict[str, Any]) -> None:
    """What Cortex and TheHive need of a report (contract of the process runner)."""
    assert isinstance(body["success"], bool)
    if not body["success"]:
        check_sentence(body["errorMessage"])
        return
    assert isinstance(body["full"], dict)
    assert all(isinstance(operation["type"], str) for operation in body.get("operations", []))
    if room(path) == "analyzers":
        check_taxonomies(body["summary"]["taxonomies"])
        for artifact in body["artifacts"]:
            assert isinstance(artifact["dataType"], str)
            assert isinstance(artifact["data"], str)
            assert artifact["data"].strip()


def check_taxonomies(taxonomies: list[dict[str, Any]]) -> None:
    assert taxonomies
    for taxonomy in taxonomies:
        assert set(taxonomy) == {"level", "namespace", "predicate", "value"}
        assert taxonomy["level"] in LEVELS
        assert taxonomy["namespace"]
        assert taxonomy["predicate"]
        assert isinstance(taxonomy["value"], (str, int, float))


def check_sentence(message: str) -> None:
    assert 10 <= len(message) <= 2000, message
    assert "Traceback" not in message
    assert not message.startswith("Unexpected"), message
    assert "\n" in message or message.rstrip().endswith((".", ")")), message


def test_there_are_workers_to_test() -> None:
    names = {path.stem for path in PATHS}
    assert names >= {"WazuhAlert", "ConsensusScore", "FirewallBlock", "FirewallUnblock", "AccountDisable"}
    assert names >= {"AccountEnable", "IsolateHost", "ReleaseHost"}


# The definition


@pytest.mark.shared
@each_worker
def test_the_public_catalogues_schema(path: Path, shared: Path) -> None:
    schema = load(shared / "data" / "flavor_schema.json")
    assert not list(jsonschema.validators.validator_for(schema)(schema).iter_errors(load(path)))


@each_worker
def test_cortex_reads_the_definition_and_gives_it_the_id_of_its_name(path: Path) -> None:
    definition = load(path)
    assert all(isinstance(definition[key], str) and definition[key].strip() for key in REQUIRED)
    assert set(definition) <= {*REQUIRED, *OPTIONAL, *CATALOGUE}
    assert definition["name"] == path.stem
    assert re.fullmatch(r"\d+\.\d+", definition["version"])
    assert re.fullmatch(r"\w+", definition_id(definition))
    assert definition["dataTypeList"]
    assert len(definition["dataTypeList"]) == len(set(definition["dataTypeList"]))


def definition_id(definition: dict[str, Any]) -> str:
    return f"{definition['name']}_{definition['version']}".replace(".", "_")


def test_no_two_workers_have_one_id() -> None:
    ids = [definition_id(load(path)) for path in PATHS]
    assert len(ids) == len(set(ids))


@each_worker
def test_responders_take_objects_of_thehive_and_analyzers_take_values(path: Path) -> None:
    kinds = {data_type.startswith("thehive:") for data_type in load(path)["dataTypeList"]}
    assert kinds == {room(path) == "responders"}


@each_worker
def test_the_command_lies_in_the_folder_and_can_be_started(path: Path) -> None:
    command = path.parent.parent / load(path)["command"]
    assert command.resolve().parent == path.parent
    assert os.access(command, os.X_OK)
    assert command.read_text("utf-8").startswith("#!/usr/bin/env python3\n")


@each_worker
def test_every_item_can_be_saved_in_cortex(path: Path) -> None:
    items = load(path)["configurationItems"]
    names = [item["name"] for item in items]
    assert len(names) == len(set(names))
    assert not CORTEX_OWN & set(names)
    for item in items:
        check_item(item)


def check_item(item: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", item["name"])
    assert set(item) <= {"name", "description", "type", "multi", "required", "defaultValue"}
    assert item["description"].strip().endswith((".", "}"))
    assert isinstance(item["multi"], bool)
    assert isinstance(item["required"], bool)
    default = item.get("defaultValue")
    if default is not None:
        assert isinstance(default, list) is item["multi"]
        values = default if item["multi"] else [default]
        assert all(type(value) in TYPES[item["type"]] for value in values)
    assert item["type"] in TYPES


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in PATHS}), ids=lambda folder: "/".join(folder.parts[-2:])
)
def test_flavours_of_one_folder_share_their_settings_and_differ_in_what_they_do(folder: Path) -> None:
    flavours = [load(path) for path in sorted(folder.glob("*.json"))]
    assert len({flavour["baseConfig"] for flavour in flavours}) == 1
    assert len({json.dumps(flavour["configurationItems"]) for flavour in flavours}) == 1
    assert len({json.dumps(flavour.get("config")) for flavour in flavours}) == len(flavours)
    assert len({(flavour["author"], flavour["license"], flavour["url"]) for flavour in flavours}) == 1


def test_workers_that_share_settings_mean_the_same_by_an_item() -> None:
    meaning: dict[tuple[str, str], str] = {}
    for path in PATHS:
        definition = load(path)
        for item in definition["configurationItems"]:
            said = json.dumps({**item, "description": ""}, sort_keys=True)
            assert meaning.setdefault((definition["baseConfig"], item["name"]), said) == said, (path.stem, item["name"])


@each_worker
def test_the_folder_has_a_readme_that_names_every_item_and_says_what_to_install(path: Path) -> None:
    """The items of one backend may stand on that backend's page instead."""
    readme = (path.parent / "README.md").read_text("utf-8")
    told = readme + "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("backends-*.md"))
    assert path.stem in readme
    assert [item["name"] for item in load(path)["configurationItems"] if f"`{item['name']}`" not in told] == []
    assert "cortexutils" in (path.parent / "requirements.txt").read_text("utf-8")


# The process


@each_worker
def test_input_that_is_no_job_is_refused_in_a_sentence(path: Path, tmp_path: Path) -> None:
    whole = json.dumps(good_job(path)).encode()
    garbage = [
        b"",
        whole[: len(whole) // 2],
        b"\xff\xfe\x00\x01\x80",
        b"[1, 2]",
        b'{"a":' * 50_000,
        b'{"dataType": "ip", "config": {"a":' + b"[" * 900 + b"]" * 900 + b"}}",
        b'{"dataType": 5, "data": NaN, "config": []}',
        b'{"tlp": 1e999}',
    ]
    assert not any(done.body["success"] for done in start_all(tmp_path, path, garbage))


@each_worker
def test_missing_and_mistyped_parts_of_a_job_end_in_a_report(path: Path, tmp_path: Path) -> None:
    good = good_job(path)
    without = [{name: value for name, value in good.items() if name != missing} for missing in ("data", "dataType")]
    wrong = [{**good, **change} for change in WRONG]
    done = start_all(tmp_path, path, [*without, *wrong])
    assert not done[0].body["success"]
    assert not done[1].body["success"]


WRONG: tuple[dict[str, Any], ...] = (
    {"data": 5},
    {"data": [None, {"data": "\ud800"}], "tlp": "high"},
    {"data": {"dataType": ["ip"], "data": {"a": 1}, "tags": "x", "case": 7, "reports": [1]}},
    {"data": "\x00\ud83d\udca9\ud800", "parameters": [1], "message": {"a": float("nan")}},
    {"data": "", "parameters": {"reports": {"a": 1}, "job_ids": 5, "user": 7, "duration_seconds": "x", "lease": [1]}},
)


@each_worker
def test_tlp_and_pap_above_the_limit_are_refused_unless_the_operator_says_otherwise(path: Path, tmp_path: Path) -> None:
    good = good_job(path)
    open_door = with_config({**good, "tlp": 3, "pap": 3}, max_tlp=3, max_pap=3)
    tlp, pap, allowed = start_all(tmp_path, path, [{**good, "tlp": 3}, {**good, "pap": 3}, open_door])
    assert "TLP" in tlp.body["errorMessage"]
    assert "PAP" in pap.body["errorMessage"]
    assert not re.search(r"TLP|PAP", str(allowed.body.get("errorMessage")))


@each_worker
def test_items_nobody_filled_in_mean_their_defaults_or_are_asked_for_by_name(path: Path, tmp_path: Path) -> None:
    done = start(tmp_path / "job", path, json.dumps(good_job(path)).encode())
    required = [item["name"] for item in load(path)["configurationItems"] if item["required"]]
    if not done.body["success"]:
        message = done.body["errorMessage"]
        assert re.search(r"\bset\b|required|needed", message), message
        names = required or [item["name"] for item in load(path)["configurationItems"]]
        assert any(name in message for name in names), message


@each_worker
def test_an_item_of_the_wrong_type_ends_the_job_in_a_sentence(path: Path, tmp_path: Path) -> None:
    """Cortex checks types when an item is saved, but a configuration may be older than the definition."""
    good = filled(path, good_job(path))
    wrong = {item["name"]: {"wrong": True} for item in load(path)["configurationItems"]}
    all_wrong, *one_wrong = start_all(
        tmp_path, path, [with_config(good, **wrong), *(with_config(good, **{name: 5}) for name in list(wrong)[:2])]
    )
    assert re.match(r"configuration item \w+: must be ", all_wrong.body["errorMessage"])
    assert not one_wrong[0].body["success"]


def filled(path: Path, job: dict[str, Any], **special: Any) -> dict[str, Any]:
    """The job with every item filled in with something harmless that leads nowhere."""
    values: dict[str, Any] = {}
    for item in load(path)["configurationItems"]:
        value = harmless(item)
        values[item["name"]] = [value] if item["multi"] else value
    return with_config(job, **values, **special)


def harmless(item: dict[str, Any]) -> Any:
    name, default = item["name"], item.get("defaultValue")
    if SECRET_NAME.search(name):
        return f"{CANARY} {name}"
    if name == "backend":
        return default or "keycloak"
    if name.endswith("_url"):
        return f"https://{NOWHERE}"
    if name.endswith("_file") or item["type"] in ("boolean", "number", "text"):
        return default
    return default or "soc"


@each_worker
def test_a_proxy_that_is_none_is_no_crash(path: Path, tmp_path: Path) -> None:
    good = filled(path, good_job(path))
    proxies: tuple[Any, ...] = (None, f"http://u:{CANARY}@{NOWHERE}", {"http": 5, "https": None})
    for done in start_all(tmp_path, path, [with_config(good, proxy=proxy) for proxy in proxies]):
        assert CANARY not in done.text


@each_worker
def test_no_secret_of_the_configuration_is_ever_shown(path: Path, tmp_path: Path) -> None:
    job = filled(path, good_job(path))
    hidden = f"http://proxy-user:{CANARY}-p@{NOWHERE}/"
    nested = with_config(job, proxy={"http": hidden, "https": hidden}, extra={"deep": [{"api_token": f"{CANARY}\n x"}]})
    urls = {item["name"]: hidden for item in load(path)["configurationItems"] if item["name"].endswith("_url")}
    broken = {item["name"]: {"value": CANARY} for item in load(path)["configurationItems"] if is_secret(item)}
    jobs = [nested, with_config(nested, **urls), with_config(nested, **broken), {**nested, "tlp": 3}]
    jobs += [with_config(nested, **DIRECTORY)] if "Account" in path.stem else []
    for done in start_all(tmp_path, path, jobs):
        assert CANARY not in done.text


DIRECTORY = {"backend": "activedirectory", "ad_server": "127.0.0.1", "ad_port": 9, "ad_ca_file": None}


def is_secret(item: dict[str, Any]) -> bool:
    return bool(SECRET_NAME.search(item["name"]))


@each_worker
def test_values_that_are_no_json_and_no_text_do_not_reach_the_report(path: Path, tmp_path: Path) -> None:
    good = good_job(path)
    odd = "x\ud800\u0000\u202e"
    hostile: dict[str, Any] = {"rule": {"id": odd, "level": float("inf"), "description": odd}, "data": {"a": odd}}
    if room(path) == "responders":
        data: Any = {**good["data"], "tags": [odd, float("nan")], "case": {"caseId": float("inf"), "title": odd}}
        data["reports"] = {odd: {"taxonomies": [{"level": odd, "predicate": odd, "value": float("nan")}]}}
    else:
        data = json.dumps(hostile) if good["dataType"] != "ip" else odd
    parameters = {"user": odd, "organisation": odd, "reports": [{"analyzerDefinitionId": odd, "endDate": float("nan")}]}
    done = start(tmp_path / "job", path, json.dumps({**good, "data": data, "parameters": parameters}).encode())
    assert "\ud800" not in done.text
