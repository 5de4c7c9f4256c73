"""Every state that a record can be in, and every way in which one can be old, odd or hostile, in one store.

`open_zoo` is a busy fortnight with all of that added. Keys say what an animal is, so that a test can ask for its page.
"""

from __future__ import annotations

from typing import Any

from filled import HOUR, Filled

from playbook_service.engine import approval, arrival, decided, launch, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.engine.step import STEPS
from playbook_service.feedback import closure
from playbook_service.store.contract import Record, Store, Transaction

BAD = '<img src=x onerror=alert(1)>"\u202e'
HUGE = BAD + "A" * 1_000_000
HUGEST = BAD + "A" * 10_000_000
ODD: dict[str, Any] = {"a": ["b", None, {"c": 1e300}], "d": True, "e": 10**400}
GONE = "~99999"
"""A case of which nothing is known."""
ENDED = {"result": "released", "message": "Released; verified.", "verified": True}
LEASES: dict[str, tuple[str, dict[str, Any]]] = {
    "wished": (lease.WISHED, {"until": None, "report": {}}),
    "active": (lease.ACTIVE, {}),
    "doubtful": (lease.DOUBTFUL, {"doubtful": True, "report": {"result": "", "message": "it hung"}}),
    "doubtful-asked": (lease.DOUBTFUL, {"doubtful": True, "ended_by": "anna@soc.example"}),
    "doubtful-failing": (lease.ACTIVE, {"doubtful": True, "undos": 1}),
    "releasing": (lease.RELEASING, {"ended_by": "anna@soc.example"}),
    "releasing-again": (lease.RELEASING, {"undos": 4}),
    "over": (lease.ENDED, {"released": ENDED, "ended_at": 1_795_000_100.0}),
    "over-early": (lease.ENDED, {"released": ENDED, "ended_at": 1_795_000_100.0, "ended_by": "anna@soc.example"}),
    "left": (lease.ENDED, {"doubtful": True, "undos": 2}),
    "dry-run": (lease.REFUSED, {"until": None, "report": {"result": "would_contain", "message": "a dry run"}}),
    "called-off": (
        lease.REFUSED, {"until": None, "report": {"result": "called_off", "message": "it was not started: observe"}}
    ),
    "permanent": (lease.ACTIVE, {"permanent": True, "until": 253_370_764_800.0, "held": 1_795_090_000.0}),
    "pending": (lease.ACTIVE, {"pending": True, "report": {"result": "pending", "message": "under way"}}),
    "taken-over": (lease.ACTIVE, {"taken": True}),
    "extended": (lease.ACTIVE, {"renewals": 2, "extensions": 3, "held": 1_795_050_000.0, "failures": 1}),
    "failing": (lease.ACTIVE, {"undos": 2}),
    "asked": (lease.ACTIVE, {"ended_by": "anna@soc.example"}),
    "odd": (
        lease.ACTIVE, {"report": ODD, "released": [1], "undos": "many", "held": -1.0, "until": 1e300, "where": ODD}
    ),
    "huge": (lease.ACTIVE, {"where": HUGE, "report": {"message": HUGE, "mark": HUGE}, "ended_by": HUGE}),
    "of-tomorrow": ("frozen", {"thawed": True}),
}  # fmt: skip
"""Leases by name: state, and what of the body is special."""
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "asked": (approval.ASKED, {}),
    "waiting": (approval.WAITING, {"tasks": ["~t1"]}),
    "lapsed": (approval.WAITING, {"expires": 1_794_000_000.0}),
    "half": (approval.WAITING, {"needed": 2, "given": [["anna@soc.example", "granted"]], "approvers": []}),
    "granted": (approval.GRANTED, {"answers": ["anna@soc.example", "ben@soc.example"], "needed": 2}),
    "denied": (approval.DENIED, {"answers": ["anna@soc.example"], "why": "it was denied"}),
    "withdrawn": (approval.DENIED, {"why": "the evidence has changed, so it was asked again"}),
    "expired": (approval.EXPIRED, {"why": "nobody answered in time"}),
    "by-profile": (approval.WAITING, {"approvers": ["profile:org-admin"]}),
    "odd": (approval.WAITING, {"given": [1, ["x"]], "answers": ODD, "approvers": "all", "needed": None, "why": ODD}),
    "huge": (approval.WAITING, {"approvers": [HUGE], "why": HUGE}),
    "of-tomorrow": ("frozen", {}),
}  # fmt: skip
STATES = ("act", "ask", "choose", "stopped", "held", "covered", "observe", "ignore", "of-tomorrow")


def open_zoo(store: Store) -> Filled:
    """The store, filled."""
    world = Filled(store=store)
    world.fortnight()
    with store.transaction() as work:
        models = {kind: _model(work, kind) for kind in (lease.KIND, approval.KIND, ruling.KIND, VERDICT)}
    for fill in (_leases, _questions, _decisions, _lines, _steps):
        with store.transaction() as work:
            fill(work, world, models)
    return world


def _model(work: Transaction, kind: str) -> Record:
    wanted = lease.ACTIVE if kind == lease.KIND else "act" if kind == ruling.KIND else None
    return next(one for one in work.find(kind) if wanted in (None, one.state))


def _leases(work: Transaction, world: Filled, models: dict[str, Record]) -> None:
    model = models[lease.KIND]
    for number, (name, (state, changes)) in enumerate(LEASES.items()):
        grant = {**model.body["grant"], "lease": name, "target": f"192.0.2.{number}"}
        grant |= {"target": HUGE, "by": HUGE, "why": HUGE, "responder": HUGE} if name == "huge" else {}
        due = None if state in (lease.WISHED, lease.RELEASING) else world.clock.now() + HOUR * (number - 8)
        body = {**model.body, "until": due, "grant": grant, **changes}
        work.save(lease.KIND, name, body, state=state, ref=GONE if number % 2 else model.ref, due=due)
    for name, body in (("empty", {}), ("no-grant", {"grant": None}), ("of-two-versions", {"grant": {"new": 1}})):
        work.save(lease.KIND, name, body, state=lease.ACTIVE, due=world.clock.now() + HOUR)
    for name, body in (("contain:active", {}), ("release:active:0", {"wish": None, "ended": {"full": None}})):
        work.save(launch.KIND, name, body, state=launch.ENDED, ref=str(model.body["grant"]["entity_id"]))


def _questions(work: Transaction, world: Filled, models: dict[str, Record]) -> None:
    model = models[approval.KIND]
    for number, (name, (state, changes)) in enumerate(QUESTIONS.items()):
        grant = {**model.body["grant"], "lease": f"q-{name}", "target": f"198.51.100.{number}"}
        grant |= {"target": HUGE, "why": HUGE} if name == "huge" else {}
        due = world.clock.now() + HOUR if state in (approval.ASKED, approval.WAITING) else None
        body = {**model.body, "grant": grant, "expires": due or 0.0, **changes}
        work.save(approval.KIND, f"q-{name}", body, state=state, ref=GONE if number % 2 else model.ref, due=due)
        asked = work.get(ruling.KIND, models[ruling.KIND].key)
        assert asked is not None
        decided.note(work, work.save(ruling.KIND, f"q-{name}", asked.body, state="ask", ref=asked.ref))
    work.save(approval.KIND, "q-empty", {}, state=approval.WAITING, due=world.clock.now() + HOUR)


def _decisions(work: Transaction, world: Filled, models: dict[str, Record]) -> None:
    model = models[ruling.KIND]
    made = model.body["decision"]
    for state in STATES:
        _decision(work, f"d-{state}", model.body, state, model.ref)
    none = {**made, "target": None, "candidates": []}
    several = {**none, "candidates": [made["target"], {"data": "203.0.113.9"}]}
    special: dict[str, dict[str, Any]] = {
        "no-target": {"decision": {**none}}, "several": {"decision": several},
        "no-verdict": {"verdict": "forgotten:1"}, "no-alert": {"alert": "siem01:forgotten"},
        "renamed": {"decision": {**made, "playbooks": [{"name": "the-old-name", "digest": "0" * 64}]}},
        "for-good": {"decision": {**made, "permanent": True, "seconds": 0}},
        "on-a-case": {"decision": {**made, "event": "case_updated"}, "verdict": ""},
        "huge": {"decision": {**made, "reasons": [HUGE, HUGE], "capped_by": HUGE}, "why": HUGE, "lines": [HUGE] * 3},
        "odd": {"rule": ODD, "why": None, "mode": None, "lines": "none", "at": "yesterday", "outcome": None},
        "odd-alert": {"alert": "odd-alert", "verdict": "odd-verdict"},
    }  # fmt: skip
    for name, changes in special.items():
        _decision(work, f"d-{name}", {**model.body, **changes}, "choose" if "target" in name else "observe", GONE)
    for name, body in (("empty", {}), ("no-facts", {"decision": {}}), ("no-books", {"decision": {"playbooks": []}})):
        work.save(ruling.KIND, f"d-{name}", body, state="observe", ref=model.ref)
        work.save(decided.KIND, f"{10**13 - int(world.clock.now() * 1000):013d}:d-{name}", {}, state="observe")
    work.save(
        arrival.KIND, "odd-alert", {"alert": {"rule": ["x"], "agent": 7}, "observables": [1, ["ip"]]}, state="new"
    )
    work.save(VERDICT, "odd-verdict", {"full": {"ledger": [1, ODD], "explanation": ODD}, "observable": None}, ref=GONE)
    work.save(closure.KIND, GONE, {}, state="closed", ref=GONE)
    full = {**models[VERDICT].body, "full": {**models[VERDICT].body["full"], "explanation": [HUGE] * 3}}
    work.save(VERDICT, "huge", full, ref=GONE)
    alert = {"alert": {"rule": {"description": HUGE, "id": HUGE}, "full_log": HUGEST}, "observables": []}
    work.save(arrival.KIND, "huge", alert, state="new")
    _decision(work, "d-huge-evidence", {**model.body, "alert": "huge", "verdict": "huge"}, "act", GONE)


def _decision(work: Transaction, key: str, body: dict[str, Any], state: str, ref: str) -> None:
    """With its entry in the register, which an odd one has from a version that could read it."""
    record = work.save(ruling.KIND, key, body, state=state, ref=ref)
    at = body["at"] if isinstance(body.get("at"), float) else 1.0
    made = work.get(ruling.KIND, key)
    assert made is not None
    work.save(decided.KIND, f"{10**13 - int(at * 1000):013d}:{record.key}", {}, state=state, ref="malicious-ip")


def _lines(work: Transaction, world: Filled, models: dict[str, Record]) -> None:
    for action in (
        "contained", "released", "decision", "verdict", "approval asked", "approval granted", "not contained",
        "release failed", "end moved", "taken over", "set aside", "case closed", "mode set", "a word of tomorrow",
    ):  # fmt: skip
        world.journal.write(work, action)
        world.journal.write(work, action, decision="d-act", lease="active", case=GONE, until=-1e18, rule=BAD, target=7)
        world.journal.write(work, action, lease="huge", why=HUGE[:100_000], result=ODD["a"], operator=BAD, until=1e18)


def _steps(work: Transaction, world: Filled, models: dict[str, Record]) -> None:
    for key in ("tell:one", f"tell:{BAD}", "release:active"):
        work.put(STEPS, key, {"do": "tell"}, due=world.clock.now() - 1e6)
    for item in work.claim(STEPS, "node", seconds=60, limit=3):
        work.bury(item, HUGE[:100_000])
