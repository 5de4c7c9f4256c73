"""The alert document, read tolerantly: a property is empty where nothing usable stands there, never an exception."""

from __future__ import annotations

import json
from typing import Any

from propolis.alert.moment import epoch
from propolis.errors import InputError

MAX_BYTES = 1024 * 1024
"""Wazuh's own limit is 64 KiB an alert (OS_MAXSTR); documents from an indexer are a little larger."""
_DECODER = json.JSONDecoder(parse_constant=str)  # one for all: json.loads with an option builds one for every alert


class Alert:
    """One Wazuh alert. `document` is what was handed in; `fields` is what conditions and tables are evaluated on."""

    __slots__ = ("_fields", "document", "schema")

    def __init__(self, document: dict[str, Any]):
        self.document = document
        body = _unwrap(document)
        self.schema = "5.x" if is_finding(body) else "4.x"
        self._fields: dict[str, Any] | None = None if self.schema == "5.x" else body

    @classmethod
    def parse(cls, text: str | bytes) -> Alert:
        """Read one alert from JSON. Raises InputError: one sentence that says what is wrong with it."""
        if len(text) > MAX_BYTES:
            raise InputError(f"The alert is larger than {MAX_BYTES // 1024} KiB and was not read.")
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return cls(_loads(text.lstrip("\ufeff\x00 \t\r\n")))

    @property
    def body(self) -> dict[str, Any]:
        """The document without the wrapping of an indexer: the alert of 4.x, the finding of 5.x."""
        return _unwrap(self.document)

    @property
    def fields(self) -> dict[str, Any]:
        """What playbook conditions see: the 4.x document itself, or a 5.x finding with the 4.x names added."""
        if self._fields is None:
            from propolis.alert.finding import view  # only 5.x documents need it

            self._fields = view(self.body)
            self._fields["id"] = self._fields["id"] or self.document.get("_id")
        return self._fields

    @property
    def id(self) -> str:
        """The alert's id; unique on one node only, see `key`."""
        return _text(self.fields.get("id")) or _text(self.document.get("_id"))

    @property
    def node(self) -> str:
        """The cluster node that analysed the event, or the manager where there is no cluster."""
        return _text(_part(self.fields, "cluster", "node")) or self.manager

    @property
    def key(self) -> tuple[str, str]:
        """What identifies an alert among those of all nodes."""
        return (self.node, self.id)

    @property
    def rule_id(self) -> str:
        """Always a text: sample and third-party data sometimes hold a number."""
        return _text(_part(self.fields, "rule", "id"))

    @property
    def level(self) -> int:
        """0 to 16; 0 where it is missing or no number."""
        return _whole(_part(self.fields, "rule", "level"))

    @property
    def description(self) -> str:
        """The rule's sentence, with the event's values filled in."""
        return _text(_part(self.fields, "rule", "description"))

    @property
    def groups(self) -> tuple[str, ...]:
        """The rule's groups: a better selector than ids."""
        return _texts(_part(self.fields, "rule", "groups"))

    @property
    def mitre_ids(self) -> tuple[str, ...]:
        """ATT&CK technique ids."""
        return _texts(_part(self.fields, "rule", "mitre", "id"))

    @property
    def mitre_tactics(self) -> tuple[str, ...]:
        """ATT&CK tactics; their number says nothing about the number of ids."""
        return _texts(_part(self.fields, "rule", "mitre", "tactic"))

    @property
    def mitre_techniques(self) -> tuple[str, ...]:
        """ATT&CK technique names."""
        return _texts(_part(self.fields, "rule", "mitre", "technique"))

    def rule_number(self, name: str) -> int | None:
        """A count below `rule` (`firedtimes`, `frequency`), or None where it is missing or no whole number."""
        value = _part(self.fields, "rule", name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def rule_texts(self, name: str) -> tuple[str, ...]:
        """A list below `rule`, such as the tags of a compliance standard (`pci_dss`)."""
        return _texts(_part(self.fields, "rule", name))

    @property
    def agent_id(self) -> str:
        """`000` is the manager itself: there is no host behind it. Empty for agentless devices."""
        return _text(_part(self.fields, "agent", "id"))

    @property
    def agent_name(self) -> str:
        """The agent's name, which is not a stable key across managers."""
        return _text(_part(self.fields, "agent", "name"))

    @property
    def agent_ip(self) -> str:
        """The agent's address, as written; empty when unknown or registered as `any`."""
        return _text(_part(self.fields, "agent", "ip"))

    @property
    def manager(self) -> str:
        """The host name of the manager that analysed the event."""
        return _text(_part(self.fields, "manager", "name"))

    @property
    def decoder(self) -> str:
        """The name of the decoder that read the event."""
        return _text(_part(self.fields, "decoder", "name"))

    @property
    def location(self) -> str:
        """Where the event came from: a file, `EventChannel`, `syscheck`, `Wazuh-AWS`, ..."""
        return _text(self.fields.get("location"))

    @property
    def timestamp(self) -> float | None:
        """When the manager read the event, in seconds since 1970; not when it happened."""
        fields = self.fields
        return epoch(_text(fields.get("timestamp"))) or epoch(_text(fields.get("@timestamp")))

    @property
    def full_log(self) -> str:
        """The raw event; half of the default rules suppress it."""
        return _text(self.fields.get("full_log"))


def _loads(text: str) -> dict[str, Any]:
    if not text:
        raise InputError("The alert is empty.")
    try:
        document = _DECODER.decode(text)
    except RecursionError:
        raise InputError("The alert is nested too deeply to be read.") from None
    except ValueError as error:
        raise InputError(f"The alert is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise InputError("The alert must be a JSON object.")
    if not any(name in _unwrap(document) for name in ("rule", "wazuh", "data", "syscheck")):
        raise InputError("The JSON object is not a Wazuh alert: it has neither a rule nor wazuh.rule.")
    return document


def is_finding(document: dict[str, Any]) -> bool:
    """True for a 5.x document: the rule stands below `wazuh`. A `rule` at the top is then ECS's, not Wazuh's."""
    wazuh = document.get("wazuh")
    return isinstance(wazuh, dict) and ("rule" in wazuh or ("agent" in wazuh and "rule" not in document))


def _unwrap(document: dict[str, Any]) -> dict[str, Any]:
    source = document.get("_source")
    return source if isinstance(source, dict) and "rule" not in document else document


def _part(node: Any, *names: str) -> Any:
    for name in names:
        if not isinstance(node, dict):
            return None
        node = node.get(name)
    return node


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in (_text(entry).strip() for entry in values) if text)


def _whole(value: Any) -> int:
    try:
        level = int(float(value)) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        return 0
    return max(0, min(level, 16))
