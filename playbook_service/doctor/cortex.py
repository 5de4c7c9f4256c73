"""Cortex as the service sees it: version, account, our workers in our version, everybody's answers.

What readers see of a worker: name, version, jobCache; its configuration only an administrator, so `dry_run` shows in
the look-only runs and not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from playbook_service import jsonread
from playbook_service.cortex import reading
from playbook_service.doctor.clocks import skew
from playbook_service.doctor.finding import Finding, ago, fail, harmless, later, listed, ok, warn
from playbook_service.jsonread import Document
from playbook_service.playbook import Playbooks
from playbook_service.playbook.model import MODES
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.settings import Settings
from playbook_service.setup.bundle import UNCACHED, definition_id, versions
from propolis.clock import Clock
from propolis.http import Client, session
from propolis.verdict.sources import without_version

_SETUP = "propolis setup enables and configures them (docs/setup.md)"
_READERS = ("WazuhAlert", "ConsensusScore")
"""Our analyzers; without them the service reads and weighs by itself."""
_JOBS = 100
_JOBS_LOOKED_AT = f"0-{_JOBS}"


def client_of(settings: Settings, clock: Clock) -> Client:
    """For what the service itself does not ask. Raises ConfigurationError."""
    return session(
        settings["cortex_url"], headers={"Authorization": f"Bearer {settings['cortex_key']}"},
        ca_file=settings["cortex_ca_file"] or None, retries=1, budget=30.0, timeout=(5.0, 15.0), clock=clock,
        secrets=(settings["cortex_key"],), name="cortex_url",
    )  # fmt: skip


def look(client: Client, playbooks: Playbooks | None, mode: str, clock: Clock) -> Iterator[Finding]:
    """Everything about a Cortex that answers; `mode` is the service's. Raises HttpError where it no longer does."""
    answer = client.get("/api/status")
    yield _version(reading.document(answer), client.address.host)
    yield skew(answer, clock)
    account = client.get("/api/user/current", accept=(200, 401, 403))
    if account.status != 200:
        yield fail("account", f"the key is refused ({account.status})", "renew or correct cortex_key")
        return
    yield _account(reading.document(account))
    enabled = workers(client)
    yield _ours(enabled, playbooks, mode)
    yield _cache(enabled)
    yield _analyzers(enabled, playbooks)
    yield _answers(client, clock)


def workers(client: Client) -> list[Document]:
    """Every analyzer and responder that is enabled. Raises HttpError."""
    return [
        one
        for kind in ("analyzer", "responder")
        for one in reading.documents(client.get(f"/api/{kind}", params={"range": "all"}))
    ]


def _version(found: Document, host: str) -> Finding:
    parts = found.get("versions")
    version = jsonread.text(parts, "Cortex") if isinstance(parts, dict) else ""
    if not version:
        return fail("version", f"what answers at {host} is not Cortex", "correct cortex_url")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < (3, 1, 5):
        return warn("version", f"{version} at {host}: TheHive 5.5 and later want 3.1.5", "upgrade Cortex")
    return ok("version", f"{version} at {host}")


def _account(user: Document) -> Finding:
    roles = jsonread.texts(user.get("roles"))
    told = f"{jsonread.text(user, 'login', 'id')}, {listed(roles) or 'no role'}, {jsonread.text(user, 'organization')}"
    if not roles:
        return fail("account", told, "give it the role read in the organisation that TheHive uses")
    surplus = [role for role in roles if role in ("orgadmin", "superadmin")]
    if surplus:
        return warn("account", f"{told}: {listed(surplus)} is more than it needs", "give it the role read (or analyze)")
    return ok("account", told)


def _definition(worker: Document) -> str:
    return jsonread.text(worker, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId")


def responders(playbooks: Playbooks | None, modes: tuple[str, ...] = MODES) -> list[str]:
    """The responders that enabled playbooks of these modes name."""
    chosen = [one for one in playbooks or () if one.enabled and one.mode in modes]
    return sorted({action.responder for one in chosen for action in one.actions if action.contains})


def needed(playbooks: Playbooks | None, mode: str) -> list[str]:
    """Both flavours of each responder that may be started: playbooks that only observe start none."""
    names = [] if mode == "observe" else responders(playbooks, ("approve", "enforce"))
    return _with_undo(names)


def _with_undo(names: list[str]) -> list[str]:
    return [flavour for name in names for flavour in (name, RESPONDERS[name].undo)]


def _ours(enabled: list[Document], playbooks: Playbooks | None, mode: str) -> Finding:
    there = {_definition(one) for one in enabled}
    names = {without_version(one) for one in there}
    wished = [*_READERS, *_with_undo(responders(playbooks))]
    missing = [name for name in wished if definition_id(name) not in there]
    other = [name for name in missing if name in names]
    if other:
        told = listed(f"{name} is not at {versions()[name]}" for name in other if name in versions())
        return fail("workers", told, "enable the version that is in this bundle, and disable the other: propolis setup")
    lacking = [name for name in needed(playbooks, mode) if name in missing]
    if lacking:
        return fail("workers", f"not enabled, though playbooks may start them: {listed(lacking)}", _SETUP)
    present = listed(name for name in wished if name not in missing)
    if missing:
        text = f"enabled, at our version: {present or 'none'}; not enabled, and not started yet: {listed(missing)}"
        return warn("workers", text, f"{_SETUP}, before a playbook that names them leaves the mode observe")
    return ok("workers", f"enabled, at our version: {present}")


def _cache(enabled: list[Document]) -> Finding:
    for one in enabled:
        if _definition(one) in {definition_id(name) for name in UNCACHED} and one.get("jobCache") != 0:
            minutes = one.get("jobCache", "Cortex' default")
            text = f"ConsensusScore is cached ({minutes} minutes): it gives an old verdict after new reports"
            return fail("cache", text, "set its job cache to 0: propolis setup does")
    return ok("cache", "ConsensusScore is not cached")


def _analyzers(enabled: list[Document], playbooks: Playbooks | None) -> Finding:
    there = {_definition(one) for one in enabled} | {without_version(_definition(one)) for one in enabled}
    named = sorted({name for one in playbooks or () if one.enabled for name in one.analyzers})
    missing = [name for name in named if name not in there]
    if named and len(missing) == len(named):
        fix = "enable some in Cortex: without reports there is no verdict"
        return fail("analyzers", f"none of the {len(named)} that playbooks name is enabled", fix)
    if missing:
        fix = "enable them, or take them out of the playbooks; the others are asked all the same"
        return warn(
            "analyzers", f"{len(missing)} of {len(named)} that playbooks name are not enabled: {listed(missing)}", fix
        )
    return ok("analyzers", f"all {len(named)} that playbooks name are enabled")


def _answers(client: Client, clock: Clock) -> Finding:
    """The newest job of each worker that ran lately."""
    body = {"query": {"_any": ""}, "range": _JOBS_LOOKED_AT, "sort": ["-createdAt"]}
    params = {"range": _JOBS_LOOKED_AT, "sort": "-createdAt"}
    answer = client.post("/api/job/_search", json=body, params=params, retry=True)
    newest: dict[str, tuple[str, str, float]] = {}
    for found in map(reading.job, reading.documents(answer)):
        if found.finished:
            newest.setdefault(found.definition, (found.status, found.error, clock.now() - found.ended_at / 1000))
    failed = [f"{name} ({harmless(row[1], 80)})" for name, row in newest.items() if row[0] == "Failure"]
    if failed:
        return warn("answers", f"the newest job failed: {listed(failed, 3)}", "read the job in Cortex (Jobs history)")
    if not newest:
        return later("answers", "no worker has run yet; doctor --run has them answer")
    return ok(
        "answers", f"{len(newest)} workers, the last {ago(min(row[2] for row in newest.values()))} ago, none failing"
    )
