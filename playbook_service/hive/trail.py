"""TheHive's own audit trail of one entity: who did it, which no later edit of the entity changes."""

from __future__ import annotations

from typing import Any

from playbook_service import jsonread
from playbook_service.hive import query, reading
from playbook_service.hive.link import Link
from playbook_service.hive.model import Audit
from propolis.http import HttpError

_COUNT = 200
_UNKNOWN = (400, 404, 501)


def of_entity(link: Link, entity: str, entity_id: str, root_id: str) -> list[Audit]:
    """The lines on an entity, newest first.

    The flow tells the latest of a whole case (version 4: ten main ones, whatever is asked for), so a busy case pushes a
    line out of it, and it may lag behind; the query `listAuditFromObject` tells all of one entity. TheHives that keep
    their audits in Elasticsearch (5.x, optional) do not answer that: then the flow is all there is, and enough as long
    as it reaches back to the entity's creation.
    """
    found = _of(entity, entity_id, _flow(link, root_id))
    try:
        found |= _of(entity, entity_id, _query(link, entity_id))
    except HttpError:
        if not any(one.verb == "create" for one in found.values()):
            raise
    return sorted(found.values(), key=lambda one: one.at, reverse=True)


def _of(entity: str, entity_id: str, lines: list[jsonread.Document]) -> dict[tuple[Any, ...], Audit]:
    read = {_key(line): reading.audit(line) for line in lines}
    return {key: one for key, one in read.items() if (one.entity, one.entity_id) == (entity, entity_id)}


def _flow(link: Link, root_id: str) -> list[jsonread.Document]:
    path = "/api/v1/flow" if link.major == 5 else "/api/flow"
    params: dict[str, Any] = {"rootId": root_id, "count": _COUNT}
    return _known(link, "flow", "GET", path, params=params)


def _query(link: Link, entity_id: str) -> list[jsonread.Document]:
    """Version 4 tells the details of an audit only in version 0 of its API, where the moment is `startDate`."""
    path, field = ("/api/v1/query", "_createdAt") if link.major == 5 else ("/api/v0/query", "startDate")
    steps = [{"_name": "listAuditFromObject", "id": entity_id}, query.ordered(field, "desc"), query.page(0, _COUNT)]
    return _known(link, "audits", "POST", path, params={"name": "propolis"}, json={"query": steps}, retry=True)


def _known(link: Link, call: str, method: str, path: str, **options: Any) -> list[jsonread.Document]:
    """The lines, none where this version does not know the call. Anything else that goes wrong is raised."""
    try:
        return reading.documents(link.call(call, method, path, **options))
    except HttpError as error:
        if error.status in _UNKNOWN:
            return []
        raise


def _key(line: jsonread.Document) -> tuple[Any, ...]:
    """Both sources tell the same line: by its id, or by what it says where it has none."""
    audit = reading.audit(line)
    inner = line.get("base")
    identity = reading.identity(inner if isinstance(inner, dict) else line)
    return (identity,) if identity else (audit.entity_id, audit.verb, audit.actor, audit.at)
