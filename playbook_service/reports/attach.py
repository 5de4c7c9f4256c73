"""Hangs a report on its case in TheHive, each time under a new name.

TheHive 5 has files on a case: `POST /api/v1/case/{id}/attachments`, a form with a part `attachments` and `canRename`
(thehive4py 2, `CaseEndpoint.add_attachment`). TheHive 4 has none: there the file hangs on a log line of a task that is
made for it. An observable of type file would reach TheHive 4 too, but analyzers would be sent our own report.
"""

from __future__ import annotations

import secrets

from playbook_service.hive.contract import Hive
from playbook_service.hive.link import Link
from playbook_service.hive.model import Task, TaskDraft
from playbook_service.hive.multipart import Part, encode, file_name
from playbook_service.settings import Settings
from propolis.clock import Clock, utc_text
from propolis.errors import ConfigurationError, InputError
from propolis.http import segment, session

TASK = "Propolis incident reports"
GROUP = "Post-incident activity"


def report_name(name: str, now: float, kind: str) -> str:
    """`propolis-case-128-20260101T120000Z.html`: another second, another name."""
    stamp = utc_text(now).replace("-", "").replace(":", "")
    return f"propolis-{file_name(name).lower().replace(' ', '-')}-{stamp}.{kind}"


def link_of(settings: Settings, major: int, clock: Clock) -> Link:
    """A line to TheHive with the service's key. Raises ConfigurationError where it is not configured."""
    if not settings["thehive_url"] or not settings["thehive_key"]:
        raise ConfigurationError("--attach needs the service's TheHive settings: set thehive_url and thehive_key.")
    organisations, key = settings["thehive_organisations"], settings["thehive_key"].strip()
    headers = {"Authorization": f"Bearer {key}"}
    if organisations:
        headers["X-Organisation"] = organisations[0]
    client = session(
        settings["thehive_url"], headers=headers, ca_file=settings["thehive_ca_file"] or None, clock=clock,
        secrets=(key,), name="thehive_url",
    )  # fmt: skip
    return Link(client, major, organisations[0] if organisations else "")


def attach(hive: Hive, link: Link, case_id: str, name: str, content: bytes) -> str:
    """Hang the file on the case; says where it hangs. Raises InputError for a case that is not there, HttpError.

    It is sent once: where TheHive's answer is lost, a second try may leave two files, which harms nobody."""
    if hive.case(case_id) is None:
        raise InputError(f"There is no case {case_id} in TheHive, or the service's account may not see it.")
    if hive.major >= 5:
        content_type, body = _form(name, content)
        path = f"/api/v1/case/{segment(case_id)}/attachments"
        link.call("case.attach", "POST", path, data=body, headers={"Content-Type": content_type}, retry=False)
        return f"attached to the case as {name}"
    body, content_type = encode({"message": f"Incident report: {name}"}, [Part("attachment", name, content)])
    path = f"/api/case/task/{segment(_task(hive, case_id).id)}/log"
    link.call("task.log", "POST", path, data=body, headers={"Content-Type": content_type}, retry=False)
    return f"attached as {name} to a log line of the task {TASK!r}"


def _task(hive: Hive, case_id: str) -> Task:
    """The task that carries the reports of a case. It asks for nothing, so it is no open work."""
    there = hive.find_task(case_id, TASK)
    return there or hive.create_task(case_id, TaskDraft(TASK, GROUP, f"{TASK}: files on its log lines.", "Completed"))


def _form(name: str, content: bytes) -> tuple[str, bytes]:
    """A form of fields as browsers send it: this call has no part `_json`."""
    boundary = secrets.token_hex(24)
    kind = "text/html" if name.endswith(".html") else "application/octet-stream"
    head = 'Content-Disposition: form-data; name="'
    parts = (
        f'--{boundary}\r\n{head}canRename"\r\n\r\ntrue\r\n',
        f'--{boundary}\r\n{head}attachments"; filename="{file_name(name)}"\r\nContent-Type: {kind}\r\n\r\n',
    )
    body = "".join(parts).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
