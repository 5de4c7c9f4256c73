"""The dashboards fit the products that import them, and the documents that `propolis export` writes.

The forms were read from exports of the products and from their sources; no Kibana, OpenSearch Dashboards or TheHive is
started here.
"""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playbook_service.export.elastic import INDICES
from playbook_service.setup.bundle import FIELDS

ROOT = Path(__file__).resolve().parents[2]
KIBANA = ROOT / "deploy" / "kibana"
MAKE = runpy.run_path(str(KIBANA / "make.py"))
FILES = ("propolis.ndjson", "propolis-opensearch.ndjson")
Json = dict[str, Any]


def saved(file: str) -> list[Json]:
    text = (KIBANA / file).read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def of(file: str, kind: str) -> list[Json]:
    return [one for one in saved(file) if one["type"] == kind]


def template() -> Json:
    found: Json = json.loads((KIBANA / "index-template.json").read_text(encoding="utf-8"))
    return found


MAPPED: dict[str, str] = dict(MAKE["mapped"](template()["template"]["mappings"]["properties"]))


# the index template ---------------------------------------------------------------------------------------------------


def test_the_template_is_for_the_indices_of_the_export():
    assert template()["index_patterns"] == [f"propolis-{name}" for name in INDICES]
    assert MAKE["INDICES"] == INDICES


def objects(node: Json) -> Iterator[Json]:
    yield node
    for entry in node.get("properties", {}).values():
        yield from objects(entry)


def test_no_key_of_anybody_else_becomes_a_field():
    mappings = template()["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert not mappings["date_detection"]
    assert not mappings["numeric_detection"]
    assert all(set(entry) & {"type", "properties"} for entry in objects(mappings))
    assert not any("dynamic" in entry for entry in objects(mappings) if entry is not mappings)


def test_no_text_is_too_long_for_the_index_and_no_address_too_odd():
    for entry in objects(template()["template"]["mappings"]):
        if entry.get("type") == "keyword":
            assert entry["ignore_above"] == 1024
        if entry.get("type") == "ip":
            assert entry["ignore_malformed"] is True
    assert set(MAPPED.values()) <= {"keyword", "date", "ip", "long", "double", "boolean"}, "known to both products"


# Kibana and OpenSearch Dashboards -------------------------------------------------------------------------------------


def checked(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "make.py"), "--check"]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_files_are_what_their_list_of_panels_makes():
    done = checked(KIBANA)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("file", FILES)
def test_ids_are_unique_and_every_reference_leads_to_an_object_that_came_before(file: str):
    met: set[tuple[str, str]] = set()
    for one in saved(file):
        assert (one["type"], one["id"]) not in met
        assert {(entry["type"], entry["id"]) for entry in one["references"]} <= met
        met.add((one["type"], one["id"]))
    assert sum(kind == "dashboard" for kind, _ in met) == 1
    assert sum(kind == "index-pattern" for kind, _ in met) == len(INDICES)


def test_kibanas_marks_of_versions_are_those_of_kibana_8():
    types = {"index-pattern": "8.0.0", "visualization": "8.5.0", "dashboard": "8.9.0"}
    for one in saved(FILES[0]):
        assert one["coreMigrationVersion"] == "8.8.0"
        assert one["typeMigrationVersion"] == types[one["type"]]
        assert "migrationVersion" not in one, "that was the mark before 8.8"


def test_opensearchs_marks_of_versions_are_those_of_opensearch_dashboards():
    types = {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3"}
    for one in saved(FILES[1]):
        assert one["migrationVersion"] == {one["type"]: types[one["type"]]}
        assert not {"coreMigrationVersion", "typeMigrationVersion", "managed"} & set(one)


@pytest.mark.parametrize("file", FILES)
def test_a_data_view_is_of_an_index_and_its_time(file: str):
    titles = {one["attributes"]["title"]: one["attributes"]["timeFieldName"] for one in of(file, "index-pattern")}
    assert titles == {f"propolis-{name}": "@timestamp" for name in INDICES}


def test_opensearch_dashboards_is_given_the_fields_of_the_template():
    for one in of(FILES[1], "index-pattern"):
        assert {entry["name"]: entry["esTypes"][0] for entry in json.loads(one["attributes"]["fields"])} == MAPPED


def queried(query: str) -> set[str]:
    """The fields of a query in KQL: the words before a colon."""
    return set(re.findall(r"([@\w.]+)\s*:", query))


@pytest.mark.parametrize("file", FILES)
def test_every_field_that_a_visualization_uses_is_mapped_and_fit_for_it(file: str):
    assert len(of(file, "visualization")) == len(MAKE["PANELS"])
    for one in of(file, "visualization"):
        attributes = one["attributes"]
        source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
        assert source["indexRefName"] == one["references"][0]["name"]
        assert source["query"]["language"] == "kuery"
        assert queried(source["query"]["query"]) <= set(MAPPED)
        assert json.loads(attributes["uiStateJSON"]) == {}
        for agg in json.loads(attributes["visState"])["aggs"]:
            kind = MAPPED.get(agg["params"].get("field", ""))
            fit = {
                "count": [None], "date_histogram": ["date"], "terms": ["keyword", "boolean", "long", "ip"],
                "percentiles": ["double", "long"], "median": ["double", "long"], "max": ["double", "long", "date"],
            }  # fmt: skip
            assert kind in fit[agg["type"]], f"{one['id']}: {agg['type']} of {agg['params'].get('field')}"


@pytest.mark.parametrize("file", FILES)
def test_a_visualization_has_one_metric_and_buckets_in_the_places_of_its_kind(file: str):
    places = {"pie": {"segment"}, "table": {"bucket"}, "metric": set()}
    for one in of(file, "visualization"):
        state = json.loads(one["attributes"]["visState"])
        assert state["aggs"][0]["schema"] == "metric"
        assert len({agg["id"] for agg in state["aggs"]}) == len(state["aggs"])
        used = {agg["schema"] for agg in state["aggs"][1:]}
        assert used <= places.get(state["type"], {"segment", "group"})
        assert state["type"] in {"pie", "histogram", "line", "horizontal_bar", "table", "metric"}
        for agg in state["aggs"]:
            if agg["type"] == "terms":
                assert agg["params"]["orderBy"] in {"_key", "1"}


@pytest.mark.parametrize("file", FILES)
def test_the_panels_stand_beside_each_other_on_the_grid_and_show_every_visualization(file: str):
    (dashboard,) = of(file, "dashboard")
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    json.loads(dashboard["attributes"]["optionsJSON"])
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        assert grid["x"] + grid["w"] <= 48
        mine = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not mine & cells
        cells |= mine
    prefix = file == FILES[0]  # Kibana 8 puts the panel's own index before the name of its reference
    wanted = {f"{panel['panelIndex']}:{panel['panelRefName']}" if prefix else panel["panelRefName"] for panel in panels}
    assert wanted == {entry["name"] for entry in dashboard["references"]}
    assert {entry["id"] for entry in dashboard["references"]} == {one["id"] for one in of(file, "visualization")}


def test_what_the_team_asks_most_is_on_the_dashboard():
    shown = {(panel.kind, panel.source, panel.metric.type, *panel.by) for panel in MAKE["PANELS"]}
    assert {
        ("pie", "cases", "count", "propolis.case.status"),
        ("line", "cases", "percentiles", "@timestamp"),
        ("histogram", "alerts", "count", "@timestamp", "event.severity"),
        ("pie", "alerts", "count", "propolis.alert.suppressed"),
        ("horizontal_bar", "decisions", "count", "propolis.playbook.name", "propolis.decision.state"),
        ("line", "audit", "percentiles", "@timestamp"),
        ("metric", "leases", "count"),
    } <= shown


def test_a_file_that_was_edited_by_hand_is_noticed(tmp_path: Path):
    copy = tmp_path / "kibana"
    copy.mkdir()
    for path in KIBANA.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (copy / FILES[0]).write_text("{}\n")
    done = checked(copy)
    assert done.returncode == 1
    assert done.stderr == f"{FILES[0]} is out of date: run deploy/kibana/make.py\n"


# TheHive --------------------------------------------------------------------------------------------------------------

# What two exports of TheHive 5 by its makers hold (github.com/StrangeBeeCorp/thehive-templates, Dashboard Templates/
# observables-statistics.json and ttps-statistics.json), and `field` of a series, as TheHive 4's own page has it
# (frontend/app/scripts/directives/dashboard/multiline.js) and TheHive 5's handbook names it.
TOP = {"_type", "title", "description", "status", "definition", "writable", "version"}
OPTIONS = {
    "donut": {"stacked", "customize", "field", "names", "query", "filters", "entity", "title", "periodDateField"},
    "counter": {"series", "query", "filters", "entity", "title", "periodDateField"},
    "line": {"stacked", "series", "query", "interval", "title", "log"},
}
SERIES = {
    "counter": {"agg", "label", "filters", "dateField", "periodDateField"},
    "line": {"agg", "field", "label", "color", "filters", "type", "periodDateField", "dateField", "entity"},
}
FILTER = {"field", "values", "type", "operator"}
KNOWN = {
    "case": {"status", "severity", "tags", "timeToResolve", "endDate", "_createdAt"},
    "alert": {"type", "tags", "_createdAt", *(f"customFields.{field.name}" for field in FIELDS)},
}
"""Fields that TheHive 5's cases and alerts have, and the custom fields that `propolis setup` makes."""


def hive() -> Json:
    path = ROOT / "deploy" / "thehive" / "dashboards" / "propolis.json"
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def widgets() -> list[Json]:
    return [widget for row in hive()["definition"]["items"] for widget in row["items"]]


def test_the_dashboard_has_the_parts_of_an_export():
    found = hive()
    assert set(found) == TOP, "no id, author or date: those are the importing server's"
    assert (found["_type"], found["status"], found["version"]) == ("Dashboard", "Shared", 1)
    assert set(found["definition"]) == {"period", "items"}
    assert found["definition"]["period"] in {"all", "last3Months", "last30Days", "last7Days"}


def test_rows_hold_up_to_three_widgets_each_with_an_id_of_its_own():
    for row in hive()["definition"]["items"]:
        assert row["type"] == "container"
        assert 1 <= len(row["items"]) <= 3
    ids = [widget["id"] for widget in widgets()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"([0-9a-f]{4}-){5}[0-9a-f]{12}", one) for one in ids)


def test_widgets_have_the_options_that_exports_show():
    for widget in widgets():
        kind, options = widget["type"], widget["options"]
        assert set(widget) == {"options", "id", "type"}
        assert set(options) == OPTIONS[kind]
        for serie in options.get("series", ()):
            assert SERIES[kind] - {"field"} <= set(serie) <= SERIES[kind]
            assert serie["agg"] in {"count", "sum", "avg", "min", "max"}
            assert ("field" in serie) is (serie["agg"] != "count")


def parts() -> Iterator[tuple[str, Json]]:
    """(entity, options or series) of everything that names fields."""
    for widget in widgets():
        options = widget["options"]
        yield options.get("entity", ""), options
        for serie in options.get("series", ()):
            yield serie.get("entity") or options["entity"], serie


def test_every_field_is_one_that_the_entity_has():
    for entity, part in parts():
        named = {part.get(name) for name in ("field", "dateField", "periodDateField")} - {None}
        named |= {entry["field"] for entry in part.get("filters", ())}
        assert named <= KNOWN.get(entity, set()), f"{entity}: {named}"


def test_filters_have_the_form_that_exports_show():
    for _, part in parts():
        for entry in part.get("filters", ()):
            assert set(entry) == FILTER
            assert (entry["type"], entry["operator"]) == ("string", "any")
            assert entry["values"]


def test_it_shows_what_the_team_asks_most():
    titles = " ".join(widget["options"]["title"] for widget in widgets())
    for what in ("by status", "by resolution", "Time to resolve", "alerts over time", "Top rules"):
        assert what in titles
