"""Have the workers answer: jobs in Cortex that change nothing anywhere.

A containing responder is started with `look_only`, which its code takes as a dry run whatever its configuration says
(propolis/containment/responder.py): it asks the product how things stand, and no more. Targets that nobody has: a
documentation address (RFC 5737), and a name that no directory holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from playbook_service.cortex import Cortex
from playbook_service.cortex.model import CortexJob, CortexWorker
from playbook_service.doctor.cortex import needed, responders
from playbook_service.doctor.finding import FAIL, WARN, Finding, fail, harmless, ok, unknown
from playbook_service.playbook import Playbooks
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.setup.bundle import definition_id
from propolis.guardrails.refusal import BUILT_IN, change
from propolis.http import HttpError

ADDRESS, NOBODY = "192.0.2.1", "doctor-probe-nobody"
_TARGETS = {"address": ("ip", ADDRESS), "account": ("username", NOBODY), "host": ("hostname", NOBODY)}
_ALERT = {
    "id": "1", "rule": {"id": "5710", "level": 5, "description": "propolis doctor"}, "agent": {"id": "000"},
    "data": {"srcip": ADDRESS},
}  # fmt: skip
_SHORTEST_WAIT = 1.0
_POLICY = change("").partition(" in ")[0]
"""How every refusal by a rule of the operator's own ends."""


class Trial(NamedTuple):
    """One job."""

    name: str
    """Of the worker, without its version."""
    data_type: str
    data: str
    parameters: Mapping[str, Any]


def look(cortex: Cortex, playbooks: Playbooks | None, mode: str, wait: float) -> Iterator[Finding]:
    """Start the jobs one after the other; each has `wait` seconds. Raises HttpError where Cortex no longer answers.

    What no playbook may start in the service's `mode` does not have to work yet."""
    yield _tried(_analyzer, cortex, Trial("WazuhAlert", "wazuh-alert", json.dumps(_ALERT), {}), wait)
    yield _tried(_analyzer, cortex, Trial("ConsensusScore", "ip", ADDRESS, {"reports": []}), wait)
    acting = needed(playbooks, mode)
    for name in responders(playbooks):
        kind, data = _TARGETS[RESPONDERS[name].contains]
        found = _tried(_responder, cortex, Trial(name, kind, data, {"look_only": True}), wait)
        yield found._replace(state=WARN) if found.state == FAIL and name not in acting else found


def _tried(start: Any, cortex: Cortex, trial: Trial, wait: float) -> Finding:
    name = f"run {trial.name}"
    try:
        begun: CortexJob | None = start(cortex, trial)
    except HttpError as error:
        if error.status in (401, 403):
            return unknown(name, error.message, "give the account of cortex_key the role analyze for this")
        return fail(name, error.message, "see Cortex: its log, and the worker's rate limit")
    if begun is None:
        return unknown(name, "it is not enabled", "propolis setup (docs/setup.md)")
    found = cortex.wait_report(begun.id, max(_SHORTEST_WAIT, wait))
    if found is None or not found.finished:
        fix = "see whether Cortex runs jobs at all, and the worker's job timeout"
        return fail(name, f"no answer within {wait:.0f} s (job {begun.id})", fix)
    return _judged(name, found)


def _analyzer(cortex: Cortex, trial: Trial) -> CortexJob | None:
    worker = _enabled(cortex.analyzers(trial.data_type), trial.name)
    if worker is None:
        return None
    return cortex.run_analyzer(worker, trial.data_type, trial.data, parameters=trial.parameters, force=True)


def _responder(cortex: Cortex, trial: Trial) -> CortexJob | None:
    worker = _enabled(cortex.responders("case_artifact"), trial.name)
    if worker is None:
        return None
    entity = {
        "_id": "~0", "id": "~0", "_type": "case_artifact", "dataType": trial.data_type, "data": trial.data, "tlp": 2,
        "pap": 2, "tags": [], "message": "propolis doctor", "reports": {},
    }  # fmt: skip
    return cortex.run_responder(
        worker,
        "case_artifact",
        entity,
        label="propolis doctor",
        parameters={**trial.parameters, "user": "propolis doctor"},
    )


def _enabled(workers: list[CortexWorker], name: str) -> CortexWorker | None:
    return next((one for one in workers if one.definition == definition_id(name)), None)


def _judged(name: str, job: CortexJob) -> Finding:
    """A refusal by the guardrails, and a product that does not know the target, are answers too."""
    if job.status == "Success":
        full = (job.report or {}).get("full")
        message = full.get("message") if isinstance(full, Mapping) else None
        return ok(name, harmless(str(message or "it answers")))
    text = job.error or "no reason was given"
    if BUILT_IN in text or _POLICY in text or NOBODY in text:
        return ok(name, f"it answers: {harmless(text, 240)}")
    return fail(name, harmless(text, 240), "mend what it says, in the worker's configuration or at the product")
