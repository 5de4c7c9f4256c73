"""The alert rules, read and run by Prometheus' own tool: each fires when it should, and none on a quiet day."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_tools import ROOT, Need

from playbook_service.metrics.catalogue import ALL

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "propolis-rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
COURSES: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "tests" / "fixtures" / "prometheus" / "courses.yml").read_text(encoding="utf-8")
)
QUIET = COURSES.pop("quiet")


def promtool(need: Need, *words: str, folder: Path = PROMETHEUS) -> None:
    need(shutil.which("promtool"), "promtool (Debian's prometheus)")
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def metrics_of(expression: str) -> set[str]:
    """The metrics that an expression asks for, as the catalogue calls them."""
    bare = re.sub(r'"[^"]*"|\{\{.*?\}\}', "", expression)
    names = set(re.findall(r"\b(?:propolis|process)_[a-z_]+\b", bare))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def series(given: dict[str, str]) -> list[dict[str, str]]:
    found = []
    for name, values in given.items():
        metric, _, labels = name.partition("{")
        node = "" if "instance=" in labels else ',instance="a:8080"'
        more = f",{labels.rstrip('}')}" if labels else ""
        found.append({"series": f'{metric}{{job="propolis"{node}{more}}}', "values": str(values)})
    return found


def case(course: dict[str, Any], expected: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    asked = [{"alertname": name, "eval_time": course["at"], "exp_alerts": alerts} for name, alerts in expected.items()]
    return {"interval": "1m", "input_series": series(course["series"]), "alert_rule_test": asked}


def run(tests: list[dict[str, Any]], folder: Path, need: Need) -> None:
    """Have promtool play courses of things to the rules; the sentences for people are taken out before."""
    rules = [{**rule, "annotations": {}} for rule in RULES]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    promtool(need, "test", "rules", "tests.yml", folder=folder)


def test_the_rules_and_the_scrape_configuration_are_prometheus_own(need: Need):
    promtool(need, "check", "rules", "propolis-rules.yml")
    promtool(need, "check", "config", "--syntax-only", "scrape.yml")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_where_it_is_told_what_to_do(rule: dict[str, Any]):
    assert rule["labels"]["severity"] in ("critical", "warning")
    notes = rule["annotations"]
    assert notes["summary"]
    assert notes["description"].endswith(".")
    assert "/docs/" in notes["runbook_url"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_metrics_that_there_are(rule: dict[str, Any]):
    asked = metrics_of(rule["expr"])
    assert asked or "up{" in rule["expr"]
    assert asked <= {family.name for family in ALL}


def test_every_rule_has_a_course_of_things_that_it_is_for():
    assert set(COURSES) == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("name", sorted(COURSES))
def test_an_alert_fires_in_the_course_that_it_is_for(name: str, tmp_path: Path, need: Need):
    (rule,) = [rule for rule in RULES if rule["alert"] == name]
    course = COURSES[name]
    aggregates = re.match(r"(sum|max|count|histogram_quantile)\b", rule["expr"])
    own = {} if aggregates else {"job": "propolis", "instance": "a:8080"}
    labels = {"severity": rule["labels"]["severity"], **own, **course.get("labels", {})}
    run([case(course, {name: [{"exp_labels": labels}]})], tmp_path, need)


def test_no_alert_fires_on_a_quiet_day(tmp_path: Path, need: Need):
    run([case(QUIET, {rule["alert"]: [] for rule in RULES})], tmp_path, need)
    silent = {rule["alert"] for rule in RULES if not metrics_of(rule["expr"]) <= _metrics(QUIET)}
    assert not silent, "the quiet day says nothing of what this rule asks for"


def _metrics(course: dict[str, Any]) -> set[str]:
    return {re.sub(r"_bucket$", "", name.partition("{")[0]) for name in course["series"]}
