#!/usr/bin/env python3
"""Write the dashboards for Kibana and for OpenSearch Dashboards from one list of panels.

    python3 deploy/kibana/make.py            # writes propolis.ndjson and propolis-opensearch.ndjson beside it
    python3 deploy/kibana/make.py --check    # 1 where they are not what this would write

Both products take saved objects as NDJSON and know the same aggregation-based visualizations; they differ in the marks
of versions, in how a panel names its reference, and in a few parameters. The forms were read from exports of Kibana 8
(`coreMigrationVersion` 8.8.0 with a `typeMigrationVersion` an object) and of OpenSearch Dashboards 2
(`migrationVersion` an object), and from elastic/kibana and opensearch-project/OpenSearch-Dashboards. Standard library
only. Exit codes: 0 done, 1 --check found a difference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "index-template.json"
INDICES = ("alerts", "decisions", "leases", "approvals", "cases", "audit")
Json = dict[str, Any]


class Product(NamedTuple):
    """What differs between the two."""

    file: str
    kibana: bool
    interval_key: str


KIBANA = Product("propolis.ndjson", True, "useNormalizedEsInterval")
OPENSEARCH = Product("propolis-opensearch.ndjson", False, "useNormalizedOpenSearchInterval")
_KIBANA_TYPES = {"index-pattern": "8.0.0", "visualization": "8.5.0", "dashboard": "8.9.0"}
_OPENSEARCH_TYPES = {"index-pattern": "7.6.0", "visualization": "7.10.0", "dashboard": "7.9.3"}


class Metric(NamedTuple):
    """What is counted: `count`, or `median`, `percentiles`, `max` of a field."""

    type: str = "count"
    field: str = ""
    label: str = ""


class Panel(NamedTuple):
    """One visualization. `by`: the fields it is split by, the outermost first; `@timestamp` is a histogram of time."""

    id: str
    title: str
    kind: str
    """`pie`, `histogram` (bars over time), `line`, `horizontal_bar`, `table` or `metric`."""
    source: str
    """Which of `INDICES`."""
    by: tuple[str, ...] = ()
    metric: Metric = Metric()
    query: str = ""
    size: int = 10
    width: int = 16
    height: int = 12


RESOLUTION = "propolis.case.resolution_seconds"
CONTAINMENT = "propolis.audit.alert_to_containment_seconds"
PANELS = (
    Panel("cases-by-status", "Cases by status", "pie", "cases", ("propolis.case.status",), width=12),
    Panel("cases-by-resolution", "Closed cases by resolution", "pie", "cases", ("propolis.case.resolution",),
          query="propolis.case.status: closed", width=12),
    Panel("resolution-median", "Median time to resolve (seconds)", "metric", "cases", (),
          Metric("median", RESOLUTION, "seconds to resolve, median"), width=8),
    Panel("resolution-over-time", "Time to resolve: 50, 90, 95 % (seconds, by the day the case was opened)", "line",
          "cases", ("@timestamp",), Metric("percentiles", RESOLUTION, "seconds to resolve")),
    Panel("alerts-by-level", "Alerts by rule level", "histogram", "alerts", ("@timestamp", "event.severity"), size=16,
          width=24),
    Panel("alerts-by-group", "Alerts by rule group", "horizontal_bar", "alerts", ("rule.category",), size=15, width=12),
    Panel("alerts-suppressed", "Suppressed as false positive", "pie", "alerts", ("propolis.alert.suppressed",),
          width=12),
    Panel("alerts-by-agent", "Alerts by agent", "table", "alerts", ("agent.name",), size=20),
    Panel("alerts-by-rule", "Alerts by rule", "table", "alerts", ("rule.id", "rule.name"), size=20),
    Panel("alerts-by-technique", "ATT&CK techniques named by rules", "horizontal_bar", "alerts",
          ("threat.technique.id",), size=15),
    Panel("decisions-by-state", "Decisions by what became of them", "histogram", "decisions",
          ("@timestamp", "propolis.decision.state"), width=24),
    Panel("decisions-by-playbook", "Decisions by playbook", "horizontal_bar", "decisions",
          ("propolis.playbook.name", "propolis.decision.state"), size=15, width=24),
    Panel("alert-to-containment", "From alert to verified containment: 50, 90, 95 % (seconds)", "line", "audit",
          ("@timestamp",), Metric("percentiles", CONTAINMENT, "seconds to contain"), "event.action: contained",
          width=24),
    Panel("leases-in-force", "Leases in force at the last export", "metric", "leases", (),
          Metric(label="in force"), "propolis.lease.in_force: true", width=8),
    Panel("leases-listed", "What is contained, and until when", "table", "leases",
          ("propolis.responder", "propolis.target.data"), Metric("max", "propolis.lease.until", "until"),
          "propolis.lease.in_force: true", size=50, width=16),
    Panel("approvals-by-state", "Questions to analysts", "pie", "approvals", ("propolis.approval.outcome",),
          width=12),
    Panel("approvals-wait", "Median wait for an answer (seconds)", "metric", "approvals", (),
          Metric("median", "propolis.approval.wait_seconds", "seconds to answer, median"), width=12),
    Panel("audit-by-action", "Audit lines by action", "table", "audit", ("event.action",), size=40, width=24),
)  # fmt: skip
DASHBOARD = "propolis-dashboard"


def build(product: Product) -> str:
    """All saved objects of one product, a line each: what others refer to comes first."""
    objects = [
        *(_data_view(product, index) for index in INDICES),
        *(_visualization(product, panel) for panel in PANELS),
        _dashboard(product),
    ]
    return "".join(_text(one) + "\n" for one in objects)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _saved(product: Product, kind: str, name: str, attributes: Json, references: list[Json]) -> Json:
    saved: Json = {"type": kind, "id": name, "attributes": attributes, "references": references}
    if product.kibana:
        marks = {"coreMigrationVersion": "8.8.0", "typeMigrationVersion": _KIBANA_TYPES[kind], "managed": False}
        return {**saved, **marks}
    return {**saved, "migrationVersion": {kind: _OPENSEARCH_TYPES[kind]}}


# data views -----------------------------------------------------------------------------------------------------------


def mapped(properties: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """(name, type) of every field of a mapping."""
    for name, entry in properties.items():
        inner = entry.get("properties")
        if inner is None:
            yield f"{path}{name}", str(entry["type"])
        else:
            yield from mapped(inner, f"{path}{name}.")


def fields() -> list[tuple[str, str]]:
    """Those of the index template."""
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    return list(mapped(template["template"]["mappings"]["properties"]))


_SHOWN_AS = {"keyword": "string", "long": "number", "double": "number"}


def _data_view(product: Product, index: str) -> Json:
    """Kibana reads the fields from the index; OpenSearch Dashboards is given them."""
    name = f"propolis-{index}"
    attributes: Json = {"title": name, "timeFieldName": "@timestamp"}
    if product.kibana:
        attributes |= {"name": f"Propolis {index}", "fieldFormatMap": "{}", "runtimeFieldMap": "{}", "fieldAttrs": "{}"}
        attributes |= {"sourceFilters": "[]", "fields": "[]"}
    else:
        attributes["fields"] = _text([_field(*one) for one in fields()])
    return _saved(product, "index-pattern", name, attributes, [])


def _field(name: str, kind: str) -> Json:
    return {
        "name": name, "type": _SHOWN_AS.get(kind, kind), "esTypes": [kind], "count": 0, "scripted": False,
        "searchable": True, "aggregatable": True, "readFromDocValues": True,
    }  # fmt: skip


# visualizations -------------------------------------------------------------------------------------------------------


def _visualization(product: Product, panel: Panel) -> Json:
    state = {"title": panel.title, "type": panel.kind, "aggs": _aggs(product, panel), "params": _params(product, panel)}
    source: Json = {
        "query": {"query": panel.query, "language": "kuery"}, "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }  # fmt: skip
    attributes = {
        "title": f"Propolis: {panel.title}", "description": "", "version": 1, "uiStateJSON": "{}",
        "visState": _text(state), "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }  # fmt: skip
    reference = {"name": source["indexRefName"], "type": "index-pattern", "id": f"propolis-{panel.source}"}
    return _saved(product, "visualization", f"propolis-{panel.id}", attributes, [reference])


def _aggs(product: Product, panel: Panel) -> list[Json]:
    metric = panel.metric
    params: Json = {"customLabel": metric.label} if metric.label else {}
    if metric.field:
        params["field"] = metric.field
    if metric.type == "percentiles":
        params["percents"] = [50, 90, 95]
    found = [_agg("1", metric.type, "metric", params)]
    for number, field in enumerate(panel.by, 2):
        found.append(_bucket(product, panel, str(number), field))
    return found


def _bucket(product: Product, panel: Panel, number: str, field: str) -> Json:
    schema = "bucket" if panel.kind == "table" else "segment" if number == "2" else "group"
    if field == "@timestamp":
        params: Json = {
            "field": field, "interval": "auto", "min_doc_count": 1, "drop_partials": False, "extended_bounds": {},
            product.interval_key: True,
        }  # fmt: skip
        return _agg(number, "date_histogram", schema, params)
    orders = panel.metric.type == "count"  # percentiles are several values: nothing to order by
    params = {
        "field": field, "size": panel.size, "order": "desc", "orderBy": "1" if orders else "_key",
        "otherBucket": panel.kind == "pie", "otherBucketLabel": "Other", "missingBucket": False,
        "missingBucketLabel": "Missing",
    }  # fmt: skip
    return _agg(number, "terms", schema, params)


def _agg(number: str, kind: str, schema: str, params: Json) -> Json:
    return {"id": number, "enabled": True, "type": kind, "schema": schema, "params": params}


def _params(product: Product, panel: Panel) -> Json:
    makers = {"pie": _pie, "table": _table, "metric": _metric}
    return makers[panel.kind](product) if panel.kind in makers else _chart(panel)


def _pie(product: Product) -> Json:
    labels = {"show": True, "values": True, "last_level": True, "truncate": 100}
    common: Json = {"type": "pie", "addTooltip": True, "legendPosition": "right", "isDonut": True, "labels": labels}
    if not product.kibana:
        return {**common, "addLegend": True}
    return {
        **common, "legendDisplay": "show", "nestedLegend": False, "truncateLegend": True, "maxLegendLines": 1,
        "distinctColors": False, "emptySizeRatio": 0.3, "palette": {"type": "palette", "name": "default"},
        "labels": {**labels, "valuesFormat": "value", "percentDecimals": 1, "position": "default"},
    }  # fmt: skip


def _table(_: Product) -> Json:
    return {
        "perPage": 10, "showPartialRows": False, "showMetricsAtAllLevels": False, "showTotal": False,
        "totalFunc": "sum", "percentageCol": "",
    }  # fmt: skip


def _metric(_: Product) -> Json:
    style = {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 48}
    return {
        "addTooltip": True, "addLegend": False, "type": "metric",
        "metric": {
            "percentageMode": False, "useRanges": False, "colorSchema": "Green to Red", "metricColorMode": "None",
            "colorsRange": [{"from": 0, "to": 10000}], "labels": {"show": True}, "invertColors": False, "style": style,
        },
    }  # fmt: skip


def _chart(panel: Panel) -> Json:
    """Bars over time, lines over time, or bars lying down."""
    lying = panel.kind == "horizontal_bar"
    series = "line" if panel.kind == "line" else "histogram"
    label = panel.metric.label or "Count"
    return {
        "type": "histogram" if lying else panel.kind, "grid": {"categoryLines": False}, "addTooltip": True,
        "addLegend": True, "legendPosition": "right", "times": [], "addTimeMarker": False,
        "categoryAxes": [{
            "id": "CategoryAxis-1", "type": "category", "position": "left" if lying else "bottom", "show": True,
            "style": {}, "scale": {"type": "linear"}, "labels": {"show": True, "filter": not lying, "truncate": 100},
            "title": {},
        }],
        "valueAxes": [{
            "id": "ValueAxis-1", "name": "BottomAxis-1" if lying else "LeftAxis-1", "type": "value",
            "position": "bottom" if lying else "left", "show": True, "style": {},
            "scale": {"type": "linear", "mode": "normal"},
            "labels": {"show": True, "rotate": 0, "filter": lying, "truncate": 100}, "title": {"text": label},
        }],
        "seriesParams": [{
            "show": True, "type": series, "mode": "normal" if series == "line" else "stacked",
            "data": {"id": "1", "label": label}, "valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": True,
            "lineWidth": 2, "showCircles": True, "interpolate": "linear",
        }],
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"}, "labels": {},
    }  # fmt: skip


# the dashboard --------------------------------------------------------------------------------------------------------


def _places() -> Iterator[tuple[Panel, Json]]:
    """Where each panel stands on the grid of 48 columns: rows are filled from the left."""
    x = y = row = 0
    for panel in PANELS:
        if x + panel.width > 48:
            x, y, row = 0, y + row, 0
        yield panel, {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, row = x + panel.width, max(row, panel.height)


def _dashboard(product: Product) -> Json:
    panels: list[Json] = []
    references: list[Json] = []
    for panel, place in _places():
        name = f"panel_{panel.id}"
        panels.append({
            "version": "8.9.0" if product.kibana else "2.13.0", "gridData": {**place, "i": panel.id},
            "panelIndex": panel.id, "panelRefName": name,
            "embeddableConfig": {"enhancements": {}} if product.kibana else {},
            **({"type": "visualization"} if product.kibana else {}),
        })  # fmt: skip
        shown = f"{panel.id}:{name}" if product.kibana else name
        references.append({"name": shown, "type": "visualization", "id": f"propolis-{panel.id}"})
    options: Json = {"useMargins": True, "hidePanelTitles": False}
    if product.kibana:
        options |= {"syncColors": False, "syncCursor": True, "syncTooltips": False}
    source = {"query": {"query": "", "language": "kuery"}, "filter": []}
    attributes: Json = {
        "title": "Propolis", "description": "From a Wazuh alert to a contained attacker: what `propolis export` wrote.",
        "panelsJSON": _text(panels), "optionsJSON": _text(options), "version": 1, "timeRestore": True,
        "timeFrom": "now-30d", "timeTo": "now", "refreshInterval": {"pause": True, "value": 0},
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }  # fmt: skip
    if not product.kibana:
        attributes["hits"] = 0
    return _saved(product, "dashboard", DASHBOARD, attributes, references)


def main(argv: list[str] | None = None) -> int:
    """0, or 1 where --check finds a file that is not what this writes."""
    parser = argparse.ArgumentParser(description="Write the dashboards for Kibana and OpenSearch Dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where a file is out of date")
    arguments = parser.parse_args(argv)
    stale = []
    for product in (KIBANA, OPENSEARCH):
        path, text = HERE / product.file, build(product)
        if arguments.check:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                stale.append(product.file)
        else:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{name} is out of date: run deploy/kibana/make.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
