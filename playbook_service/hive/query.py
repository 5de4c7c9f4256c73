"""TheHive's query language as far as the service speaks it, and paging that neither skips nor runs away.

A query is a list of steps. Entities move while they are paged through: one that changes goes to the end of the order
by `_updatedAt`, and every offset behind it shifts. So changes are read by key (`_gte` the last moment seen) instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from playbook_service.hive.reading import identity
from playbook_service.jsonread import Document, number
from propolis.errors import InputError

Step = dict[str, Any]
Steps = list[Step]
Ask = Callable[[Steps], list[Document]]
PAGE = 100
MOST = 10_000
_READINGS = 3


def listing(kind: str) -> Step:
    """All that the account may see of a kind: `listAlert`."""
    return {"_name": f"list{kind}"}


def getting(kind: str, entity_id: str) -> Step:
    """One entity, by its id: `getCase`."""
    return {"_name": f"get{kind}", "idOrName": entity_id}


def step(name: str) -> Step:
    """From entities to what hangs on them: `observables`, `tasks`, `jobs`."""
    return {"_name": name}


def where(*conditions: Step) -> Step:
    """Only those that all conditions hold for."""
    return {"_name": "filter", "_and": list(conditions)}


def equals(field: str, value: Any) -> Step:
    """A condition: the field is this. `_is` and not `_eq`, which TheHive 4 does not know."""
    return {"_is": {"_field": field, "_value": value}}


def at_least(field: str, value: int) -> Step:
    """A condition: the field is this or more."""
    return {"_gte": {"_field": field, "_value": value}}


def at_most(field: str, value: int) -> Step:
    """A condition: the field is this or less."""
    return {"_lte": {"_field": field, "_value": value}}


def ordered(field: str, direction: str = "asc") -> Step:
    """In this order."""
    return {"_name": "sort", "_fields": [{field: direction}]}


def page(start: int, end: int, extra: Sequence[str] = ()) -> Step:
    """Those from `start` up to, not with, `end`."""
    found: Step = {"_name": "page", "from": start, "to": end}
    return found | {"extraData": list(extra)} if extra else found


def everything(ask: Ask, steps: Steps, what: str, *, extra: Sequence[str] = (), most: int = MOST) -> list[Document]:
    """All answers to a query, page after page, each entity once. Raises InputError where there are more than `most`.

    Entities made in the same millisecond have no order of their own, so two pages may overlap, and what one shows twice
    another may lack: then all are read again, and what either time showed counts.
    """
    found: dict[str, Document] = {}
    for _ in range(_READINGS):
        rows = 0
        for answers in _pages(ask, [*steps, ordered("_createdAt")], what, extra, most):
            rows += len(answers)
            found |= {identity(answer): answer for answer in answers}
        if rows == len(found):
            break
    return list(found.values())


def _pages(ask: Ask, steps: Steps, what: str, extra: Sequence[str], most: int) -> Iterator[list[Document]]:
    for start in range(0, most + PAGE, PAGE):
        answers = ask([*steps, page(start, start + PAGE, extra)])
        yield answers
        if len(answers) < PAGE:
            return
    raise InputError(f"There are more than {most:,} {what}, which is more than the service works with: split the case.")


def newest(ask: Ask, kind: str, field: str, since: int) -> int:
    """The latest moment from `since` on that an entity of the kind has in a field, 0 where there is none."""
    answers = ask([listing(kind), where(at_least(field, since)), ordered(field, "desc"), page(0, 1)])
    return max((number(answer, field) for answer in answers), default=0)


def between(ask: Ask, kind: str, field: str, since: int, until: int, extra: Sequence[str] = ()) -> Iterator[Document]:
    """Entities whose moment in `field` lies within both ends, by that moment; equal moments are not skipped."""
    moment, start, seen = since, 0, set[str]()
    for _ in range(MOST):
        span = where(at_least(field, moment), at_most(field, until))
        answers = ask([listing(kind), span, ordered(field), page(start, start + PAGE, extra)])
        yield from (answer for answer in answers if identity(answer) not in seen)
        if len(answers) < PAGE:
            return
        last = number(answers[-1], field)
        if last > moment:
            moment, start, seen = last, 0, {identity(one) for one in answers if number(one, field) == last}
        else:
            start, seen = start + PAGE, seen | {identity(one) for one in answers}
