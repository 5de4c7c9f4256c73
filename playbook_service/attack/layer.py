"""A coverage as a layer of MITRE's ATT&CK Navigator.

Layer file format 4.5, as mitre-attack/attack-navigator specifies it (`layers/spec/v4.5/layerformat.md`). Rule
descriptions hold values of events; they go into comments as plain text, shortened, without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from playbook_service.attack.coverage import ACTS, ANSWERS, ASKS, ENRICHED, NOTHING, OBSERVED, Coverage, Technique
from playbook_service.attack.matrix import REVOKED, VERSION, is_tactic, parent_of, successor_of

FORMAT = "4.5"
NAVIGATOR = "5.0.0"
"""The Navigator that MITRE's own layers for version 19 name."""
DOMAIN = "enterprise-attack"
SEEN_NOT_DETECTABLE = (
    "Seen is not detectable: a technique without a colour is one that no alert named, whether nobody used it, no rule "
    "covers it, or no log shows it."
)
SCORES = {NOTHING: 0, ENRICHED: 25, OBSERVED: 50, ASKS: 75, ACTS: 100}
COLOURS = {NOTHING: "#e06c5a", ENRICHED: "#f0b45a", OBSERVED: "#f2e08a", ASKS: "#a6d08c", ACTS: "#4f9d69"}
MEANING = {
    NOTHING: "seen, and no playbook answers",
    ENRICHED: "looked up or filed in a case, nothing to contain",
    OBSERVED: "a containment is considered, and only observed",
    ASKS: "an analyst is asked to contain",
    ACTS: "contained without asking",
}
_MOST_RULES, _LONGEST = 12, 160


class About(NamedTuple):
    """What the layer is of: the input's name, the playbooks' digest, the service's mode, the first and last moment."""

    name: str
    playbooks: str
    mode: str
    first: str = ""
    last: str = ""


def layer(coverage: Coverage, about: About) -> dict[str, Any]:
    """The layer, as JSON values."""
    return {
        "name": f"Propolis: {plain(about.name, 80)}",
        "versions": {"attack": VERSION, "navigator": NAVIGATOR, "layer": FORMAT},
        "domain": DOMAIN,
        "description": _description(coverage, about),
        "sorting": 3,
        "layout": {
            "layout": "side", "showID": True, "showName": True, "showAggregateScores": False, "countUnscored": False,
            "aggregateFunction": "max", "expandedSubtechniques": "annotated",
        },
        "hideDisabled": False,
        "techniques": _entries(coverage),
        "gradient": {"colors": [COLOURS[word] for word in ANSWERS], "minValue": 0, "maxValue": 100},
        "legendItems": [{"label": f"{word}: {MEANING[word]}", "color": COLOURS[word]} for word in ANSWERS],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
        "metadata": _metadata(coverage, about),
        "links": [],
    }  # fmt: skip


def _description(coverage: Coverage, about: About) -> str:
    span = f" from {about.first} to {about.last}" if about.first else ""
    return (
        f"How the playbooks answer the techniques that {coverage.alerts:,} Wazuh alerts{span} named. "
        f"A technique has the strongest answer that any of its alerts had. {SEEN_NOT_DETECTABLE}"
    )


def _metadata(coverage: Coverage, about: About) -> list[dict[str, Any]]:
    rows = [
        ("alerts", f"{coverage.alerts}"), ("alerts without a technique", f"{coverage.without}"),
        ("mode", about.mode), ("playbooks", about.playbooks[:12]), ("first alert", about.first),
        ("last alert", about.last),
        ("revoked ids", ", ".join(f"{one.id} > {successor_of(one.id)}" for one in coverage.revoked())),
        ("ids of no table here", ", ".join(one.id for one in coverage.unknown())),
        ("no ids of techniques", ", ".join(plain(text, 40) for text in coverage.strange)),
    ]  # fmt: skip
    return [{"name": name, "value": value} for name, value in rows if value]


def _entries(coverage: Coverage) -> list[dict[str, Any]]:
    """Every technique under the id it was named by; a revoked one once more under the id that the matrix shows."""
    shown: dict[str, dict[str, Any]] = {}
    for one in coverage.ranked():
        shown[one.id] = _entry(one)
    for one in coverage.revoked():
        successor = successor_of(one.id)
        stood = shown.get(successor)
        if stood is None:
            shown[successor] = {**_entry(one), "techniqueID": successor, "links": [_link(successor)]}
        else:
            shown[successor] = _joined(stood, shown[one.id], one.id)
    _expand(shown)
    return [shown[key] for key in sorted(shown)]


def _entry(one: Technique) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "techniqueID": one.id, "score": SCORES[one.answer], "color": COLOURS[one.answer], "enabled": True,
        "comment": "\n".join(_comment(one)), "metadata": _facts(one), "links": [_link(one.id)],
        "showSubtechniques": False,
    }  # fmt: skip
    if len(one.tactics) == 1 and one.standing != REVOKED:
        (tactic,) = one.tactics
        if is_tactic(tactic):
            entry["tactic"] = tactic
    return entry


def _joined(stood: dict[str, Any], old: dict[str, Any], old_id: str) -> dict[str, Any]:
    """A technique's own entry and that of a revoked id which now means it: the better answer, both stories."""
    best = max(stood, old, key=lambda entry: int(entry["score"]))
    comment = f"{stood['comment']}\n\nAs {old_id}:\n{old['comment']}"
    metadata = [*stood["metadata"], {"divider": True}, *old["metadata"]]
    joined = {**stood, "score": best["score"], "color": best["color"], "comment": comment, "metadata": metadata}
    joined.pop("tactic", None)
    return joined


def _expand(shown: dict[str, dict[str, Any]]) -> None:
    """Open the techniques whose sub-techniques have something to say; where only those were named, without a score."""
    for key in list(shown):
        parent = parent_of(key)
        if parent:
            entry = shown.setdefault(parent, {"techniqueID": parent})
            entry["showSubtechniques"] = True
            if entry.get("tactic") != shown[key].get("tactic"):
                entry.pop("tactic", None)


def _comment(one: Technique) -> Iterable[str]:
    yield f"{one.answer}: {MEANING[one.answer]}"
    if one.would != one.answer:
        yield f"With every playbook in mode enforce: {one.would}."
    if one.standing == REVOKED:
        yield f"The rules name {one.id}, which ATT&CK revoked; {successor_of(one.id)} took its place."
    shares = ", ".join(f"{word} {one.answers[word]:,}" for word in ANSWERS if one.answers[word])
    yield f"{one.alerts:,} alert{'s' * (one.alerts != 1)}: {shares}"
    if one.suppressed:
        yield f"{one.suppressed:,} of them suppressed as false positives."
    yield f"Playbooks: {', '.join(sorted(one.playbooks)) or 'none'}"
    rules = sorted(one.rules.items(), key=lambda item: (-item[1].alerts, item[0]))
    for number, rule in rules[:_MOST_RULES]:
        yield f"Rule {plain(number, 40)} ({rule.alerts:,}): {plain(rule.description, _LONGEST)}"
    if len(rules) > _MOST_RULES:
        yield f"and {len(rules) - _MOST_RULES} more rules"


def _facts(one: Technique) -> list[dict[str, Any]]:
    rows = [
        ("answer", one.answer), ("would", one.would), ("alerts", f"{one.alerts}"),
        ("rules", ", ".join(plain(number, 40) for number in list(one.rules)[:_MOST_RULES])),
        ("playbooks", ", ".join(sorted(one.playbooks))), ("standing", one.standing),
    ]  # fmt: skip
    return [{"name": name, "value": value} for name, value in rows if value]


def _link(technique: str) -> dict[str, str]:
    return {"label": technique, "url": f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"}


def plain(text: str, most: int) -> str:
    """Text from outside on one line, without what could hide or turn it."""
    cut = text[: most + 1]
    shown = " ".join("".join(mark if mark.isprintable() else " " for mark in cut).split())
    return f"{shown[: most - 1]}\u2026" if len(text) > most else shown
