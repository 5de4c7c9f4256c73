"""Approvals: an analyst's answer to an ask, given in TheHive by completing (grant) or cancelling (deny) a flagged task.

A grant counts only when all of this holds at the moment it is read: the case is open; the task still says, to the
letter, what was written into it; TheHive's own audit trail (not the task's last editor) attributes the completion to a
listed approver who is not the service itself; the approval has not expired; and the world is as it was when it was
asked: `recheck` finds no guardrail, mode or evidence against it. Everything else is no grant. For several approvers
there is a task for each, and each must be somebody else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from playbook_service.engine import lease
from playbook_service.engine.crashpoint import reached
from playbook_service.engine.markdown import code, plain
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import OPEN_TASK, Task, TaskDraft
from playbook_service.store.contract import Filter, Item, Record, Transaction
from propolis.clock import utc_text
from propolis.duration import duration_text
from propolis.errors import InputError

KIND = "approval"
ASKED, WAITING = "asked", "waiting"
GRANTED, DENIED, EXPIRED = "granted", "denied", "expired"
PROFILE = "profile:"
"""How an entry among the approvers begins that names a profile in TheHive instead of a login."""
GROUP = "Containment, eradication & recovery"
_POLL = 15.0
_CLOSED = "the case was closed while the question stood"
Recheck = Callable[[lease.Grant], str]
"""Why a granted containment may no longer be made; empty when it may."""


class Ask(NamedTuple):
    """A question to an analyst."""

    grant: lease.Grant
    evidence: tuple[str, ...]
    """Sentences and ledger lines, as text."""
    approvers: tuple[str, ...]
    """Logins, or `profile:<name>`, that may answer; empty: anybody but the service itself."""
    needed: int
    valid_seconds: int


class Answer(NamedTuple):
    """What one task says."""

    word: str
    """`waiting`, `granted` or `denied`."""
    actor: str = ""
    why: str = ""


def request(work: Transaction, tools: Tools, ask: Ask) -> bool:
    """Ask, in the transaction that decides it; False where the same was asked before."""
    key = ask.grant.lease
    if work.get(KIND, key) is not None:
        return False
    _supersede(work, tools, ask.grant)
    expires = tools.clock.now() + ask.valid_seconds
    body = {
        "grant": ask.grant._asdict(), "evidence": list(ask.evidence), "approvers": list(ask.approvers),
        "needed": max(1, ask.needed), "expires": expires, "tasks": [], "digests": [], "given": [], "answers": [],
        "why": "", "asked_at": tools.clock.now(),
    }  # fmt: skip
    work.save(KIND, key, body, version=0, state=ASKED, ref=ask.grant.case_id, due=expires)
    follow(work, "approve", key, approval=key)
    tools.journal.write(
        work, "approval asked", case=ask.grant.case_id, target=ask.grant.target, responder=ask.grant.responder,
        lease=key, evidence=ask.grant.decision, until=expires,
    )  # fmt: skip
    return True


def _supersede(work: Transaction, tools: Tools, grant: lease.Grant) -> None:
    """Withdraw what was asked on other evidence about the same target: two questions about one thing confuse."""
    for record in waiting(work, grant.case_id):
        other = lease.Grant(**record.body["grant"])
        if (other.responder, other.target) != (grant.responder, grant.target):
            continue
        body = {**record.body, "why": "the evidence has changed, so it was asked again"}
        work.save(KIND, record.key, body, version=record.version, state=DENIED, ref=record.ref)
        follow(work, "approve", f"{record.key}:tidy", approval=record.key)
        tools.journal.write(
            work, "approval withdrawn", case=grant.case_id, target=grant.target, lease=record.key, why=body["why"]
        )


class Desk:
    """The step `approve:<approval>`."""

    def __init__(self, tools: Tools, recheck: Recheck):
        self._tools = tools
        self._recheck = recheck

    def step(self, item: Item) -> Outcome:
        """Put the tasks into the case, then watch them until there is an answer or no more time."""
        with self._tools.store.transaction() as work:
            record = work.get(KIND, str(item.body["approval"]))
        if record is None:
            return Done()
        if record.state not in (ASKED, WAITING):
            self._cancel(record)  # answered elsewhere: what nobody has to answer any more goes away
            return Done()
        if record.state == ASKED:
            return self._put_tasks(record)
        return self._read(record)

    def _put_tasks(self, record: Record) -> Outcome:
        hive, grant = self._tools.hive, lease.Grant(**record.body["grant"])
        needed = int(record.body["needed"])
        there = {task.title + task.description: task for task in hive.tasks(grant.case_id)}
        tasks = []
        for number in range(1, needed + 1):
            draft = _draft(record, grant, number, needed)
            tasks.append(there.get(draft.title + draft.description) or hive.create_task(grant.case_id, draft))
        reached("approval.asked")
        body = {
            **record.body,
            "tasks": [task.id for task in tasks],
            "digests": [_digest(task.description) for task in tasks],
        }

        def commit(work: Transaction) -> None:
            work.save(
                KIND, record.key, body, version=record.version, state=WAITING, ref=record.ref, due=body["expires"]
            )

        return Later(_POLL, "waiting for an analyst", commit)

    def _read(self, record: Record) -> Outcome:
        grant = lease.Grant(**record.body["grant"])
        if self._is_closed(grant):
            return self._close(record, DENIED, _CLOSED)
        if self._tools.clock.now() >= float(record.body["expires"]):
            self._cancel(record)
            reached("approval.cancelled")
            return self._close(record, EXPIRED, "nobody answered in time")
        answers = [
            self._answer(record, task_id, digest)
            for task_id, digest in zip(record.body["tasks"], record.body["digests"], strict=True)
        ]
        answers += [self._given(record, *given) for given in record.body.get("given", ())]
        denied = next((answer for answer in answers if answer.word == DENIED), None)
        if denied is not None:
            self._cancel(record)
            return self._close(record, DENIED, denied.why, denied.actor)
        granted = [answer.actor for answer in answers if answer.word == GRANTED]
        needed = len(record.body["tasks"])
        if len(granted) < needed:
            return Later(_POLL, f"{len(granted)} of {needed} answers are there")
        if len(set(granted)) < needed:
            return self._close(record, DENIED, f"{needed} different approvers are needed, and one answered twice")
        return self._grant(record, grant, granted)

    def _answer(self, record: Record, task_id: str, digest: str) -> Answer:
        task = self._tools.hive.task(task_id)
        if task is None:
            return Answer(DENIED, why="the question's task was deleted")
        if _digest(task.description) != digest:
            return Answer(DENIED, why="the question's text was changed after it was written")
        if task.status in OPEN_TASK:
            return Answer(WAITING)
        actor = self._who(task, grant_case=lease.Grant(**record.body["grant"]).case_id)
        if task.status != "Completed":
            return Answer(DENIED, actor, "it was cancelled")
        return judged(record, actor, self._tools.account, self._tools.hive.profile)

    def _given(self, record: Record, actor: str, word: str) -> Answer:
        """An answer that was given by the command line or the API: the same rules, once more."""
        if word != GRANTED:
            return Answer(DENIED, actor, "it was denied")
        return judged(record, actor, self._tools.account, self._tools.hive.profile)

    def _who(self, task: Task, grant_case: str) -> str:
        """Who set the status that the task has, by TheHive's own trail: the newest entry that set it counts."""
        for audit in self._tools.hive.audits("task", task.id, grant_case):
            if "status" in audit.details:
                return audit.actor if audit.details["status"] == task.status else ""
        return ""

    def _grant(self, record: Record, grant: lease.Grant, actors: Sequence[str]) -> Outcome:
        if self._is_closed(grant):  # between the first look at it and the answers: the closing completed the task
            return self._close(record, DENIED, _CLOSED)
        against = self._recheck(grant)
        if against:
            return self._close(record, DENIED, f"granted by {', '.join(actors)}, but {against}")
        granted = grant._replace(by=", ".join(actors))
        reached("approval.granting")

        def commit(work: Transaction) -> None:
            self._save(work, record, GRANTED, "", granted.by)
            lease.grant(work, self._tools, granted)
            if record.body.get("given"):
                follow(work, "approve", f"{record.key}:tidy", approval=record.key)

        return Done(commit)

    def _is_closed(self, grant: lease.Grant) -> bool:
        case = self._tools.hive.case(grant.case_id)
        return case is None or not case.open

    def _cancel(self, record: Record) -> None:
        """Take the unanswered tasks out of the analyst's way."""
        for task_id in record.body["tasks"]:
            task = self._tools.hive.task(task_id)
            if task is not None and task.status in OPEN_TASK:
                self._tools.hive.update_task(task_id, status="Cancel")

    def _close(self, record: Record, state: str, why: str, actor: str = "") -> Outcome:
        return Done(lambda work: self._save(work, record, state, why, actor))

    def _save(self, work: Transaction, record: Record, state: str, why: str, actor: str) -> None:
        body = {**record.body, "why": why, "answers": [actor] if actor else []}
        work.save(KIND, record.key, body, version=record.version, state=state, ref=record.ref)
        grant: Mapping[str, Any] = record.body["grant"]
        follow(work, "tell", f"{record.key}:{state}", approval=record.key, what=f"approval {state}")
        self._tools.journal.write(
            work, f"approval {state}", case=grant["case_id"], target=grant["target"], lease=record.key,
            operator=actor or None, why=why or None, evidence=grant["decision"],
            waited=self._waited(record),
        )  # fmt: skip

    def _waited(self, record: Record) -> float | None:
        """Seconds since it was asked; None for one that was asked by a version that did not note when."""
        asked_at = record.body.get("asked_at")
        return None if asked_at is None else round(self._tools.clock.now() - float(asked_at), 3)


def is_listed(approvers: Sequence[str], login: str, profile: str) -> bool:
    """Is somebody among the approvers, by login or by `profile:<name>`?"""
    named = login in approvers and not login.startswith(PROFILE)  # a login may not pass for a profile
    return named or (bool(profile) and f"{PROFILE}{profile}" in approvers)


def judged(record: Record, actor: str, account: str, profile: Callable[[str], str]) -> Answer:
    """Is a person's yes a grant? `account` is the service's own login; `profile` tells somebody's, by their login."""
    if not actor:
        return Answer(DENIED, why="TheHive does not say who completed the task")
    if actor == account:
        return Answer(DENIED, actor, "the service's own account cannot approve")
    approvers = record.body["approvers"]
    if approvers and actor not in approvers:
        by_profile = any(entry.startswith(PROFILE) for entry in approvers)
        if not (by_profile and is_listed(approvers, actor, profile(actor))):
            return Answer(DENIED, actor, f"{actor} is not one of those who may approve")
    return Answer(GRANTED, actor)


def give(work: Transaction, tools: Tools, key: str, actor: str, word: str, profile: str = "") -> None:
    """Take an answer of somebody who proved who they are, by the command line or the API; the step weighs it with all
    others. `word` is GRANTED or DENIED, `profile` theirs in TheHive. Raises InputError where it cannot count."""
    record = work.get(KIND, key)
    if record is None:
        raise InputError(f"There is no approval {key!r}.")
    if record.state not in (ASKED, WAITING):
        raise InputError(f"The approval {key} was {record.state} already.")
    if tools.clock.now() >= float(record.body["expires"]):
        raise InputError(f"The approval {key} has expired.")
    answer = judged(record, actor, tools.account, lambda _: profile)
    if answer.word != GRANTED:
        raise InputError(f"This answer cannot count: {answer.why}.")
    given = record.body.get("given", [])
    if any(login == actor for login, _ in given):
        raise InputError(f"{actor} has answered already; the other answers must come from somebody else.")
    body = {**record.body, "given": [*given, [actor, word]]}
    work.save(KIND, key, body, version=record.version, state=record.state, ref=record.ref, due=body["expires"])
    work.revive("step", f"approve:{key}")
    tools.journal.write(work, "approval answered", lease=key, case=record.ref, operator=actor, result=word)


def waiting(work: Transaction, case_id: str | None = None) -> list[Record]:
    """The questions that nobody has answered yet, of one case or of all."""
    return [record for state in (ASKED, WAITING) for record in work.find(KIND, Filter(state=state, ref=case_id))]


def _draft(record: Record, grant: lease.Grant, number: int, needed: int) -> TaskDraft:
    share = f" ({number} of {needed})" if needed > 1 else ""
    title = f"APPROVE? {grant.responder} {grant.target}"[: 128 - len(share)] + share
    return TaskDraft(title, GROUP, text(record, grant, number, needed), flag=True)


def text(record: Record, grant: lease.Grant, number: int, needed: int) -> str:
    """What the task says: what would be done, to what, for how long, why, until when, and how to answer."""
    several = f"This is answer {number} of {needed}; each must come from somebody else." if needed > 1 else ""
    who = ", ".join(plain(login) for login in record.body["approvers"]) or "any analyst"
    how = f"**Complete** this task to have it done, **cancel** it to have it left. Who may answer: {who}. {several}"
    lines = [
        f"**{grant.responder}** on {code(grant.target)} for **{duration_text(grant.seconds)}**",
        "",
        f"Why: {plain(grant.why, 1000)}",
        "",
        *(f"- {plain(line, 500)}" for line in record.body["evidence"]),
        "",
        how.strip(),
        f"Without an answer it lapses at {utc_text(float(record.body['expires']))}, and nothing is done.",
        "Everything is checked again before it is done. Do not edit this text: an edited question cannot be granted.",
        "",
        f"Propolis approval {record.key}/{number}, decision {grant.decision[:16]}",
    ]
    return "\n".join(lines)


def _digest(description: str) -> str:
    return hashlib.sha256(description.encode("utf-8", "surrogatepass")).hexdigest()
