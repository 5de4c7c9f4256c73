"""What happened to one lease, told from the records that bear its key: decision, question, every start of a responder.

The audit chain has all of it too, but is not searched for a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from playbook_service.engine import approval, launch, lease, ruling
from playbook_service.store.contract import Filter, Record, Transaction

_STARTS = 200
"""Launches on the same entity that are looked through."""


class Event(NamedTuple):
    """Something that happened. `at` is in seconds since the epoch; `by` and `told` may be empty."""

    at: float
    what: str
    by: str = ""
    told: str = ""


def history(work: Transaction, record: Record) -> list[Event]:
    """Everything about a lease, first things first."""
    grant = lease.Grant(**record.body["grant"])
    found = [
        *_decided(work.get(ruling.KIND, record.key)),
        *_asked(work.get(approval.KIND, record.key)),
        *(_started(start) for start in _starts(work, record.key, grant.entity_id)),
        *_over(record),
    ]
    return sorted(found, key=lambda event: event.at)


def _decided(decision: Record | None) -> Iterator[Event]:
    if decision is not None:
        made = decision.body["decision"]
        reasons = "; ".join(str(reason) for reason in made.get("reasons") or ())
        by = ", ".join(f"playbook {origin['name']}" for origin in made["playbooks"])
        yield Event(float(decision.body["at"]), f"decided: {decision.state}", by, str(decision.body["why"]) or reasons)


def _asked(question: Record | None) -> Iterator[Event]:
    if question is None:
        return
    body = question.body
    yield Event(float(body.get("asked_at") or 0.0), "an analyst was asked", "", "")
    if question.state not in (approval.ASKED, approval.WAITING):
        yield Event(question.updated_at, f"answered: {question.state}", ", ".join(body["answers"]), str(body["why"]))


def _starts(work: Transaction, key: str, entity: str) -> list[Record]:
    """The starts for a lease. One that was begun by hand has no parameters of ours: its launch is named after it."""
    found = work.find(launch.KIND, Filter(ref=entity, limit=_STARTS)) if entity else []
    return [one for one in found if key in (one.body["wish"]["parameters"].get("lease"), one.key.partition(":")[2])]


def _started(start: Record) -> Event:
    body = start.body
    ended = body["ended"] or {}
    renewal = ", to extend it" if body["wish"]["parameters"].get("renew") else ""
    said = str((ended.get("full") or {}).get("message") or ended.get("error") or body["why"])
    job = f" Cortex job {body['job']}." if body["job"] else ""
    words = {launch.INTENDED: "is to be started", launch.ASKING: "was asked for", launch.RUNNING: "runs"}
    word = words.get(start.state, "ended" if ended.get("success") else "failed")
    at = float(body["asked_at"]) or start.updated_at
    return Event(at, f"{body['wish']['responder']} {word}{renewal}", "", f"{said}{job}".strip())


def _over(record: Record) -> Iterator[Event]:
    if record.body.get("ended_at"):
        told = str((record.body.get("released") or {}).get("message") or "")
        yield Event(float(record.body["ended_at"]), "it ended", record.body["ended_by"] or "its time", told)
