"""The register of decisions: newest first, and found by what people search for, at a cost that does not grow with it.

Record `decided`, key `<moment, counted down>:<decision>`: state = the decision's, ref = the leading playbook; so the
order of keys is that of time, newest first, and a page is a look at so many keys. Record `decided-term`, key `<key of
the first>:<number>`, ref = one word (a target, a responder, a case's number, an alert, a rule, an agent): what is
searched for as it is written; state = the decision's, body `playbook` = the leading one, so that what does not fit is
passed over without reading decisions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from playbook_service.engine.crashpoint import reached
from playbook_service.store.contract import Conflict, Filter, Fresh, Record, Store, Transaction
from propolis.alert import Alert

KIND, TERM = "decided", "decided-term"
DECISION, _ALERT, _CASE = "decision", "alert", "case"
_LAST = 10**13  # milliseconds; the year 2286
_MOST = 200  # characters of a term
_PAGE = 500
_LOOKS = 5
"""How often more of the register is read for one page: past some two thousand entries it ends early, and says where."""
_WHOLE = ("control", "decided")
"""The record that says that no older decision is missing."""


def note(work: Transaction, record: Record) -> None:
    """Enter a decision that was just recorded, in the same transaction."""
    key = f"{_LAST - int(float(record.body['at']) * 1000):013d}:{record.key}"
    playbook = playbook_of(record)
    work.enter(KIND, [Fresh(key, {}, record.state, playbook)])
    reached("decided.entered")
    body = {"playbook": playbook}
    found = enumerate(terms(work, record))
    work.enter(TERM, [Fresh(f"{key}:{number}", body, record.state, term) for number, term in found])


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
    """The /24 of an IPv4 address, the /64 of an IPv6 one: a neighbourhood that people ask about."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 64}", strict=False))


def folded(term: str) -> str:
    """A word as it is entered and looked for; half a character, which JSON can say and no store can, as `?`."""
    return term.strip().casefold()[:_MOST].encode("utf-8", "replace").decode()


def newest(
    work: Transaction, *, state: str = "", playbook: str = "", term: str = "", after: str = "", limit: int = 50
) -> tuple[list[Record], str]:
    """The newest decisions of that kind, and where the next page begins (empty: there is none).

    `playbook` is the leading one; `term` is found as it is written. Where several are given, what does not fit is
    passed over, two thousand entries at most: then the page is not full, and the next one goes on from there.
    """
    index = TERM if term else KIND
    wanted = _by_one(state, playbook, term)._replace(after_key=after or None, limit=limit + 1)
    found: list[Record] = []
    for _ in range(_LOOKS):
        page = work.find(index, wanted)
        for entry in page:
            if _fits(entry, state, playbook):
                if len(found) == limit:
                    return found, after
                record = work.get(DECISION, _decision(entry.key))
                found += [record] if record is not None else []
            after = entry.key
        if len(page) < wanted.limit:
            return found, ""
        wanted = wanted._replace(after_key=after, limit=_PAGE)
    return found, after


def _by_one(state: str, playbook: str, term: str) -> Filter:
    """What the store itself looks for: one thing, for which it has an order. Two would be a search by reading all."""
    if term:
        return Filter(ref=folded(term))
    return Filter(ref=playbook) if playbook else Filter(state=state or None)


def _decision(key: str) -> str:
    return key.split(":")[1]


def _fits(entry: Record, state: str, playbook: str) -> bool:
    leading = str(entry.body["playbook"]) if entry.kind == TERM else entry.ref
    return (not state or entry.state == state) and (not playbook or leading == playbook)


def complete(store: Store) -> int:
    """Enter what an older version decided, once, in transactions of a few hundred; returns how many were entered.
    Killed in the middle, or done by two nodes at once, it is begun anew: what is entered stays as it is."""
    entered, after = 0, ""
    while True:
        try:
            with store.transaction() as work:
                if work.get(*_WHOLE) is not None:
                    return entered
                page = _enter_page(work, after)
        except Conflict:  # another node decided something at this moment, or does the same as this one
            continue
        entered += len(page)
        after = page[-1].key if page else after


def _enter_page(work: Transaction, after: str) -> list[Record]:
    page = work.find(DECISION, Filter(after_key=after, limit=_PAGE))
    for record in page:
        note(work, record)
    if len(page) < _PAGE:
        work.save(*_WHOLE, {}, version=0)
    return page
