"""What a decision stood on: the alert as it came in, and the verdict with its ledger."""

from __future__ import annotations

import json
from typing import Any

from playbook_service.console.frame import facts, moment, table
from playbook_service.console.ledger import LEGEND, ledger
from playbook_service.console.story import Known
from playbook_service.reports.words import count
from playbook_service.web.html import Child, Html, code, el, join, said
from propolis.alert import Alert

_MOST_OBSERVABLES, _MOST_SENTENCES, _MOST_JSON = 50, 40, 400
_LONG = 1_000


def section(name: str, *parts: Child) -> Html:
    """A part of the page under its own heading."""
    return el("section", el("h2", name), parts)


def alert(found: Known) -> Html | None:
    if found.alert is None:
        missing = "It is not kept any more." if found.decision.body["alert"] else "It was not decided for one alert."
        return section("The alert", el("p", missing, class_="note"))
    document = found.alert.body["alert"]
    told_by = Alert(document)
    rule = join((code(told_by.rule_id, 40), " ", said(told_by.description), f", level {told_by.level}"))
    told = facts(
        ("rule", rule),
        ("agent", join((said(told_by.agent_name or "not named", 80), " ", code(told_by.agent_id, 40)))),
        ("groups", said(", ".join(told_by.groups)) if told_by.groups else None),
        ("MITRE ATT&CK", said(", ".join(_mitre(told_by))) if _mitre(told_by) else None),
        ("alert", code(found.alert.key, 120)),
    )
    observables = found.alert.body["observables"]
    rows: list[list[Child]] = [
        [said(data_type, 40), code(data, 200), said(role, 40), code(path, 120)]
        for data_type, data, role, path, *_ in observables[:_MOST_OBSERVABLES]
    ]
    more = len(observables) - len(rows)
    listed = table("Observables", ("Type", "~Value", "Role", "~Where"), rows, "It has no observables.")
    note = el("p", f"{count(more, 'further observable')} not shown.", class_="note") if more > 0 else None
    return section("The alert", told, listed, note, _document("The whole document, as Wazuh sent it", document))


def _mitre(alert: Alert) -> list[str]:
    rule = alert.fields.get("rule")
    told = rule.get("mitre") if isinstance(rule, dict) else None
    found = told if isinstance(told, dict) else {}
    lists = [found.get(name) for name in ("id", "technique", "tactic")]
    return [str(word)[:80] for words in lists if isinstance(words, list) for word in words[:10]]


def _document(title: str, document: Any) -> Html:
    lines = json.dumps(document, indent=2, ensure_ascii=False, default=str).splitlines()
    shown = [said(line, 300) for line in lines[:_MOST_JSON]]
    more = [f"\u2026 and {count(len(lines) - _MOST_JSON, 'more line')}"] if len(lines) > _MOST_JSON else []
    text = el("pre", join((*shown, *more), "\n"), tabindex="0", aria_label=title)
    return el("details", el("summary", el("span", title, class_="title")), el("div", text, class_="story"))


def verdict(found: Known) -> Html | None:
    if not found.decision.body["verdict"]:
        return None
    if found.verdict is None:
        return section("Reports and verdict", el("p", "The verdict is not kept any more.", class_="note"))
    body = found.verdict.body
    explanation = body["full"].get("explanation")
    sentences = [str(line) for line in explanation[:_MOST_SENTENCES]] if isinstance(explanation, list) else []
    said_so = el("details", el("summary", el("span", "In sentences", class_="title")),
                 el("ul", [el("li", said(line, _LONG)) for line in sentences], class_="story"))  # fmt: skip
    return section(
        "Reports and verdict",
        facts(("on", join((said(body["observable"]["dataType"], 40), " ", code(body["observable"]["data"], 200)))),
              ("made", moment(float(body["at"]))), ("how", said(body["how"]))),
        el("div", ledger(body["full"]), class_="card"), el("p", LEGEND, class_="note"), said_so if sentences else None,
    )  # fmt: skip
