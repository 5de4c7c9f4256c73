"""Longer than decided: a lease is renewed, or made permanent, on a person's word.

The lease's end (`until`) is what the service promises; the product's own end (`held`) may be nearer, as a responder
never contains for longer than it is configured to. So the responder is started again, to extend what it did, before
each end of the product's, until the promised one is reached. A permanent lease is one that is renewed for ever.

Step `renew:<lease>:<number>` `{"lease", "number"}`; a newer number takes its place. In the lease's body: `held`,
`renewals` (the number), `extensions` (starts of the responder so far), `next` (wall time of the next), `failures` (in a
row), `permanent`.
"""

from __future__ import annotations

from typing import Any

from playbook_service.engine import launch, lease
from playbook_service.engine.context import ceiling
from playbook_service.engine.markdown import code, plain
from playbook_service.engine.notice import notice
from playbook_service.engine.step import Done, Later, Outcome, follow
from playbook_service.engine.tools import Tools
from playbook_service.store.contract import Conflict, Item, Record, Transaction
from propolis.clock import utc_text
from propolis.containment.mark import is_ours
from propolis.errors import InputError
from propolis.guardrails import PolicyError, check_ttl

FOREVER = 253_370_764_800.0
"""The end of a permanent lease: the first day of the year 9999."""
_HELD = ("extended", "contained", "already_contained")
_SAME_END = 90.0
"""Seconds: two ends closer than this are one (the responder moves nothing for less than 60)."""
_AHEAD = 600.0
"""Seconds before the product's end in which it is extended; less where it contains for less than twice that."""
_PAUSES = (30.0, 60.0, 300.0, 900.0)
_SHOUT_AFTER = 3
_HELD_BACK = 60.0


def renew(work: Transaction, tools: Tools, key: str, seconds: int, by: str) -> float:
    """Have a lease last so many seconds longer, at most the policy's `max_ttl` from now; returns its new end.

    Raises InputError where it cannot be renewed, PolicyError while the policy is not valid.
    """
    record = _renewable(work, tools, key)
    now, until = tools.clock.now(), float(record.body["until"])
    if record.body.get("permanent"):
        raise InputError(f"The lease {key} is permanent: there is nothing to renew.")
    longest = tools.policy().max_ttl
    wanted = min(max(until, now) + seconds, now + longest)
    if wanted <= until + 1:
        raise InputError(
            f"The lease {key} lasts until {utc_text(until)} already, which is the longest that the policy allows "
            "(firewall.max_ttl)."
        )
    _begin(work, tools, record, wanted, by, False)
    return wanted


def make_permanent(work: Transaction, tools: Tools, key: str, by: str) -> None:
    """Have a lease last until somebody releases it. Raises InputError, PolicyError, and Refused where the policy
    says `permanent: never`."""
    record = _renewable(work, tools, key)
    check_ttl(tools.policy(), None, permanent_by_human=True)
    if not record.body.get("permanent"):
        _begin(work, tools, record, FOREVER, by, True)


def _renewable(work: Transaction, tools: Tools, key: str) -> Record:
    record = work.get(lease.KIND, key)
    if record is None:
        raise InputError(f"There is no lease {key!r}.")
    if record.state != lease.ACTIVE or record.body["ended_by"]:
        raise InputError(f"The lease {key} is {record.state}: only one that is in force can be renewed.")
    tools.switch.look(work)
    if ceiling(tools, tools.policy()) == "observe":
        raise InputError("The mode is observe, in which nothing is contained, so nothing is renewed either.")
    return record


def _begin(work: Transaction, tools: Tools, record: Record, until: float, by: str, permanent: bool) -> None:
    number = int(record.body.get("renewals", 0)) + 1
    held = float(record.body.get("held", record.body["until"]))
    changes: dict[str, Any] = {"renewals": number, "held": held, "next": tools.clock.now(), "permanent": permanent}
    lease.move(work, tools, record, until, by, **changes)
    follow(work, "renew", f"{record.key}:{number}", lease=record.key, number=number)
    grant = lease.Grant(**record.body["grant"])
    end = "until somebody releases it" if permanent else f"until {utc_text(until)}"
    lines = [f"{code(grant.target)} stays contained by {plain(grant.responder)} {end}, on the word of {plain(by)}."]
    notice(work, f"renewed:{record.key}:{number}", grant.case_id, f"Renewed: {grant.target} ({grant.responder})", lines)


class Renewals:
    """The step `renew`."""

    def __init__(self, tools: Tools):
        self._tools = tools

    def step(self, item: Item) -> Outcome:
        """Extend what the product does whenever its own end comes near, until the lease's end is reached."""
        with self._tools.store.transaction() as work:
            record = work.get(lease.KIND, str(item.body["lease"]))
            begun = work.get(launch.KIND, lease.extension_key(record)) if record else None
        if record is None or record.body.get("renewals") != item.body["number"]:
            return Done()
        if begun is None:
            waiting = self._not_yet(record)
            if waiting is not None:
                return waiting
            self._intend(record)
        return self._extend(record)

    def _not_yet(self, record: Record) -> Outcome | None:
        """Why the responder is not to be started at this moment."""
        if record.state != lease.ACTIVE or self._is_reached(record):
            return Done()
        left = float(record.body["next"]) - self._tools.clock.now()
        if left > 0:
            return Later(min(left, 3600.0), "the product holds it for now")
        why = self._held_back()
        return Later(_HELD_BACK, why) if why else None

    def _extend(self, record: Record) -> Outcome:
        """Follow the start to its end, also where the lease is to be released meanwhile: that waits for it."""
        key = lease.extension_key(record)
        outcome = launch.advance(self._tools, key)
        if isinstance(outcome, Later):
            return outcome
        with self._tools.store.transaction() as work:
            ended = launch.ending(work, key)
        return self._settled(record, ended) if ended else Done()

    def _is_reached(self, record: Record) -> bool:
        """Does the product hold it as long as it is to last? One that is to be released now is reached too."""
        return float(record.body["held"]) + _SAME_END >= float(record.body["until"])

    def _held_back(self) -> str:
        """Why no containing responder may be started now."""
        try:
            policy = self._tools.policy()
        except PolicyError as error:
            return error.message
        if ceiling(self._tools, policy) == "observe":
            return "the mode is observe, in which nothing is contained"
        return next(iter(policy.holds_back()), "")

    def _intend(self, record: Record) -> None:
        grant = lease.Grant(**record.body["grant"])
        seconds = min(float(record.body["until"]) - self._tools.clock.now(), float(self._tools.policy().max_ttl))
        parameters = {"lease": record.key, "duration_seconds": max(1, int(seconds)), "renew": True}
        wish = launch.Wish(grant.responder, grant.entity, grant.entity_id, parameters)
        with self._tools.store.transaction() as work:
            now = work.get(lease.KIND, record.key)
            if now is None or now.version != record.version:
                raise Conflict(f"The lease {record.key} was changed at this moment.")
            launch.intend(work, lease.extension_key(record), wish, ref=grant.entity_id)

    def _settled(self, record: Record, ended: launch.Ended) -> Outcome:
        why = _fault(ended)
        if why:
            return self._failed(record, why)
        now, until = self._tools.clock.now(), float(record.body["until"])
        held = lease.moment(ended.full.get("until")) or until
        soon = held - min(_AHEAD, max(30.0, (held - now) / 2))
        changes = {"held": held, "next": max(soon, now + 30.0), "failures": 0}

        def commit(work: Transaction) -> None:
            self._note(work, record, changes)
            self._audit(work, record, "renewed", until=held, result=ended.full.get("result"))

        if held + _SAME_END >= until:
            return Done(commit)
        return Later(max(0.0, changes["next"] - now), "the product holds it for now", commit)

    def _failed(self, record: Record, why: str) -> Outcome:
        failures = int(record.body.get("failures", 0)) + 1
        pause = _PAUSES[min(failures, len(_PAUSES)) - 1]

        def commit(work: Transaction) -> None:
            self._note(work, record, {"next": self._tools.clock.now() + pause, "failures": failures})
            self._audit(work, record, "renewal failed", tries=failures, why=why)
            if failures == _SHOUT_AFTER:
                self._shout(work, record, why)

        return Later(pause, f"the renewal failed: {why}", commit)

    def _shout(self, work: Transaction, record: Record, why: str) -> None:
        grant = lease.Grant(**record.body["grant"])
        held = utc_text(float(record.body["held"]))
        lines = [
            f"{plain(grant.responder)} does not extend the containment of {code(grant.target)}: {plain(why, 500)}.",
            f"The product ends it by itself at {held} unless one of the next tries works.",
        ]
        title = f"RENEW BY HAND? {grant.target} ({grant.responder})"
        key = f"renewal:{record.key}:{record.body.get('extensions', 0)}"
        notice(work, key, grant.case_id, title, lines, urgent=True)

    def _note(self, work: Transaction, record: Record, changes: dict[str, Any]) -> None:
        body = {**record.body, "extensions": int(record.body.get("extensions", 0)) + 1, **changes}
        work.save(
            lease.KIND, record.key, body, version=record.version, state=record.state, ref=record.ref, due=record.due
        )

    def _audit(self, work: Transaction, record: Record, action: str, **facts: Any) -> None:
        grant = lease.Grant(**record.body["grant"])
        self._tools.journal.write(
            work, action, case=grant.case_id, target=grant.target, responder=grant.responder, lease=record.key, **facts
        )


def _fault(ended: launch.Ended) -> str:
    """Why an extension does not count; empty where the product holds the containment, and it is ours."""
    result = ended.full.get("result")
    if not ended.success or result not in _HELD:
        return ended.error or str(ended.full.get("message") or "the responder did not say what it did")
    shown = is_ours(str(ended.full.get("mark") or "")) or ended.full.get("marks") is False
    if result == "already_contained" and not shown:
        return "it is contained there by somebody else"
    return ""
