"""Searches of Cortex: the query, the range, the sort; a job's data is stored unindexed and never found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from playbook_service.lab.exchange import ApiError, Reply, Request
from playbook_service.lab.filter import MISSING, Getter, matches, reader, sort_key

UNINDEXED = ("data", "attachment", "parameters", "report")
Item = TypeVar("Item")


def answer(request: Request, documents: Sequence[dict[str, Any]], *, hidden: Sequence[str] = ()) -> Reply:
    """The page of documents that the request asks for, with the number of all that match in `X-Total`."""
    asked = request.document() if request.method == "POST" else {}
    chosen = [one for one in documents if matches(asked.get("query") or {}, _indexed(one, hidden))]
    for field, descending in reversed(_order(request, asked)):
        chosen.sort(key=lambda one: sort_key(_indexed(one, hidden)(field)), reverse=descending)
    page = cut(chosen, request.option("range") or asked.get("range"))
    return Reply(200, page, {"X-Total": str(len(chosen))})


def count(request: Request, documents: Sequence[dict[str, Any]], *, hidden: Sequence[str] = ()) -> Reply:
    """The number of matching documents, as `_stats` gives it."""
    query = request.document().get("query") or {}
    return Reply(200, {"count": sum(1 for one in documents if matches(query, _indexed(one, hidden)))})


def _indexed(document: dict[str, Any], hidden: Sequence[str]) -> Getter:
    get = reader(document)
    return lambda name: MISSING if name.split(".")[0] in hidden else get(name)


def _order(request: Request, asked: dict[str, Any]) -> list[tuple[str, bool]]:
    given = request.query.get("sort") or asked.get("sort") or []
    names = [given] if isinstance(given, str) else given
    return [(str(name).lstrip("+-"), str(name).startswith("-")) for name in names if name]


def cut(items: list[Item], span: Any) -> list[Item]:
    """The items of a range `"start-end"` (end exclusive) or `"all"`; the first ten without one."""
    if span == "all":
        return items
    start, dash, end = str(span or "0-10").partition("-")
    if not (dash and start.isdigit() and end.isdigit()) or int(end) < int(start):
        raise ApiError(400, "SearchError", f"Invalid range: {span}")
    return items[int(start) : int(end)]
