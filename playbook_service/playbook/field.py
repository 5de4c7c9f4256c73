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
    root, *rest = path.split(".")
    parts = tuple(rest)

    def values(context: Context) -> list[Any]:
        value: Any = context.get(root)
        for index, part in enumerate(parts):
            if not isinstance(value, dict):
                return _descend(value, parts[index:])
            if part not in value:
                return _joined(value, parts[index:])
            value = value[part]
        return _flat(value)

    return values


def _descend(value: Any, parts: tuple[str, ...]) -> list[Any]:
    """The values at `parts` below whatever `value` is."""
    if not parts:
        return _flat(value)
    if isinstance(value, (list, tuple)):
        return [found for element in value[:MAX_LIST] for found in _descend(element, parts)]
    if not isinstance(value, dict):
        return []
    if parts[0] in value:
        return _descend(value[parts[0]], parts[1:])
    return _joined(value, parts)


def _joined(value: dict[str, Any], parts: tuple[str, ...]) -> list[Any]:
    """The same where the key itself has dots: `a.b` is tried, then `a.b.c`, ..."""
    for count in range(2, len(parts) + 1):
        key = ".".join(parts[:count])
        if key in value:
            return _descend(value[key], parts[count:])
    return []


def _flat(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [element for element in value[:MAX_LIST] if element is not None]
    return [] if value is None else [value]
