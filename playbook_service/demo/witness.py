"""What is seen: the demo reads the service's store and TheHive, and waits until something is so, or gives up on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from playbook_service.demo.stage import Stage
from playbook_service.engine import approval, arrival, launch, lease, ruling
from playbook_service.engine.deciding import VERDICT
from playbook_service.feedback import closure
from playbook_service.store.contract import Filter, Record, Transaction
from propolis.alert import Alert
from propolis.errors import PropolisError

Found = TypeVar("Found")
PATIENCE = 30.0
"""Seconds that the service has for a step of the story."""
_LOOK = 0.1


class Unseen(PropolisError):
    """Something that should have happened was not seen in time."""


class Witness:
    """Looks at one stage."""

    def __init__(self, stage: Stage):
        self._stage = stage

    def until(self, what: str, look: Callable[[Transaction], Found | None], seconds: float = PATIENCE) -> Found:
        """Wait until there is something to be seen in the store. Raises Unseen."""
        return self.wait(what, lambda: self.now(look), seconds)

    def wait(self, what: str, look: Callable[[], Found | None], seconds: float = PATIENCE) -> Found:
        """Wait until there is something to be seen anywhere. Raises Unseen."""
        clock = self._stage.clock
        deadline = clock.monotonic() + seconds
        while True:
            found = look()
            if found is not None:
                return found
            if clock.monotonic() > deadline:
                raise Unseen(f"Not seen within {seconds:.0f} s: {what}.")
            clock.sleep(_LOOK)

    def now(self, look: Callable[[Transaction], Found]) -> Found:
        """One look at the store."""
        with self._stage.running.store.transaction() as work:
            return look(work)

    def alert(self, document: dict[str, Any]) -> Record | None:
        """The record of an alert that was sent."""
        node, number = Alert(document).key
        return self.now(lambda work: work.get(arrival.KIND, f"{node}:{number}"))

    def decision(self, target: str, responder: str, *states: str) -> Record:
        """The newest decision on a target (its data or its name) in one of these states; waits for it."""
        what = f"a decision {' or '.join(states)} on {responder} {target}"
        return self.until(what, lambda work: _newest(_on(work, target, responder), states))

    def question(self, key: str) -> Record:
        """A question whose task stands in the case; waits for it."""
        return self.until(f"the task that asks about {key}", lambda work: _of(work, approval.KIND, key, "waiting"))

    def contained(self, key: str) -> Record:
        """A lease in force; waits for it."""
        return self.until(f"the lease {key} in force", lambda work: _of(work, lease.KIND, key, lease.ACTIVE))

    def taken_over(self, target: str) -> Record:
        """The lease made of a containment that somebody else started; waits for it."""

        def look(work: Transaction) -> Record | None:
            found = (one for one in work.find(lease.KIND) if one.body.get("taken"))
            return next((one for one in found if one.body["grant"]["target"] == target), None)

        return self.until(f"a lease for what was started by hand on {target}", look)

    def ended(self, key: str, seconds: float = PATIENCE) -> Record:
        """A lease that has ended; waits for it."""
        return self.until(f"the end of the lease {key}", lambda work: _of(work, lease.KIND, key, lease.ENDED), seconds)

    def contained_at(self, key: str) -> float:
        """Wall time at which the service knew that a lease was in force."""
        record = self.now(lambda work: work.get(launch.KIND, f"contain:{key}"))
        return record.updated_at if record else 0.0

    def verdict(self, decision: Record) -> dict[str, Any] | None:
        """The verdict that a decision stands on: the record's body."""
        key = decision.body["verdict"]
        record = self.now(lambda work: work.get(VERDICT, key)) if key else None
        return record.body if record else None

    def closing(self, case_id: str) -> Record:
        """What the service made of a closed case; waits for it."""
        return self.until(f"the closing of case {case_id}", lambda work: _of(work, closure.KIND, case_id, closure.SHUT))

    def count(self, kind: str, *states: str) -> int:
        """How many records of a kind there are, in these states or in any."""
        wanted = [Filter(state=state) for state in states] or [Filter()]
        return self.now(lambda work: sum(work.count(kind, one) for one in wanted))


def _on(work: Transaction, target: str, responder: str) -> list[Record]:
    found = []
    for record in work.find(ruling.KIND):
        decision = record.body["decision"]
        aim = decision["target"] or {}
        if decision["action"] == f"respond {responder}" and target in (aim.get("data"), aim.get("label")):
            found.append(record)
    return found


def _newest(records: list[Record], states: tuple[str, ...]) -> Record | None:
    fitting = [record for record in records if record.state in states]
    return max(fitting, key=lambda record: float(record.body["at"]), default=None)


def _of(work: Transaction, kind: str, key: str, state: str) -> Record | None:
    record = work.get(kind, key)
    return record if record is not None and record.state == state else None
