"""Notify's definition, README and report template agree with each other and with what Cortex and TheHive take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from propolis.notify.bodies import BODIES
from propolis.notify.entity import KINDS

BUILT_IN = {"errorMessage"}


@pytest.fixture
def definition(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((root / "responders" / "Notify" / "Notify.json").read_text("utf-8"))
    return loaded


def template(root: Path) -> str:
    return (root / "thehive-templates" / "Notify_1_0" / "long.html").read_text("utf-8")


@pytest.mark.shared
def test_the_public_catalogues_schema(definition: dict[str, Any], shared: Path):
    schema = json.loads((shared / "data" / "flavor_schema.json").read_text())
    assert not list(jsonschema.validators.validator_for(schema)(schema).iter_errors(definition))


def test_it_is_started_on_what_it_can_tell_about(definition: dict[str, Any]):
    assert set(definition["dataTypeList"]) == {f"thehive:{kind}" for kind in KINDS}


def test_nothing_is_sent_before_somebody_said_where_to(definition: dict[str, Any]):
    defaults = {item["name"]: item.get("defaultValue") for item in definition["configurationItems"]}
    assert defaults["channels"] is None
    assert defaults["mail_server"] is None
    assert defaults["mail_starttls"] is True


def test_every_kind_of_channel_is_named_where_it_is_set(definition: dict[str, Any]):
    item = next(item for item in definition["configurationItems"] if item["name"] == "channels")
    assert all(kind in item["description"] for kind in BODIES)
    assert item["multi"] is True


def test_the_readme_tells_every_item_and_its_default(definition: dict[str, Any], root: Path):
    readme = (root / "responders" / "Notify" / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", readme, re.MULTILINE))
    assert list(rows) == [item["name"] for item in definition["configurationItems"]]
    told = {name: rows[name].strip() for name in ("timeout_seconds", "mail_port", "mail_starttls")}
    assert told == {"timeout_seconds": "15", "mail_port": "587", "mail_starttls": "true"}


def test_nothing_of_a_report_is_rendered_as_html(root: Path):
    html = template(root)
    for way_in in ("ng-bind-html", "trustAsHtml", "<script", "javascript:", "ng-href", "ng-src", "href=", "src="):
        assert way_in not in html
    assert html.count("<div") == html.count("</div>")
    assert (root / "thehive-templates" / "Notify_1_0" / "short.html").is_file()
