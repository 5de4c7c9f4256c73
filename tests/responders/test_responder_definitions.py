"""The responders' definitions: what Cortex accepts, what the public catalogue's schema asks, what we promise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from workers import RESPONDERS

from propolis.containment.registry import responder, responders

WORKERS = tuple(one.name for one in responders())
FLAVOURS = sorted(path for worker in WORKERS for path in (RESPONDERS / worker).glob("*.json"))
# Items that Cortex 4.1 adds by itself (WorkerSrv); a definition must not have them.
CORTEX_OWN = {"check_tlp", "max_tlp", "check_pap", "max_pap", "proxy_http", "proxy_https", "cacerts", "jobTimeout"}
TYPES = {"string": str, "text": str, "number": (int, float), "boolean": bool}
COMMON = {"backend", "policy", "dry_run", "duration_hours", "allow_without_expiry"}

each_flavour = pytest.mark.parametrize("path", FLAVOURS, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def test_there_are_two_flavours_of_each() -> None:
    named = [flavour.name for one in responders() for flavour in one.flavours]
    assert sorted(path.stem for path in FLAVOURS) == sorted(named)
    assert len(named) == 2 * len(WORKERS)


@pytest.mark.shared
@each_flavour
def test_the_public_catalogues_schema(path: Path, shared: Path) -> None:
    schema = json.loads((shared / "data" / "flavor_schema.json").read_text())
    assert not list(jsonschema.validators.validator_for(schema)(schema).iter_errors(load(path)))


@each_flavour
def test_cortex_reads_it(path: Path) -> None:
    definition = load(path)
    for key in ("name", "version", "description", "author", "url", "license", "baseConfig", "command"):
        assert isinstance(definition[key], str), key
        assert definition[key], key
    assert definition["name"] == path.stem
    assert definition["version"].count(".") == 1
    assert set(definition["dataTypeList"]) == {"thehive:case_artifact", "thehive:alert", "thehive:case"}


@each_flavour
def test_the_command_is_in_the_workers_folder_and_can_be_started(path: Path) -> None:
    command = (RESPONDERS / load(path)["command"]).resolve()
    assert command.parent == path.parent
    assert os.access(command, os.X_OK)
    assert command.read_text().startswith("#!/usr/bin/env python3\n")
    assert len(command.read_text().splitlines()) <= 150


@each_flavour
def test_every_item_is_one_that_cortex_can_save(path: Path) -> None:
    items = load(path)["configurationItems"]
    names = [item["name"] for item in items]
    assert len(names) == len(set(names))
    assert not CORTEX_OWN & set(names)
    assert set(names) >= COMMON
    for item in items:
        assert item["type"] in TYPES
        assert isinstance(item["multi"], bool)
        assert isinstance(item["required"], bool)
        assert item["description"].endswith(".")
        if "defaultValue" in item:
            assert isinstance(item["defaultValue"], TYPES[item["type"]])


@each_flavour
def test_it_is_delivered_in_dry_run_and_with_an_end(path: Path) -> None:
    defaults = {item["name"]: item.get("defaultValue") for item in load(path)["configurationItems"]}
    assert defaults["dry_run"] is True
    assert defaults["duration_hours"] == 24
    assert defaults["allow_without_expiry"] is False
    assert defaults["policy"] is None


@pytest.mark.parametrize("worker", WORKERS)
def test_the_flavours_of_a_worker_differ_only_in_what_they_do(worker: str) -> None:
    contain, release = sorted((load(path) for path in FLAVOURS if path.parent.name == worker), key=_service)
    assert (_service(contain), _service(release)) == ("contain", "release")
    for key in ("baseConfig", "command", "configurationItems", "dataTypeList", "version"):
        assert contain[key] == release[key]
    assert contain["baseConfig"] == worker


def _service(definition: dict[str, Any]) -> str:
    return str(definition["config"]["service"])


@pytest.mark.parametrize("worker", WORKERS)
def test_the_readme_explains_every_item(worker: str) -> None:
    """The items that all backends share; those of one are on its page (`test_registry`)."""
    readme = (RESPONDERS / worker / "README.md").read_text()
    assert not [item.name for item in responder(worker).items if f"`{item.name}`" not in readme]
    assert not [flavour.name for flavour in responder(worker).flavours if flavour.name not in readme]
    assert "docs/backends.md" in readme


@pytest.mark.parametrize("worker", WORKERS)
def test_a_workers_folder_holds_no_other_json(worker: str) -> None:
    assert all("baseConfig" in load(path) for path in (RESPONDERS / worker).glob("*.json"))
