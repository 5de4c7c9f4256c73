"""The events a playbook may be `on`, and the roots of the context that each of them brings."""

from __future__ import annotations

from typing import NamedTuple


class Event(NamedTuple):
    """`kind`: which kind of playbook listens to it; `roots`: what conditions and targets may speak of."""

    kind: str
    roots: frozenset[str]
    help: str


ROOTS = frozenset({"alert", "observable", "verdict", "case"})

EVENTS: dict[str, Event] = {
    "observable": Event(
        "enrich", frozenset({"alert", "observable", "case"}), "an observable of an alert or a case was found"
    ),
    "alert": Event("respond", frozenset({"alert"}), "a Wazuh alert came in"),
    "case": Event("respond", frozenset({"case", "alert"}), "a case was opened or changed"),
    "verdict": Event("respond", ROOTS, "ConsensusScore, or its deadline, gave a verdict on an observable"),
    "case_closed": Event("respond", frozenset({"case", "alert"}), "a case was closed"),
}


def events_of(kind: str) -> tuple[str, ...]:
    """The names of the events that a playbook of this kind may be `on`."""
    return tuple(name for name, event in EVENTS.items() if event.kind == kind)
