"""docs/metrics.md tells of every metric and every alert, and of no others."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from playbook_service.metrics.reference import markdown

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
RULES = ROOT / "deploy" / "prometheus" / "propolis-rules.yml"


def between(begin: str, end: str) -> str:
    found = re.search(rf"<!-- {begin} -->\n(.*?)\n?<!-- {end} -->", PAGE, re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_tables_of_metrics_are_those_of_the_catalogue():
    """`python -m playbook_service.metrics.reference` prints them."""
    assert between("metrics", "end of metrics") == markdown()


def alerts() -> str:
    """The table of alerts as the rules' file says it."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rows = [_row(rule) for group in groups for rule in group["rules"]]
    return "\n".join(["| alert | severity | it says | what to do |", "|---|---|---|---|", *rows])


def _row(rule: dict[str, dict[str, str]]) -> str:
    notes = rule["annotations"]
    page, _, place = notes["runbook_url"].rpartition("/")[2].partition("#")
    link = f"[{place.replace('-', ' ')}]({'' if page == 'metrics.md' else page}#{place})"
    return f"| `{rule['alert']}` | {rule['labels']['severity']} | {notes['summary']} | {link} |"


def test_the_table_of_alerts_is_the_rules_file():
    assert between("alerts", "end of alerts") == alerts()


def test_every_link_of_an_alert_leads_to_a_heading():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        base, _, place = rule["annotations"]["runbook_url"].partition("#")
        page = ROOT / "docs" / base.rpartition("/")[2]
        titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert place in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}, rule["alert"]
