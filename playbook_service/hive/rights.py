"""Every call to TheHive and the permission it takes: one table for error texts, `docs/permissions.md` and its test.

Sources: the permissions of TheHive 5.7's OpenAPI description, and the controllers of TheHive 4.1.24.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Right(NamedTuple):
    """What a call does, the call in each version (empty: not made there) and the permission (empty: membership)."""

    does: str
    v5: str
    v5_permission: str
    v4: str
    v4_permission: str


RIGHTS: Mapping[str, Right] = {
    "status": Right("read the version", "GET /api/v1/status/public", "", "GET /api/status", ""),
    "me": Right("read its own account", "GET /api/v1/user/current", "", "GET /api/v1/user/current", ""),
    "user": Right("read a colleague's profile", "GET /api/v1/user/{id}", "", "GET /api/v1/user/{id}", ""),
    "query": Right("search", "POST /api/v1/query", "", "POST /api/v1/query", ""),
    "alert": Right("read an alert", "GET /api/v1/alert/{id}", "", "GET /api/v1/alert/{id}", ""),
    "alert.create": Right(
        "create an alert", "POST /api/v1/alert", "manageAlert/create", "POST /api/alert", "manageAlert"
    ),
    "alert.update": Right(
        "change an alert", "PATCH /api/v1/alert/{id}", "manageAlert/update", "PATCH /api/alert/{id}", "manageAlert"
    ),
    "alert.read": Right(
        "mark an alert as read", "PATCH /api/v1/alert/{id}", "manageAlert/update",
        "POST /api/alert/{id}/markAsRead", "manageAlert",
    ),
    "alert.unread": Right(
        "mark an alert as unread", "PATCH /api/v1/alert/{id}", "manageAlert/reopen",
        "POST /api/alert/{id}/markAsUnread", "manageAlert",
    ),
    "alert.procedure": Right(
        "note a technique on an alert", "POST /api/v1/alert/{id}/procedure", "manageProcedure", "", ""
    ),
    "alert.promote": Right(
        "make a case from an alert", "POST /api/v1/alert/{id}/case", "manageAlert/import",
        "POST /api/alert/{id}/createCase", "manageAlert",
    ),
    "alert.merge": Right(
        "import an alert into a case", "POST /api/v1/alert/{id}/merge/{caseId}", "manageAlert/import",
        "POST /api/alert/{id}/merge/{caseId}", "manageAlert",
    ),
    "case": Right("read a case", "GET /api/v1/case/{id}", "", "GET /api/v1/case/{id}", ""),
    "case.update": Right(
        "change a case", "PATCH /api/v1/case/{id}", "manageCase/update", "PATCH /api/case/{id}", "manageCase"
    ),
    "case.attach": Right(
        "attach a file to a case", "POST /api/v1/case/{id}/attachments", "manageCase/update", "", ""
    ),
    "case.comment": Right("comment on a case", "POST /api/v1/case/{id}/comment", "manageComment", "", ""),
    "case.procedure": Right(
        "note a technique on a case", "POST /api/v1/case/{id}/procedure", "manageProcedure",
        "POST /api/v1/procedure", "manageProcedure",
    ),
    "observable": Right("read an observable", "GET /api/v1/observable/{id}", "", "GET /api/v1/observable/{id}", ""),
    "observable.create": Right(
        "create an observable", "POST /api/v1/case/{id}/observable", "manageObservable",
        "POST /api/v1/case/{id}/observable", "manageObservable",
    ),
    "observable.update": Right(
        "change an observable", "PATCH /api/v1/observable/{id}", "manageObservable",
        "PATCH /api/v1/observable/{id}", "manageObservable",
    ),
    "task.create": Right(
        "create a task", "POST /api/v1/case/{id}/task", "manageTask", "POST /api/case/{id}/task", "manageTask"
    ),
    "task.update": Right(
        "change a task", "PATCH /api/v1/task/{id}", "manageTask", "PATCH /api/case/task/{id}", "manageTask"
    ),
    "task.log": Right(
        "log on a task", "POST /api/v1/task/{id}/log", "manageTask", "POST /api/case/task/{id}/log", "manageTask"
    ),
    "flow": Right("read the audit trail", "GET /api/v1/flow", "", "GET /api/flow", ""),
    "audits": Right("read the audit trail", "POST /api/v1/query", "", "POST /api/v0/query", ""),
    "analyzers": Right(
        "list analyzers", "GET /api/connector/cortex/analyzer/type/{dataType}", "",
        "GET /api/connector/cortex/analyzer/type/{dataType}", "",
    ),
    "job": Right(
        "read an analyzer's report", "GET /api/connector/cortex/job/{id}", "", "GET /api/connector/cortex/job/{id}", ""
    ),
    "job.create": Right(
        "start an analyzer", "POST /api/connector/cortex/job", "manageAnalyse",
        "POST /api/connector/cortex/job", "manageAnalyse",
    ),
    "responders": Right(
        "list responders", "GET /api/connector/cortex/responder/{type}/{id}", "",
        "GET /api/connector/cortex/responder/{type}/{id}", "",
    ),
    "actions": Right(
        "read the responders' reports", "GET /api/connector/cortex/action/{type}/{id}", "",
        "GET /api/connector/cortex/action/{type}/{id}", "manageAction",
    ),
    "action.create": Right(
        "start a responder", "POST /api/connector/cortex/action", "manageAction",
        "POST /api/connector/cortex/action", "manageAction",
    ),
}  # fmt: skip


def permission(call: str, major: int) -> str:
    """The permission that a call of the table takes in that version; empty where membership is enough."""
    right = RIGHTS[call]
    return right.v5_permission if major == 5 else right.v4_permission


def least_profile(major: int) -> tuple[str, ...]:
    """What the profile of the service's account must hold, sorted. The service marks nothing as unread by itself."""
    return tuple(sorted({permission(call, major) for call in RIGHTS if call != "alert.unread"} - {""}))


def table(major: int) -> str:
    """The table of one version's calls for `docs/permissions.md`, whose test compares the two."""
    lines = ["| to | the service calls | permission |", "|---|---|---|"]
    for name, right in RIGHTS.items():
        call = right.v5 if major == 5 else right.v4
        if call:
            needed = permission(name, major)
            lines.append(f"| {right.does} | `{call}` | {f'`{needed}`' if needed else 'membership'} |")
    return "\n".join(lines)
