"""From an alert to its observables: choose the table, walk the document once, keep each value once."""

from __future__ import annotations

from typing import Any

from propolis.alert import Alert
from propolis.observables import values
from propolis.observables.kinds import Kind
from propolis.observables.model import ROLES, STRENGTH, Extraction, Found, Observable
from propolis.observables.sources import branches, select
from propolis.observables.table import Row, Source, part, text, walk

MOST = 10_000  # observables of one alert
LONGEST = 65_536  # characters of one field that are read: the longest event Wazuh handles


def extract(alert: Alert) -> list[Observable]:
    """The observables of an alert, each `(data_type, data)` once. Never raises for anything a document may hold."""
    return extract_all(alert).observables


def extract_all(alert: Alert) -> Extraction:
    """As `extract`, with notes on what was left out."""
    collector = Collector(alert)
    fields = alert.body
    source = select(fields, alert.schema)
    walk(fields, branches(source), collector.row)
    if source.compose is not None:
        for found, path in source.compose(fields):
            collector.add(found, found.role or "related", path)
    if source.loose:
        _well_known(collector, fields, source)
    earlier = fields.get("previous_output")
    if type(earlier) is str and earlier:
        from propolis.observables.texts.syslog import composite

        collector.read(composite, "source", earlier, "previous_output")
    return Extraction(collector.observables(), collector.notes())


def _well_known(collector: Collector, fields: dict[str, Any], source: Source) -> None:
    from propolis.observables.tables import common

    windows = part(fields, "data", "win")
    data, where = (windows.get("eventdata"), "data.win.eventdata") if windows else (fields.get("data"), "data")
    for kind, role, value, path in common.fields(data, where, collector.said):
        collector.read(kind, role, value, path)
    log = fields.get("full_log")
    if type(log) is str and log[:1] != "{":
        _free_text(collector, log, source)


def _free_text(collector: Collector, log: str, source: Source) -> None:
    """The raw event of a source without a schema: named values, or a sentence about a log-in."""
    from propolis.observables.tables import common
    from propolis.observables.texts import pairs, syslog

    collector.read(syslog.sentence, "source", log, "full_log")
    if source.rows and "</" not in log:
        return  # the decoder has named the values already
    named = pairs.elements(log) if "</" in log else pairs.pairs(log)
    for kind, role, value, path in common.fields(named, "full_log", collector.said):
        collector.read(kind, role, value, path)


class Collector:
    """Keeps each value once, with the strongest role it plays, and leaves the reporting host out."""

    __slots__ = ("_alert", "_asset", "_found", "_left", "_long", "said")

    def __init__(self, alert: Alert):
        self._found: dict[tuple[str, str], tuple[Found, str, str]] = {}
        self._alert = alert
        self._asset: frozenset[str] | None = None
        self._left = 0
        self._long: set[str] = set()
        self.said: list[str] = []

    def row(self, row: Row, value: str) -> None:
        """Read one field by a row of a table."""
        self.read(row.kind, row.role, value, row.path)

    def read(self, kind: Kind, role: str, value: str, path: str) -> None:
        """Read one field."""
        if len(value) > LONGEST:
            value = value[:LONGEST]
            self._long.add(path)
        for found in kind(value):
            self.add(found, found.role or role, path)

    def add(self, found: Found, role: str, path: str) -> None:
        """Keep one value, unless it is the reporting host's or there are too many already."""
        key = (found.data_type, found.data)
        if found.data_type == "filename" and "\\" in found.data:  # Windows does not tell upper from lower case
            key = ("filename", found.data.lower())
        known = self._found.get(key)
        if known is not None:
            if STRENGTH[role] < STRENGTH[known[1]]:
                self._found[key] = (found, role, path)
        elif found.data_type in _HOSTS and self._is_asset(found.data):
            return
        elif len(self._found) >= MOST:
            self._left += 1
        else:
            self._found[key] = (found, role, path)

    def _is_asset(self, data: str) -> bool:
        if self._asset is None:
            self._asset = _asset(self._alert)
        return data.lower() in self._asset

    def observables(self) -> list[Observable]:
        """What was kept, in the order in which it was first seen."""
        return [_observable(found, role, path) for found, role, path in self._found.values()]

    def notes(self) -> list[str]:
        """Sentences on what was left out."""
        cut = [f"Only the first {LONGEST} characters of {path} were read." for path in sorted(self._long)]
        notes = cut + self.said
        if self._left:
            notes.append(f"More than {MOST} observables: {self._left} further findings were left out.")
        return notes


_HOSTS = frozenset(("ip", "hostname", "fqdn", "domain"))


def _asset(alert: Alert) -> frozenset[str]:
    """How the reporting host may be written: it is the asset of the alert, not an observable."""
    fields = alert.body
    names = {alert.agent_name, alert.agent_ip, values.ip_address(alert.agent_ip) or ""}
    writer = text(fields, "predecoder", "hostname")
    if values.ip_address(writer) is None:  # a device that is known by its address may be an end of the event itself
        names.add(writer)
    computer = text(fields, "data", "win", "system", "computer")
    names.update((computer, computer.partition(".")[0]))
    if alert.schema == "5.x":
        host = part(fields, "host")
        names.update((text(host, "hostname"), text(host, "name")))
        addresses = part(fields, "wazuh", "agent", "host").get("ip")
        names.update(entry for entry in (addresses if isinstance(addresses, list) else ()) if isinstance(entry, str))
    return frozenset(name.lower() for name in names if name)


def _observable(found: Found, role: str, path: str) -> Observable:
    data_type, data, subtype, _ = found
    tags = [f"role:{role}"]
    if data_type == "ip":
        tags.append("internal" if values.is_internal(data) else "external")
    elif subtype:
        tags.append(f"hash:{subtype}" if data_type == "hash" else f"subtype:{subtype}")
    return Observable(data_type, data, role, path, tuple(tags), f"{ROLES[role]} ({path})")
