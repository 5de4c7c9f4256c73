"""Leases: containments in force. Made when a responder's report says that it was verified, ended by the undo flavour.

A lease is a record from the moment it is wished (`wished`), so that a crash cannot forget it. Its due time is its end;
a lease found past its end at start is undone first. An undo that fails is retried with growing pauses for ever, and
shouted about.

A responder that failed, hung or shows twice may have contained all the same. Such a lease is `doubtful`: a person is
told, and at its end the undo runs all the same, which is harmless because it touches only what carries our mark.
"""

from __future__ import annotations

from calendar import timegm
from collections.abc import Callable, Mapping
from time import strptime
from typing import Any, NamedTuple

from playbook_service.engine import launch
from playbook_service.engine.crashpoint import reached
from playbook_service.engine.step import Commit, Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.store.contract import Filter, Item, Record, Transaction

KIND = "lease"
WISHED, ACTIVE, DOUBTFUL, RELEASING = "wished", "active", "doubtful", "releasing"
ENDED, REFUSED = "ended", "refused"
IN_FORCE = (ACTIVE, DOUBTFUL, RELEASING)
CALLED_OFF = "called_off"
_NOTHING_DONE = ("would_contain", "already_contained", CALLED_OFF)
_IN_FORCE_RESULTS = ("contained", "extended", "already_contained")
_RELEASED_RESULTS = ("released", "already_released")
_PAUSES = (30.0, 60.0, 300.0, 900.0, 3600.0)
_SHOUT_AFTER = 3
"""Failed undos after which a person is called."""
_LOOK_AGAIN = 60.0
_EXTENDS_WITHIN = 2.0
_SLACK = 5.0
"""Seconds after its end in which the product itself may end a containment before we do."""


class Grant(NamedTuple):
    """What was decided: whom to contain by what, for how long, and on whose word."""

    lease: str
    responder: str
    entity: str
    entity_id: str
    case_id: str
    target: str
    seconds: int
    why: str
    decision: str
    """Digest of the decision."""
    by: str
    """Login of the analyst who granted it, or `playbook <name>`."""


def grant(work: Transaction, tools: Tools, wanted: Grant) -> bool:
    """Wish a lease, in the transaction that decides it; False where it was wished before."""
    if work.get(KIND, wanted.lease) is not None:
        return False
    body = {"grant": wanted._asdict(), "until": None, "where": "", "undos": 0, "ended_by": "", "report": {}}
    work.save(KIND, wanted.lease, body, version=0, state=WISHED, ref=wanted.case_id)
    parameters = {"lease": wanted.lease, "duration_seconds": wanted.seconds}
    wish = launch.Wish(wanted.responder, wanted.entity, wanted.entity_id, parameters)
    launch.intend(work, _contain_key(wanted.lease), wish, ref=wanted.entity_id)
    follow(work, "contain", wanted.lease, lease=wanted.lease)
    tools.journal.write(
        work, "containment wished", case=wanted.case_id, target=wanted.target, responder=wanted.responder,
        lease=wanted.lease, operator=wanted.by, evidence=wanted.decision, seconds=wanted.seconds,
    )  # fmt: skip
    return True


Against = Callable[[Grant], str]
"""Why a containment that was decided must not be started any more (mode, kill switch, guardrails); empty: it may."""


def _nothing_against(_: Grant) -> str:
    return ""


def contain(tools: Tools, item: Item, against: Against = _nothing_against) -> Outcome:
    """Step `contain:<lease>`: start the responder, follow it, and make the lease from what it verified.

    Between decision and start there may be hours in which TheHive was away, so `against` is asked right before it.
    """
    lease = str(item.body["lease"])
    called_off = _called_off(tools, lease, against)
    if called_off is not None:
        return called_off
    outcome = launch.advance(tools, _contain_key(lease))
    if isinstance(outcome, Later):
        return outcome
    with tools.store.transaction() as work:
        record, ended = work.get(KIND, lease), launch.ending(work, _contain_key(lease))
    if record is None or record.state != WISHED or ended is None:
        return Done()
    reached("lease.settling")
    return Done(lambda work: _settle(work, tools, record, ended))


def _called_off(tools: Tools, lease: str, against: Against) -> Outcome | None:
    """The end of a containment that was not started yet and must not be any more."""
    with tools.store.transaction() as work:
        record = work.get(KIND, lease)
        waiting = launch.is_intended(work, _contain_key(lease))
    why = against(Grant(**record.body["grant"])) if record is not None and record.state == WISHED and waiting else ""
    if record is None or not why:
        return None

    def commit(work: Transaction) -> None:
        launch.call_off(work, _contain_key(lease), why)
        _refuse(work, tools, record, CALLED_OFF, f"it was not started: {why}")

    return Done(commit)


def _settle(work: Transaction, tools: Tools, record: Record, ended: launch.Ended) -> None:
    result = str(ended.full.get("result") or "")
    if ended.success and result in _IN_FORCE_RESULTS and _is_ours(ended.full, record.key):
        _activate(work, tools, record, ended)
    elif ended.success and result == "pending":
        _activate(work, tools, record, ended, "the product has not finished it yet; it is counted as in force")
        follow(work, "confirm", record.key, due=tools.clock.now() + _LOOK_AGAIN, lease=record.key)
    else:
        why = ended.error or str(ended.full.get("message") or "the responder did not say what it did")
        _refuse(work, tools, record, result, why)


def _is_ours(full: Mapping[str, Any], lease: str) -> bool:
    """A containment that was there already is ours only when its mark names this lease."""
    if full.get("result") != "already_contained":
        return True
    return f"lease={lease}" in str(full.get("mark") or "")


def _activate(work: Transaction, tools: Tools, record: Record, ended: launch.Ended, note: str = "") -> None:
    wanted = Grant(**record.body["grant"])
    until = moment(ended.full.get("until")) or tools.clock.now() + wanted.seconds
    body = {**record.body, "until": until, "where": str(ended.full.get("where") or ""), "report": dict(ended.full)}
    body["pending"] = ended.full.get("result") == "pending"
    work.save(KIND, record.key, body, version=record.version, state=ACTIVE, ref=record.ref, due=until + _SLACK)
    follow(work, "release", record.key, due=until + _SLACK, lease=record.key)
    follow(work, "tell", record.key, lease=record.key, what="contained")
    tools.journal.write(
        work, "contained", case=wanted.case_id, target=wanted.target, responder=wanted.responder, lease=record.key,
        result=ended.full.get("result"), until=until, note=note or None, job=ended.cortex_job_id or None,
        automated=wanted.by.startswith("playbook "), since_alert=_since_alert(work, tools, record.key),
    )  # fmt: skip


def _since_alert(work: Transaction, tools: Tools, lease: str) -> float | None:
    """Seconds since the alert came in that was decided on; None where it was decided on something else."""
    decision = work.get("decision", lease)
    alert = work.get("alert", str(decision.body["alert"])) if decision is not None else None
    return round(tools.clock.now() - float(alert.body["at"]), 3) if alert is not None else None


def _refuse(work: Transaction, tools: Tools, record: Record, result: str, why: str) -> None:
    wanted = Grant(**record.body["grant"])
    body = {**record.body, "report": {"result": result, "message": why}}
    if result in _NOTHING_DONE:
        work.save(KIND, record.key, body, version=record.version, state=REFUSED, ref=record.ref)
    else:
        until = tools.clock.now() + wanted.seconds
        body = {**body, "until": until, "doubtful": True}
        work.save(KIND, record.key, body, version=record.version, state=DOUBTFUL, ref=record.ref, due=until)
        follow(work, "release", record.key, due=until, lease=record.key)
    follow(work, "tell", record.key, lease=record.key, what="not contained")
    tools.journal.write(
        work, "not contained", case=wanted.case_id, target=wanted.target, responder=wanted.responder,
        lease=record.key, result=result or "failed", why=why,
    )  # fmt: skip


def end(work: Transaction, tools: Tools, lease: str, by: str, why: str = "") -> bool:
    """Have a lease ended now (early, or because its case was a false positive); False where it is not in force."""
    record = work.get(KIND, lease)
    if record is None or record.state not in (ACTIVE, DOUBTFUL):
        return False
    body = {**record.body, "ended_by": by, "until": tools.clock.now()}
    work.save(KIND, lease, body, version=record.version, state=record.state, ref=record.ref, due=tools.clock.now())
    work.revive("step", f"release:{lease}")
    tools.journal.write(work, "release wished", lease=lease, case=record.ref or None, operator=by, why=why or None)
    return True


def release(tools: Tools, item: Item) -> Outcome:
    """Step `release:<lease>`: when its time has come, start the undo flavour and follow it until it is verified."""
    lease = str(item.body["lease"])
    with tools.store.transaction() as work:
        record = work.get(KIND, lease)
    if record is None or record.state not in IN_FORCE:
        return Done()
    left = float(record.body["until"]) + _slack(record) - tools.clock.now()
    if record.state != RELEASING and left > 0:
        return Later(min(left, 3600.0), "the lease is in force")
    key = _undo_key(record)
    if record.state != RELEASING:
        begun = _begin_undo(tools, record, key)
        if begun is None:
            return Later(_EXTENDS_WITHIN, "an extension that was begun is waited for: the undo must come after it")
        record = begun
        reached("lease.undoing")
    outcome = launch.advance(tools, key)
    if isinstance(outcome, Later):
        return outcome
    with tools.store.transaction() as work:
        ended = launch.ending(work, key)
    reached("lease.undone")
    return _undone(tools, record, ended) if ended else Done()


def extension_key(record: Record) -> str:
    """Key of the launch that extends a lease the next time, or at this moment."""
    return f"renew:{record.key}:{record.body.get('extensions', 0)}"


def _is_being_extended(work: Transaction, record: Record) -> bool:
    begun = work.get(launch.KIND, extension_key(record))
    return begun is not None and begun.state in launch.OPEN


def _slack(record: Record) -> float:
    return 0.0 if record.body["ended_by"] else _SLACK


def _begin_undo(tools: Tools, record: Record, key: str) -> Record | None:
    """Note that the undo is to be started; None while the containment is being extended."""
    wanted = Grant(**record.body["grant"])
    wish = launch.Wish(RESPONDERS[wanted.responder].undo, wanted.entity, wanted.entity_id, {"lease": record.key})
    with tools.store.transaction() as work:
        if _is_being_extended(work, record):
            return None
        launch.intend(work, key, wish, ref=wanted.entity_id)
        return work.save(KIND, record.key, record.body, version=record.version, state=RELEASING, ref=record.ref)


def _undone(tools: Tools, record: Record, ended: launch.Ended) -> Outcome:
    wanted = Grant(**record.body["grant"])
    if ended.success and ended.full.get("result") in _RELEASED_RESULTS:
        return Done(lambda work: _over(work, tools, record, wanted, ended))
    if ended.success and ended.full.get("result") == "pending":
        return Later(_LOOK_AGAIN, "the product has not finished the release yet", _look_at_it_again(tools, record))
    tries = int(record.body["undos"]) + 1
    if record.body.get("doubtful") and tries >= _SHOUT_AFTER:
        return Done(lambda work: _left_to_a_person(work, tools, record, wanted))
    pause = _PAUSES[min(tries, len(_PAUSES)) - 1]
    why = ended.error or str(ended.full.get("message") or "it was not verified")
    return Later(pause, f"the undo failed: {why}", _try_again(tools, record, wanted, tries, why))


def _state_before_undo(record: Record) -> str:
    """What a lease whose undo did not come to its end goes back to: one in doubt stays in doubt."""
    return DOUBTFUL if record.body.get("doubtful") else ACTIVE


def _look_at_it_again(tools: Tools, record: Record) -> Commit:
    """Another run of the undo, which takes over what is under way; it is no failure, so nobody is called."""

    def commit(work: Transaction) -> None:
        body = {**record.body, "slow": int(record.body.get("slow", 0)) + 1}
        state, now = _state_before_undo(record), tools.clock.now()
        work.save(KIND, record.key, body, version=record.version, state=state, ref=record.ref, due=now)

    return commit


def _over(work: Transaction, tools: Tools, record: Record, wanted: Grant, ended: launch.Ended) -> None:
    body = {**record.body, "released": dict(ended.full), "ended_at": tools.clock.now()}
    work.save(KIND, record.key, body, version=record.version, state=ENDED, ref=record.ref)
    follow(work, "tell", f"{record.key}:released", lease=record.key, what="released")
    tools.journal.write(
        work, "released", case=wanted.case_id, target=wanted.target, responder=wanted.responder, lease=record.key,
        result=ended.full.get("result"), operator=record.body["ended_by"] or "expiry",
    )  # fmt: skip


def _left_to_a_person(work: Transaction, tools: Tools, record: Record, wanted: Grant) -> None:
    """Whether there ever was a containment is not known, and the undo cannot tell either: a person has been called."""
    work.save(KIND, record.key, record.body, version=record.version, state=ENDED, ref=record.ref)
    follow(work, "tell", f"{record.key}:stuck", lease=record.key, what="undo fails")
    tools.journal.write(
        work, "left to a person", case=wanted.case_id, target=wanted.target, responder=wanted.responder,
        lease=record.key,
    )  # fmt: skip


def _try_again(tools: Tools, record: Record, wanted: Grant, tries: int, why: str) -> Commit:
    def commit(work: Transaction) -> None:
        work.save(
            KIND, record.key, {**record.body, "undos": tries}, version=record.version,
            state=_state_before_undo(record), ref=record.ref, due=tools.clock.now(),
        )  # fmt: skip
        tools.journal.write(
            work, "release failed", lease=record.key, case=wanted.case_id, responder=wanted.responder, tries=tries,
            why=why,
        )  # fmt: skip
        if tries == _SHOUT_AFTER:
            follow(work, "tell", f"{record.key}:stuck", lease=record.key, what="undo fails")

    return commit


# what others did ----------------------------------------------------------------------------------------------------


def take(work: Transaction, tools: Tools, wanted: Grant, until: float, ended: launch.Ended) -> bool:
    """Make a lease of a containment that somebody started without us, until its own end; False where it is one."""
    if work.get(KIND, wanted.lease) is not None:
        return False
    full = dict(ended.full)
    body = {
        "grant": wanted._asdict(), "until": until, "where": str(full.get("where") or ""), "undos": 0, "ended_by": "",
        "report": full, "taken": True,
    }  # fmt: skip
    work.save(KIND, wanted.lease, body, version=0, state=ACTIVE, ref=wanted.case_id, due=until + _SLACK)
    follow(work, "release", wanted.lease, due=until + _SLACK, lease=wanted.lease)
    follow(work, "tell", wanted.lease, lease=wanted.lease, what="contained")
    tools.journal.write(
        work, "taken over", case=wanted.case_id, target=wanted.target, responder=wanted.responder, lease=wanted.lease,
        operator=wanted.by, automated=False, result=full.get("result"), until=until, job=ended.cortex_job_id or None,
    )  # fmt: skip
    return True


def move(work: Transaction, tools: Tools, record: Record, until: float, by: str, **changes: Any) -> Record:
    """Have a lease in force end at another time, on a person's word. `changes` are kept in its body."""
    wanted = Grant(**record.body["grant"])
    body = {**record.body, **changes, "until": until}
    saved = work.save(KIND, record.key, body, version=record.version, state=record.state, ref=record.ref, due=until)
    work.revive("step", f"release:{record.key}")
    tools.journal.write(
        work, "end moved", case=wanted.case_id, target=wanted.target, responder=wanted.responder, lease=record.key,
        operator=by, automated=False, until=until, permanent=changes.get("permanent"),
    )  # fmt: skip
    return saved


def gone(work: Transaction, tools: Tools, record: Record, by: str, ended: launch.Ended) -> None:
    """Note that somebody ended a containment without us: there is nothing left to undo, and it is not fought."""
    wanted = Grant(**record.body["grant"])
    body = {**record.body, "ended_by": by, "released": dict(ended.full), "ended_at": tools.clock.now()}
    work.save(KIND, record.key, body, version=record.version, state=ENDED, ref=record.ref)
    follow(work, "tell", f"{record.key}:released", lease=record.key, what="released")
    tools.journal.write(
        work, "released by hand", case=wanted.case_id, target=wanted.target, responder=wanted.responder,
        lease=record.key, operator=by, automated=False, result=ended.full.get("result"),
    )  # fmt: skip


def moment(text: Any) -> float | None:
    """Wall time of a `2026-01-01T00:00:00Z` in a responder's report."""
    try:
        return float(timegm(strptime(str(text), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


def in_force(work: Transaction, case_id: str | None = None) -> list[Record]:
    """The leases in force, of one case or of all."""
    return [record for state in IN_FORCE for record in work.find(KIND, Filter(state=state, ref=case_id))]


def on_target(work: Transaction, responder: str, target: str) -> Record | None:
    """The lease in force by which a responder contains a target, whatever its case and whoever began it."""
    for record in in_force(work):
        grant = record.body["grant"]
        if grant["responder"] == responder and grant["target"].casefold() == target.casefold():
            return record
    return None


def _contain_key(lease: str) -> str:
    return f"contain:{lease}"


def _undo_key(record: Record) -> str:
    slow = record.body.get("slow")
    return f"release:{record.key}:{record.body['undos']}{f'.{slow}' if slow else ''}"
