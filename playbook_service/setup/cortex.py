"""What Cortex has and lacks: definitions, enabled workers, their configuration. Routes: Cortex 4.1 `conf/routes`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from playbook_service import jsonread
from playbook_service.cortex import reading
from playbook_service.jsonread import Document
from playbook_service.setup.bundle import versions
from playbook_service.setup.document import CortexWish, WorkerWish
from playbook_service.setup.look import CHANGE, MAKE, Change, Look, Step
from playbook_service.setup.value import Given
from propolis.errors import ConfigurationError
from propolis.http import Client, segment, session
from propolis.verdict.sources import without_version

KINDS = ("analyzer", "responder")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "text": (str,), "number": (int, float), "boolean": (bool,),
}  # fmt: skip
_SERVER_ITEMS: Mapping[str, str] = {
    "proxy_http": "string", "proxy_https": "string", "cacerts": "text", "check_tlp": "boolean", "max_tlp": "number",
    "check_pap": "boolean", "max_pap": "number", "auto_extract_artifacts": "boolean",
}  # fmt: skip
"""Items that Cortex adds to every worker by itself (auto_extract_artifacts: to analyzers)."""


def enter(wish: CortexWish) -> Client:
    """A connection with the organisation administrator's key."""
    return session(
        wish.server.url, headers={"Authorization": f"Bearer {wish.key}"}, ca_file=wish.server.ca_file or None,
        secrets=(wish.key,), name="url",
    )  # fmt: skip


def version(client: Client) -> str:
    """Cortex' version; needs no key. Raises ConfigurationError where something else answers."""
    found = reading.document(client.get("/api/status")).get("versions")
    text = jsonread.text(found, "Cortex") if isinstance(found, Mapping) else ""
    if not text:
        raise ConfigurationError(f"What answers at {client.address.host} is not Cortex: check cortex.url.")
    return text


def lacking(client: Client) -> list[str]:
    """What the key may not do, as sentences. Raises HttpError."""
    answer = client.get("/api/user/current", accept=(200, 401, 403))
    if answer.status != 200:
        return [f"Cortex refuses cortex.org_admin_key ({answer.status}): renew or correct it."]
    user = reading.document(answer)
    roles = jsonread.texts(user.get("roles"))
    if "orgadmin" in roles:
        return []
    return [f"cortex.org_admin_key belongs to {jsonread.text(user, 'login', 'id')}, who lacks the role orgadmin."]


def look(client: Client, wish: CortexWish, *, scan: bool) -> Look:
    """Compare the workers with the wish; `scan` lets Cortex read its folders again where a definition is missing.
    Raises HttpError."""
    found = Look()
    known = _definitions(client)
    if scan and any(one.definition not in known for one in wish.workers):
        for kind in KINDS:
            client.post(f"/api/{kind}definition/scan", accept=(200, 204), retry=True)
        known = _definitions(client)
    enabled = [one for kind in KINDS for one in reading.documents(client.get(f"/api/{kind}", params={"range": "all"}))]
    for worker in wish.workers:
        kind, definition = known.get(worker.definition, ("", {}))
        if not kind:
            found.faults.append(_unknown(worker, known))
        else:
            _worker(client, worker, kind, definition, enabled, found)
    _older(wish.workers, enabled, found)
    return found


def _definitions(client: Client) -> dict[str, tuple[str, Document]]:
    return {
        jsonread.text(one, "id", "_id"): (kind, one)
        for kind in KINDS
        for one in reading.documents(client.get(f"/api/{kind}definition"))
    }


def _unknown(worker: WorkerWish, known: Iterable[str]) -> str:
    near = sorted(one for one in known if without_version(one) == without_version(worker.definition))
    hint = (
        f"it has {', '.join(near)}" if near else "put its folder into analyzer.urls or responder.urls (docs/install.md)"
    )
    return f"{worker.place}: Cortex does not know {worker.definition}: {hint}."


def _worker(
    client: Client, worker: WorkerWish, kind: str, definition: Document, enabled: list[Document], found: Look
) -> None:
    present = next((one for one in enabled if _definition_of(one) == worker.definition), None)
    saved: Any = {} if present is None else present.get("configuration")
    saved = saved if isinstance(saved, dict) else {}
    faults = list(_faults(kind, definition, worker.configuration, saved))
    found.faults += [f"{worker.place}.configuration: {worker.definition}: {one}." for one in faults]
    if present is None:
        apply = partial(_enable, client, kind, worker)
        found.changes.append(Change(MAKE, worker.definition, _told(worker), apply))
        return
    differs = [*_item_differences(worker, saved), *_setting_differences(worker, present)]
    if not differs:
        found.right.append(worker.definition)
        return
    apply = partial(_change, client, kind, worker, jsonread.text(present, "id", "_id"), saved)
    found.changes.append(Change(CHANGE, worker.definition, f": {'; '.join(differs)}", apply))


def _definition_of(worker: Document) -> str:
    return jsonread.text(worker, "workerDefinitionId", "analyzerDefinitionId", "responderDefinitionId")


def _told(worker: WorkerWish) -> str:
    parts = [f"{name} {value.shown(name)}" for name, value in worker.configuration.items()]
    parts += [f"{name} {value}" for name, value in worker.settings.items()]
    return f": {', '.join(parts)}" if parts else ""


def _item_differences(worker: WorkerWish, saved: Document) -> list[str]:
    return [
        f"{name} {Given(saved.get(name)).shown(name)} -> {value.shown(name)}" if _tellable(name, value) else
        f"{name} {value.shown(name)}, another value than Cortex has"
        for name, value in worker.configuration.items()
        if value.late is not None or saved.get(name) != value.value
    ]  # fmt: skip


def _tellable(name: str, value: Given) -> bool:
    return not value.origin and not isinstance(value.value, list) and value.shown(name) != "(set)"


def _setting_differences(worker: WorkerWish, present: Document) -> list[str]:
    return [
        f"{name} {present.get(name, 'not set')} -> {value}"
        for name, value in worker.settings.items()
        if present.get(name) != value
    ]


def _faults(kind: str, definition: Document, given: Mapping[str, Given], saved: Document) -> Iterable[str]:
    """What Cortex would refuse, one by one (it names them all in one line without saying what is expected)."""
    listed = definition.get("configurationItems")
    items = {str(one.get("name")): one for one in listed if isinstance(one, dict)} if isinstance(listed, list) else {}
    own = {name: {"type": of} for name, of in _SERVER_ITEMS.items() if kind == "analyzer" or name[0] != "a"}
    for name, value in given.items():
        item = items.get(name, own.get(name))
        if item is None:
            yield f"it has no item {name}; it has {', '.join(sorted(items)) or 'none'}"
        elif value.value is not None and not _fits(item, value):
            many = "a list of " if item.get("multi") else ""
            yield f"{name} must be {many}{item.get('type')}"
    for name, item in items.items():
        value = given.get(name, Given(saved.get(name, item.get("defaultValue"))))
        if item.get("required") and value.value in (None, "") and value.late is None:
            yield f"the item {name} is required"


def _fits(item: Document, value: Given) -> bool:
    kinds = _TYPES.get(str(item.get("type")), (str,))
    if item.get("multi"):
        return isinstance(value.value, list) and all(_is(one, kinds) for one in value.value)
    return _is(value.value, kinds)


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds)


def _values(worker: WorkerWish) -> dict[str, Any]:
    return {name: value.now() for name, value in worker.configuration.items()}


def _enable(client: Client, kind: str, worker: WorkerWish) -> None:
    body = {"name": worker.definition, "configuration": _values(worker), **worker.settings}
    client.post(f"/api/organization/{kind}/{segment(worker.definition)}", json=body)


def _change(client: Client, kind: str, worker: WorkerWish, identity: str, saved: Document) -> None:
    """Items that the file does not name keep their values; an item that is not set is left out, as null is refused."""
    kept = {name: value for name, value in saved.items() if value is not None}
    body = {"configuration": {**kept, **_values(worker)}, **worker.settings}
    client.patch(f"/api/{kind}/{segment(identity)}", json=body, retry=True)


def _older(workers: tuple[WorkerWish, ...], enabled: list[Document], found: Look) -> None:
    """Our workers that are enabled in another version beside the one that is wished."""
    wished = {one.definition for one in workers}
    for one in enabled:
        definition, name = _definition_of(one), without_version(_definition_of(one))
        if name in versions() and definition not in wished and any(without_version(other) == name for other in wished):
            lines = ("Both are offered in TheHive's menus, and the older one with its own configuration:",
                     f"Organization > {definition} > disable, once nothing uses it any more.")  # fmt: skip
            found.steps.append(Step(f"{definition} is enabled in Cortex beside the present version", lines))
