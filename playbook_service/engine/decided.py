"""The register of decisions: newest first, and found by what people search for, at a cost that does not grow with it.

Record `decided`, key `<moment, counted down>:<decision>`: state = the decision's, ref = the playbook; so the order of
keys is that of time, newest first, and a page is a look at so many keys. Record `decided-term`, the same key, ref = one
word (a target, a responder, a case's number, an alert, a rule, an agent): what is searched for as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator

from playbook_service.store.contract import Filter, Record, Store, Transaction
from propolis.alert import Alert

KIND, TERM = "decided", "decided-term"
DECISION, _ALERT, _CASE = "decision", "alert", "case"
_LAST = 10**13  # milliseconds; the year 2286
_MOST = 200  # characters of a term
_PAGE = 500
_WHOLE = ("control", "decided")
"""The record that says that no older decision is missing."""


def note(work: Transaction, record: Record) -> None:
    """Enter a decision that was just recorded, in the same transaction."""
    key = f"{_LAST - int(float(record.body['at']) * 1000):013d}:{record.key}"
    work.save(KIND, key, {}, state=record.state, ref=playbook_of(record))
    for number, term in enumerate(terms(work, record)):
        work.save(TERM, f"{key}:{number}", {}, ref=term)


def terms(work: Transaction, record: Record) -> tuple[str, ...]:
    """What a decision is found by."""
    return tuple(dict.fromkeys(folded(term) for term in _terms(work, record) if term))


def _terms(work: Transaction, record: Record) -> Iterator[str]:
    body, decision = record.body, record.body["decision"]
    yield record.key
    yield from (str(origin["name"]) for origin in decision["playbooks"])
    yield responder_of(record)
    for target in [decision["target"]] if decision["target"] else decision["candidates"]:
        yield str(target["data"])
        yield str(target["label"] or "")
        yield _network(str(target["data"]))
    yield from (record.ref, str(body["alert"]), str(body["rule"]))
    case = work.get(_CASE, record.ref) if record.ref else None
    if case is not None:
        yield f"#{case.body['number']}"
    alert = work.get(_ALERT, str(body["alert"])) if body["alert"] else None
    if alert is not None:
        known = Alert(alert.body["alert"])
        agent = known.fields.get("agent")
        yield from (known.rule_id, str(agent.get("name") or "") if isinstance(agent, dict) else "")


def playbook_of(record: Record) -> str:
    """The leading playbook of a recorded decision."""
    return str(record.body["decision"]["playbooks"][0]["name"])


def responder_of(record: Record) -> str:
    """The responder a recorded decision would start."""
    return str(record.body["decision"]["action"]).partition(" ")[2]


def _network(text: str) -> str:
    """The /24 of an IPv4 address: a neighbourhood that people ask about."""
    parts = text.split(".")
    return ".".join((*parts[:3], "0/24")) if len(parts) == 4 and all(part.isdigit() for part in parts) else ""


def folded(term: str) -> str:
    """A word as it is entered and looked for."""
    return term.strip().casefold()[:_MOST]


def newest(
    work: Transaction, *, state: str = "", playbook: str = "", term: str = "", after: str = "", limit: int = 50
) -> tuple[list[Record], str]:
    """The newest decisions of that kind, and where the next page begins (empty: there is none).

    `term` is found as it is written; with it, or with both others, what does not fit is passed over, at most twenty
    times the page.
    """
    if term:
        index, wanted = TERM, Filter(ref=folded(term), after_key=after or None, limit=limit + 1)
    else:
        index = KIND
        wanted = Filter(state=state or None, ref=playbook or None, after_key=after or None, limit=limit + 1)
    found: list[Record] = []
    for _ in range(20):
        page = work.find(index, wanted)
        for entry in page[:limit]:
            record = work.get(DECISION, _decision(entry.key))
            if record is not None and _fits(record, state, playbook):
                found.append(record)
            after = entry.key
            if len(found) == limit:
                return found, after if entry is not page[-1] else ""
        if len(page) <= limit:
            return found, ""
        wanted = wanted._replace(after_key=after)
    return found, after


def _decision(key: str) -> str:
    return key.split(":")[1]


def _fits(record: Record, state: str, playbook: str) -> bool:
    return (not state or record.state == state) and (not playbook or playbook_of(record) == playbook)


def complete(store: Store) -> int:
    """Enter what an older version decided, once, in transactions of a few hundred; returns how many were entered.
    Killed in the middle it goes on from there: an entry that is there is written over by itself."""
    entered, after = 0, None
    while True:
        with store.transaction() as work:
            if work.get(*_WHOLE) is not None:
                return entered
            page = work.find(DECISION, Filter(after_key=after, limit=_PAGE))
            for record in page:
                note(work, record)
            if len(page) < _PAGE:
                work.save(*_WHOLE, {})
        entered += len(page)
        after = page[-1].key if page else after
