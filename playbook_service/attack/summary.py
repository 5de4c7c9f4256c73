"""A coverage for a terminal, and as JSON (`propolis-attack-coverage/1`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from playbook_service.attack.coverage import ANSWERS, Coverage, Technique
from playbook_service.attack.layer import SEEN_NOT_DETECTABLE, About, plain
from playbook_service.attack.matrix import VERSION, successor_of

SCHEMA = "propolis-attack-coverage/1"
NO_REPORTS = (
    "Without --reports there is no verdict: where a playbook waits for one, the answer is observed at most, "
    "though the service may ask or act."
)
_MOST_GAPS = 30
"""Gaps that a terminal names; the layer and the JSON have all."""
HEAD = ("TECHNIQUE", "ALERTS", "ANSWER", "WOULD", "PLAYBOOKS", "RULES")


def document(coverage: Coverage, about: About) -> dict[str, Any]:
    """Plain data."""
    answered = {word: coverage.count(word) for word in ANSWERS}
    return {
        "schema": SCHEMA, "attack": VERSION, "input": about.name, "mode": about.mode, "playbooks": about.playbooks,
        "first": about.first or None, "last": about.last or None, "alerts": coverage.alerts,
        "alerts_without_technique": coverage.without, "techniques_seen": len(coverage.techniques),
        "mentions_left_out": coverage.left_out, "answers": answered,
        "gaps": [one.id for one in coverage.gaps()],
        "revoked": {one.id: successor_of(one.id) for one in coverage.revoked()},
        "unknown": [one.id for one in coverage.unknown()],
        "no_technique_ids": dict(coverage.strange),
        "techniques": [_technique(one) for one in coverage.ranked()],
        "note": SEEN_NOT_DETECTABLE,
    }  # fmt: skip


def _technique(one: Technique) -> dict[str, Any]:
    return {
        "id": one.id, "standing": one.standing, "answer": one.answer, "would": one.would, "alerts": one.alerts,
        "suppressed": one.suppressed, "answers": dict(one.answers), "tactics": sorted(one.tactics),
        "playbooks": dict(one.playbooks),
        "rules": [{"id": key, **rule._asdict()} for key, rule in one.rules.items()],
    }  # fmt: skip


def opening(coverage: Coverage, about: About) -> Iterator[str]:
    """What the table below it is of."""
    span = f", {about.first} to {about.last}" if about.first else ""
    yield f"{coverage.alerts:,} alerts of {plain(about.name, 100)}{span}; mode {about.mode}; ATT&CK version {VERSION}"
    counts = ", ".join(f"{word} {coverage.count(word)}" for word in reversed(ANSWERS))
    yield f"{len(coverage.techniques)} techniques seen: {counts}"
    yield f"{coverage.without:,} alerts name no technique"


def rows(techniques: list[Technique]) -> list[tuple[str, ...]]:
    """The rows of the table."""
    return [
        (
            one.id, f"{one.alerts:,}", one.answer, one.would if one.would != one.answer else "",
            plain(", ".join(sorted(one.playbooks)), 44), plain(", ".join(one.rules), 32),
        )
        for one in techniques
    ]  # fmt: skip


def closing(coverage: Coverage) -> Iterator[str]:
    """What is to be known besides the table."""
    gaps = coverage.gaps()
    if gaps:
        more = f" and {len(gaps) - _MOST_GAPS} more" if len(gaps) > _MOST_GAPS else ""
        yield "No playbook answers: " + ", ".join(f"{one.id} ({one.alerts:,})" for one in gaps[:_MOST_GAPS]) + more
    elif coverage.techniques:
        yield "Every technique that was seen is answered by some playbook."
    for one in coverage.revoked():
        yield f"{one.id} was revoked by MITRE; {successor_of(one.id)} took its place, and the layer shows it there too."
    if coverage.unknown():
        listed = ", ".join(one.id for one in coverage.unknown())
        yield f"Of no table here (newer, or of another matrix; kept in the layer): {plain(listed, 300)}"
    if coverage.strange:
        yield f"In rule.mitre.id, and no id of a technique: {plain(', '.join(coverage.strange), 300)}"
    if coverage.left_out:
        yield f"{coverage.left_out:,} mentions of further techniques were not kept."
    yield SEEN_NOT_DETECTABLE
