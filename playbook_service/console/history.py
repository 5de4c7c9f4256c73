"""What happened to one lease, told from the records that bear its key: decision, question, every start of a responder.

The audit chain has all of it too, but is not searched for a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from playbook_service.console import contained, whole
from playbook_service.engine import approval, launch, ruling
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
    record, grant = whole.whole(record), whole.grant_of(record)
    found = [
        *_decided(whole.get(work, ruling.KIND, record.key)),
        *_asked(whole.get(work, approval.KIND, record.key)),
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
    body, by = question.body, ", ".join(map(str, question.body["answers"]))
    yield Event(float(body["asked_at"]), "an analyst was asked")
    if question.state not in (approval.ASKED, approval.WAITING):
        word = question.state if by or question.state != approval.DENIED else contained.NOT_GRANTED
        yield Event(question.updated_at, f"the question ended: {word}", by, str(body["why"]))


def _starts(work: Transaction, key: str, entity: str) -> list[Record]:
    """The starts for a lease. One that was begun by hand has no parameters of ours: its launch is named after it."""
    found = work.find(launch.KIND, Filter(ref=entity, limit=_STARTS)) if entity else []
    starts = [whole.whole(one) for one in found]
    return [one for one in starts if key in (one.body["wish"]["parameters"].get("lease"), one.key.partition(":")[2])]


def _started(start: Record) -> Event:
    body = start.body
    ended = body["ended"]
    renewal = ", to extend it" if body["wish"]["parameters"].get("renew") else ""
    said = str(ended["full"].get("message") or ended["error"] or body["why"])
    job = f" Cortex job {body['job']}." if body["job"] else ""
    words = {launch.INTENDED: "is to be started", launch.ASKING: "was asked for", launch.RUNNING: "runs"}
    word = words.get(start.state, "ended" if ended["success"] else "failed")
    at = float(body["asked_at"]) or start.updated_at
    return Event(at, f"{body['wish']['responder']} {word}{renewal}", "", f"{said}{job}".strip())


def _over(record: Record) -> Iterator[Event]:
    if record.body["ended_at"]:
        told = str(record.body["released"].get("message") or "")
        yield Event(float(record.body["ended_at"]), "it ended", record.body["ended_by"] or "its time", told)
    elif contained.is_left(record):
        told = "Whether it was contained is not known, and the undo failed: look at the product."
        yield Event(record.updated_at, contained.LEFT, "", told)
