"""Start a responder exactly once, and follow it to its end.

The danger lies between asking TheHive to start it and noting that it was asked: a crash there, or an answer that is
lost, leaves an effect in doubt. It is resolved by looking, never by repeating: before asking, the actions that exist
already are noted together with the intent; afterwards an action that is not among them is ours. One such is taken over,
two are for a person. None for a minute means that TheHive never got the request, which a look-only run then confirms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from playbook_service.engine.crashpoint import reached
from playbook_service.engine.step import Done, Later, Outcome
from playbook_service.engine.tools import Tools
from playbook_service.hive.model import FINISHED_JOB, Action, Worker
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.http import HttpError

KIND = "launch"
INTENDED, ASKING, RUNNING, ENDED, FAILED, HUMAN = "intended", "asking", "running", "ended", "failed", "human"
OPEN = (INTENDED, ASKING, RUNNING)
_APPEARS_WITHIN = 60.0  # seconds after which an action that was asked for and does not show was never made
_POLL, _SLOW_POLL = 2.0, 60.0
_RUNS_AT_MOST = 1800.0  # seconds; Cortex kills a job after its jobTimeout, 30 minutes where nothing else is set


class Wish(NamedTuple):
    """What is to be started on what. `parameters` reach the responder."""

    responder: str
    """Name of the definition without its version, `FirewallBlock`."""
    entity: str
    """`case_artifact`, `case` or `alert`."""
    entity_id: str
    parameters: Mapping[str, Any]


class Ended(NamedTuple):
    """How it ended: the responder's report, or why there is none."""

    success: bool
    full: Mapping[str, Any]
    error: str
    cortex_job_id: str


def intend(work: Transaction, key: str, wish: Wish, *, ref: str) -> None:
    """Note that a responder is to be started. Part of the transaction that decides it; harmless when repeated."""
    if work.get(KIND, key) is None:
        body = {"wish": wish._asdict(), "known": [], "asked_at": 0.0, "action": "", "job": "", "ended": None, "why": ""}
        work.save(KIND, key, body, version=0, state=INTENDED, ref=ref)


def note(work: Transaction, key: str, wish: Wish, action: Action) -> None:
    """Note an action that somebody else started and that has ended: from now on it is accounted for."""
    body = {
        "wish": wish._asdict(), "known": [], "asked_at": action.started_at / 1000, "action": identity(action),
        "job": action.cortex_job_id, "ended": read_ending(action)._asdict(), "why": "",
    }  # fmt: skip
    work.save(KIND, key, body, version=0, state=ENDED, ref=wish.entity_id)


def advance(tools: Tools, key: str) -> Outcome:
    """Take the launch one step further; Done when it has ended one way or the other (see `ending`)."""
    with tools.store.transaction() as work:
        record = work.get(KIND, key)
    if record is None or record.state not in OPEN:
        return Done()
    return _STAGES[record.state](tools, record)


def is_intended(work: Transaction, key: str) -> bool:
    """True for a launch that TheHive was not asked for yet."""
    record = work.get(KIND, key)
    return record is not None and record.state == INTENDED


def call_off(work: Transaction, key: str, why: str) -> None:
    """End a launch that TheHive was not asked for."""
    record = work.get(KIND, key)
    if record is not None and record.state == INTENDED:
        work.save(KIND, key, {**record.body, "why": why}, version=record.version, state=FAILED, ref=record.ref)


def ending(work: Transaction, key: str) -> Ended | None:
    """How a launch ended; None while it goes on."""
    record = work.get(KIND, key)
    if record is None or record.state in OPEN:
        return None
    if record.state == ENDED:
        return Ended(**record.body["ended"])
    return Ended(False, {}, record.body["why"], record.body["job"])


def _ask(tools: Tools, record: Record) -> Outcome:
    wish = Wish(**record.body["wish"])
    worker = _worker(tools, wish)
    if worker is None:
        why = (
            f"{wish.responder} is not offered by TheHive for this {wish.entity}: is it enabled in Cortex, and its TLP?"
        )
        return _close(tools, record, FAILED, why)
    actions = tools.hive.actions(wish.entity, wish.entity_id)
    earlier = _forgotten(tools, record, wish, actions)
    if earlier is not None:
        _adopt(tools, record, earlier)
        return Later(0, f"{wish.responder} was started for this lease already")
    known = [identity(action) for action in actions]
    record = _save(tools, record, ASKING, known=known, asked_at=tools.clock.now())
    reached("launch.asking")
    try:
        action = tools.hive.run_responder(worker, wish.entity, wish.entity_id, wish.parameters)
    except HttpError as error:
        if error.ambiguous:
            return Later(_POLL, f"whether {wish.responder} was started is not known yet: {error}")
        _save(tools, record, INTENDED)
        raise
    reached("launch.asked")
    _adopt(tools, record, action)
    reached("launch.adopted")
    return Later(_POLL, f"{wish.responder} is running")


def _forgotten(tools: Tools, record: Record, wish: Wish, actions: Sequence[Action]) -> Action | None:
    """An action that did what is wished, by its own report, and that nobody here accounts for: the service was restored
    from a backup that is older than it. Leases have the same names again, so the report's lease tells."""
    lease = str(wish.parameters.get("lease") or "")
    fitting = [action for action in actions if lease and _is(action, wish.responder) and _did(action, lease)]
    taken = _jobs_of_others(tools, record) if fitting else set()
    return next((action for action in fitting if identity(action) not in taken), None)


def _did(action: Action, lease: str) -> bool:
    ended = read_ending(action)
    named = ended.full.get("lease") == lease or f"lease={lease}" in str(ended.full.get("mark") or "")
    return action.status in FINISHED_JOB and ended.success and named


def _look_for(tools: Tools, record: Record) -> Outcome:
    """Asked, and no answer noted: find what became of it."""
    wish = Wish(**record.body["wish"])
    taken = set(record.body["known"]) | _jobs_of_others(tools, record)
    found = [
        action
        for action in tools.hive.actions(wish.entity, wish.entity_id)
        if _is(action, wish.responder) and identity(action) not in taken
    ]
    if len(found) == 1:
        _adopt(tools, record, found[0])
        return Later(0, f"{wish.responder} was started after all")
    if len(found) > 1:
        listed = ", ".join(identity(action) for action in found)
        return _close(
            tools, record, HUMAN, f"{wish.responder} shows {len(found)} times where one was asked for: {listed}"
        )
    if tools.clock.now() - record.body["asked_at"] < _APPEARS_WITHIN:
        return Later(_POLL, f"waiting whether {wish.responder} shows up")
    _save(tools, record, INTENDED)
    return Later(0, f"{wish.responder} was never started; it is asked for again")


def _follow(tools: Tools, record: Record) -> Outcome:
    wish = Wish(**record.body["wish"])
    action = _find(tools, record, wish)
    running_for = tools.clock.now() - record.body["asked_at"]
    if action is None or action.status not in FINISHED_JOB:
        if running_for > _RUNS_AT_MOST:
            return _close(tools, record, HUMAN, f"{wish.responder} has not ended for {int(running_for / 60)} minutes")
        return Later(_POLL if running_for < _SLOW_POLL else _POLL * 5, f"{wish.responder} is running")
    ended = read_ending(action)
    _save(tools, record, ENDED, ended=ended._asdict())
    reached("launch.ended")
    return Done()


_STAGES = {INTENDED: _ask, ASKING: _look_for, RUNNING: _follow}


def read_ending(action: Action) -> Ended:
    """The ending in an action's report, in the shapes of both versions: an object, or a text that holds one."""
    report: Any = action.report
    if isinstance(report, str):
        try:
            report = json.loads(report)
        except ValueError:
            report = {"errorMessage": report}
    report = report if isinstance(report, Mapping) else {}
    full = report.get("full")
    success = action.status == "Success" and report.get("success") is not False
    error = report.get("errorMessage") or report.get("message") or ""
    if not success and not error:
        error = f"the action ended as {action.status} without a word"
    return Ended(success, full if isinstance(full, Mapping) else {}, str(error), action.cortex_job_id)


def _worker(tools: Tools, wish: Wish) -> Worker | None:
    offered = [
        worker for worker in tools.hive.responders(wish.entity, wish.entity_id) if _named(worker, wish.responder)
    ]
    return max(offered, key=lambda worker: worker.definition, default=None)


def _named(worker: Worker, responder: str) -> bool:
    return without_version(worker.definition or worker.name) == responder


def _is(action: Action, responder: str) -> bool:
    return without_version(action.definition or action.responder_name) == responder


def without_version(definition: str) -> str:
    """`FirewallBlock_1_0` -> `FirewallBlock`."""
    parts = definition.split("_")
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    return "_".join(parts)


def identity(action: Action) -> str:
    """What tells one action from another: TheHive 4 gives them no id."""
    return action.id or action.cortex_job_id or f"{action.definition}@{action.started_at}"


def _find(tools: Tools, record: Record, wish: Wish) -> Action | None:
    for action in tools.hive.actions(wish.entity, wish.entity_id):
        if identity(action) == record.body["action"] or (action.cortex_job_id == record.body["job"] != ""):
            return action
    return None


def _adopt(tools: Tools, record: Record, action: Action) -> None:
    _save(tools, record, RUNNING, action=identity(action), job=action.cortex_job_id)


def _jobs_of_others(tools: Tools, record: Record) -> set[str]:
    """Actions that other launches on the same entity have taken for theirs."""
    with tools.store.transaction() as work:
        others = work.find(KIND, Filter(ref=record.ref))
    return {other.body["action"] for other in others if other.key != record.key and other.body["action"]}


def _save(tools: Tools, record: Record, state: str, **changes: Any) -> Record:
    with tools.store.transaction() as work:
        body = {**record.body, **changes}
        return work.save(KIND, record.key, body, version=record.version, state=state, ref=record.ref)


def _close(tools: Tools, record: Record, state: str, why: str) -> Outcome:
    _save(tools, record, state, why=why)
    return Done()
