"""From a strict document to a `Playbook`: the keys of both kinds, and what must hold between them."""

from __future__ import annotations

import re
from typing import Any

from playbook_service.playbook.condition import ALWAYS, Condition, always, read_condition
from playbook_service.playbook.document import Node
from playbook_service.playbook.event import EVENTS, events_of
from playbook_service.playbook.fault import PlaybookError, PlaybookErrors, shorten, unknown
from playbook_service.playbook.key import Key, duration, flag, names, one_of, read_map, text
from playbook_service.playbook.model import MODES, OUTCOMES, Action, Clause, Playbook, content_digest
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.playbook.target import OBSERVABLE, TargetPath, check_target
from playbook_service.playbook.verb import VERBS

KINDS = ("enrich", "respond")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
DEFAULT_DEADLINE = 600
MAX_ACTIONS = 100


def name(node: Node) -> str:
    """A playbook's name: small letters, digits, - and _."""
    found = text(node)
    if not NAME.match(found):
        raise node.fault("a name is at most 64 small letters, digits, - and _, such as malicious-ip.")
    return found


def clauses(node: Node) -> tuple[Clause, ...]:
    """The lines of `decide`; raises PlaybookErrors with every fault in them."""
    if not isinstance(node.value, list) or not node.value:
        raise node.fault(f"decide is a list of outcome: condition, such as - act: {{...}}, not {node.kind}.")
    faults: list[PlaybookError] = []
    found = [_clause(entry, faults) for entry in node.value]
    if faults:
        raise PlaybookErrors(faults)
    return tuple(clause for clause in found if clause)


def _clause(node: Node, faults: list[PlaybookError]) -> Clause | None:
    if not isinstance(node.value, dict) or len(node.value) != 1:
        faults.append(node.fault("each line of decide is one outcome with its condition, such as - ask: {...}."))
        return None
    ((outcome, body),) = node.value.items()
    if outcome not in OUTCOMES:
        faults.append(body.fault(unknown("outcome", outcome, OUTCOMES)))
        return None
    try:
        return Clause(outcome, _clause_condition(body), body.line, body.path)
    except PlaybookErrors as errors:
        faults.extend(errors.faults)
    return None


def _clause_condition(node: Node) -> Condition:
    return always() if node.value == ALWAYS else read_condition(node)


def action_nodes(node: Node) -> tuple[Node, ...]:
    """The steps, not yet read: what they may be depends on `on`."""
    if not isinstance(node.value, list) or not node.value:
        raise node.fault(f"actions is a list of steps, each with its verb under do:, not {node.kind}.")
    if len(node.value) > MAX_ACTIONS:
        raise node.fault(f"more than {MAX_ACTIONS} steps.")
    return tuple(node.value)


COMMON: dict[str, Key] = {
    "kind": Key(one_of(KINDS, "kind"), "enrich or respond", required=True),
    "name": Key(name, "small letters, digits, - and _; no two playbooks share one", required=True, default=""),
    "description": Key(text, "one sentence for people", default=""),
    "when": Key(read_condition, "the condition; absent: always"),
    "enabled": Key(flag, "false: loaded and checked, never used", default=True),
}
KEYS: dict[str, dict[str, Key]] = {
    "enrich": {
        **COMMON,
        "on": Key(one_of(events_of("enrich"), "event"), "the event: observable", required=True),
        "analyzers": Key(names, "the analyzers' definition names, without version", required=True, default=()),
        "deadline": Key(duration, "the verdict is made when all have answered, or then", default=DEFAULT_DEADLINE),
    },
    "respond": {
        **COMMON,
        "on": Key(one_of(events_of("respond"), "event"), "the event: alert, case, verdict, case_closed", required=True),
        "mode": Key(one_of(MODES, "mode"), "observe, approve or enforce", default="observe"),
        "decide": Key(clauses, "outcome: condition, the first that holds counts; absent: act", default=()),
        "actions": Key(action_nodes, "the steps", required=True, default=()),
    },
}
"""The keys of a playbook by its kind."""


def read_playbook(node: Node, faults: list[PlaybookError]) -> Playbook | None:
    """One document; None, with the reasons added to `faults`, for one that is no valid playbook."""
    before = len(faults)
    kind = _kind(node, faults)
    if kind is None:
        return None
    values = read_map(node, KEYS[kind], _what(kind), faults)
    actions = _actions(values, faults) if kind == "respond" else ()
    _check_permanent(values, actions, node, faults)
    _check_data_types(values, actions, node, faults)
    if len(faults) > before:
        return None
    return _playbook(node, values, actions)


def _what(kind: str) -> str:
    return f"a playbook of kind {kind}"


def _kind(node: Node, faults: list[PlaybookError]) -> str | None:
    if not isinstance(node.value, dict):
        faults.append(node.fault(f"a playbook is a map of keys (kind, name, ...), not {node.kind}."))
        return None
    given = node.value.get("kind")
    if given is None:
        faults.append(node.fault('the key "kind" is missing (enrich or respond); nothing else could be checked.'))
        return None
    try:
        return str(one_of(KINDS, "kind")(given))
    except PlaybookError as fault:
        faults.append(fault)
        return None


def _actions(values: dict[str, Any], faults: list[PlaybookError]) -> tuple[Action, ...]:
    found = [_action(node, values["on"], faults) for node in values["actions"]]
    return tuple(action for action in found if action)


def _action(node: Node, event: str | None, faults: list[PlaybookError]) -> Action | None:
    verb = _verb(node, event, faults)
    if verb is None or not isinstance(node.value, dict):
        return None
    body = Node({key: child for key, child in node.value.items() if key != "do"}, node.line, node.path, node.source)
    before = len(faults)
    values = read_map(body, VERBS[verb].keys, f"the verb {verb}", faults)
    faults.extend(VERBS[verb].check(values, body))
    targets: tuple[TargetPath, ...] = values.pop("target", None) or ()
    if event and values.get("with"):
        faults.extend(
            fault for path in targets for fault in check_target(path, values["with"], event, node.value["target"])
        )
    if len(faults) > before:
        return None
    return Action(verb, tuple(sorted(values.items())), targets, node.line, node.path)


def _verb(node: Node, event: str | None, faults: list[PlaybookError]) -> str | None:
    if not isinstance(node.value, dict) or "do" not in node.value:
        faults.append(node.fault("each step is a map that names its verb, such as - do: task."))
        return None
    given = node.value["do"]
    verb = given.value
    if not isinstance(verb, str) or verb not in VERBS:
        faults.append(given.fault(unknown("verb", shorten(str(given.plain())), VERBS)))
        return None
    if event and event not in VERBS[verb].events:
        usable = ", ".join(sorted(VERBS[verb].events & EVENTS.keys()))
        faults.append(given.fault(f"{verb} makes no sense on: {event}; it can stand in playbooks on: {usable}."))
        return None
    return verb


def _check_permanent(
    values: dict[str, Any], actions: tuple[Action, ...], node: Node, faults: list[PlaybookError]
) -> None:
    for action in actions:
        if action.contains and action.get("for") is None and values["mode"] == "enforce":
            message = (
                "permanent needs a human's grant, so it does not go with mode: enforce; use approve, or a duration."
            )
            faults.append(PlaybookError(message, source=node.source, line=action.line, path=f"{action.path}.for"))


def _check_data_types(
    values: dict[str, Any], actions: tuple[Action, ...], node: Node, faults: list[PlaybookError]
) -> None:
    """A responder on the observable, where `when` lets through only observables that it cannot contain."""
    let_through = _data_types(values.get("when"))
    for action in actions:
        if let_through and any(path.text == OBSERVABLE for path in action.targets):
            taken = RESPONDERS[action.responder].data_types
            if not let_through & taken:
                message = f"{action.responder} takes {', '.join(sorted(taken))}; when lets only others through."
                faults.append(
                    PlaybookError(message, source=node.source, line=action.line, path=f"{action.path}.target")
                )


def _data_types(when: Condition | None) -> set[str]:
    """The data types `when` lets through, where each of its alternatives names some; else nothing, for "any"."""
    found: set[str] = set()
    for tests in when.alternatives if when else ():
        named = [t for t in tests if t.field == "observable.dataType" and t.modifier in ("", "in") and not t.negated]
        if not named:
            return set()
        found.update(str(value).lower() for test in named for value in test.values)
    return found


def _playbook(node: Node, values: dict[str, Any], actions: tuple[Action, ...]) -> Playbook:
    values["when"] = values["when"] or always()
    if "actions" in values:
        values["actions"] = actions
    document = node.plain()
    return Playbook(source=node.source, line=node.line, digest=content_digest(document), document=document, **values)
