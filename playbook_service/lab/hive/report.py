"""What becomes of a worker's report in TheHive: taxonomies, artifacts, operations, in the order TheHive has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from playbook_service.lab.exchange import ApiError
from playbook_service.lab.hive import observables, operation
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.service import Hive
from playbook_service.lab.hive.work import action_report

LEVELS = ("info", "safe", "suspicious", "malicious")
AUTO_IMPORT = "autoImport:true"
Report = Mapping[str, Any]


def finish_job(hive: Hive, who: Account, job: Entity, report: Report, ended: int) -> None:
    """End an analyzer job. Raises UnknownOperationError (version 4): then the job never ends."""
    observable = hive.store.find(job.parent)
    if observable is None:
        return
    with hive.transaction():
        done = operation.apply(hive, who, observable, _operations(report))
        _end_job(hive, who, job, report, ended, done)
        if hive.version == 5:
            _harvest(hive, who, job, report)
    if hive.version == 4:  # there the message is out before artifacts and taxonomies are written
        with hive.transaction():
            _harvest(hive, who, job, report)


def _operations(report: Report) -> list[Any]:
    return list(report.get("operations") or []) if report.get("success") else []


def _end_job(hive: Hive, who: Account, job: Entity, report: Report, ended: int, done: list[dict[str, Any]]) -> None:
    status = "Success" if report.get("success") else "Failure"
    fields = {"status": status, "endDate": ended, "report": dict(report), "operations": json.dumps(done)}
    changed = hive.change(job, fields, who)
    details: dict[str, Any] = {"status": status, "endDate": ended}
    if hive.version == 4:
        details |= {"objectType": "Observable", "objectId": job.parent}
    hive.audit("update", changed, who, details)


def _harvest(hive: Hive, who: Account, job: Entity, report: Report) -> None:
    if not report.get("success"):
        return
    for artifact in report.get("artifacts") or []:
        _keep_artifact(hive, who, job, artifact)
    _keep_taxonomies(hive, who, job, report)


def _keep_artifact(hive: Hive, who: Account, job: Entity, artifact: Report) -> None:
    kind, data = artifact.get("dataType"), artifact.get("data")
    if not isinstance(data, str) or hive.store.by_key("ObservableType", (str(kind),)) is None:
        return
    source = hive.store.find(job.parent)
    tags = [str(tag) for tag in artifact.get("tags") or []]
    fields = {
        "dataType": kind, "data": data, "message": artifact.get("message"), "tags": tags, "reports": {},
        "startDate": hive.now(), "tlp": artifact.get("tlp", 2 if source is None else source["tlp"]),
        "pap": 2 if source is None else source["pap"], "ioc": False, "sighted": False, "ignoreSimilarity": False,
    }  # fmt: skip
    hive.make("Artifact", fields, who, parent=job, organisation=job.organisation)
    above = None if source is None else hive.store.find(source.parent)
    if hive.version == 5 and AUTO_IMPORT in tags and above is not None:
        _import(hive, who, above, fields)


def _import(hive: Hive, who: Account, above: Entity, fields: dict[str, Any]) -> None:
    whole = {name: value for name, value in fields.items() if name not in ("data", "reports")}
    try:
        observables.add_one(hive, who, above, whole, data=fields["data"], telling=observables.BESIDE)
    except ApiError:  # it is there already, or too long: then it stays with the job only
        return


def _keep_taxonomies(hive: Hive, who: Account, job: Entity, report: Report) -> None:
    summary = report.get("summary")
    given = summary.get("taxonomies") if isinstance(summary, Mapping) else None
    taxonomies = _taxonomies(given if isinstance(given, list) else [])
    observable = hive.store.find(job.parent)
    if not taxonomies or observable is None:
        return
    reports = {**observable.get("reports", {}), job["analyzerName"]: {"taxonomies": taxonomies}}
    changed = hive.change(observable, {"reports": reports}, who)
    told = [{**one, "text": f'{one["namespace"]}:{one["predicate"]}="{one["value"]}"'} for one in taxonomies]
    details = {"reports": {job["analyzerName"]: {"taxonomies": told}}}
    hive.audit("update", changed, who, details, main=False, quiet=hive.version == 4)


def _taxonomies(given: list[Any]) -> list[dict[str, Any]]:
    """The taxonomies, or none at all where one is malformed or has a level that does not exist."""
    names = ("level", "namespace", "predicate", "value")
    for one in given:
        if not isinstance(one, Mapping) or any(one.get(name) is None for name in names) or one["level"] not in LEVELS:
            return []
    return [{name: one[name] for name in names} for one in given]


def finish_action(hive: Hive, who: Account, action: Entity, report: Report, ended: int) -> None:
    """End a responder action. Raises UnknownOperationError (version 4): then the action never ends."""
    target = hive.store.find(action.parent)
    if target is None:
        return
    with hive.transaction():
        done = operation.apply(hive, who, target, _operations(report))
        status = "Success" if report.get("success") else "Failure"
        fields = {"status": status, "endDate": ended, "operations": json.dumps(done)}
        changed = hive.change(action, {**fields, "report": action_report(dict(report))}, who)
        details = {"status": status, "objectId": target.id, "objectType": target.kind}
        hive.audit("update", changed, who, {**details, "responderName": action["responderName"]})
