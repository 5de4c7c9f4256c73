"""Named places between two durable writes, at which a test can have the process die as power cuts and OOM killers do.

In production nothing happens here: `reached` is a lookup in an empty mapping. With `PROPOLIS_CRASH_AT=launch.asked` in
the environment the process kills itself (SIGKILL: no handler, no flush, no farewell) when it comes by that place, with
`launch.asked:3` the third time. What must hold afterwards is told by tests/crash.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Mapping

VARIABLE = "PROPOLIS_CRASH_AT"

POINTS: Mapping[str, str] = {
    "intake.put": "events are in the transaction, which is not committed",
    "intake.committed": "events are committed, the sender does not know it yet",
    "step.claimed": "a step is claimed and nothing was done for it",
    "step.handled": "a step was done outside, and nothing of it is committed",
    "step.settling": "a step's outcome is in the transaction, which is not committed",
    "step.settled": "a step's outcome is committed",
    "alert.made": "TheHive has the alert, we have no record of it",
    "case.reserved": "the right to open the case is taken, the case is not opened",
    "case.opened": "TheHive has the case, we do not know which",
    "case.entered": "the case is entered under its observables, the alert does not know it",
    "analyzer.asking": "an analyzer's start is noted, and not asked for",
    "analyzer.asked": "an analyzer was started, its job is not noted",
    "books.kept": "tags, tasks and severity are written, the decision is not",
    "target.aimed": "the observable to contain is in the case, the decision is not recorded",
    "approval.asked": "the question is in the case, we do not know its task",
    "approval.cancelled": "a lapsed question is taken away, its end is not noted",
    "approval.granting": "an answer was read and weighed, the grant is not noted",
    "launch.asking": "a responder's start is noted, and not asked for",
    "launch.asked": "a responder was started, its action is not noted",
    "launch.adopted": "a responder's action is noted, the step does not know it",
    "launch.ended": "a responder's ending is noted, what follows from it is not",
    "lease.settling": "a containment is in force, its lease is still a wish",
    "lease.undoing": "a lease is being undone, the undo was not started",
    "lease.undone": "the undo has ended, its lease has not",
    "note.written": "the case is told, the step does not know it",
    "decided.entered": "a decision is recorded and in the register, its words are not, and none of it is committed",
    "audit.entered": "a line is in the chain and in its index, and neither is committed",
    "audit.written": "a line is in the audit file and perhaps not on the disk",
}
"""Name -> what is true there."""


def _armed(text: str) -> dict[str, int]:
    """`name` or `name:count` -> at which name, and at which of its occurrences."""
    name, _, count = text.partition(":")
    if text and name not in POINTS:
        raise ValueError(f"{VARIABLE} names no crash point: {name!r}")
    return {name: int(count or 1)} if text else {}


_ARMED = _armed(os.environ.get(VARIABLE, ""))
_COUNT = itertools.count(1)


def reached(name: str) -> None:
    """Die here if the environment says so. `name` is one of `POINTS`."""
    wanted = _ARMED.get(name)
    if wanted is not None and next(_COUNT) == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
