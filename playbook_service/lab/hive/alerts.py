"""Alerts: raised, changed, made into cases, merged into cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from playbook_service.lab.exchange import ApiError, bad_request, forbidden
from playbook_service.lab.hive import cases, customfields, notes, observables
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import BODY, PAP, SEVERITY, TAGS, TEXT, Field, Table, read, rows, tlp, with_tags
from playbook_service.lab.hive.service import Hive
from playbook_service.lab.multipart import Part

MOST_MERGED = 50


def _table(version: int) -> Table:
    table = {
        "type": Field("text", required=True, most=32), "source": Field("text", required=True, most=32),
        "sourceRef": Field("text", required=True, most=128), "externalLink": TEXT,
        "title": Field("text", required=True, most=512), "description": BODY, "severity": SEVERITY,
        "date": Field("date", default="now"), "tags": TAGS, "tlp": tlp(version), "pap": PAP,
        "follow": Field("flag", default=True), "caseTemplate": TEXT,
    }  # fmt: skip
    if version == 4:
        return table
    return {**table, "status": Field("text", default="New"), "assignee": TEXT, "summary": TEXT}


def create(hive: Hive, who: Account, document: Mapping[str, Any], files: Mapping[str, Part], dialect: int) -> Entity:
    """A new alert with its observables and procedures. Raises ApiError where (type, source, sourceRef) is taken."""
    fields = read(_table(hive.version), document, hive.now())
    key = (who.organisation, fields["type"], fields["source"], fields["sourceRef"])
    if hive.store.by_key("Alert", key) is not None:
        name = ":".join(key[1:])
        raise ApiError(400, "CreateError", f"Alert {name} already exist in organisation {who.organisation}")
    fields |= _opening(hive, fields.get("status"))
    named = "customFieldValue" if hive.version == 4 and dialect == 1 else "customFields"
    fields["customFields"] = customfields.numbered(customfields.given(hive, document.get(named)))
    alert = hive.make("Alert", fields, who, key=key)
    hive.created(alert, who)
    _fill(hive, who, alert, document, files, dialect)
    return hive.store.find(alert.id) or alert


def _opening(hive: Hive, status: str | None) -> dict[str, Any]:
    if hive.version == 4:
        return {"read": False}
    return {"stage": stage(hive, status or "New"), "newDate": hive.now()}


def _fill(
    hive: Hive, who: Account, alert: Entity, document: Mapping[str, Any], files: Mapping[str, Part], dialect: int
) -> None:
    if hive.version == 5 or dialect == 0:  # the v1 call of version 4 takes no observables
        given = document.get("observables") if document.get("artifacts") is None else document["artifacts"]
        observables.inline(hive, who, alert, given, files, quiet=hive.version == 4)
    for procedure in rows(document, "procedures"):
        notes.add_procedure(hive, who, alert, procedure)


def stage(hive: Hive, status: str) -> str:
    """The stage of a status. Raises ApiError where there is no such status."""
    found = hive.store.by_key("AlertStatus", (status,))
    if found is None:
        raise bad_request(f"Invalid alert status: {status}")
    return str(found["stage"])


def update(hive: Hive, who: Account, alert: Entity, document: Mapping[str, Any]) -> None:
    """Change an alert."""
    fields = read(_table(hive.version), document, hive.now(), partial=True)
    fields.pop("tags", None)
    words = document if hive.version == 5 else {"tags": document["tags"]} if "tags" in document else {}
    tags = with_tags(alert.get("tags", []), words)
    fields |= {} if tags is None else {"tags": tags}
    details = {name: value for name, value in fields.items() if alert.get(name) != value}
    hidden = _status(hive, who, alert, details)
    values = customfields.updated(hive, alert.get("customFields", []), document)
    if values is not None:
        hidden["customFields"] = values[0]
    if not details and not hidden:
        return
    if {"type", "source", "sourceRef"} & details.keys():
        alert = _renamed(hive, alert, details)
    changed = hive.change(alert, {**details, **hidden}, who)
    if values is not None:
        details |= customfields.change_details(hive, alert, changed, values[1])
    hive.audit("update", changed, who, details)


def _renamed(hive: Hive, alert: Entity, details: Mapping[str, Any]) -> Entity:
    key = (alert.organisation, *(details.get(name, alert[name]) for name in ("type", "source", "sourceRef")))
    if hive.store.by_key("Alert", key) is not None:
        raise ApiError(
            400, "CreateError", f"Alert {':'.join(key[1:])} already exist in organisation {alert.organisation}"
        )
    return hive.store.put(replace(alert, key=key))


def _status(hive: Hive, who: Account, alert: Entity, details: dict[str, Any]) -> dict[str, Any]:
    status = details.get("status")
    if hive.version == 4 or status is None:
        return {}
    new = stage(hive, status)
    if alert.get("stage") == "Closed" and new != "Closed" and not who.may("manageAlert/reopen"):
        raise forbidden()
    now = hive.now()
    details["stage"] = new
    details.setdefault("summary", alert.get("summary", ""))
    kept: dict[str, Any] = {}
    if new in ("InProgress", "Closed"):
        kept["inProgressDate"] = alert.get("inProgressDate", now)
    if new == "Closed":
        kept["closedDate"] = now
    return kept


def mark(hive: Hive, who: Account, alert: Entity, changes: dict[str, Any], *, quiet: bool = False) -> None:
    """Set `follow`, or `read` (version 4)."""
    changed = hive.change(alert, changes, who)
    hive.audit("update", changed, who, changes, quiet=quiet)


def _imported(hive: Hive, who: Account, alert: Entity, case: Entity) -> None:
    now = hive.now()
    changes: dict[str, Any] = {"caseId": case.id}
    if hive.version == 5:
        started = alert.get("inProgressDate", now)
        changes |= {"status": "Imported", "stage": "Imported", "importedDate": now, "inProgressDate": started}
    else:
        changes["read"] = True
    hive.change(alert, changes, who)


def reference(alert: Entity, version: int) -> dict[str, Any]:
    """How a case names the alert it comes from."""
    names = ("type", "source", "sourceRef") + (("title",) if version == 5 else ())
    return {"_id": alert.id, **{name: alert[name] for name in names}}


def promote(hive: Hive, who: Account, alert: Entity, document: Mapping[str, Any]) -> Entity:
    """A case from an alert; the case there is, where it was made before."""
    present = hive.store.find(alert.get("caseId"))
    if present is not None:
        return present
    own = ("title", "description", "severity", "tags", "tlp", "pap", "assignee", "caseTemplate")
    whole = {name: alert[name] for name in own if alert.get(name) is not None} | {"startDate": alert["date"]}
    values = {("customFieldValues" if hive.version == 4 else "customFields"): alert.get("customFields", [])}
    whole |= values | {name: value for name, value in document.items() if value is not None}
    title = f"[Import in progress: 0%] {whole['title']}" if hive.version == 5 else None
    case = cases.create(hive, who, whole, dates=_dates(hive, alert), from_alert=reference(alert, hive.version))
    _imported(hive, who, alert, case)
    hive.audit("update", alert, who, {"caseId": case.id}, main=False, root=case.id, context=case.id, title=title)
    observables.copy_all(hive, who, alert, case, quiet=hive.version == 4)
    notes.copy_procedures(hive, who, alert, case)
    return hive.store.find(case.id) or case


def _dates(hive: Hive, alert: Entity) -> dict[str, Any]:
    if hive.version == 4:
        return {}
    now = hive.now()
    started = alert.get("inProgressDate", now)
    dates = {"alertDate": alert["date"], "alertNewDate": alert["newDate"], "alertImportedDate": now}
    return dates | {"alertInProgressDate": started}


def merge(hive: Hive, who: Account, alert: Entity, case: Entity) -> Entity:
    """Bring an alert into a case that is there: description, tags, custom fields, observables, procedures."""
    if alert.get("caseId"):
        raise bad_request("Alert is already imported")
    text = f"\n  \n#### Merged with alert #{alert['sourceRef']} {alert['title']}\n\n{alert['description']}"
    tags = list(dict.fromkeys([*case.get("tags", []), *alert.get("tags", [])]))
    values = customfields.united(case.get("customFields", []), alert.get("customFields", []))
    added = [one for one in values if one["name"] not in {held["name"] for held in case.get("customFields", [])}]
    changes = {"description": case["description"] + text, "tags": tags, "customFields": values}
    changed = hive.change(case, changes, who)
    _imported(hive, who, alert, case)
    hive.audit("update", alert, who, {"caseId": case.id}, main=False, root=case.id, context=case.id)
    if hive.version == 4:
        details = {"customFields": {one["name"]: one["value"] for one in added}, "description": changed["description"]}
        hive.audit("merge", changed, who, {**details, "tags": tags, "fromAlert": reference(alert, 4)})
    bring(hive, who, alert, case)
    return hive.store.find(case.id) or changed


def bring(hive: Hive, who: Account, alert: Entity, case: Entity) -> None:
    """Copy an alert's observables and procedures into a case; in version 4 nobody is told."""
    observables.copy_all(hive, who, alert, case, quiet=hive.version == 4)
    notes.copy_procedures(hive, who, alert, case)


def bring_in(hive: Hive, who: Account, alert: Entity, case: Entity) -> None:
    """Import only the observables and procedures of an alert into a case; the case itself is left as it is."""
    _imported(hive, who, alert, case)
    hive.audit("update", alert, who, {"caseId": case.id}, main=False, root=case.id, context=case.id)
    bring(hive, who, alert, case)


def delete(hive: Hive, who: Account, alert: Entity) -> None:
    """Delete an alert with all that is in it."""
    organisation = hive.store.by_key("Organisation", (alert.organisation,))
    root = alert.id if organisation is None else organisation.id
    hive.audit("delete", alert, who, {}, root=root, context=root)
    hive.store.remove(alert.id)
