"""Lint: what the strict loader lets pass and an author would still want to know.

A check is a function from a playbook to issues, registered in `CHECKS`. What needs a live TheHive or Cortex is not in
this registry; it is handed to `lint` by whoever has the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from playbook_service.playbook.condition import Condition, Test
from playbook_service.playbook.event import EVENTS
from playbook_service.playbook.fault import suggest
from playbook_service.playbook.field import KNOWN
from playbook_service.playbook.issue import ERROR, INFO, WARNING, Issue
from playbook_service.playbook.logic import EQUALITY, LOWER, covers, impossible, narrowed, needs_field
from playbook_service.playbook.model import Action, Playbook, Playbooks
from playbook_service.playbook.modifier import fold, number_of
from playbook_service.playbook.responder import RESPONDERS
from playbook_service.playbook.target import MANAGER, OBSERVABLE
from propolis.verdict.sources import OWN_WORKERS, load_sources, without_version

SURICATA_LEVEL = 3
MAX_TTL = 7 * 86_400
"""The default `max_ttl` of the policy, in seconds."""
RELAYED = frozenset(
    [
        "amazon",
        "aws",
        "aws_guardduty",
        "office365",
        "github",
        "gcp",
        "ms-graph",
        "docker",
        "suricata",
        "ids",
        "firewall",
        "pfsense",
        "opnsense",
        "cisco",
        "cisco-asa",
        "fortigate",
        "paloalto",
    ]
)
"""Rule groups of sources whose agent passes on what others saw."""


Said = tuple[str, str, int, str]
"""(severity, message, line, path): what a check yields; the rest of the issue is the playbook's."""
Check = Callable[[Playbook], Iterable[Said]]


def lint(playbooks: Playbooks, checks: Mapping[str, Check] | None = None) -> list[Issue]:
    """All findings of all checks (default: `CHECKS`) on all playbooks, disabled ones too, in the order of the files."""
    return [
        Issue(severity, code, message, playbook.source, line, path, playbook.name)
        for playbook in playbooks
        for code, check in (CHECKS if checks is None else checks).items()
        for severity, message, line, path in check(playbook)
    ]


def _conditions(playbook: Playbook) -> Iterator[tuple[str, int, Condition]]:
    yield "when", playbook.line, playbook.when
    for clause in playbook.decide:
        yield clause.path, clause.line, clause.condition


def _tests(playbook: Playbook) -> Iterator[Test]:
    for _path, _line, condition in _conditions(playbook):
        yield from condition.tests


def _containing(playbook: Playbook) -> Iterator[Action]:
    return (action for action in playbook.actions if action.contains)


def description(playbook: Playbook) -> Iterator[Said]:
    """Every playbook says what it is for."""
    if not playbook.description:
        yield WARNING, "there is no description; one sentence tells the analyst what this is for.", playbook.line, ""


def known_fields(playbook: Playbook) -> Iterator[Said]:
    """Fields that nothing fills; under `not` such a typo would always hold."""
    for test in _tests(playbook):
        parts = test.field.split(".")
        for depth in (1, 2):
            known = KNOWN.get(".".join(parts[:depth]))
            if known and len(parts) > depth and parts[depth] not in known:
                severity = WARNING if parts[0] == "alert" else ERROR
                hint = suggest(parts[depth], known) or f"; known: {', '.join(sorted(known))}."
                yield severity, f'nothing fills the field "{test.field}"{hint}', test.line, test.path


def roots(playbook: Playbook) -> Iterator[Said]:
    """Fields of roots that the event does not bring."""
    there = EVENTS[playbook.on].roots
    for test in _tests(playbook):
        root = test.field.partition(".")[0]
        if root not in there:
            effect = "never holds" if needs_field(test) else "always holds"
            yield ERROR, f"there is no {root} on: {playbook.on}, so {test.text} {effect}.", test.line, test.path


def never_matches(playbook: Playbook) -> Iterator[Said]:
    """Alternatives whose lines exclude each other."""
    for path, line, condition in _conditions(playbook):
        for tests in condition.alternatives:
            clash = impossible(tests)
            if clash:
                message = f"this can never hold: {clash[0].text} excludes {clash[1].text}."
                yield ERROR, message, clash[1].line or line, clash[1].path or path


def unreachable_clause(playbook: Playbook) -> Iterator[Said]:
    """Clauses that an earlier one, or `when`, leaves nothing to."""
    for index, clause in enumerate(playbook.decide):
        for earlier in playbook.decide[:index]:
            if covers(earlier.condition, clause.condition):
                message = (
                    f"never reached: wherever it holds, the {earlier.outcome} of line {earlier.line} does already."
                )
                yield WARNING, message, clause.line, clause.path
                break
        else:
            if _excluded_by_when(playbook.when, clause.condition):
                yield WARNING, "never reached: `when` excludes it.", clause.line, clause.path


def _excluded_by_when(when: Condition, condition: Condition) -> bool:
    if condition.always or when.always or any(impossible(tests) for tests in condition.alternatives):
        return False
    return all(impossible((*mine, *theirs)) for mine in when.alternatives for theirs in condition.alternatives)


def does_nothing(playbook: Playbook) -> Iterator[Said]:
    """A respond playbook whose clauses never act nor ask."""
    if playbook.decide and all(clause.outcome in ("observe", "ignore") for clause in playbook.decide):
        yield WARNING, "no clause acts or asks, so nothing is ever done.", playbook.decide[0].line, "decide"


def unconditional(playbook: Playbook) -> Iterator[Said]:
    """Containment without a condition, or without a second thought."""
    actions = list(_containing(playbook))
    if actions and playbook.when.always:
        message = f"there is no when: {actions[0].responder} applies to everything on: {playbook.on}."
        yield WARNING, message, playbook.line, ""
    if actions and playbook.mode == "enforce" and not playbook.decide:
        message = f"enforce without decide: {actions[0].responder} is run on every match, without evidence asked for."
        yield WARNING, message, playbook.line, "mode"


def observable_type(playbook: Playbook) -> Iterator[Said]:
    """A responder on the observable needs observables of a type it takes."""
    for action in _containing(playbook):
        if not any(path.text == OBSERVABLE for path in action.targets):
            continue
        taken = RESPONDERS[action.responder].data_types
        if any(not _fixes_type(tests) for tests in narrowed(playbook.when, "observable.dataType")):
            message = (
                f"when does not fix observable.dataType; {action.responder} takes {', '.join(sorted(taken))} only."
            )
            yield WARNING, message, action.line, f"{action.path}.target"


def _fixes_type(tests: tuple[Test, ...]) -> bool:
    return any(test.modifier in EQUALITY and not test.negated for test in tests)


def isolation_guard(playbook: Playbook) -> Iterator[Said]:
    """Isolation needs an agent that is the victim: not the manager, not a relay."""
    for action in _containing(playbook):
        if action.responder != "IsolateHost" or playbook.on == "case":
            continue
        for tests in playbook.when.alternatives or ((),):
            if not any(_excludes_manager(test) for test in tests):
                message = (
                    'IsolateHost without alert.agent.id|not: "000" (the manager; cloud and relayed alerts carry it).'
                )
                yield WARNING, message, _line(tests, action), f"{action.path}.with"
            elif not any(_names_source(test) for test in tests):
                message = "IsolateHost without a test of the source (decoder, location or groups): a collector's agent "
                yield WARNING, message + "is not the victim of what it passes on.", _line(tests, action), action.path


def _line(tests: tuple[Test, ...], action: Action) -> int:
    return tests[0].line if tests else action.line


def _excludes_manager(test: Test) -> bool:
    return test.field == "alert.agent.id" and test.negated and MANAGER in {fold(value) for value in test.values}


def _names_source(test: Test) -> bool:
    if test.negated:
        return test.field == "alert.rule.groups" and bool(RELAYED & {fold(value) for value in test.values})
    return test.field in ("alert.decoder.name", "alert.location", "alert.rule.groups", "alert.rule.id")


def suricata_level(playbook: Playbook) -> Iterator[Said]:
    """Levels do not tell Suricata's alerts apart."""
    if any("suricata" in fold(value) for test in playbook.when.tests for value in test.values):
        return
    for tests in playbook.when.alternatives:
        level = next((test for test in tests if _drops_suricata(test)), None)
        if level and not any(_names_source(test) and not test.negated for test in tests):
            message = f"Suricata's alerts are always of level {SURICATA_LEVEL}: {level.text} never sees one."
            yield INFO, message, level.line, level.path


def _drops_suricata(test: Test) -> bool:
    if test.field != "alert.rule.level" or test.modifier not in LOWER or test.negated:
        return False
    limit = number_of(test.values[0]) or 0.0
    return limit > SURICATA_LEVEL or (test.modifier == "gt" and limit == SURICATA_LEVEL)


def wildcard(playbook: Playbook) -> Iterator[Said]:
    """A * is a * here, unlike in Sigma."""
    for test in _tests(playbook):
        if not test.modifier.startswith("re") and any("*" in str(value) for value in test.values):
            message = f"{test.text}: a * stands for itself; use |contains, |startswith, |endswith or |re."
            yield WARNING, message, test.line, test.path


def lease_length(playbook: Playbook) -> Iterator[Said]:
    """Durations that the default policy cuts or that only a human may grant."""
    for action in _containing(playbook):
        seconds = action.get("for")
        if seconds is None:
            yield INFO, "permanent: this always asks, and only a human can grant it.", action.line, f"{action.path}.for"
        elif seconds > MAX_TTL:
            message = "longer than 7d, the policy's default max_ttl: unless the policy allows more, it is refused."
            yield WARNING, message, action.line, f"{action.path}.for"


def policy_asks(playbook: Playbook) -> Iterator[Said]:
    """enforce does not lift the policy's own rule for accounts and hosts."""
    if playbook.mode != "enforce":
        return
    for action in _containing(playbook):
        if RESPONDERS[action.responder].contains in ("account", "host"):
            message = f"the policy asks for {action.responder} by default, also under enforce."
            yield INFO, message, action.line, f"{action.path}.with"


def rated_analyzers(playbook: Playbook) -> Iterator[Said]:
    """Analyzers that the shipped source file does not rate weigh nothing in a verdict."""
    if playbook.kind != "enrich":
        return
    sources = load_sources()
    for name in playbook.analyzers:
        if sources.find(name) is None and name.lower() not in OWN_WORKERS:
            message = f'"{name}" is not in propolis/sources.yml: until the item sources rates it, it weighs nothing.'
            yield INFO, message, playbook.line, "analyzers"


def analyzer_names(playbook: Playbook) -> Iterator[Said]:
    """Names are definition names without version, of analyzers that are evidence."""
    for name in playbook.analyzers:
        if without_version(name) != name:
            message = f'"{name}" ends in a version; write "{without_version(name)}", whatever version Cortex has.'
            yield WARNING, message, playbook.line, "analyzers"
        elif name.lower() in OWN_WORKERS:
            message = (
                f'"{name}" is one of our own workers; its report is no evidence, and the service starts it itself.'
            )
            yield WARNING, message, playbook.line, "analyzers"


CHECKS: dict[str, Check] = {
    "description": description,
    "known-fields": known_fields,
    "roots": roots,
    "never-matches": never_matches,
    "unreachable-clause": unreachable_clause,
    "does-nothing": does_nothing,
    "unconditional": unconditional,
    "observable-type": observable_type,
    "isolation-guard": isolation_guard,
    "suricata-level": suricata_level,
    "wildcard": wildcard,
    "lease-length": lease_length,
    "policy-asks": policy_asks,
    "analyzer-names": analyzer_names,
    "rated-analyzers": rated_analyzers,
}
"""The checks by code. Each one's first line of documentation says what it is about."""
