"""Finish what a product had not finished: a containment that was `pending` is looked at until it holds or has failed.

The responder is run again with `look_only`, so that nothing can be asked of the product twice. Meanwhile its lease is
in force: whatever the product does later is undone when the lease ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from playbook_service.engine import launch, lease
from playbook_service.engine.lease import Grant
from playbook_service.engine.step import Commit, Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.store.contract import Item, Record, Transaction

_PAUSES = (30.0, 60.0, 120.0, 300.0, 900.0)


def confirm(tools: Tools, item: Item) -> Outcome:
    """Step `confirm:<lease>`: look at the product, and again with growing pauses while it is at it."""
    with tools.store.transaction() as work:
        record = work.get(lease.KIND, str(item.body["lease"]))
        if record is None or not _waits(record):
            return Done()
        key = f"confirm:{record.key}:{record.body.get('looks', 0)}"
        wanted = Grant(**record.body["grant"])
        wish = launch.Wish(wanted.responder, wanted.entity, wanted.entity_id, {"lease": record.key, "look_only": True})
        launch.intend(work, key, wish, ref=wanted.entity_id)
    outcome = launch.advance(tools, key)
    if isinstance(outcome, Later):
        return outcome
    with tools.store.transaction() as work:
        ended = launch.ending(work, key)
    return _judged(tools, record, ended) if ended is not None else Done()


def _waits(record: Record) -> bool:
    return record.state == lease.ACTIVE and bool(record.body.get("pending"))


def _judged(tools: Tools, record: Record, ended: launch.Ended) -> Outcome:
    result = str(ended.full.get("result") or "")
    if ended.success and result == "already_contained" and _ours(ended.full, record.key):
        return Done(lambda work: _confirmed(work, tools, record, ended.full))
    if ended.success and result in ("would_contain", "already_contained"):
        said = "the product did not carry it out: " + str(ended.full.get("message") or "it shows no containment")
        return Done(lambda work: _failed(work, tools, record, said))
    looks = int(record.body.get("looks", 0)) + 1
    why = ended.error or str(ended.full.get("message") or "the product has not finished it yet")
    return Later(_PAUSES[min(looks, len(_PAUSES)) - 1], why, _look_again(record, looks))


def _ours(full: Mapping[str, Any], key: str) -> bool:
    """A mark names the lease; a product that cannot hold one shows none, and nobody else was asked for this."""
    return full.get("marks") is False or f"lease={key}" in str(full.get("mark") or "")


def _look_again(record: Record, looks: int) -> Commit:
    return lambda work: _keep(work, record, record.state, looks=looks)


def _keep(work: Transaction, record: Record, state: str, **changes: Any) -> None:
    body = {**record.body, **changes}
    work.save(lease.KIND, record.key, body, version=record.version, state=state, ref=record.ref, due=record.due)


def _confirmed(work: Transaction, tools: Tools, record: Record, full: Mapping[str, Any]) -> None:
    wanted = Grant(**record.body["grant"])
    _keep(work, record, record.state, pending=False, report={**record.body["report"], **full})
    follow(work, "tell", f"{record.key}:confirmed", lease=record.key, what="contained")
    tools.journal.write(
        work, "confirmed", case=wanted.case_id, target=wanted.target, responder=wanted.responder, lease=record.key
    )


def _failed(work: Transaction, tools: Tools, record: Record, why: str) -> None:
    """The lease stays until its end, and the undo runs then: an action that is late must not last for ever."""
    wanted = Grant(**record.body["grant"])
    report = {"result": "failed", "message": why}
    _keep(work, record, lease.DOUBTFUL, pending=False, doubtful=True, report=report)
    follow(work, "tell", f"{record.key}:not confirmed", lease=record.key, what="not contained")
    tools.journal.write(
        work, "not contained", case=wanted.case_id, target=wanted.target, responder=wanted.responder,
        lease=record.key, result="failed", why=why,
    )  # fmt: skip
