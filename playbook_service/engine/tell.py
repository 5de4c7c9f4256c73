"""Tell the case what happened: a task, completed, that says what was done and how it was verified; or a flagged task
for a person where something could not be done. Each is written once, recognised by its last line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from playbook_service.engine import approval, lease
from playbook_service.engine.crashpoint import reached
from playbook_service.engine.markdown import bare, code, plain
from playbook_service.engine.step import Done, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import TaskDraft
from playbook_service.store.contract import Item, Record, Transaction
from propolis.clock import utc_text
from propolis.notify.message import Message

GROUP = approval.GROUP
Announce = Callable[[Transaction, Message], None]
"""Hands a message to the notification channels, in the transaction of what it tells of."""


class Note(NamedTuple):
    """A task to be written, and whether somebody has to do something about it."""

    title: str
    lines: list[str]
    urgent: bool = False


class Teller:
    """The step `tell:<key>`."""

    def __init__(self, tools: Tools, announce: Announce):
        self._tools = tools
        self._announce = announce

    def step(self, item: Item) -> Outcome:
        """Write the note, and announce it."""
        about = next((word for word in _ABOUT if item.body.get(word)), "")
        with self._tools.store.transaction() as work:
            record = work.get(about, str(item.body[about])) if about else None
        note = _ABOUT[about](record, str(item.body["what"])) if record is not None else None
        if record is None or note is None:
            return Done()
        case_id = record.ref
        if case_id:
            self._write(case_id, note, item.key)
        reached("note.written")
        message = Message(note.title, bare(note.lines), "high" if note.urgent else "info", case=case_id)
        return Done(lambda work: self._announce(work, message))

    def _write(self, case_id: str, note: Note, key: str) -> None:
        mark = f"Propolis note {key}"
        if any(mark in task.description for task in self._tools.hive.tasks(case_id)):
            return
        status = "Waiting" if note.urgent else "Completed"
        text = "\n".join([*note.lines, "", mark])
        self._tools.hive.create_task(case_id, TaskDraft(note.title[:128], GROUP, text, status, flag=note.urgent))


def _contained(record: Record) -> Note:
    grant, full = lease.Grant(**record.body["grant"]), record.body["report"]
    until = utc_text(float(record.body["until"]))
    if full.get("result") == "pending":
        return _under_way(record, grant, until)
    lines = [
        f"{code(grant.target)} is contained by {plain(grant.responder)} at {_where(record)} until {until}.",
        f"Verified: {plain(full.get('verified') or full.get('message') or 'not said')}",
        f"Why: {plain(grant.why, 1000)}",
        f"On whose word: {plain(grant.by)}",
        *_sessions(full),
    ]
    return Note(f"Contained: {grant.target} ({grant.responder})", lines)


def _under_way(record: Record, grant: lease.Grant, until: str) -> Note:
    """The product took the request and has not finished it: nothing is claimed before it was seen."""
    lines = [
        f"{plain(grant.responder)} was asked at {_where(record)} to contain {code(grant.target)} until {until}, "
        f"and has not finished ({plain(record.body['report'].get('pending') or 'no id was given')}).",
        "The service looks again and tells you here when it holds, or when it failed.",
        f"Why: {plain(grant.why, 1000)}",
        f"On whose word: {plain(grant.by)}",
    ]
    return Note(f"Under way: {grant.target} ({grant.responder})", lines)


def _where(record: Record) -> str:
    return code(record.body["where"] or "a place that was not told")


def _sessions(full: dict[str, Any]) -> list[str]:
    sessions = full.get("sessions")
    if not isinstance(sessions, dict):
        return []
    ended, remaining = sessions.get("ended") or [], sessions.get("remaining") or []
    lines = [f"Ended with it: {plain(', '.join(map(str, ended)), 1000)}"] if ended else []
    return lines + [f"Lives on: {plain(entry, 500)}" for entry in remaining]


def _not_contained(record: Record) -> Note:
    grant, full = lease.Grant(**record.body["grant"]), record.body["report"]
    lines = [f"{code(grant.target)} was not contained by {plain(grant.responder)}: {plain(full.get('message'), 1000)}"]
    if record.state == lease.DOUBTFUL:
        lines.append(
            "Whether it took effect is not known. Look at the product; the undo runs at the planned end all the same."
        )
    return Note(f"NOT contained: {grant.target} ({grant.responder})", lines, urgent=True)


def _released(record: Record) -> Note:
    grant = lease.Grant(**record.body["grant"])
    by = record.body["ended_by"] or "its time was over"
    lines = [f"{code(grant.target)} is released at {_where(record)}; {plain(by)}."]
    return Note(f"Released: {grant.target} ({grant.responder})", lines)


def _stuck(record: Record) -> Note:
    grant = lease.Grant(**record.body["grant"])
    lines = [
        f"The undo of {plain(grant.responder)} on {code(grant.target)} keeps failing at {_where(record)}.",
        "It is tried again for as long as it takes. If you release it there by hand, the next try will notice.",
    ]
    return Note(f"RELEASE BY HAND? {grant.target} ({grant.responder})", lines, urgent=True)


_LEASE_NOTES: dict[str, Callable[[Record], Note | None]] = {
    "contained": _contained,
    "not contained": _not_contained,
    "released": _released,
    "undo fails": _stuck,
}


def _lease_note(record: Record, what: str) -> Note | None:
    return _LEASE_NOTES[what](record)


def _decision_note(record: Record, what: str) -> Note:
    """What the playbooks wanted and a guardrail stopped, or a limit held back; the latter is somebody's to look at."""
    decision, why = record.body["decision"], record.body["why"]
    target = (decision["target"] or {}).get("data") or "several targets"
    lines = [
        f"{plain(decision['action'])} on {code(target)} was wanted and is not done: {plain(why, 1000)}",
        f"By the rule {code(record.body['rule'] or 'of the guardrails')}.",
    ]
    urgent = what == "held"
    return Note(f"{'HELD BACK' if urgent else 'Stopped'}: {target} ({decision['action']})", lines, urgent)


def _approval_note(record: Record, what: str) -> Note | None:
    """A grant is told by what follows from it; a refusal or a lapse is worth a line of its own."""
    if what == f"approval {approval.GRANTED}":
        return None
    grant = lease.Grant(**record.body["grant"])
    lines = [f"{plain(grant.responder)} on {code(grant.target)} is not done: {plain(record.body['why'], 500)}."]
    return Note(f"Not approved: {grant.target} ({grant.responder})", lines)


_ABOUT: dict[str, Callable[[Record, str], Note | None]] = {
    lease.KIND: _lease_note,
    approval.KIND: _approval_note,
    "decision": _decision_note,
}
"""What a step is about (the word in its body, and the kind of record) -> the note that tells it."""
