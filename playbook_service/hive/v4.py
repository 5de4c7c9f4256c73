"""TheHive 4.1: version 0 of its API where only that can do it, version 1 for what is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from playbook_service import jsonread
from playbook_service.hive import writing
from playbook_service.hive.common import Common
from playbook_service.hive.model import AlertDraft, TaskDraft
from propolis.errors import InputError
from propolis.http import Response, segment


class HiveV4(Common):
    """One organisation of a TheHive 4."""

    major = 4
    _cases, _tasks = "/api/case", "/api/case/task"

    def _post_alert(self, draft: AlertDraft) -> Response:
        """Version 1 of the API ignores inline observables. Techniques have no place on an alert."""
        return self._link.call("alert.create", "POST", "/api/alert", json=writing.alert_4(draft))

    def _post_promotion(self, alert_id: str, template: str, tasks: Sequence[TaskDraft]) -> Response:
        body = {"caseTemplate": template} if template else {}
        return self._link.call("alert.promote", "POST", f"/api/alert/{segment(alert_id)}/createCase", json=body)

    def _post_merge(self, alert_id: str, case_id: str) -> Response:
        return self._link.call("alert.merge", "POST", f"/api/alert/{segment(alert_id)}/merge/{segment(case_id)}")

    def update_alert(self, alert_id: str, *, add_tags: Sequence[str] = (), read: bool | None = None) -> None:
        path = f"/api/alert/{segment(alert_id)}"
        if add_tags:
            self._add_tags("alert", alert_id, path, add_tags)
        if read is not None:
            call, verb = ("alert.read", "markAsRead") if read else ("alert.unread", "markAsUnread")
            self._link.call(call, "POST", f"{path}/{verb}", retry=True)

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
        path = f"/api/case/{segment(case_id)}"
        changes = {"severity": severity, "flag": flag, "owner": assignee}
        body = {name: value for name, value in changes.items() if value is not None}
        body |= {f"customFields.{name}": value for name, value in (custom_fields or {}).items()}
        if body:
            self._link.call("case.update", "PATCH", path, json=body, retry=True)
        if add_tags:
            self._add_tags("case", case_id, path, add_tags)

    def comment(self, case_id: str, text: str) -> None:
        """Version 4 has no comments."""

    def update_observable(self, observable_id: str, *, add_tags: Sequence[str] = (), ioc: bool | None = None) -> None:
        path = f"/api/v1/observable/{segment(observable_id)}"
        if ioc is not None:
            self._link.call("observable.update", "PATCH", path, json={"ioc": ioc}, retry=True)
        if add_tags:
            self._add_tags("observable", observable_id, path, add_tags)

    def _add_tags(self, kind: str, entity_id: str, path: str, tags: Sequence[str]) -> None:
        """Version 4 only replaces the whole list: it is read right before it is written, and again after."""

        def present() -> tuple[str, ...]:
            found = self.find(kind, f"/api/v1/{kind}/{segment(entity_id)}")
            if found is None:
                raise InputError(f"There is no {kind} {entity_id} in TheHive, or this account may not see it.")
            return jsonread.texts(found.get("tags"))

        def write() -> None:
            have = present()
            whole = list(dict.fromkeys((*have, *_missing(tags, have))))
            self._link.call(f"{kind}.update", "PATCH", path, json={"tags": whole}, retry=False)  # it would grow old

        self.settled(write, lambda: not _missing(tags, present()), f"the tags of the {kind}")


def _missing(wanted: Sequence[str], present: Sequence[str]) -> list[str]:
    """Those that are not there yet. Version 4 writes `a:b="c"` for `a:b=c`."""
    have = {tag.replace('"', "") for tag in present}
    return [tag for tag in wanted if tag.replace('"', "") not in have]
