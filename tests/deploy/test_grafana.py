"""The Grafana dashboard: sound in the documented model, and every query is PromQL on metrics that there are."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, Need
from test_prometheus import metrics_of, promtool

from playbook_service.metrics.catalogue import ALL
from playbook_service.metrics.family import HISTOGRAM, INSTALLATION

GRAFANA = ROOT / "deploy" / "grafana"
BOARD: dict[str, Any] = json.loads((GRAFANA / "propolis.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = BOARD["panels"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel.get("targets", ())]
FAMILIES = {family.name: family for family in ALL}
BUILT_IN = {"__rate_interval", "__range"}
"""Grafana's own variables in a query to Prometheus (Grafana's documentation, "Global variables")."""


def variables() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in BOARD["templating"]["list"]}


def filled(expression: str) -> str:
    """A query as Prometheus gets it."""
    values = {"$__rate_interval": "5m", "$__range": "1d", "$job": "propolis", "$instance": ".*"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def test_it_is_what_its_program_writes():
    program = GRAFANA / "dashboard.py"
    written = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=True).stdout
    assert written == (GRAFANA / "propolis.json").read_text(encoding="utf-8")


def test_the_document_is_of_the_classic_model():
    """https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/"""
    wanted = {"title", "tags", "timezone", "editable", "graphTooltip", "panels", "time", "timepicker", "templating",
              "annotations", "refresh", "schemaVersion", "version", "links"}  # fmt: skip
    assert wanted <= set(BOARD)
    assert "id" not in BOARD, "a number of another Grafana"
    assert re.fullmatch(r"[\w-]{1,40}", BOARD["uid"])
    assert BOARD["schemaVersion"] == 41
    assert set(BOARD["timepicker"]) <= {"refresh_intervals", "hidden", "nowDelay"}


def test_every_panel_has_a_number_of_its_own_and_a_place():
    numbers = [panel["id"] for panel in PANELS]
    assert len(set(numbers)) == len(numbers)
    for panel in PANELS:
        place = panel["gridPos"]
        assert set(place) == {"x", "y", "w", "h"}
        assert place["x"] >= 0
        assert place["w"] > 0 < place["h"]
        assert place["x"] + place["w"] <= 24
        assert panel["type"] in ("row", "text", "stat", "timeseries", "bargauge")


def test_no_panel_lies_on_another():
    for one, other in itertools.combinations((panel["gridPos"] for panel in PANELS), 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)


def test_it_has_the_rows_that_the_page_names():
    rows = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert f"rows: {'; '.join(rows)}.".lower() in " ".join(page.split()).lower()


def test_every_panel_that_asks_has_the_chosen_data_source_and_distinct_queries():
    for panel in PANELS:
        if panel["type"] in ("row", "text"):
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        assert panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
        assert all(target["instant"] != target["range"] for target in panel["targets"])


def test_every_variable_that_is_used_is_defined():
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(BOARD, ensure_ascii=False)))
    assert used - BUILT_IN == set(variables())


@pytest.mark.parametrize(("title", "expression"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_asks_for_metrics_that_there_are_as_they_are_meant(title: str, expression: str):
    names = metrics_of(expression)
    assert names or "up{" in expression
    assert names <= set(FAMILIES), title
    for name in names:
        family = FAMILIES[name]
        assert (f"{name}_bucket" in expression) == (family.kind == HISTOGRAM), "a histogram is asked for its buckets"
        assert (
            ("increase(" in expression or "rate(" in expression) or not name.endswith("_total") or "max(" in expression
        )
        if family.scope == INSTALLATION:
            assert "max" in expression, "the same on every node: adding it up counts it twice"
            assert "$instance" not in expression
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        known = {*family.labels, "le", "instance"}
        assert {label for group in grouped for label in re.split(r",\s*", group)} <= known


def test_every_name_in_a_legend_is_a_label_that_the_query_keeps():
    for panel in PANELS:
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            groups = re.findall(r"by \(([^)]*)\)", target["expr"])
            kept = {label for group in groups for label in re.split(r",\s*", group)} if groups else {"instance"}
            assert wanted <= kept, panel["title"]


def test_prometheus_own_parser_takes_every_query(tmp_path: Path, need: Need):
    asked = [expression for _, expression in QUERIES]
    asked += [f"count({one['definition'][len('label_values('):].rpartition(',')[0]})" for one in variables().values()
              if one["type"] == "query"]  # fmt: skip
    rules = [{"record": f"query:{number}", "expr": filled(one)} for number, one in enumerate(asked)]
    document = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool(need, "check", "rules", "rules.yml", folder=tmp_path)
    assert len(rules) > 50
