"""TheHive 5, by version 1 of its API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playbook_service import jsonread
from playbook_service.hive import limits, query, writing
from playbook_service.hive.common import Common
from playbook_service.hive.model import AlertDraft, Case, TaskDraft
from propolis.http import Response, segment

_READ = ("Ignored", "FalsePositive", "Duplicate")
"""Statuses of an alert that mean `seen, nothing to do`, the best first; an administrator may have removed some."""


class HiveV5(Common):
    """One organisation of a TheHive 5."""

    major = 5
    _cases, _tasks = "/api/v1/case", "/api/v1/task"

    def _post_alert(self, draft: AlertDraft) -> Response:
        body, parts = writing.alert_5(draft)
        if parts:
            return self._post_files("alert.create", "/api/v1/alert", body, parts)
        return self._link.call("alert.create", "POST", "/api/v1/alert", json=body)

    def _post_promotion(self, alert_id: str, template: str, tasks: Sequence[TaskDraft]) -> Response:
        body: dict[str, Any] = {}
        if template:
            body["caseTemplate"] = template
        elif tasks:  # beside a template they would replace the template's own: then they are added afterwards
            body["tasks"] = [writing.task(draft, 5) | {"order": order} for order, draft in enumerate(tasks)]
        return self._link.call("alert.promote", "POST", f"/api/v1/alert/{segment(alert_id)}/case", json=body)

    def _post_merge(self, alert_id: str, case_id: str) -> Response:
        path = f"/api/v1/alert/{segment(alert_id)}/merge/{segment(case_id)}"
        return self._link.call("alert.merge", "POST", path)

    def update_alert(self, alert_id: str, *, add_tags: Sequence[str] = (), read: bool | None = None) -> None:
        if add_tags:
            self._patch("alert.update", f"alert/{segment(alert_id)}", {"addTags": list(add_tags)})
        if read is None:
            return
        found = self.alert(alert_id)
        if found is not None and found.read != read:
            call = "alert.read" if read else "alert.unread"
            self._patch(call, f"alert/{segment(alert_id)}", {"status": self._read_status() if read else "New"})

    def _read_status(self) -> str:
        answers = self.ask([query.listing("AlertStatus"), query.page(0, query.PAGE)])
        closed = [jsonread.text(one, "value") for one in answers if jsonread.text(one, "stage") == "Closed"]
        return next((one for one in _READ if one in closed), closed[0] if closed else _READ[0])

    def update_case(
        self,
        case_id: str,
        *,
        add_tags: Sequence[str] = (),
        severity: int | None = None,
        flag: bool | None = None,
        assignee: str | None = None,
        custom_fields: Mapping[str, Any] | None = None,
    ) -> None:
        changes = {"severity": severity, "flag": flag, "assignee": assignee, "addTags": list(add_tags) or None}
        body = {name: value for name, value in changes.items() if value is not None}
        if body:
            self._patch("case.update", f"case/{segment(case_id)}", body)
        if custom_fields:
            wanted = dict(custom_fields)
            self.settled(
                lambda: self._set_fields(case_id, wanted),
                lambda: _holds(self._standing_case(case_id), wanted),
                "the custom fields of a case",
            )

    def _set_fields(self, case_id: str, wanted: Mapping[str, Any]) -> None:
        """The list form replaces all fields; the object form adds, so it serves, without a race, where none is set."""
        found = self._standing_case(case_id)
        if not set(wanted) & set(found.custom_fields) and not any(isinstance(one, list) for one in wanted.values()):
            fields: Any = dict(wanted)
        else:
            fields = writing.custom_fields_5(found.raw.get("customFields", ()), wanted)
        self._link.call(
            "case.update", "PATCH", f"/api/v1/case/{segment(case_id)}", json={"customFields": fields}, retry=False
        )

    def comment(self, case_id: str, text: str) -> None:
        body = {"message": limits.description(text)}
        self._link.call("case.comment", "POST", f"/api/v1/case/{segment(case_id)}/comment", json=body)

    def update_observable(self, observable_id: str, *, add_tags: Sequence[str] = (), ioc: bool | None = None) -> None:
        changes = {"addTags": list(add_tags) or None, "ioc": ioc}
        body = {name: value for name, value in changes.items() if value is not None}
        if body:
            self._patch("observable.update", f"observable/{segment(observable_id)}", body)

    def _patch(self, call: str, path: str, body: Mapping[str, Any]) -> None:
        """Set what is set to the same by every repetition."""
        self._link.call(call, "PATCH", f"/api/v1/{path}", json=body, retry=True)


def _holds(found: Case, wanted: Mapping[str, Any]) -> bool:
    """Whether the fields have these values; a number that TheHive keeps as text is the same value."""
    return all(str(found.custom_fields.get(name)) == str(_plain(value)) for name, value in wanted.items())


def _plain(value: Any) -> Any:
    """A field with one value in a list reads as that value."""
    if isinstance(value, list | tuple):
        return value[0] if len(value) == 1 else list(value)
    return value
