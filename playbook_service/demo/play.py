"""What all parts of the story have in common: send, look, show, answer, and keep the ledger."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from playbook_service.demo.ledger import Ledger, Row
from playbook_service.demo.people import Person
from playbook_service.demo.stage import Stage
from playbook_service.demo.voice import Voice
from playbook_service.demo.witness import Witness
from playbook_service.engine import lease
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Record
from propolis.clock import utc_text
from propolis.verdict.explanation import two_digits

PRODUCTS = {"FirewallBlock": "firewall", "AccountDisable": "directory", "IsolateHost": "endpoints"}
"""Responder -> the product of the stage that it works at."""
_PASSES = {"address": "passes the firewall", "account": "can log on", "host": "reaches the network"}
_STOPPED = {"address": "is dropped at the firewall", "account": "cannot log on", "host": "is cut off"}


class Play:
    """One performance."""

    def __init__(self, stage: Stage, voice: Voice, people: Mapping[str, Person]):
        self.stage = stage
        self.voice = voice
        self.people = people
        self.witness = Witness(stage)
        self.ledger = Ledger()
        self._told: set[str] = set()
        lines = stage.alerts.read_text(encoding="utf-8").splitlines()
        self._alerts: list[dict[str, Any]] = [json.loads(line) for line in lines]

    # Wazuh ----------------------------------------------------------------------------------------------------------

    def alerts(self, *ids: str) -> list[dict[str, Any]]:
        """Sample alerts by their Wazuh ids, in this order."""
        by_id = {alert["id"]: alert for alert in self._alerts}
        return [by_id[one] for one in ids]

    def again(self, id_: str, number: int) -> dict[str, Any]:
        """A sample alert as it would be if its rule fired once more, so many seconds later."""
        (alert,) = self.alerts(id_)
        began, _, offset = id_.partition(".")
        return {**alert, "id": f"{int(began) + number}.{int(offset) + number}"}

    def send(self, alerts: list[dict[str, Any]]) -> None:
        """Have Wazuh send them; told in one line for each rule."""
        told: dict[str, list[dict[str, Any]]] = {}
        for alert in alerts:
            told.setdefault(alert["rule"]["id"], []).append(alert)
        for rule_id, group in told.items():
            rule = group[0]["rule"]
            times = f" ({len(group)} times)" if len(group) > 1 else ""
            what = f"rule {rule_id}, level {rule['level']}, {group[0]['agent']['name']}{_source(group[0])}"
            self.voice.tell("Wazuh", f"{what}: {_short(rule['description'])}{times}")
        self.stage.send(alerts)

    # what the service made of it --------------------------------------------------------------------------------------

    def show_case(self, decision: Record) -> int:
        """Tell the case a decision is in; returns its number."""
        case = self.people["analyst"].hive.case(decision.ref)
        if case is None:
            return 0
        self.voice.tell("TheHive", f"case #{case.number}, severity {case.severity}: {_short(case.title)}")
        return case.number

    def show_evidence(self, decision: Record, most: int = 1) -> str:
        """Tell what a decision stands on (of a verdict, the first sentences of its ledger); returns it in short."""
        body, decided = self.witness.verdict(decision), decision.body["decision"]
        if body is None:
            self.voice.tell("Propolis", "; ".join(decided["reasons"]))
            return f"rule {decided['evidence'].get('rule.id', '?')}"
        self._show_verdict(decision.body["verdict"], body, most)
        full = body["full"]
        return f"{two_digits(full['score'])}, {full['families']} families"

    def _show_verdict(self, key: str, body: Mapping[str, Any], most: int) -> None:
        data, lines = body["observable"]["data"], list(body["full"]["explanation"])[:most]
        if key in self._told:
            self.voice.tell("Propolis", f"the reports on {data} are fresh, so its verdict is used again")
            return
        self._told.add(key)
        answered = sum(status == "Success" for _, status, _ in body["reports"])
        how = "ConsensusScore in Cortex" if body["job"] else "the service"
        asked = f"{len(body['asked'])} analyzers were asked about {data}, {answered} answered; verdict by {how}"
        self.voice.tell("Cortex", asked)
        self.voice.tell("Propolis", f"verdict {lines[0]}")
        self.voice.quote(lines[1:])

    def row(self, story: str, decision: Record, word: str, case: int, evidence: str) -> Row:
        """A new row of the ledger for a decision."""
        known = self.witness.now(lambda work: work.get("alert", decision.body["alert"]))
        row = Row(
            story, case, target_of(decision), evidence, word, key=decision.key,
            alert_at=float(known.body["at"]) if known else 0.0, decided_at=float(decision.body["at"]),
        )  # fmt: skip
        self.ledger.rows.append(row)
        return row

    # questions and answers --------------------------------------------------------------------------------------------

    def ask_and_grant(self, row: Row, whole: bool = False) -> Row:
        """Show the question in TheHive, have the approver complete it, and see what follows."""
        question = self.witness.question(row.key)
        approver = self.people["approver"]
        task = approver.read(question.body["tasks"][0])
        self.voice.tell("TheHive", f"task for the approver: {task.title}")
        text = rendered(task.description)
        self.voice.quote(text if whole else text[:1])
        row.answered_at = self.stage.clock.now()
        approver.complete(task.id)
        self.voice.tell("approver", f"{approver.login} reads it and completes the task: granted")
        return self.contained(row)

    def contained(self, row: Row) -> Row:
        """See the containment in force, and verified at the product."""
        record = self.witness.contained(row.key)
        grant, report = record.body["grant"], record.body["report"]
        row.who, row.where = grant["by"], record.body["where"]
        row.until, row.contained_at = float(record.body["until"]), self.witness.contained_at(row.key)
        self.voice.tell("Cortex", f"{grant['responder']}: {report.get('message')}")
        self.voice.tell("Propolis", f"lease {row.key} until {utc_text(row.until)}, on the word of {row.who}")
        return row

    # the products -----------------------------------------------------------------------------------------------------

    def probe(self, responder: str, target: str, name: str = "") -> bool:
        """Try to get past the product; True where that works."""
        product = self.stage.products[PRODUCTS[responder]]
        passes = product.passes(target)
        words = (_PASSES if passes else _STOPPED)[RESPONDERS[responder].contains]
        self.voice.tell("probe", f"{name or target} {words}", "" if passes else "stopped")
        return passes

    def notes(self, case_id: str) -> list[str]:
        """The titles of the tasks of a case."""
        return [task.title for task in self.people["analyst"].hive.tasks(case_id)]

    def in_force(self) -> list[Record]:
        """The leases in force."""
        return self.witness.now(lease.in_force)

    def audited(self, action: str) -> list[dict[str, Any]]:
        """The lines of the audit chain that tell of one sort of thing."""
        return [line for line in self.stage.running.journal.lines() if line["action"] == action]

    def modes(self, mode: str, names: Iterable[str]) -> None:
        """The operator edits one word in some playbooks."""
        changed = self.stage.shelf.switch(mode, *names)
        self.voice.tell("operator", f"sets `mode: {mode}` in {', '.join(changed)} (one word each; no restart)")


def _source(alert: Mapping[str, Any]) -> str:
    data = alert.get("data") or {}
    found = data.get("srcip") or data.get("src_ip")
    return f", from {found}" if found else ""


def _short(text: str) -> str:
    return textwrap.shorten(text.rstrip("."), 72, placeholder=" ...")


def rendered(markdown: str) -> list[str]:
    """The lines of a task's text as TheHive shows them: without escapes, emphasis and empty lines."""
    plain = re.sub(r"(?<!\\)(\*\*|`)", "", markdown)
    return [line for line in re.sub(r"\\([^A-Za-z0-9])", r"\1", plain).splitlines() if line.strip()]


def target_of(decision: Record) -> str:
    """The target of a decision as people call it."""
    target = decision.body["decision"]["target"] or {}
    return str(target.get("label") or target.get("data") or "?")
