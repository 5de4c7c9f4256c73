"""The alerts of a service's store, and what the service decided on each when it had the sources' reports."""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.attack.coverage import ACTS, ASKS, OBSERVED, Answer, strongest
from playbook_service.engine import arrival, ruling
from playbook_service.replay.source import Item
from playbook_service.store.contract import Filter, Record, Store
from propolis.alert import Alert

_PAGE = 500
_STATES = {ruling.ACT: ACTS, ruling.ASK: ASKS, ruling.CHOOSE: ASKS, ruling.COVERED: ASKS}
"""`covered` means contained already or being asked about; the record does not say which, so the lesser is counted."""
_WISHES = {"act": ACTS, "ask": ASKS}


def records(store: Store, kind: str) -> Iterator[Record]:
    """All records of a kind in the order of their keys, a page and a look at a time."""
    after: str | None = None
    while True:
        with store.reading() as look:
            page = look.find(kind, Filter(after_key=after, limit=_PAGE))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].key


def alerts(store: Store) -> Iterator[Item]:
    """The alerts that came in, as replay reads them from a file; numbered as they come."""
    for number, record in enumerate(records(store, arrival.KIND), 1):
        yield Item(number, Alert(record.body["alert"]))


def answers(store: Store) -> dict[str, Answer]:
    """Key of an alert -> what was decided on it. One short entry for each alert that had a decision to contain."""
    found: dict[str, Answer] = {}
    for record in records(store, ruling.KIND):
        key, answer = str(record.body.get("alert") or ""), _answer(record)
        if key:
            known = found.get(key)
            found[key] = answer if known is None else merged(known, answer)
    return found


def merged(one: Answer, other: Answer) -> Answer:
    """Both: the stronger words, and the playbooks of either."""
    books = tuple(dict.fromkeys((*one.playbooks, *other.playbooks)))
    return Answer(strongest(one.word, other.word), strongest(one.would, other.would), books)


def _answer(record: Record) -> Answer:
    wanted = _WISHES.get(str(record.body.get("outcome") or ""), OBSERVED)
    word = _STATES.get(record.state, OBSERVED)
    books = tuple(str(book["name"]) for book in record.body["decision"]["playbooks"])
    return Answer(word, strongest(word, wanted), books)
