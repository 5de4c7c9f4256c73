"""Records and audit lines as documents. Nothing of an alert's free parts (`data`, `full_log`, ...) goes along."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from playbook_service.engine import approval, arrival, lease, ruling
from playbook_service.export.fields import Document, address, addresses, between, moment, nested, number, text, texts
from playbook_service.feedback import closure
from playbook_service.store.contract import Entry, Record
from propolis.alert import Alert

Look = Callable[[str, str], Record | None]
"""Another record, by its kind and key."""
_HASHES = frozenset({"hash"})
_HOSTS = frozenset({"hostname", "domain", "fqdn"})


def alert_document(record: Record) -> Document:
    """An alert that came in: what rule, which host, which techniques, and what became of it."""
    body, alert = record.body, Alert(record.body["alert"])
    seen = [(str(kind), str(data), str(role)) for kind, data, role, *_ in body["observables"]]
    ids = [one.partition(".")[0] for one in alert.mitre_ids]
    return nested(
        {
            "@timestamp": moment(alert.timestamp) or moment(body["at"]),
            "event.kind": "alert", "event.module": "wazuh", "event.dataset": "propolis.alerts",
            "event.id": text(alert.id), "event.ingested": moment(body["at"]), "event.severity": alert.level,
            "event.reason": text(body["suppressed"]), "rule.id": text(alert.rule_id),
            "rule.name": text(alert.description, 256), "rule.category": texts(alert.groups),
            "agent.id": text(alert.agent_id), "agent.name": text(alert.agent_name),
            "host.name": text(alert.agent_name), "host.ip": addresses([alert.agent_ip]),
            "observer.name": text(alert.manager), "log.file.path": text(alert.location, 256),
            "source.ip": address(next((data for kind, data, role in seen if (kind, role) == ("ip", "source")), None)),
            "threat.framework": "MITRE ATT&CK" if alert.mitre_ids else None, "threat.technique.id": texts(ids),
            "threat.technique.subtechnique.id": texts(one for one in alert.mitre_ids if "." in one),
            "threat.tactic.name": texts(alert.mitre_tactics),
            "related.ip": addresses(data for kind, data, _ in seen if kind == "ip"),
            "related.hash": texts(data for kind, data, _ in seen if kind in _HASHES),
            "related.hosts": texts(data for kind, data, _ in seen if kind in _HOSTS),
            "propolis.alert.key": text(record.key), "propolis.alert.state": record.state,
            "propolis.alert.suppressed": record.state == arrival.SUPPRESSED,
            "propolis.alert.origin": text(body["origin"]), "propolis.alert.thehive_id": text(body["hive_id"]),
            "propolis.alert.observables": len(seen), "propolis.case.id": text(record.ref),
        }
    )  # fmt: skip


def decision_document(record: Record) -> Document:
    """A decision to contain, and what became of it."""
    body, decision = record.body, record.body["decision"]
    target = decision["target"] or {}
    grant = body["grant"] or {}
    return nested(
        {
            "@timestamp": moment(body["at"]), "event.kind": "event", "event.module": "propolis",
            "event.dataset": "propolis.decisions", "event.id": record.key, "event.action": "decision",
            "event.reason": text(body["why"]),
            "related.ip": addresses([target.get("data")]) if target.get("kind") == "address" else None,
            "propolis.decision.id": record.key, "propolis.decision.state": record.state,
            "propolis.decision.outcome": text(body["outcome"]), "propolis.decision.wanted": text(decision["wanted"]),
            "propolis.decision.capped_by": text(decision["capped_by"]), "propolis.decision.rule": text(body["rule"]),
            "propolis.decision.event": text(decision["event"]), "propolis.decision.mode": text(body["mode"]),
            "propolis.decision.seconds": number(decision["seconds"]),
            "propolis.decision.permanent": bool(decision["permanent"]),
            "propolis.decision.evidence": text(decision["evidence_digest"]),
            "propolis.decision.reasons": texts(decision["reasons"]),
            "propolis.playbook.name": _leading(decision, "name"),
            "propolis.playbook.digest": _leading(decision, "digest"),
            "propolis.responder": text(decision["action"].partition(" ")[2]),
            "propolis.target.kind": text(target.get("kind")),
            "propolis.target.data": text(target.get("data")) or text(grant.get("target")),
            "propolis.target.label": text(target.get("label")),
            "propolis.verdict.verdict": text(decision["numbers"].get("verdict")),
            "propolis.verdict.score": number(decision["numbers"].get("score")),
            "propolis.verdict.families": number(decision["numbers"].get("families")),
            "propolis.alert.key": text(body["alert"]), "propolis.case.id": text(record.ref),
        }
    )  # fmt: skip


def _leading(decision: Mapping[str, Any], name: str) -> str | None:
    return next((text(book[name]) for book in decision["playbooks"]), None)


def lease_document(record: Record, look: Look) -> Document:
    """A containment: since when, until when, in force or over."""
    body, grant = record.body, lease.Grant(**record.body["grant"])
    decided = look(ruling.KIND, record.key)
    begun = decided.body["at"] if decided else record.updated_at
    return nested(
        {
            "@timestamp": moment(begun), "event.kind": "state", "event.module": "propolis",
            "event.dataset": "propolis.leases", "event.id": record.key, "event.reason": text(grant.why),
            "event.end": moment(body.get("ended_at")), "related.ip": addresses([grant.target]),
            "propolis.lease.id": record.key, "propolis.lease.state": record.state,
            "propolis.lease.in_force": record.state in lease.IN_FORCE,
            "propolis.lease.until": None if body.get("permanent") else moment(body["until"]),
            "propolis.lease.permanent": bool(body.get("permanent")), "propolis.lease.by": text(grant.by),
            "propolis.lease.ended_by": text(body["ended_by"]), "propolis.lease.undos": number(body["undos"]),
            "propolis.lease.where": text(body["where"]), "propolis.lease.taken_over": bool(body.get("taken")),
            "propolis.lease.updated": moment(record.updated_at), "propolis.responder": text(grant.responder),
            "propolis.target.data": text(grant.target), "propolis.case.id": text(grant.case_id),
        }
    )  # fmt: skip


def approval_document(record: Record) -> Document:
    """A question to an analyst, and the answer."""
    body, grant = record.body, lease.Grant(**record.body["grant"])
    outcome = _answer(record)
    answered = outcome in (approval.GRANTED, approval.DENIED)
    return nested(
        {
            "@timestamp": moment(body.get("asked_at") or record.updated_at), "event.kind": "event",
            "event.module": "propolis", "event.dataset": "propolis.approvals", "event.id": record.key,
            "event.reason": text(body["why"]) or text(grant.why), "user.name": texts(_logins(body["answers"])),
            "propolis.approval.id": record.key, "propolis.approval.state": record.state,
            "propolis.approval.outcome": outcome,
            "propolis.approval.expires": moment(body["expires"]), "propolis.approval.needed": number(body["needed"]),
            "propolis.approval.wait_seconds": between(body.get("asked_at"), record.updated_at) if answered else None,
            "propolis.responder": text(grant.responder), "propolis.target.data": text(grant.target),
            "propolis.case.id": text(grant.case_id),
        }
    )  # fmt: skip


def _answer(record: Record) -> str:
    """How a question ended. A record says `denied` also of one that nobody answered: it was withdrawn, or is void."""
    if record.state == approval.DENIED and not record.body["answers"]:
        return "void"
    return approval.WAITING if record.state == approval.ASKED else record.state


def _logins(answers: Iterable[object]) -> list[str]:
    """Those who answered, one by one: a grant that took several approvers names them in one text."""
    return [login for one in answers for login in str(one).split(", ")]


def case_document(record: Record, look: Look) -> Document:
    """A case that our alerts are in: open or closed, how it was closed, and how long that took."""
    body, keys = record.body, [str(key) for key in record.body["alerts"]]
    first = look(arrival.KIND, keys[0]) if keys else None
    opened = first.body["at"] if first else None
    closed = look(closure.KIND, record.key)
    shut = closed.body if closed and closed.state == closure.SHUT else {}
    ended = float(shut["closed_at"]) / 1000 if shut.get("closed_at") else None
    status = "closed" if shut else ("reopened" if closed else "open")
    return nested(
        {
            "@timestamp": moment(opened or ended or record.updated_at), "event.kind": "state",
            "event.module": "propolis", "event.dataset": "propolis.cases", "event.id": record.key,
            "event.end": moment(ended), "user.name": texts([shut.get("by")]),
            "propolis.case.id": record.key, "propolis.case.number": number(body["number"]),
            "propolis.case.status": status, "propolis.case.resolution": text(shut.get("resolution")),
            "propolis.case.judgement": text(shut.get("judgement")), "propolis.case.opened": moment(opened),
            "propolis.case.closed": moment(ended), "propolis.case.alerts": len(keys),
            "propolis.case.resolution_seconds": between(opened, ended),
        }
    )  # fmt: skip


def audit_document(entry: Entry, look: Look) -> Document:
    """A line of the audit chain: who did what, when, why. Its hash goes along, so that copies can be compared."""
    line = entry.body
    action = text(line.get("action"))
    return nested(
        {
            "@timestamp": moment(entry.at), "event.kind": "event", "event.module": "propolis",
            "event.dataset": "propolis.audit", "event.action": action, "event.sequence": number(line.get("n")),
            "event.hash": text(line.get("hash")), "event.reason": text(line.get("why")),
            "event.outcome": _outcome(action), "user.name": texts([line.get("operator")]),
            "trace.id": text(line.get("trace")), "propolis.audit.previous": text(line.get("prev")),
            "propolis.audit.result": text(line.get("result")),
            "propolis.audit.automated": line.get("automated") is True,
            "propolis.audit.alert_to_containment_seconds": _took(entry, look) if action == "contained" else None,
            "propolis.playbook.name": text(line.get("playbook")), "propolis.responder": text(line.get("responder")),
            "propolis.target.data": text(line.get("target")), "propolis.lease.id": text(line.get("lease")),
            "propolis.decision.id": text(line.get("decision")), "propolis.decision.rule": text(line.get("rule")),
            "propolis.alert.key": text(line.get("alert")), "propolis.case.id": text(line.get("case")),
        }
    )  # fmt: skip


def _outcome(action: str | None) -> str | None:
    """ECS knows success, failure and unknown; most lines are neither."""
    return {"contained": "success", "released": "success", "not contained": "failure", "release failed": "failure"}.get(
        action or ""
    )


def _took(entry: Entry, look: Look) -> float | None:
    """From the alert's coming in to the verified containment: by the line itself or, for those of older versions, by
    the records; None where one of those is forgotten by now."""
    told = number(entry.body.get("since_alert"))
    if told is not None:
        return told
    decided = look(ruling.KIND, str(entry.body.get("lease") or ""))
    alert = look(arrival.KIND, str(decided.body["alert"])) if decided and decided.body["alert"] else None
    return between(alert.body["at"], entry.at) if alert else None
