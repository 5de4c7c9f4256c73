"""Cases: opened, from a template or not, changed, closed, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from playbook_service.lab.exchange import attribute_error, bad_request, forbidden
from playbook_service.lab.hive import customfields, observables, tasks, templates
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.form import (
    BODY,
    DATE,
    PAP,
    SEVERITY,
    TAGS,
    TEXT,
    Field,
    Table,
    read,
    rows,
    tlp,
    with_tags,
)
from playbook_service.lab.hive.kind import IMPACTS, RESOLUTIONS
from playbook_service.lab.hive.service import Hive

V4_STATUSES = ("Open", "Resolved", "Duplicated", "Deleted")
Extra = Mapping[str, Any]


def _table(version: int) -> Table:
    table = {
        "title": Field("text", required=True, most=512), "description": BODY, "severity": SEVERITY,
        "startDate": Field("date", default="now"), "endDate": DATE, "tags": TAGS, "flag": Field("flag", default=False),
        "tlp": tlp(version), "pap": PAP, "status": TEXT, "summary": TEXT, "assignee": TEXT,
        "impactStatus": Field("text", choice=IMPACTS),
    }  # fmt: skip
    return table if version == 5 else {**table, "resolutionStatus": Field("text", choice=RESOLUTIONS)}


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    return (
        {**document, "assignee": document.get("assignee", document["owner"])} if "owner" in document else {**document}
    )


def _inherited(template: Entity | None, document: Mapping[str, Any]) -> dict[str, Any]:
    """The body with what the template gives where the body is silent."""
    if template is None:
        return dict(document)
    names = ("description", "severity", "tlp", "pap", "flag", "summary")
    given = {name: template[name] for name in names if template.get(name) is not None}
    filled = {**given, **{name: value for name, value in document.items() if value is not None}}
    if template.get("titlePrefix") and filled.get("title"):
        filled["title"] = f"{template['titlePrefix']} {filled['title']}"
    return filled


def create(
    hive: Hive,
    who: Account,
    document: Mapping[str, Any],
    *,
    template: Entity | None = None,
    dates: Extra | None = None,
    from_alert: Extra | None = None,
) -> Entity:
    """A new case with custom fields, tasks and pages. `dates` and `from_alert` tell of the alert it is made from."""
    template = template or templates.find(hive, who, document.get("caseTemplate"))
    filled = _inherited(template, _known(document))
    fields = read(_table(hive.version), filled, hive.now())
    fields |= _opening(hive, fields.get("status")) | dict(dates or {})
    fields["assignee"] = tasks.member(hive, fields.get("assignee") or who.login, who.organisation)
    fields["tags"] = _tags(hive, template, document, fields["tags"])
    fields["customFields"] = _fields(hive, template, document)
    fields["caseTemplate"] = None if template is None else template["name"]
    fields["number"] = hive.store.next_number(f"case:{who.organisation}")
    case = hive.make("Case", fields, who, key=(who.organisation, fields["number"]))
    _tell(hive, who, case, from_alert)
    _furnish(hive, who, case, template, document)
    return hive.store.find(case.id) or case


def _opening(hive: Hive, status: str | None) -> dict[str, Any]:
    if hive.version == 4:
        return {"status": status if status in V4_STATUSES else "Open"}
    status = status or "New"
    opening = {"status": status, "stage": case_stage(hive, status), "newDate": hive.now()}
    if opening["stage"] == "InProgress":
        opening["inProgressDate"] = hive.now()
    return opening


def _tags(hive: Hive, template: Entity | None, document: Mapping[str, Any], tags: list[str]) -> list[str]:
    if template is None or (hive.version == 5 and document.get("tags") is not None):  # 5.7.2: given tags are not merged
        return tags
    return list(dict.fromkeys([*tags, *template.get("tags", [])]))


def _fields(hive: Hive, template: Entity | None, document: Mapping[str, Any]) -> list[customfields.Value]:
    named = document.get("customFieldValues" if hive.version == 4 else "customFields")
    given = customfields.given(hive, document.get("customFields") if named is None else named)
    return customfields.united(given, template.get("customFields", []) if template is not None else [])


def _tell(hive: Hive, who: Account, case: Entity, from_alert: Extra | None) -> None:
    details = hive.view1.draw(case, bare=True)
    if hive.version == 5:
        details |= {"userPermissions": sorted(who.permissions), "timeToDetect": 0}
    if from_alert is not None:
        title = f"[Import in progress: 0%] {case['title']}" if hive.version == 5 else None
        hive.audit("create", case, who, {**details, "fromAlert": from_alert}, title=title)
        return
    hive.audit("update", case, who, {"share": {"organisation": case.organisation, "profile": "org-admin"}}, main=False)
    hive.audit("create", case, who, details)


def _furnish(hive: Hive, who: Account, case: Entity, template: Entity | None, document: Mapping[str, Any]) -> None:
    """Tasks and pages: the body's replace the template's in version 5; in version 4 a template's come first."""
    below = hive.store.children(template.id, "Task") if template is not None else []
    of_template: Sequence[Mapping[str, Any]] = [one.fields for one in below]
    given = None if document.get("tasks") is None else rows(document, "tasks")
    chosen = of_template if given is None or (hive.version == 4 and template is not None) else given
    for task in chosen:
        tasks.add(hive, who, case, task, main=False)
    pages = hive.store.children(template.id, "PageTemplate") if template is not None else []
    for page in rows(document, "pages") or [dict(one.fields) for one in pages]:
        hive.make("Page", {"order": 0, **page}, who, parent=case)


def case_stage(hive: Hive, status: str) -> str:
    """The stage of a status. Raises ApiError where there is no such status."""
    found = hive.store.by_key("CaseStatus", (status,))
    if found is None:
        raise bad_request(f"Invalid case status: {status}")
    return str(found["stage"])


def update(hive: Hive, who: Account, case: Entity, document: Mapping[str, Any]) -> None:
    """Change a case; closing it closes its open tasks."""
    known = _known(document)
    fields = read(_table(hive.version), known, hive.now(), partial=True)
    fields.pop("tags", None)
    if fields.get("assignee"):
        fields["assignee"] = tasks.member(hive, fields["assignee"], case.organisation)
    tags = with_tags(case.get("tags", []), _tag_words(hive, known))
    fields |= {} if tags is None else {"tags": tags}
    details = {name: value for name, value in fields.items() if case.get(name) != value}
    hidden = _status(hive, who, case, details)
    values = customfields.updated(hive, case.get("customFields", []), known)
    if values is not None:
        hidden["customFields"] = values[0]
    if not details and not hidden:
        return
    changed = hive.change(case, {**details, **hidden}, who)
    if values is not None:
        details |= customfields.change_details(hive, case, changed, values[1])
    hive.audit("update", changed, who, details)


def _tag_words(hive: Hive, document: Mapping[str, Any]) -> Mapping[str, Any]:
    return document if hive.version == 5 else {"tags": document["tags"]} if "tags" in document else {}


def _status(hive: Hive, who: Account, case: Entity, details: dict[str, Any]) -> dict[str, Any]:
    """What a new status brings with it: into `details` what is told, returned what is only kept."""
    if hive.version == 4:
        return _status4(hive, who, case, details)
    status = details.get("status")
    if status is None:
        return {}
    stage = case_stage(hive, status)
    now = hive.now()
    if case.get("stage") == "Closed" and stage != "Closed" and not who.may("manageCase/reopen"):
        raise forbidden()
    if stage != case.get("stage"):
        details["stage"] = stage
    if stage == "InProgress":
        return {"inProgressDate": case.get("inProgressDate", now), "endDate": None}
    if stage == "Closed" and case.get("stage") != "Closed":
        _check_closing(hive, case)
        tasks.close_open(hive, who, case)
        details["endDate"] = details.get("endDate") or now
        return {"closedDate": now}
    return {}


def _status4(hive: Hive, who: Account, case: Entity, details: dict[str, Any]) -> dict[str, Any]:
    status = details.get("status")
    if status is not None and status not in V4_STATUSES:
        raise attribute_error(f"Invalid format for status: {status} is none of {', '.join(V4_STATUSES)}")
    if status == "Resolved":
        tasks.close_open(hive, who, case)
        details["endDate"] = hive.now()
    return {"endDate": None} if status == "Open" else {}


def _check_closing(hive: Hive, case: Entity) -> None:
    open_tasks = [task for task in hive.store.children(case.id, "Task") if task["status"] in ("Waiting", "InProgress")]
    if any(task.get("mandatory") for task in open_tasks):
        raise bad_request("The case has mandatory tasks that are not completed")
    filled = {one["name"] for one in case.get("customFields", []) if one["value"] is not None}
    wanted = {
        one["name"]
        for one in case.get("customFields", [])
        if customfields.definition(hive, one["name"]).get("mandatory")
    }
    if wanted - filled:
        raise bad_request(f"The case has mandatory custom fields without a value: {', '.join(sorted(wanted - filled))}")


def delete(hive: Hive, who: Account, case: Entity) -> None:
    """Delete a case with all that is in it."""
    organisation = hive.get("Organisation", case.organisation, replace(who, organisation=case.organisation))
    details = {"number": case["number"], "title": case["title"]}
    hive.audit("delete", case, who, details, root=organisation.id, context=organisation.id)
    hive.store.remove(case.id)


def merge(hive: Hive, who: Account, cases: Sequence[Entity]) -> Entity:
    """One new case out of several, which are gone afterwards."""
    first = cases[0]
    document = {
        "title": " / ".join(case["title"] for case in cases)[:512],
        "description": "\n\n".join(case["description"] for case in cases),
        "tags": list(dict.fromkeys(tag for case in cases for tag in case.get("tags", []))),
        "flag": any(case.get("flag", False) for case in cases), "startDate": min(case["startDate"] for case in cases),
        **{name: max(case[name] for case in cases) for name in ("severity", "tlp", "pap")},
        "assignee": first.get("assignee"),
    }  # fmt: skip
    merged = create(hive, who, document)
    values: list[customfields.Value] = []
    for case in cases:
        values = customfields.united(values, case.get("customFields", []))
        _move(hive, who, case, merged)
        hive.store.remove(case.id)
    return hive.change(merged, {"customFields": values}, who)


def _move(hive: Hive, who: Account, case: Entity, merged: Entity) -> None:
    observables.copy_all(hive, who, case, merged, quiet=True)
    for kind in ("Task", "Comment", "Procedure", "Page", "CustomEvent", "Attachment"):
        for one in hive.store.children(case.id, kind):
            hive.store.put(replace(one, parent=merged.id))
    for alert in hive.store.all("Alert"):
        if alert.get("caseId") == case.id:
            hive.change(alert, {"caseId": merged.id}, who)
