"""A store with one of everything, its export read back, and the mapping that the export must fit."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from feedback_shop import ANNA, Shop, decision, seen, wazuh

from playbook_service.engine import approval, launch, lease, placement, ruling
from playbook_service.export.elastic import Span, span, write
from playbook_service.judgement.guard import Judged
from playbook_service.store.contract import Store
from propolis.alert import Alert

TEMPLATE = Path(__file__).resolve().parents[3] / "deploy" / "kibana" / "index-template.json"
SECRET = "hunter2-in-a-command-line"


class Line(NamedTuple):
    """An action and its document."""

    index: str
    id: str
    document: dict[str, Any]


def text_of(store: Store, wanted: Span | None = None) -> str:
    target = io.StringIO()
    write(store, wanted or span(store, since=None, after=0), "propolis", target, lambda _: None)
    return target.getvalue()


def lines_of(store: Store, wanted: Span | None = None) -> list[Line]:
    """The export, read as a bulk request is."""
    text = text_of(store, wanted)
    assert text == "" or text.endswith("\n")
    rows = [json.loads(row) for row in text.splitlines()]
    assert len(rows) % 2 == 0
    found = []
    for action, document in zip(rows[::2], rows[1::2], strict=True):
        assert list(action) == ["index"]
        found.append(Line(action["index"]["_index"], action["index"]["_id"], document))
    return found


def of(lines: list[Line], index: str) -> list[dict[str, Any]]:
    return [line.document for line in lines if line.index == f"propolis-{index}"]


def one(lines: list[Line], index: str) -> dict[str, Any]:
    (found,) = of(lines, index)
    return found


def hostile_alert() -> Alert:
    """What an attacker writes: values in free fields, names of fields, a description without an end."""
    document = wazuh("13").document
    rule = {**document["rule"], "mitre": {"id": ["T1110.001"], "tactic": ["Credential Access"]}}
    free = {"srcip": "203.0.113.17", "command": SECRET, "propolis.lease.in_force": "true", "x" * 300: {"y": {"z": 1}}}
    return Alert({**document, "rule": rule, "data": free, "full_log": f"sudo {SECRET}"})


def filled(shop: Shop) -> Shop:
    """One alert, the containment it led to, a question, a closed case, and their audit lines."""
    shop.hive.open("~1", seen("203.0.113.17"))
    shop.arrived(hostile_alert(), "~1")
    shop.clock.advance(4)
    scene = ruling.Scene("verdict", "~1", "siem01:13", "~203.0.113.17")
    made = decision(kind="act")
    with shop.store.transaction() as work:
        work.save(placement.CASE, "~1", {"number": 1, "alerts": ["siem01:13"], "note": ""}, state="open", ref="~1")
        assert (
            ruling.Ruling(shop.tools, shop.ask).rule(work, shop.policy(), Judged(made, "act", "act"), scene, "~41")
            == "act"
        )
        (record,) = work.find(lease.KIND)
    shop.clock.advance(6)
    full = {"result": "contained", "where": "fw1", "message": "Contained.", "mark": f"lease={record.key}"}
    with shop.store.transaction() as work:
        lease._settle(work, shop.tools, record, launch.Ended(True, full, "", "job-1"))
    grant = lease.Grant("Q1", "IsolateHost", "case_artifact", "~41", "~1", "web01", 14_400, "why", "d" * 64, "")
    with shop.store.transaction() as work:
        approval.request(work, shop.tools, approval.Ask(grant, ("score 0.97",), (), 1, 4 * 3600))
    shop.clock.advance(30)
    shop.set_state(approval.KIND, "Q1", approval.GRANTED, answers=[ANNA])
    shop.clock.advance(60)
    shop.close("~1", "TruePositive")
    return shop


# the mapping ----------------------------------------------------------------------------------------------------------


def mapping() -> dict[str, str]:
    """Name of a field -> its type in the index template."""
    template = json.loads(TEMPLATE.read_text(encoding="utf-8"))
    return dict(_mapped(template["template"]["mappings"]["properties"], ""))


def _mapped(properties: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    found = []
    for name, entry in properties.items():
        found += (
            _mapped(entry["properties"], f"{path}{name}.") if "properties" in entry else [(path + name, entry["type"])]
        )
    return found


def flat(document: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """`{"event": {"kind": "alert"}}` -> `{"event.kind": "alert"}`."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= flat(value, f"{path}{name}.") if isinstance(value, dict) else {path + name: value}
    return found


def fits(kind: str, value: Any) -> bool:
    """Would a field of this type take the value?"""
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(_fits(kind, entry) for entry in values)


def _fits(kind: str, value: Any) -> bool:
    if kind == "date":
        return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(value)) is not None
    if kind == "ip":
        return bool(ip_address(value))
    if kind == "keyword":
        return isinstance(value, str) and 0 < len(value.encode("utf-16-le")) <= 2 * 1024  # `ignore_above`, in units
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) and -(2**63) <= value < 2**63 if kind == "long" else isinstance(value, (int, float))
