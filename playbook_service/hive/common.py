"""What TheHive 4 and 5 do alike, and the one way in which each write in doubt is resolved."""

from __future__ import annotations

import base64
import hashlib
import heapq
import logging
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from playbook_service import jsonread
from playbook_service.hive import limits, query, reading, trail, writing
from playbook_service.hive.connector import Connector
from playbook_service.hive.model import (
    Alert,
    AlertDraft,
    Audit,
    Case,
    Me,
    Observable,
    ObservableDraft,
    Task,
    TaskDraft,
)
from playbook_service.hive.multipart import Part, encode
from playbook_service.jsonread import Document
from propolis.errors import ConfigurationError, InputError
from propolis.http import HttpError, Response, segment

Changed = TypeVar("Changed", Alert, Case, Task, Observable)
_MOST_CHANGES = 10_000
_LOG = logging.getLogger("propolis.hive")
_LACKING = re.compile(r"(CustomField|ObservableType) ([\w.-]{1,100}) not found", re.IGNORECASE)
_UNKNOWN = (400, 404)  # how something that TheHive's catalogues lack is refused


class Common(Connector):
    """The contract, but for the calls whose form differs between the versions."""

    _cases: str
    """Where cases are."""
    _tasks: str
    """Where tasks are."""

    def whose(self, key: str) -> Me:
        """Asked in the service's own organisation: an account of another one is refused by TheHive."""
        return self._proved(f"Bearer {key.strip()}")

    def signed_in(self, login: str, password: str) -> Me:
        """As `whose`."""
        pair = base64.b64encode(f"{login}:{password}".encode()).decode()
        return self._proved(f"Basic {pair}")

    def _proved(self, authorization: str) -> Me:
        answer = self._link.call(
            "me", "GET", "/api/v1/user/current", headers={"Authorization": authorization}, retry=False
        )
        found = self._member(answer)
        own = self._link.organisation or self.me().organisation
        if found.organisation != own:
            raise ConfigurationError(f"This account works in another organisation of TheHive than {own}.")
        return found

    def me(self) -> Me:
        return self._member(self._link.call("me", "GET", "/api/v1/user/current"))

    def profile(self, login: str) -> str:
        found = self.find("user", f"/api/v1/user/{segment(login)}")
        return "" if found is None or found.get("locked") else reading.me(found).profile

    def _member(self, answer: Response) -> Me:
        found = reading.me(reading.document(answer))
        wanted = self._link.organisation
        if wanted and found.organisation and found.organisation != wanted:
            raise ConfigurationError(
                f"The account {found.login} works in TheHive's organisation {found.organisation}, not in {wanted}: add "
                "it to that organisation, or correct thehive_organisations."
            )
        return found

    # alerts ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _post_alert(self, draft: AlertDraft) -> Response: ...

    @abstractmethod
    def _post_promotion(self, alert_id: str, template: str, tasks: Sequence[TaskDraft]) -> Response: ...

    @abstractmethod
    def _post_merge(self, alert_id: str, case_id: str) -> Response: ...

    def create_alert(self, draft: AlertDraft) -> tuple[Alert, bool]:
        limits.check_alert(draft)
        try:
            return reading.alert(reading.document(self._post_alert(draft))), True
        except HttpError as error:
            found = self.resolved(error, lambda: self._alert_of(draft))
            if found is not None:
                return found, error.ambiguous  # in doubt: ours after all; refused: one that was there
            return self._create_less(draft, error)

    def _create_less(self, draft: AlertDraft, error: HttpError) -> tuple[Alert, bool]:
        """What TheHive's catalogues lack must not lose an alert: it goes in without that, and the log says so."""
        lacking = _LACKING.search(error.excerpt) if error.status in _UNKNOWN else None
        kind, name = (lacking[1].lower(), lacking[2]) if lacking else ("", "")
        if kind == "customfield" and draft.custom_fields:
            _LOG.warning("TheHive has no custom field %s: alerts go in without custom fields until they are made", name)
            return self.create_alert(draft._replace(custom_fields={}))
        kept = tuple(one for one in draft.observables if one.data_type != name)
        if kind == "observabletype" and len(kept) < len(draft.observables):
            _LOG.warning(
                "TheHive has no observable type %s: alerts go in without such observables until it is made", name
            )
            return self.create_alert(draft._replace(observables=kept))
        if draft.techniques and error.status in _UNKNOWN:
            return self._without_techniques(draft)
        raise error

    def _without_techniques(self, draft: AlertDraft) -> tuple[Alert, bool]:
        """A technique that TheHive's catalogue lacks must not lose an alert: those that it has are added one by one."""
        found, new = self.create_alert(draft._replace(techniques=()))
        for technique in dict.fromkeys(draft.techniques):
            self._note_technique("alert", found.id, technique, draft.date)
        return found, new

    def _note_technique(self, kind: str, entity_id: str, technique: tuple[str, str], occurred: int) -> None:
        path, body = self._procedure(kind, entity_id), writing.procedure(technique, occurred)
        if self.major == 4:
            body["caseId"] = entity_id
        self._link.call(f"{kind}.procedure", "POST", path, json=body, accept=(200, 201, *_UNKNOWN))

    def _procedure(self, kind: str, entity_id: str) -> str:
        return "/api/v1/procedure" if self.major == 4 else f"/api/v1/{kind}/{segment(entity_id)}/procedure"

    def _alert_of(self, draft: AlertDraft) -> Alert | None:
        key = (draft.type, draft.source, draft.reference)
        if not any(";" in part for part in key):
            return self.alert(";".join(key))
        same = [query.equals(*pair) for pair in zip(("type", "source", "sourceRef"), key, strict=True)]
        found = self.first(query.listing("Alert"), query.where(*same))
        return None if found is None else reading.alert(found)

    def alert(self, alert_id: str) -> Alert | None:
        found = self.find("alert", f"/api/v1/alert/{segment(alert_id)}")
        return None if found is None else reading.alert(found)

    def alert_observables(self, alert_id: str) -> list[Observable]:
        steps = [query.getting("Alert", alert_id), query.step("observables")]
        return [reading.observable(one) for one in query.everything(self.ask, steps, "observables in an alert")]

    def promote(self, alert_id: str, *, template: str = "", tasks: Sequence[TaskDraft] = ()) -> Case:
        for draft in tasks:
            limits.check_task(draft)
        found = self._case_of(alert_id)
        if found is None:
            try:
                made = reading.case(reading.document(self._post_promotion(alert_id, template, tasks)))
                found = self.case(made.id) or made  # version 0 of the API answers with less than version 1 reads
            except HttpError as error:
                found = self.resolved(error, lambda: self._case_of(alert_id))
                if found is None:
                    raise
        if found.open:
            self._ensure_tasks(found.id, tasks)
        return found

    def _case_of(self, alert_id: str) -> Case | None:
        found = self.alert(alert_id)
        return self.case(found.case_id) if found is not None and found.case_id else None

    def _ensure_tasks(self, case_id: str, drafts: Sequence[TaskDraft]) -> None:
        """Make those tasks that no task of the case has the title of; a repetition after a crash makes none twice."""
        for draft in drafts:
            if self._titled(case_id, draft.title) is None:
                self._make_titled(case_id, draft)

    def _make_titled(self, case_id: str, draft: TaskDraft) -> None:
        try:
            self.create_task(case_id, draft)
        except HttpError as error:
            if not error.ambiguous or self.resolved(error, lambda: self._titled(case_id, draft.title)) is None:
                raise

    def _titled(self, case_id: str, title: str) -> Task | None:
        return next((one for one in self.tasks(case_id) if one.title == title), None)

    def merge(self, alert_id: str, case_id: str) -> Case:
        found = self._case_of(alert_id)
        if found is not None:
            return found
        target = self.case(case_id)
        if target is None or not target.open:
            state = "does not exist" if target is None else "is closed"
            raise InputError(f"The alert {alert_id} cannot be imported into the case {case_id}, which {state}.")
        try:
            reading.document(self._post_merge(alert_id, case_id))
        except HttpError as error:
            found = self.resolved(error, lambda: self._case_of(alert_id))
            if found is None:
                raise
            return found
        return self._case_of(alert_id) or target

    # cases ----------------------------------------------------------------------------------------------------------

    def case(self, case_id: str) -> Case | None:
        found = self.find("case", f"/api/v1/case/{segment(case_id)}")
        return None if found is None else reading.case(found)

    def _standing_case(self, case_id: str) -> Case:
        found = self.case(case_id)
        if found is None:
            raise InputError(f"There is no case {case_id} in TheHive, or this account may not see it.")
        return found

    def add_techniques(self, case_id: str, techniques: Sequence[tuple[str, str]], occurred: int) -> None:
        wanted = list(dict.fromkeys(techniques))
        steps = [query.getting("Case", case_id), query.step("procedures")]
        present = query.everything(self.ask, steps, "techniques in a case") if wanted else []
        have = {(jsonread.text(one, "patternId"), jsonread.text(one, "tactic")) for one in present}
        for technique in wanted:
            if technique not in have:
                self._note_technique("case", case_id, technique, occurred)

    # observables ----------------------------------------------------------------------------------------------------

    def observables(self, case_id: str) -> list[Observable]:
        steps = [query.getting("Case", case_id), query.step("observables")]
        return [reading.observable(one) for one in query.everything(self.ask, steps, "observables in a case")]

    def observable(self, observable_id: str) -> Observable | None:
        found = self.find("observable", f"/api/v1/observable/{segment(observable_id)}")
        return None if found is None else reading.observable(found)

    def home(self, observable_id: str) -> tuple[str, str]:
        for kind in ("case", "alert"):
            found = self.first(query.getting("Observable", observable_id), query.step(kind))
            if found is not None:
                return kind, reading.identity(found)
        return "", ""

    def create_observable(self, case_id: str, draft: ObservableDraft) -> Observable:
        limits.check_observable(draft)
        try:
            answer = self._post_observable(case_id, draft)
            made, refusal = _made(answer)
        except HttpError as error:
            found = self.resolved(error, lambda: self._observable_of(case_id, draft))
            if found is None:
                raise
            return found
        found = made or self._observable_of(case_id, draft)
        if found is None:
            reason = refusal or "it does not say why"
            text = f"TheHive made no {draft.data_type} observable in the case {case_id}: {reason}."
            raise HttpError(text, kind="status", status=answer.status, excerpt=refusal)
        return found

    def _post_observable(self, case_id: str, draft: ObservableDraft) -> Response:
        path, body = f"/api/v1/case/{segment(case_id)}/observable", writing.observable(draft, self.major)
        if draft.file is None:
            return self._link.call("observable.create", "POST", path, json=body)
        return self._post_files("observable.create", path, body, [Part("attachment", draft.data, draft.file)])

    def _post_files(self, call: str, path: str, body: Mapping[str, Any], parts: Sequence[Part]) -> Response:
        content, kind = encode(body, parts)
        return self._link.call(call, "POST", path, data=content, headers={"Content-Type": kind})

    def _observable_of(self, case_id: str, draft: ObservableDraft) -> Observable | None:
        head = [query.getting("Case", case_id), query.step("observables")]
        of_type = query.equals("dataType", draft.data_type)
        if draft.file is not None:
            files = query.everything(self.ask, [*head, query.where(of_type)], "files in a case")
            found = next((one for one in files if _is_file(one, draft)), None)
        else:
            found = self.first(*head, query.where(of_type, query.equals("data", draft.data)))
        return None if found is None else reading.observable(found)

    # tasks ----------------------------------------------------------------------------------------------------------

    def tasks(self, case_id: str) -> list[Task]:
        steps = [query.getting("Case", case_id), query.step("tasks")]
        return [reading.task(one, case_id) for one in query.everything(self.ask, steps, "tasks in a case")]

    def task(self, task_id: str) -> Task | None:
        found = self.first(query.getting("Task", task_id), extra=("caseId",))
        return None if found is None else reading.task(found)

    def create_task(self, case_id: str, draft: TaskDraft) -> Task:
        limits.check_task(draft)
        body = writing.task(draft, self.major)
        answer = self._link.call("task.create", "POST", f"{self._cases}/{segment(case_id)}/task", json=body)
        return reading.task(reading.document(answer), case_id)

    def update_task(
        self, task_id: str, *, status: str | None = None, description: str | None = None, flag: bool | None = None
    ) -> None:
        changes = {"status": status, "description": description, "flag": flag}
        body = {name: value for name, value in changes.items() if value is not None}
        if body:
            self._link.call("task.update", "PATCH", f"{self._tasks}/{segment(task_id)}", json=body, retry=True)

    def log(self, task_id: str, message: str) -> None:
        body = {"message": limits.description(message)}
        self._link.call("task.log", "POST", f"{self._tasks}/{segment(task_id)}/log", json=body)

    def audits(self, entity: str, entity_id: str, root_id: str) -> list[Audit]:
        return trail.of_entity(self._link, entity, entity_id, root_id)

    # reconciliation -------------------------------------------------------------------------------------------------

    def changed_alerts(self, since: int) -> Iterator[Alert]:
        return self._changed("Alert", since, reading.alert)

    def changed_cases(self, since: int) -> Iterator[Case]:
        return self._changed("Case", since, reading.case)

    def changed_tasks(self, since: int) -> Iterator[Task]:
        return self._changed("Task", since, reading.task, ("caseId",))

    def changed_observables(self, since: int) -> Iterator[Observable]:
        return self._changed("Observable", since, reading.observable)

    def _changed(
        self, kind: str, since: int, read: Callable[[Document], Changed], extra: Sequence[str] = ()
    ) -> Iterator[Changed]:
        """Two streams, those that were changed and those that never were, up to the newest moment at the beginning.

        The bound makes the streams end although work on what they give changes entities, and keeps one stream from
        running ahead of a change that the other has already passed.
        """
        until = max(query.newest(self.ask, kind, field, since) for field in ("_updatedAt", "_createdAt"))
        if not until:
            return
        changed = map(read, query.between(self.ask, kind, "_updatedAt", since, until, extra))
        made = map(read, query.between(self.ask, kind, "_createdAt", since, until, extra))
        fresh = (one for one in made if not one.updated_at)
        merged = heapq.merge(changed, fresh, key=lambda one: one.updated_at or one.created_at)
        yield from islice(merged, _MOST_CHANGES)


def _made(answer: Response) -> tuple[Observable | None, str]:
    """The observable of a list (201), or of the parts of a 207, with what was said of the part that failed."""
    found = answer.json()
    parts = found if isinstance(found, Mapping) else {"success": found}
    made = next((one for one in _objects(parts.get("success")) if reading.identity(one)), None)
    refusal = next((jsonread.text(one, "message") for one in _objects(parts.get("failure"))), "")
    return (None if made is None else reading.observable(made)), refusal


def _objects(value: Any) -> list[Document]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _is_file(found: Document, draft: ObservableDraft) -> bool:
    attachment = found.get("attachment")
    hashes = attachment.get("hashes", []) if isinstance(attachment, Mapping) else []
    return hashlib.sha256(draft.file or b"").hexdigest() in hashes
