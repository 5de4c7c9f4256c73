"""Dotted fields of a context: `alert.data.win.eventdata.threat Name`, compiled once to a look-up.

A context is a mapping of roots (`alert`, `observable`, `verdict`, `case`) to nested maps. On its way a path goes
through lists (every element counts) and through keys that hold dots themselves (`data.ms-graph`, `io.kubernetes.pod`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Context = Mapping[str, Any]
Lookup = Callable[[Context], list[Any]]

MAX_LIST = 1_000
"""Elements of one list that are looked at; what lies behind them is as if it were not there."""

OBSERVABLE_FIELDS = frozenset({"dataType", "data", "tags", "role", "message", "tlp", "pap", "ioc", "sighted", "path"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VERDICT_FIELDS = _words(
    "verdict recommendation score malicious suspicious safe none missing sources families coverage conflict profile "
    "veto prior log_odds calibrated"
)
CASE_FIELDS = _words(
    "number title severity tags status stage resolutionStatus impactStatus flag tlp pap assignee owner customFields "
    "observables"
)
ALERT_FIELDS = _words(
    "timestamp rule agent agentless manager cluster id full_log previous_output previous_log predecoder decoder data "
    "syscheck location srcgeoip dstgeoip GeoLocation"
)
RULE_FIELDS = _words(
    "level description id firedtimes mail groups mitre frequency info cve pci_dss gdpr gpg13 hipaa nist_800_53 tsc cis"
)

KNOWN: dict[str, frozenset[str]] = {
    "observable": OBSERVABLE_FIELDS,
    "verdict": VERDICT_FIELDS,
    "case": CASE_FIELDS,
    "alert": ALERT_FIELDS,
    "alert.rule": RULE_FIELDS,
    "alert.agent": frozenset({"id", "name", "ip", "labels"}),
}
"""What lint knows below a root; deeper than these a document is free (decoders name their own fields)."""


def compile_field(path: str) -> Lookup:
    """A function from a context to the values at `path`: scalars and maps, lists taken apart, missing = empty list."""
    root, *parts = path.split(".")
    search = _searcher(parts)

    def values(context: Context) -> list[Any]:
        value: Any = context.get(root)
        for part in parts:
            if not isinstance(value, dict) or part not in value:
                return search(context.get(root), 0)
            value = value[part]
        return _flat(value)

    return values


def _searcher(parts: list[str]) -> Callable[[Any, int], list[Any]]:
    """The thorough way, for where the straight one ends: through lists, and through keys that hold dots."""
    end = len(parts)
    steps = [[(".".join(parts[at:stop]), stop) for stop in range(at + 1, end + 1)] for at in range(end)]

    def search(value: Any, at: int) -> list[Any]:
        if at == end:
            return _flat(value)
        if isinstance(value, dict):
            for key, following in steps[at]:
                if key in value and (found := search(value[key], following)):
                    return found
        elif isinstance(value, (list, tuple)):
            return [found for element in value[:MAX_LIST] for found in search(element, at)]
        return []

    return search


def _flat(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [element for element in value[:MAX_LIST] if element is not None]
    return [] if value is None else [value]


def as_map(value: Any) -> dict[str, Any]:
    """The value if it is a map, else an empty one: what comes from outside may be of any shape."""
    return value if isinstance(value, dict) else {}
