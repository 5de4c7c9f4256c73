"""Targets: from a path in a playbook to the one address, account or host that a responder is to contain.

A path is `observable` (the observable of the verdict), `alert.agent` (the host), `case.observables[ip]` (those of one
data type), or any field (`alert.data.srcip`, `case.customFields.wazuh_agent_id`). Of a list of paths, the first that
gives anything fit counts (sources name the same thing differently). It must give exactly one target.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from playbook_service.playbook.document import Node
from playbook_service.playbook.event import EVENTS, ROOTS
from playbook_service.playbook.fault import PlaybookError, unknown
from playbook_service.playbook.field import Context, Lookup, as_map, compile_field
from playbook_service.playbook.modifier import plain_text
from playbook_service.playbook.responder import RESPONDERS

AGENT = "alert.agent"
OBSERVABLE = "observable"
TYPED = re.compile(r"case\.observables\[([A-Za-z0-9_-]{1,64})\]\Z")
MANAGER = "000"
MAX_CANDIDATES = 20
MAX_PATHS = 20


class Target(NamedTuple):
    """What is to be contained. `kind`: address, account or host; `label`, for people, is a host's name."""

    kind: str
    data_type: str
    data: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.data} ({self.label})" if self.label else self.data


class TargetPath(NamedTuple):
    """A path an author wrote, compiled: `find` gives (data type, raw value, label) for each place it leads to."""

    text: str
    root: str
    data_type: str
    find: Callable[[Context], list[tuple[str, Any, str]]]


class Resolved(NamedTuple):
    """What a path gave: the targets fit for the responder (each once), and a sentence for each value that is not."""

    targets: tuple[Target, ...]
    rejected: tuple[str, ...]


def read_target(node: Node) -> tuple[TargetPath, ...]:
    """Compile one path or a list of paths; raises PlaybookError for one that leads nowhere."""
    entries = node.value if isinstance(node.value, list) else [node]
    if not entries or len(entries) > MAX_PATHS:
        raise node.fault(f"name one path, or a list of at most {MAX_PATHS}.")
    return tuple(_read_path(entry) for entry in entries)


def _read_path(node: Node) -> TargetPath:
    text = node.value
    if not isinstance(text, str):
        raise node.fault(f"a target is a path such as observable or alert.data.srcip, not {node.kind}.")
    root = text.partition(".")[0]
    typed = TYPED.match(text)
    if text == OBSERVABLE:
        return TargetPath(text, root, "", _observable)
    if text == AGENT:
        return TargetPath(text, root, "agent", _agent)
    if typed:
        return TargetPath(text, root, typed[1], _case_observables(typed[1]))
    _check_field(text, root, node)
    return TargetPath(text, root, "", _field(compile_field(text)))


def _check_field(text: str, root: str, node: Node) -> None:
    if root not in ROOTS:
        raise node.fault(unknown("root of a target", root, ROOTS))
    if "|" in text or "[" in text:
        raise node.fault("a target is a plain path; of brackets only case.observables[<data type>] is known.")
    if text in ROOTS or not all(text.split(".")):
        raise node.fault(
            f'"{text}" names no one thing; write observable, alert.agent or a field such as alert.data.srcip.'
        )
    if root == "verdict":
        raise node.fault("a verdict holds no target; the observable it speaks of is the path observable.")


def check_target(path: TargetPath, responder: str, event: str, node: Node) -> list[PlaybookError]:
    """What makes the path impossible for this responder or this event, if anything."""
    entry, roots = RESPONDERS[responder], EVENTS[event].roots
    if path.root not in roots:
        usable = ", ".join(sorted(roots))
        return [node.fault(f"there is no {path.root} on: {event}; the target can come from: {usable}.")]
    is_agent = path.text == AGENT or path.text.startswith(AGENT + ".")
    if is_agent and entry.contains == "account":
        return [node.fault(f"{responder} contains accounts; {path.text} is a host.")]
    if path.text == AGENT and entry.contains == "address":
        return [node.fault(f"{responder} contains addresses; {path.text} is a host.")]
    if path.data_type and path.text != AGENT and path.data_type not in entry.data_types:
        usable = ", ".join(sorted(entry.data_types))
        return [node.fault(f"{responder} cannot contain observables of type {path.data_type}; it takes: {usable}.")]
    return []


def resolve(paths: tuple[TargetPath, ...], responder: str, context: Context) -> Resolved:
    """The targets that the first fruitful path gives in this context."""
    rejected: list[str] = []
    for path in paths:
        found = _resolve(path, responder, context)
        if found.targets:
            return found
        rejected += found.rejected
    return Resolved((), tuple(rejected))


def _resolve(path: TargetPath, responder: str, context: Context) -> Resolved:
    entry = RESPONDERS[responder]
    targets: dict[Target, None] = {}
    rejected: list[str] = []
    for data_type, raw, label in path.find(context)[:MAX_CANDIDATES]:
        value = plain_text(raw).strip()
        fault = _unfit(value, data_type, entry.data_types, responder) or CHECKS[entry.contains](value)
        if fault:
            rejected.append(fault)
        else:
            targets[Target(entry.contains, data_type or DATA_TYPE[entry.contains], _canonical(value), label)] = None
    return Resolved(tuple(targets), tuple(rejected))


DATA_TYPE = {"address": "ip", "account": "account", "host": "agent"}


def _unfit(value: str, data_type: str, taken: Iterable[str], responder: str) -> str:
    if not value:
        return "an empty value or a map cannot be contained"
    if data_type and data_type not in taken:
        return f"{value} is of type {data_type}, which {responder} cannot contain"
    return ""


def _unfit_address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f"{value} is not an IP address"
    return ""


def _unfit_host(value: str) -> str:
    return "agent 000 is the Wazuh manager itself, never the host of an attack" if value == MANAGER else ""


def _unfit_account(value: str) -> str:
    return "" if value.isprintable() else "an account name with control characters cannot be contained"


CHECKS: dict[str, Callable[[str], str]] = {"address": _unfit_address, "host": _unfit_host, "account": _unfit_account}


def _canonical(value: str) -> str:
    """One spelling for one address; anything else stays as it is."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return value
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _observable(context: Context) -> list[tuple[str, Any, str]]:
    observable = as_map(context.get("observable"))
    return [(plain_text(observable.get("dataType")), observable.get("data"), "")] if observable else []


def _agent(context: Context) -> list[tuple[str, Any, str]]:
    agent = as_map(as_map(context.get("alert")).get("agent"))
    return [("agent", agent["id"], plain_text(agent.get("name")))] if agent.get("id") else []


def _case_observables(data_type: str) -> Callable[[Context], list[tuple[str, Any, str]]]:
    lookup = compile_field("case.observables")

    def find(context: Context) -> list[tuple[str, Any, str]]:
        mine = [entry for entry in lookup(context) if isinstance(entry, dict) and entry.get("dataType") == data_type]
        return [(data_type, entry.get("data"), "") for entry in mine]

    return find


def _field(lookup: Lookup) -> Callable[[Context], list[tuple[str, Any, str]]]:
    return lambda context: [("", value, "") for value in lookup(context)]
