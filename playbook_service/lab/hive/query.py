"""The query API: an initial list or entity, then steps (relations, filter, sort, page, count)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from playbook_service.lab.exchange import Reply, Request, bad_request
from playbook_service.lab.filter import matches, sort_key
from playbook_service.lab.hive import flow, relation
from playbook_service.lab.hive.account import Account
from playbook_service.lab.hive.entity import Entity
from playbook_service.lab.hive.property import getter
from playbook_service.lab.hive.service import Handler, Hive
from playbook_service.lab.hive.work import draw_work
from playbook_service.lab.route import Route

Found = list[Entity]
_LISTED = (
    "Case", "Alert", "Task", "Observable", "Log", "Comment", "Procedure", "Page", "CustomEvent", "CaseTemplate",
    "PageTemplate", "CaseStatus", "AlertStatus", "Job", "Action", "User", "Organisation", "Profile", "ObservableType",
    "CustomField", "Attachment",
)  # fmt: skip
_PUBLIC = ("CaseStatus", "AlertStatus", "Profile", "ObservableType", "CustomField")


class _Run:
    """One query on its way through its steps."""

    def __init__(self, hive: Hive, who: Account, dialect: int):
        self.hive = hive
        self.who = who
        self.dialect = dialect
        self.kind = ""
        self.found: Found = []
        self.extra: Sequence[str] = ()
        self.count: int | None = None
        self.since: int | None = None
        """What was not touched since then (epoch ms) will be filtered out."""

    def step(self, name: str, step: Mapping[str, Any]) -> None:
        if name in _STEPS:
            _STEPS[name](self, step)
            return
        related = relation.find(self.kind, name)
        if related is None:
            raise bad_request(f"Unknown query step {name} on {self.kind}")
        seen: dict[str, Entity] = {}
        for entity in self.found:
            seen.update({one.id: one for one in related.follow(self.hive, entity)})
        self.kind = related.kind
        self.found = [one for one in seen.values() if self.hive.visible(one, self.who)]

    def start(self, name: str, step: Mapping[str, Any]) -> None:
        if name.startswith("get") and name[3:] in _LISTED:
            self.kind = name[3:]
            self.found = [self.hive.get(self.kind, str(step.get("idOrName")), self.who)]
            return
        if name in ("listAudit", "listAuditFromObject", "getAudit"):
            self.kind = "Audit"
            self.found = [one for one in flow.lines(self.hive) if _wanted(one, name, step, self.who)]
            return
        kind, chosen = _initial(name)
        if kind not in _LISTED:
            raise bad_request(f"Unknown initial query {name}")
        self.kind = kind
        self.found = [one for one in self._all(kind) if self._listed(one) and chosen(one, self.who)]

    def _all(self, kind: str) -> list[Entity]:
        store = self.hive.store
        return store.all(kind) if self.since is None else store.since(kind, self.since)

    def _listed(self, entity: Entity) -> bool:
        if self.kind == "User" and self.who.organisation != "admin":
            return any(one["organisation"] == self.who.organisation for one in entity.get("organisations", []))
        if self.kind == "Organisation" and self.who.organisation != "admin":
            return bool(entity["name"] == self.who.organisation)
        if self.kind == "Task":
            return entity.organisation == self.who.organisation and self.hive.above(entity, "Case") is not None
        return self.hive.visible(entity, self.who) if self.kind not in _PUBLIC else True

    def draw(self) -> list[dict[str, Any]]:
        return [self._draw(entity) for entity in self.found]

    def _draw(self, entity: Entity) -> dict[str, Any]:
        if self.kind == "Audit":
            return flow.draw_line(self.hive, entity, self.dialect)
        if self.kind in ("Job", "Action"):
            return draw_work(self.hive, entity, report=self.kind == "Action" or self.hive.version == 4, artifact=True)
        shown = self.hive.show(entity, self.who, self.dialect)
        if self.extra and "extraData" in shown:
            shown["extraData"] = {name: relation.aside(self.hive, entity, name, self.who) for name in self.extra}
        return shown


def _wanted(line: Entity, name: str, step: Mapping[str, Any], who: Account) -> bool:
    asked = {"listAuditFromObject": ("objectId", step.get("id")), "getAudit": ("_id", step.get("idOrName"))}.get(name)
    same = asked is None or asked[1] == (line.id if asked[0] == "_id" else line[asked[0]])
    return same and line.organisation == who.organisation


def _initial(name: str) -> tuple[str, Callable[[Entity, Account], bool]]:
    if name == "myTasks":
        return "Task", lambda one, who: one.get("assignee") == who.login and one["status"] in ("Waiting", "InProgress")
    if name == "waitingTasks":
        return "Task", lambda one, who: bool(one["status"] == "Waiting")
    return name.removeprefix("list"), lambda one, who: True


def _filter(run: _Run, step: Mapping[str, Any]) -> None:
    expression = {name: value for name, value in step.items() if name != "_name"}
    now = run.hive.now()
    run.found = [one for one in run.found if matches(expression, getter(run.hive, one, run.dialect), now)]
    if not run.found and expression:  # a wrong field is refused though there is nothing to compare
        probe = Entity("", run.kind, "", None, "", 0)
        matches(expression, getter(run.hive, probe, run.dialect), now)


def _sort(run: _Run, step: Mapping[str, Any]) -> None:
    orders = step.get("_fields") or step.get("fields") or []
    if not isinstance(orders, list):
        raise bad_request("_fields must be a list")
    for order in reversed(orders):
        rows = order.items() if isinstance(order, Mapping) else [(str(order).lstrip("+-"), str(order)[:1])]
        for name, direction in rows:
            descending = direction in ("desc", "-")
            _sort_by(run, name, descending)


def _sort_by(run: _Run, name: str, descending: bool) -> None:
    run.found.sort(key=lambda one: sort_key(getter(run.hive, one, run.dialect)(name)), reverse=descending)


def _page(run: _Run, step: Mapping[str, Any]) -> None:
    start, end = step.get("from", 0), step.get("to")
    if not isinstance(start, int) or not isinstance(end, int) or end < start:
        raise bad_request("A page needs from and to")
    run.found = run.found[start:end]
    run.extra = [str(name) for name in step.get("extraData") or ()]


def _count(run: _Run, step: Mapping[str, Any]) -> None:
    run.count = len(run.found)


_STEPS: dict[str, Callable[[_Run, Mapping[str, Any]], None]] = {
    "filter": _filter,
    "sort": _sort,
    "page": _page,
    "count": _count,
    "limitedCount": _count,
}


def _since(step: Mapping[str, Any]) -> int | None:
    """The moment before which nothing passes this filter; None where it does not ask for one."""
    parts = step.get("_and")
    for part in [step, *(parts if isinstance(parts, list) else ())]:
        operand = part.get("_gte") if isinstance(part, Mapping) else None
        if isinstance(operand, Mapping) and operand.get("_field") in ("_updatedAt", "_createdAt"):
            value = operand.get("_value")
            return value if isinstance(value, int) else None
    return None


def run(hive: Hive, who: Account, document: Mapping[str, Any], dialect: int) -> Any:
    """The answer to a query: a list, or a number where it ends with a count. Raises ApiError."""
    steps = document.get("query")
    if not isinstance(steps, list) or not steps or not all(isinstance(one, dict) and one.get("_name") for one in steps):
        raise bad_request("A query is a list of steps, each with a _name")
    going = _Run(hive, who, dialect)
    going.since = _since(steps[1]) if len(steps) > 1 and steps[1]["_name"] == "filter" else None
    going.start(str(steps[0]["_name"]), steps[0])
    for step in steps[1:]:
        going.step(str(step["_name"]), step)
    if going.count is not None:
        return going.count
    hidden = set(document.get("excludeFields") or ())
    return [{name: value for name, value in one.items() if name not in hidden} for one in going.draw()]


def _query(dialect: int) -> Handler:
    def handle(hive: Hive, who: Account, request: Request) -> Reply:
        return Reply(200, run(hive, who, request.document(), dialect))

    return handle


def routes(version: int) -> list[Route[Handler]]:
    """The calls of this module."""
    return [
        Route("POST", "/api/v1/query", _query(1)),
        Route("POST", "/api/v0/query", _query(0)),
        Route("POST", "/api/query", _query(0)),
    ]
