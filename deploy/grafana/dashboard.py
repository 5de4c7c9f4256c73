#!/usr/bin/env python3
"""Write the Grafana dashboard: `python3 deploy/grafana/dashboard.py > deploy/grafana/propolis.json`.

The classic JSON model (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/),
which Grafana 11 and 12 import: 24 columns, a panel's place in `gridPos`, the data source by a template variable.
`schemaVersion` 41 is Grafana 12's; its one difference to 40 is a property that is not used here
(grafana/grafana, pkg/apis/dashboard/migration/schemaversion/v41.go). Standard library only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
ALL = '{job="$job"}'
NODES = 'job="$job",instance=~"$instance"'
RATE, RANGE = "[$__rate_interval]", "[$__range]"
ABOUT = """Some values belong to one process (requests, steps, times): they are **added up** over the nodes that are
chosen above. The others belong to the whole installation and are the same on every node (decisions, containments,
approvals, what waits): of those the **largest** is shown, whatever is chosen. A node that is stopped or new does not
change them."""


class Panel(NamedTuple):
    """A panel before it has its place. `queries` are pairs of an expression and what its lines are called."""

    kind: str
    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    height: int = 8
    help: str = ""
    red: float | None = None
    """From which value on it is red."""


def stat(title: str, query: str, unit: str = "short", *, red: float | None = None, help: str = "") -> Panel:
    """One number."""
    return Panel("stat", title, ((query, ""),), unit, 4, 4, help, red)


def lines(title: str, *queries: tuple[str, str], unit: str = "short", width: int = 8, help: str = "") -> Panel:
    """Lines over time."""
    return Panel("timeseries", title, queries, unit, width, 8, help)


def bars(title: str, query: str, name: str, *, width: int = 8, help: str = "") -> Panel:
    """A bar for each label, over the whole time that is shown."""
    return Panel("bargauge", title, ((query, name),), "short", width, 8, help)


def whole(metric: str, by: str, more: str = "") -> str:
    """How much a counter of the installation grew in the time that is shown; what did not is left out."""
    labels = f'{{job="$job"{more}}}'
    return f"round(max by ({by}) (increase({metric}{labels}{RANGE}))) > 0"


def total(metric: str, more: str = "") -> str:
    """By how much a counter of the installation grew, whatever its labels."""
    return f'round(sum(max without (instance) (increase({metric}{{job="$job"{more}}}{RANGE}))))'


def quantile(share: float, metric: str, by: str = "", span: str = RATE) -> str:
    """A share's limit, of a histogram of processes."""
    return f"histogram_quantile({share}, sum by (le{by}) (rate({metric}_bucket{{{NODES}}}{span})))"


def of_all(share: float, metric: str, more: str = "") -> str:
    """A share's limit, of a histogram of the installation, over the whole time that is shown."""
    grown = f'max without (instance) (increase({metric}_bucket{{job="$job"{more}}}{RANGE}))'
    return f"histogram_quantile({share}, sum by (le) ({grown}))"


NOW = (
    stat("Nodes that answer", f"sum(up{ALL})", help="Whether Prometheus got an answer."),
    stat("Engines that work", f"sum(propolis_engine_running{ALL})"),
    stat("Contained now", 'sum(max by (state, responder) (propolis_leases{job="$job",state!="wished"}))'),
    stat("Questions that wait", f"max(propolis_approvals_waiting{ALL})"),
    stat("Oldest event", f"max(propolis_backlog_oldest_seconds{ALL})", "s", red=300),
    stat("Set aside for a person", 'sum(max by (queue) (propolis_backlog_items{job="$job",state="dead"}))', red=1),
    stat("Most overdue containment", f"max(propolis_lease_overdue_seconds{ALL})", "s", red=600),
    stat("Policy in use", f"min(propolis_policy_valid{ALL})", help="1: it can be used. 0: everything is refused."),
    stat("Breaks of the audit chain", f"max(propolis_audit_faults_total{ALL})", red=1),
    stat("Audit lines", f"max(propolis_audit_lines_total{ALL})"),
    lines("Mode", (f"max by (mode) (propolis_mode{ALL})", "{{mode}}"), help="1 for the mode that holds."),
)
INTAKE = (
    lines("Events", (f"sum by (origin, outcome) (rate(propolis_intake_events_total{{{NODES}}}{RATE}))",
                     "{{origin}} {{outcome}}"), unit="cps"),
    lines("Answers of the hooks", (f"sum by (path, status) (rate(propolis_http_requests_total{{{NODES}}}{RATE}))",
                                   "{{path}} {{status}}"), unit="reqps"),
    lines("How long a hook takes", (quantile(0.5, "propolis_http_request_duration_seconds"), "half"),
          (quantile(0.99, "propolis_http_request_duration_seconds"), "99 of 100"), unit="s"),
    lines("What waits", (f"max by (queue, state) (propolis_backlog_items{ALL})", "{{queue}} {{state}}")),
    lines("Steps", (f"sum by (step) (rate(propolis_steps_total{{{NODES}}}{RATE}))", "{{step}}"), unit="ops"),
    lines("Steps that did not end well", (
        f'sum by (step, outcome) (rate(propolis_steps_total{{{NODES},outcome=~"failed|given_up|again"}}{RATE}))',
        "{{step}} {{outcome}}"), unit="ops"),
    lines("How late steps begin", (quantile(0.9, "propolis_step_delay_seconds", ", queue"), "{{queue}}, 9 of 10"),
          unit="s", width=12, help="How long after it was due. More workers or nodes make it less."),
    lines("How long steps take", (quantile(0.9, "propolis_step_duration_seconds", ", step"), "{{step}}, 9 of 10"),
          unit="s", width=12),
)  # fmt: skip
ANALYZERS = (
    bars("Analyzers by outcome", whole("propolis_analyses_total", "analyzer, outcome"), "{{analyzer}} {{outcome}}",
         width=12),
    bars("Failures and late answers", whole("propolis_analyses_total", "analyzer, outcome", ',outcome!="success"'),
         "{{analyzer}} {{outcome}}"),
    bars("Verdicts", whole("propolis_verdicts_total", "verdict"), "{{verdict}}", width=4),
)  # fmt: skip
DECISIONS = (
    bars("Decisions by playbook", whole("propolis_decisions_total", "playbook, state"), "{{playbook}} {{state}}",
         width=12),
    bars("Stopped by guardrails and budget", whole("propolis_guardrail_refusals_total", "rule"), "{{rule}}"),
    bars("Alerts and cases", whole("propolis_case_alerts_total", "outcome"), "{{outcome}}", width=4),
    lines("Budget used", (f"max by (kind, limit) (propolis_budget_used{ALL}) / "
                          f"(max by (kind, limit) (propolis_budget_limit{ALL}) > 0)", "{{kind}} {{limit}}"),
          unit="percentunit"),
    stat("Suppressed alerts", total("propolis_suppressed_alerts_total")),
    stat("Escalated cases", total("propolis_escalations_total") + " or vector(0)"),
    stat("Changes of the mode", total("propolis_mode_changes_total")),
    stat("The policy holds back", f"max(propolis_policy_holds_back{ALL})", help="1: kill switch, mode or no policy."),
)  # fmt: skip
CONTAINMENT = (
    stat("Alert to containment, alone", of_all(0.5, "propolis_alert_to_containment_seconds", ',way="alone"'), "s",
         help="The median, from the alert's coming in to the verified containment."),
    stat("The same, 9 of 10", of_all(0.9, "propolis_alert_to_containment_seconds", ',way="alone"'), "s"),
    stat("With an analyst's grant", of_all(0.5, "propolis_alert_to_containment_seconds", ',way="granted"'), "s"),
    stat("Undos that failed", total("propolis_release_failures_total"), red=1),
    stat("Prolonged", total("propolis_renewals_total", ',outcome="renewed"')),
    stat("Not prolonged", total("propolis_renewals_total", ',outcome="failed"'), red=1),
    bars("Containments", whole("propolis_containments_total", "responder, outcome"), "{{responder}} {{outcome}}"),
    bars("How they ended", whole("propolis_releases_total", "responder, how"), "{{responder}} {{how}}"),
    lines("In force", (f"max by (state, responder) (propolis_leases{ALL}) > 0", "{{responder}} {{state}}")),
)  # fmt: skip
APPROVALS = (
    bars("Questions and answers", whole("propolis_approvals_total", "outcome"), "{{outcome}}"),
    lines("Waiting", (f"max(propolis_approvals_waiting{ALL})", "questions")),
    stat("Half are answered within", of_all(0.5, "propolis_approval_duration_seconds", ',outcome!="expired"'), "s"),
    stat("9 of 10", of_all(0.9, "propolis_approval_duration_seconds", ',outcome!="expired"'), "s"),
    stat("The oldest waits for", f"max(propolis_approval_oldest_seconds{ALL})", "s", red=1800),
)  # fmt: skip
DEPENDENCIES = (
    lines("Requests to others", (
        f"sum by (dependency, outcome) (rate(propolis_dependency_requests_total{{{NODES}}}{RATE}))",
        "{{dependency}} {{outcome}}"), unit="reqps", width=12),
    lines("How long they take", (
        quantile(0.9, "propolis_dependency_request_duration_seconds", ", dependency"), "{{dependency}}, 9 of 10"),
        unit="s", width=12),
    lines("The store", (quantile(0.5, "propolis_store_transaction_duration_seconds", ", access"), "{{access}}, half"),
          (quantile(0.99, "propolis_store_transaction_duration_seconds", ", access"), "{{access}}, 99 of 100"),
          unit="s", help="Transactions, waiting for their turn and for the disk included."),
    lines("Processor", (f"rate(process_cpu_seconds_total{{{NODES}}}{RATE})", "{{instance}}"), unit="percentunit",
          help="1 is one core, which is what one node can use."),
    lines("Memory", (f"process_resident_memory_bytes{{{NODES}}}", "{{instance}}"), unit="bytes"),
)  # fmt: skip
ROWS = (
    ("Now", NOW), ("Intake and steps", INTAKE), ("Analyzers and verdicts", ANALYZERS), ("Decisions", DECISIONS),
    ("Containment", CONTAINMENT), ("Approvals", APPROVALS), ("Dependencies and process", DEPENDENCIES),
)  # fmt: skip


def placed(rows: Sequence[tuple[str, Sequence[Panel]]]) -> Iterator[dict[str, Any]]:
    """Every panel with its number and place: from left to right, a new line where there is no more room."""
    number, y = 1, 0
    yield {**_frame(1, "", 0, y, WIDTH, 3), "type": "text", "options": {"mode": "markdown", "content": ABOUT}}
    y += 3
    for title, panels in rows:
        number += 1
        yield {**_frame(number, title, 0, y, WIDTH, 1), "type": "row", "collapsed": False, "panels": []}
        x, y, tall = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, tall = 0, y + tall, 0
            number += 1
            yield _panel(panel, _frame(number, panel.title, x, y, panel.width, panel.height))
            x, tall = x + panel.width, max(tall, panel.height)
        y += tall


def _frame(number: int, title: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"id": number, "title": title, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


def _panel(panel: Panel, frame: dict[str, Any]) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    targets = [
        {"refId": chr(ord("A") + place), "datasource": SOURCE, "editorMode": "code", "expr": query,
         "legendFormat": name or "__auto", "instant": instant, "range": not instant}
        for place, (query, name) in enumerate(panel.queries)
    ]  # fmt: skip
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        steps.append({"color": "red", "value": panel.red})
    defaults = {
        "unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
    }  # fmt: skip
    return {
        **frame, "type": panel.kind, "description": panel.help, "datasource": SOURCE, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": OPTIONS[panel.kind],
    }  # fmt: skip


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"reduceOptions": _LAST, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
    "bargauge": {"reduceOptions": _LAST, "orientation": "horizontal", "displayMode": "basic"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1},
        _asked("job", "Job", "label_values(propolis_build_info, job)", several=False),
        _asked("instance", "Node", 'label_values(propolis_build_info{job="$job"}, instance)', several=True),
    ]


def _asked(name: str, label: str, query: str, *, several: bool) -> dict[str, Any]:
    more = {"includeAll": True, "multi": True, "allValue": ".*"} if several else {"includeAll": False, "multi": False}
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1,
        "query": {"query": query, "refId": f"variable-{name}"}, "definition": query, **more,
    }  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The whole document."""
    return {
        "uid": "propolis", "title": "Propolis", "tags": ["propolis", "wazuh", "thehive", "cortex"], "editable": True,
        "description": "From a Wazuh alert to a contained attacker: what came in, what was decided, what is contained.",
        "schemaVersion": 41, "version": 1, "refresh": "1m", "graphTooltip": 1, "timezone": "browser",
        "time": {"from": "now-24h", "to": "now"}, "timepicker": {}, "annotations": {"list": []}, "links": [],
        "templating": {"list": _variables()}, "panels": list(placed(ROWS)),
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n")
