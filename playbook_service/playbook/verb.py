"""The verbs of a playbook's actions: for each, its keys, the events it makes sense on, and whether it contains.

Modes (observe, approve, enforce) hold back what contains. The other verbs keep TheHive's books; they are done in every
mode, as soon as the playbook has something to say (its clauses give act or ask).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from playbook_service.playbook.document import Node
from playbook_service.playbook.fault import PlaybookError, unknown
from playbook_service.playbook.key import Key, duration, flag, names, one_of, some_of, text
from playbook_service.playbook.responder import DEFAULT_SECONDS, RESPONDERS, UNDO
from playbook_service.playbook.target import read_target

PERMANENT = "permanent"
SEVERITIES: dict[str, int] = {"low": 1, "medium": 2, "high": 3, "critical": 4}
PHASES = ("preparation", "analysis", "containment", "eradication", "recovery", "post-incident")
LABELS = ("TruePositive", "FalsePositive")
OBJECTS = ("case", "alert", "observable")
MERGE_ON = ("source", "agent", "observable")

RESPOND_EVENTS = frozenset({"alert", "case", "verdict", "case_closed"})
OPEN_EVENTS = frozenset({"alert", "case", "verdict"})


class Verb(NamedTuple):
    """`check` sees the values of all keys together and names what does not go together."""

    keys: Mapping[str, Key]
    help: str
    contains: bool = False
    events: frozenset[str] = RESPOND_EVENTS
    check: Callable[[dict[str, Any], Node], list[PlaybookError]] = lambda _values, _node: []


def lease(node: Node) -> int | None:
    """Seconds that a containment lasts; None is `permanent`, until somebody releases it."""
    return None if node.value == PERMANENT else duration(node)


def responder(node: Node) -> str:
    """A responder that contains; an undo flavour is refused with the reason."""
    name = text(node)
    if name in UNDO:
        raise node.fault(f"{name} undoes {UNDO[name]}; the service runs it when a lease ends, playbooks do not.")
    if name not in RESPONDERS:
        raise node.fault(unknown("responder", name, RESPONDERS))
    return name


def severity(node: Node) -> int:
    """1 to 4, from the word."""
    return SEVERITIES[one_of(SEVERITIES, "severity")(node)]


def _check_respond(values: dict[str, Any], node: Node) -> list[PlaybookError]:
    if values.get("direction") and values.get("with") not in (None, "FirewallBlock"):
        return [_child(node, "direction").fault("direction goes with FirewallBlock only.")]
    return []


def _check_case(values: dict[str, Any], node: Node) -> list[PlaybookError]:
    if not values.get("template") and not values.get("merge_within"):
        return [
            node.fault("say what to do: template (open a case from it), merge_within (join an open case), or both.")
        ]
    if values.get("merge_on") and not values.get("merge_within"):
        return [_child(node, "merge_on").fault("merge_on needs merge_within: how old the open case may be.")]
    return []


def _child(node: Node, key: str) -> Node:
    return node.value.get(key, node) if isinstance(node.value, dict) else node


VERBS: dict[str, Verb] = {
    "respond": Verb(
        {
            "with": Key(responder, f"the responder: {', '.join(RESPONDERS)}", required=True),
            "target": Key(
                read_target,
                "a path that gives exactly one target, or a list of which the first that gives one counts",
                required=True,
            ),
            "for": Key(lease, "how long, such as 24h; or permanent, which a human must grant", default=DEFAULT_SECONDS),
            "direction": Key(one_of(("both",), "direction"), "FirewallBlock: both, the only way the backends block"),
        },
        "contain a target with a responder; a lease results and is undone when it ends",
        contains=True,
        events=OPEN_EVENTS,
        check=_check_respond,
    ),
    "task": Verb(
        {
            "title": Key(text, "what is to be done", required=True),
            "description": Key(text, "how, in Markdown", default=""),
            "phase": Key(one_of(PHASES, "phase"), "the phase of NIST SP 800-61 to list it under", default="analysis"),
            "flag": Key(flag, "true: flagged", default=False),
            "assign": Key(text, "the analyst's login", default=""),
            "due": Key(duration, "how long from now it may take, such as 4h"),
        },
        "add a task to the case (once: a task of the same title is not added again)",
    ),
    "tag": Verb(
        {
            "add": Key(names, "one tag or a list of tags", required=True),
            "to": Key(one_of(OBJECTS, "object"), "case, alert or observable", default="case"),
        },
        "add tags",
    ),
    "severity": Verb(
        {"raise": Key(severity, "low, medium, high or critical", required=True)},
        "raise the case's severity to at least this; never lowers it",
    ),
    "flag": Verb({}, "flag the case"),
    "assign": Verb({"to": Key(text, "the analyst's login", required=True)}, "assign the case, unless somebody has it"),
    "case": Verb(
        {
            "template": Key(text, "open a case from this case template", default=""),
            "merge_within": Key(duration, "join an open case that is not older than this instead, where there is one"),
            "merge_on": Key(some_of(MERGE_ON, "thing to merge on"), "what must be the same: source, agent, observable"),
        },
        "open a case from a template, or merge the alert into an open one",
        events=OPEN_EVENTS,
        check=_check_case,
    ),
    "label": Verb(
        {
            "as": Key(one_of(LABELS, "label"), "TruePositive or FalsePositive", required=True),
            "release": Key(flag, "true: also end the leases of this case", default=False),
        },
        "label the observables that were acted upon or asked about; verdicts and suppression learn from it",
        events=frozenset({"case_closed"}),
    ),
    "notify": Verb(
        {
            "to": Key(names, "one channel or several, as the service's settings name them", required=True),
            "text": Key(text, "what to say above the facts", default=""),
        },
        "send a notification",
    ),
}
